"""One crop and one mask a region, in a ZIP."""

from PIL import Image

from playground.drawing import masks
from playground.errors import ExportRejected
from playground.export.common import Export, Format, png, readme, safe_name, wire_json, zip_files

MAX_MEGAPIXELS = 400  # of all crops together: about a minute of compression, and the memory of one archive

CANNOT_CARRY = (
    "The names of the files keep only the letters and digits of a label; prediction.json beside them holds it whole."
)


def write(export: Export) -> bytes:
    """Cut out each region, with a mask of the same size: white where the region is.

    Raises ExportRejected where there is no region, or where the crops would be too large together.
    """
    _check(export)
    files = {
        "README.txt": readme(export, CANNOT_CARRY).encode("utf-8"),
        "prediction.json": wire_json(export.prediction),
    }
    shapes = masks(export.prediction)
    for index, region in enumerate(export.prediction.regions):
        name = f"{index + 1:03d}-{safe_name(region.label, fallback='region')}.png"
        shape, (x, y) = shapes.crop(index), shapes.offsets[index].tolist()
        crop = export.image.pixels.crop((x, y, x + shape.shape[1], y + shape.shape[0]))
        files[f"crops/{name}"] = png(crop)
        files[f"masks/{name}"] = png(Image.fromarray(shape))
    return zip_files(files)


def _check(export: Export) -> None:
    regions = export.prediction.regions
    if not regions:
        raise ExportRejected("There is no region to cut out. Ask a question that finds regions, or show hidden ones.")
    megapixels = sum(region.area for region in regions) / 1e6
    if megapixels > MAX_MEGAPIXELS:
        raise ExportRejected(
            f"The crops would hold {megapixels:.0f} megapixels together; the limit is {MAX_MEGAPIXELS}. "
            "Hide some regions and save again."
        )


FORMAT = Format("crops", "Crops and masks (ZIP)", "zip", write, CANNOT_CARRY, suffix="-crops")
