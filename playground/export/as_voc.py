"""Pascal VOC: pictures and an XML file each, in a ZIP."""

from typing import BinaryIO

from supervision.dataset.formats.pascal_voc import detections_to_pascal_voc

from playground.export.annotated import CheckedPictures
from playground.export.classes import NAMING
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `JPEGImages/` and `Annotations/`, the folders of the Pascal VOC devkit."""
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder="JPEGImages")
        for entry in dataset.add(pictures):
            archive.writestr(f"Annotations/{entry.stem}.xml", _xml(entry, dataset.classes.names))
        dataset.provenance.add_readme(archive, VOC.cannot_carry, NAMING)


def _xml(entry: DatasetEntry, names: list[str]) -> str:
    written = detections_to_pascal_voc(
        entry.to_detections(), names, entry.file_name, entry.image_shape, approximation_percentage=0.0
    )
    # supervision names its maker as the source of every picture.
    return written.replace("<database>roboflow.ai<", "<database>Florence-2 Playground<", 1)


VOC = Format(
    "voc", "Pascal VOC (ZIP)", "zip", "zip", _write,
    "Pascal VOC has no place for scores, for who drew a region and for quads, of which the boxes remain, and holds "
    "whole pixels. Each part of an outline becomes an object of its own.",
    suffix="-voc",
)  # fmt: skip
