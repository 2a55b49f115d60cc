"""Pascal VOC: the picture and one XML file, in a ZIP."""

from pathlib import Path

import supervision as sv

from playground.export.common import Export, Format
from playground.export.dataset import write_dataset

CANNOT_CARRY = (
    "Pascal VOC has no place for scores and quads, of which the boxes remain, and holds whole pixels. "
    "Each part of an outline becomes an object of its own."
)


def write(export: Export) -> bytes:
    """Write `JPEGImages/` and `Annotations/`, the folders of the Pascal VOC devkit."""

    def save(dataset: sv.DetectionDataset, folder: Path) -> None:
        dataset.as_pascal_voc(
            images_directory_path=str(folder / "JPEGImages"),
            annotations_directory_path=str(folder / "Annotations"),
        )
        for file in (folder / "Annotations").iterdir():
            # supervision names its maker as the source of every picture.
            written = file.read_text("utf-8")
            file.write_text(written.replace("<database>roboflow.ai<", "<database>Florence-2 Playground<", 1), "utf-8")

    return write_dataset(export, save, CANNOT_CARRY)


FORMAT = Format("voc", "Pascal VOC (ZIP)", "zip", write, CANNOT_CARRY, suffix="-voc")
