"""What the formats of data sets share: pictures in a ZIP, names for their files, and numbers for their classes."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.classes import NAMING, ClassNumbers
from playground.export.files import Provenance, add_packed, png_bytes
from playground.export.texts import Affixes
from playground.pictures.reader import InputImage
from playground.regions import Box, Polygon, Quad, Region
from playground.results import Prediction

_MAX_NAMED = 20  # pictures that a README lists by name


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A picture that lies in the archive under `file_name`, what was answered about it, and its classes' numbers.

    The prediction is about the picture in the archive, which is smaller than the original where that was scaled down.
    `subset` is the part of the data set that the picture is in.
    """

    stem: str
    file_name: str
    prediction: Prediction
    class_ids: list[int]
    subset: str
    affixes: Affixes


class Dataset:
    """A data set that grows picture by picture. What all pictures have a part in is complete after the last one.

    With `has_subsets` each part has a folder of its own; `whole` is the name of the only part of one that is not
    divided.
    """

    def __init__(self, archive: zipfile.ZipFile, *, folder: str, has_subsets: bool = False, whole: str = "") -> None:
        self.classes = ClassNumbers()
        self.provenance = Provenance()
        self._archive = archive
        self._folder = folder
        self._has_subsets = has_subsets
        self._whole = whole
        self._num_kept = 0
        self._changed: list[str] = []
        self._num_changed = 0

    def add(self, pictures: CheckedPictures) -> Iterator[DatasetEntry]:
        """Write each picture into the folder, and yield what its annotations are made of."""
        for picture in pictures.each:
            content, extension, prediction = self._file_of(picture)
            file_name = f"{picture.stem}.{extension}"
            subset = picture.subset or self._whole
            within = subset if self._has_subsets else ""
            add_packed(self._archive, "/".join(filter(None, (self._folder, within, file_name))), content)
            self.provenance.add(picture.prediction)
            class_ids = self.classes.number(prediction)
            yield DatasetEntry(picture.stem, file_name, prediction, class_ids, subset, picture.affixes)

    def _file_of(self, picture: CheckedPicture) -> tuple[bytes, str, Prediction]:
        if as_it_came := picture.file_as_it_came:
            self._num_kept += 1
            return *as_it_came, picture.prediction
        self._num_changed += 1
        self._changed = [*self._changed, picture.stem][:_MAX_NAMED]
        return png_bytes(picture.image.pixels), "png", _about_pixels(picture.prediction, picture.image)

    def add_readme(self, *notes: str) -> None:
        """Add the text that lies beside the files: who answered, what the format says, what became of the pictures."""
        self.provenance.add_readme(self._archive, *notes, NAMING, *self._notes_on_pictures())

    def _notes_on_pictures(self) -> Iterator[str]:
        if self._num_kept:
            yield (
                "Pictures that are the uploaded files, byte for byte, and so tell what a camera wrote into them, such "
                f"as where it was: {self._num_kept}."
            )
        if self._num_changed:
            more = f" and {self._num_changed - _MAX_NAMED} more" if self._num_changed > _MAX_NAMED else ""
            yield (
                "Pictures that are written anew as PNG, with the pixels that were asked about: "
                f"{self._num_changed} ({', '.join(self._changed)}{more}). Their files were not at hand, or other "
                "readers would have seen them turned, in other colors, transparent, in frames, larger or not at all."
            )


def _about_pixels(prediction: Prediction, image: InputImage) -> Prediction:
    """Return the prediction in the pixels of the picture that is at hand."""
    size = image.pixels.size
    if size == image.resolution_wh:
        return prediction
    scale = size[0] / image.resolution_wh[0], size[1] / image.resolution_wh[1]
    return replace(
        prediction, resolution_wh=size, regions=tuple(_scaled(region, scale) for region in prediction.regions)
    )


def _scaled(region: Region, scale: tuple[float, float]) -> Region:
    def scaled(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(value * scale[index % 2] for index, value in enumerate(values))

    return replace(
        region,
        xyxy=cast(Box, scaled(region.xyxy)),
        xyxyxyxy=cast(Quad, scaled(region.xyxyxyxy)) if region.xyxyxyxy else None,
        polygons=cast(tuple[Polygon, ...], tuple(tuple(map(scaled, polygon)) for polygon in region.polygons)),
    )
