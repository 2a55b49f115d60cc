"""COCO: the picture and annotations.json, in a ZIP."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import supervision as sv
from supervision.config import AREA_DATA_FIELD, COCO_RAW_SEGMENTATION

from playground.export.common import Export, Format, provenance
from playground.export.dataset import write_dataset
from playground.regions import Region

CANNOT_CARRY = (
    "COCO has no place for scores and quads: a score is written as one more key that its readers skip, "
    "a quad as a polygon of four points."
)


def write(export: Export) -> bytes:
    """Write `images/` and `annotations.json`; categories count from 1, as COCO wants, and polygons are not rounded."""
    regions = export.prediction.regions
    outlines = np.empty(len(regions), dtype=object)
    outlines[:] = [_outline(region) for region in regions]
    areas = np.array([_area(region) for region in regions], dtype=np.float64)

    def save(dataset: sv.DetectionDataset, folder: Path) -> None:
        (detections,) = dataset.annotations.values()
        detections.mask = None  # with masks, the writer would trace the polygons again, pixel by pixel
        annotations = folder / "annotations.json"
        dataset.as_coco(images_directory_path=str(folder / "images"), annotations_path=str(annotations))
        _correct(annotations, export)

    return write_dataset(export, save, CANNOT_CARRY, **{COCO_RAW_SEGMENTATION: outlines, AREA_DATA_FIELD: areas})


def _correct(annotations: Path, export: Export) -> None:
    """Add the scores and the note, and take out what supervision claims of every picture: a license and a date."""
    written = json.loads(annotations.read_text("utf-8"))
    written["info"] = {"description": provenance(export.prediction)}
    written["licenses"] = []
    for image in written["images"]:
        del image["license"], image["date_captured"]
    for annotation, region in zip(written["annotations"], export.prediction.regions, strict=True):
        if region.score is not None:
            annotation["score"] = region.score
    annotations.write_text(json.dumps(written, indent=2), "utf-8")


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


FORMAT = Format("coco", "COCO (ZIP)", "zip", write, CANNOT_CARRY, suffix="-coco")
