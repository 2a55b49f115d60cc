"""COCO results, as pycocotools loads what a detector found, and the list of pictures, in a ZIP."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.classes import NAMING, NUMBERING, ClassNumbers
from playground.export.files import Provenance, open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside
from playground.export.spooled import SpooledList


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `results.json`, and `image_info.json` with the pictures and the categories that its numbers mean."""
    classes, provenance = ClassNumbers(), Provenance()
    with open_zip(stream) as archive, SpooledList() as images, SpooledList() as results:
        for picture in pictures.each:
            width, height = picture.prediction.resolution_wh
            image_id = images.count + 1
            images.add_row({"id": image_id, "file_name": picture.stem, "height": height, "width": width})
            for result in _results(picture, classes):
                results.add_row({"image_id": image_id, **result})
            provenance.add(picture.prediction)
        with archive.open("results.json", "w", force_zip64=True) as file:
            results.write(file)
        categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes.names, 1)]
        head = {"info": {"description": str(provenance)}, "licenses": [], "annotations": [], "categories": categories}
        with archive.open("image_info.json", "w", force_zip64=True) as file:
            file.write(json.dumps(head).encode().removesuffix(b"}") + b', "images": ')
            images.write(file)
            file.write(b"}")
        provenance.add_readme(archive, COCO_RESULTS.cannot_carry, NUMBERING.format(first=1), NAMING)


def _results(picture: CheckedPicture, classes: ClassNumbers) -> Iterator[dict[str, Any]]:
    prediction = picture.prediction
    for region, class_id in zip(prediction.regions, classes.number(prediction), strict=True):
        if region.score is not None:  # by which an evaluation sorts them
            x_min, y_min, x_max, y_max = box_inside(region, prediction.resolution_wh)
            bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
            yield {"category_id": class_id + 1, "bbox": bbox, "score": region.score}


COCO_RESULTS = Format(
    "coco_results", "COCO results (ZIP)", "zip", "zip", _write,
    "COCO results are boxes with scores alone: a region without a score, such as one that was added by hand, is left "
    "out, and so are outlines, quads, texts and who drew a region. Pictures are numbered from 1 in their order, as "
    "image_info.json lists them, without extensions; boxes are in pixels of the picture as it was asked about.",
    suffix="-coco-results",
    has_pixels=False,
    holds=Holds.REGIONS,
)  # fmt: skip
