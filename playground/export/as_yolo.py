"""YOLO: pictures, a text file of labels each, and data.yaml, in a ZIP."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from supervision.config import ORIENTED_BOX_COORDINATES
from supervision.dataset.formats.yolo import detections_to_yolo_annotations, save_data_yaml

from playground.export.annotated import CheckedPictures
from playground.export.classes import NAMING, NUMBERING
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/`, `labels/` and, at the end, `data.yaml`, whose class names are in the order of their numbers."""
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder="images")
        for entry in dataset.add(pictures):
            archive.writestr(f"labels/{entry.stem}.txt", "".join(f"{line}\n" for line in _lines(entry)))
        archive.writestr("data.yaml", _settings(dataset.classes.names))
        dataset.provenance.add_readme(archive, YOLO.cannot_carry, NUMBERING.format(first=0), NAMING)


def _lines(entry: DatasetEntry) -> list[str]:
    detections = entry.to_detections()
    is_obb = ORIENTED_BOX_COORDINATES in detections.data
    if is_obb:
        detections.mask = None  # supervision warns that it writes the corners instead
    return detections_to_yolo_annotations(detections, entry.image_shape, approximation_percentage=0.0, is_obb=is_obb)


def _settings(names: list[str]) -> str:
    with TemporaryDirectory() as folder:  # supervision writes YAML to a path only
        file = Path(folder, "data.yaml")
        save_data_yaml(str(file), names)
        written = file.read_text("utf-8")
    return f"{written}train: images\nval: images\n"  # without both, Ultralytics refuses the file


YOLO = Format(
    "yolo", "YOLO (ZIP)", "zip", "zip", _write,
    "YOLO has no place for scores and for who drew a region, and coordinates have five decimals of the picture's size. "
    "Quads become lines of its oriented boxes; each part of an outline becomes an object of its own, traced pixel by "
    "pixel.",
    suffix="-yolo",
)  # fmt: skip
