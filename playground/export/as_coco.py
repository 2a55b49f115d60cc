"""COCO: pictures and annotations.json, in a ZIP."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from supervision.dataset.formats.coco import classes_to_coco_categories

from playground.drawing.detections import boxes_inside
from playground.export.annotated import CheckedPictures
from playground.export.classes import NAMING, NUMBERING
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format
from playground.regions import Region


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/` and, at the end, `annotations.json`; ids count from 1, as COCO wants."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder="images")
        for entry in dataset.add(pictures):
            height, width, _ = entry.image_shape
            image_id = len(images) + 1
            images.append({"id": image_id, "file_name": entry.file_name, "height": height, "width": width})
            for annotation in _annotations(entry):
                annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
        whole = {
            "info": {"description": str(dataset.provenance)},
            "licenses": [],
            "categories": classes_to_coco_categories(dataset.classes.names),
            "images": images,
            "annotations": annotations,
        }
        archive.writestr("annotations.json", json.dumps(whole, indent=2))
        dataset.provenance.add_readme(archive, COCO.cannot_carry, NUMBERING.format(first=1), NAMING)


# supervision's writer has no place for scores, and traces an outline again from its pixels.
def _annotations(entry: DatasetEntry) -> Iterator[dict[str, Any]]:
    """Yield what COCO says of each region: boxes inside the picture, outlines as they were answered."""
    boxes = boxes_inside(entry.prediction)
    boxes[:, 2:] -= boxes[:, :2]
    for region, class_id, box in zip(entry.prediction.regions, entry.class_ids, boxes.tolist(), strict=True):
        score = {} if region.score is None else {"score": region.score}
        yield {
            "category_id": class_id + 1,
            "bbox": box,
            "area": _area(region),
            "segmentation": _outline(region),
            "iscrowd": 0,
            **score,
            "source": region.source,
        }


def _outline(region: Region) -> list[list[float]]:
    if region.xyxyxyxy is not None:
        return [list(region.xyxyxyxy)]
    return [[value for point in part for value in point] for part in region.polygons]


def _area(region: Region) -> float:
    outline = _outline(region)
    return sum(_polygon_area(np.reshape(part, (-1, 2))) for part in outline) if outline else region.area


def _polygon_area(points: npt.NDArray[np.float64]) -> float:
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)  # the shoelace formula


COCO = Format(
    "coco", "COCO (ZIP)", "zip", "zip", _write,
    "COCO has no place for scores, for who drew a region and for quads: score and source are written as two more keys "
    "that its readers skip, a quad as a polygon of four points.",
    suffix="-coco",
)  # fmt: skip
