"""What the formats of data sets share: pictures in a ZIP, names for their files, and numbers for their classes."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import supervision as sv

from playground.drawing.detections import to_detections
from playground.export.annotated import CheckedPictures
from playground.export.classes import ClassNumbers
from playground.export.files import Provenance, add_png, png_bytes
from playground.results import Prediction


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A picture that lies in the archive as `stem`.png, what was answered about it, and the numbers of its classes."""

    stem: str
    prediction: Prediction
    class_ids: list[int]

    @property
    def file_name(self) -> str:
        return f"{self.stem}.png"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, as supervision asks for them."""
        width, height = self.prediction.resolution_wh
        return height, width, 3

    def to_detections(self) -> sv.Detections:
        """Return the regions with the numbers of their classes."""
        detections = to_detections(self.prediction)
        detections.class_id = np.array(self.class_ids, dtype=np.int64)
        return detections


class Dataset:
    """A data set that grows picture by picture. What all pictures have a part in is complete after the last one."""

    def __init__(self, archive: zipfile.ZipFile, *, folder: str) -> None:
        self.classes = ClassNumbers()
        self.provenance = Provenance()
        self._archive = archive
        self._folder = folder

    def add(self, pictures: CheckedPictures) -> Iterator[DatasetEntry]:
        """Write each picture into the folder, and yield what its annotations are made of."""
        for picture in pictures.each:
            entry = DatasetEntry(picture.stem, picture.prediction, self.classes.number(picture.prediction))
            add_png(self._archive, f"{self._folder}/{entry.file_name}", png_bytes(picture.image.pixels))
            self.provenance.add(picture.prediction)
            yield entry
