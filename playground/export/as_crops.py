"""One crop and one mask a region, in a ZIP. Of several pictures, the names of the files begin with the picture's."""

from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from playground.drawing.detections import MAX_PAINTED_MEGAPIXELS, masks, painted_megapixels
from playground.errors import ExportRejected
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.files import Provenance, add_packed, json_bytes, json_line, open_zip, png_bytes
from playground.export.format import Format, Holds
from playground.export.names import safe_name
from playground.results import Prediction

_MAX_LABEL_BYTES = 60  # beside the name of the picture


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Cut out each region, with a mask of the same size: white where the region is.

    Raises ExportRejected where there is no region, or where the crops of a picture would be too large together.
    """
    provenance, predictions, has_crops = Provenance(), [], False
    with open_zip(stream) as archive:
        for picture in pictures.each:
            _check_size(picture.prediction)
            first = f"{picture.stem}-" if pictures.are_several else ""
            for name, crop, mask in _pieces(picture):
                add_packed(archive, f"crops/{first}{name}.png", png_bytes(crop))
                add_packed(archive, f"masks/{first}{name}.png", png_bytes(mask))
                has_crops = True
            provenance.add(picture.prediction)
            predictions.append(
                json_line(picture.stem, picture.prediction) if pictures.are_several else json_bytes(picture.prediction)
            )
        if not has_crops:
            raise ExportRejected(
                "There is no region to cut out. Ask a question that finds regions, or show hidden ones."
            )
        archive.writestr("predictions.jsonl" if pictures.are_several else "prediction.json", b"".join(predictions))
        provenance.add_readme(archive, CROPS.cannot_carry)


def _check_size(prediction: Prediction) -> None:
    megapixels = painted_megapixels(prediction)
    if megapixels > MAX_PAINTED_MEGAPIXELS:
        raise ExportRejected(
            f"The regions hold {megapixels:.0f} megapixels together, with the parts of their outlines; the limit is "
            f"{MAX_PAINTED_MEGAPIXELS}. "
            "Hide some regions and save again."
        )


def _pieces(picture: CheckedPicture) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """Yield the name, the crop and the mask of each region."""
    if not picture.prediction.regions:
        return
    shapes = masks(picture.prediction, resolution_wh=picture.image.pixels.size)
    for index, region in enumerate(picture.prediction.regions):
        shape, (x, y) = shapes.crop(index), shapes.offsets[index].tolist()
        crop = picture.image.pixels.crop((x, y, x + shape.shape[1], y + shape.shape[0]))
        label = safe_name(region.label, fallback="region", max_bytes=_MAX_LABEL_BYTES)
        yield f"{index + 1:03d}-{label}", crop, Image.fromarray(shape)


CROPS = Format(
    "crops", "Crops and masks (ZIP)", "zip", "zip", _write,
    "The names of the files hold the beginning of a label, and a line in the place of each character that no name may "
    "have; the prediction in JSON beside them holds it whole.",
    suffix="-crops",
    holds=Holds.REGIONS,
)  # fmt: skip
