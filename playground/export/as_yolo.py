"""YOLO: the picture, a text file of labels and data.yaml, in a ZIP."""

from pathlib import Path

import supervision as sv
from supervision.config import ORIENTED_BOX_COORDINATES

from playground.export.common import Export, Format
from playground.export.dataset import write_dataset

CANNOT_CARRY = (
    "YOLO has no place for scores, and coordinates have five decimals of the picture's size. Quads become lines of its "
    "oriented boxes; each part of an outline becomes an object of its own, traced pixel by pixel."
)


def write(export: Export) -> bytes:
    """Write `images/`, `labels/` and `data.yaml`, whose class names are in the order of their numbers."""

    def save(dataset: sv.DetectionDataset, folder: Path) -> None:
        (detections,) = dataset.annotations.values()
        is_obb = ORIENTED_BOX_COORDINATES in detections.data
        if is_obb:
            detections.mask = None  # supervision warns that it writes the corners instead
        settings = folder / "data.yaml"
        dataset.as_yolo(
            images_directory_path=str(folder / "images"),
            annotations_directory_path=str(folder / "labels"),
            data_yaml_path=str(settings),
            is_obb=is_obb,
        )
        with settings.open("a", encoding="utf-8") as file:
            file.write("train: images\nval: images\n")  # without both, Ultralytics refuses the file

    return write_dataset(export, save, CANNOT_CARRY)


FORMAT = Format("yolo", "YOLO (ZIP)", "zip", write, CANNOT_CARRY, suffix="-yolo")
