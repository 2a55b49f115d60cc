"""Pictures and regions to save, and readers of what was saved: each format is read by the library that owns it."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from PIL import Image

from playground.drawing import Look
from playground.export import FORMATS, Annotated, export
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction

NOTE = "The bundled demo model answered: it knows drawn scenes only."
CAR = Region("car", (40.25, 60.5, 120.125, 110.0), 0.875)
SECOND_CAR = Region("car", (0.0, 0.0, 160.0, 120.0), 0.5)
TREE = Region("tree", (5.0, 6.0, 30.0, 70.0), None)
SIGN = Region("STOP", (50.0, 20.0, 110.0, 60.0), 0.25, xyxyxyxy=(60.0, 20.0, 110.0, 30.0, 100.0, 60.0, 50.0, 50.0))
LEFT = ((20.5, 20.0), (40.0, 20.0), (40.0, 40.0), (20.5, 40.0))
RIGHT = ((80.0, 20.0), (100.0, 20.0), (100.0, 40.0), (80.0, 40.0))
WHEELS = Region("wheels", (20.5, 20.0, 100.0, 40.0), 0.75, polygons=(LEFT, RIGHT))

ALL = tuple(row.id for row in FORMATS)
LOOK = Look(("box",))


def noise(seed: int = 3) -> InputImage:
    """A picture of 160 x 120 pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    return InputImage(Image.fromarray(pixels), digest=f"digest of {seed}")


def predict(*regions: Region, question: Question = Question("<OD>")) -> Prediction:  # noqa: B008
    return Prediction(
        question, "tiny-florence2", (160, 120), text="A car.", regions=regions, is_final=True, notices=(NOTE,)
    )


def street(*regions: Region) -> Annotated:
    return Annotated("street", predict(*regions), noise())


def written(pictures: Iterable[Annotated], format_id: str) -> bytes:
    content = io.BytesIO()
    export(pictures, format_id, content, LOOK)
    return content.getvalue()


def files_of(content: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def unzip(content: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def rows_of(content: bytes) -> list[dict[str, str]]:
    """The rows of a table."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_coco(content: bytes, folder: Path, **options: bool) -> sv.DetectionDataset:
    unzip(content, folder)
    return sv.DetectionDataset.from_coco(
        str(folder / "images/default"), str(folder / "annotations/instances_default.json"), **options
    )


def read_yolo(content: bytes, folder: Path, **options: bool) -> sv.DetectionDataset:
    unzip(content, folder)
    return sv.DetectionDataset.from_yolo(
        str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml"), **options
    )


def read_voc(content: bytes, folder: Path) -> sv.DetectionDataset:
    unzip(content, folder)
    return sv.DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations"))


def described(picture: Image.Image) -> str:
    """What is written into a picture."""
    text = picture.info.get("Description") or picture.info["comment"]
    return text if isinstance(text, str) else text.decode("utf-8")


def instances_of(content: bytes) -> dict[str, Any]:
    """What a COCO archive says of regions."""
    instances: dict[str, Any] = json.loads(files_of(content)["annotations/instances_default.json"])
    return instances


READERS = {"coco": read_coco, "yolo": read_yolo, "voc": read_voc}


def labels_of(dataset: sv.DetectionDataset) -> dict[str, list[str]]:
    """The labels of each picture of a data set, by the name of its file."""
    return {
        Path(path).name: [dataset.classes[index] for index in detections.class_id]
        for path, detections in dataset.annotations.items()
    }
