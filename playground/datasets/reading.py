"""`read_dataset`: whatever people have, as pictures with what is true of them.

    data = read_dataset("my-cars.zip")
    for labeled in data.labeled("val"):
        image, labeled = data.open(labeled)     # ImageRejected says why a picture cannot be had

Nothing is decoded before it is opened. What is wrong with a picture or a line is a sentence there, and ends nothing.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from defusedxml import DefusedXmlException, ElementTree

from playground.annotate.reading import SourceReader
from playground.datasets.files import LABEL_FILES, LABEL_MEGABYTES, DataFiles, subset_named
from playground.datasets.formats import ALL, FoundSet
from playground.datasets.labeled import Labeled
from playground.datasets.of_coco import find_coco
from playground.datasets.of_journal import find_journal
from playground.datasets.of_lines import find_lines
from playground.datasets.of_voc import find_voc
from playground.datasets.of_yolo import find_yolo, has_labels_beside, why_no_names
from playground.errors import ImageRejected, SourceRejected
from playground.pictures.reader import InputImage, read_image

ACCEPTED = (
    "COCO (a JSON file with images and annotations), YOLO (data.yaml with labels beside the pictures), Pascal VOC (an "
    'XML file for each picture), JSON Lines ({"image": ..., "prefix": ..., "suffix": ...}), or the folder of a job of '
    "this playground (predictions.jsonl)"
)
_MAX_KEPT = 200  # sentences of a summary
_MOST_LOOKED_AT = 20  # files, for why they are no labels


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What is in a data set: pictures that are there, regions by their label, and what is wrong with the rest.

    `faults` are the first `_MAX_KEPT` of `num_faults` sentences, each with what it is about.
    """

    num_pictures: int
    num_broken: int
    num_regions: int
    num_texts: int
    labels: dict[str, int]
    subsets: dict[str, int]
    faults: tuple[str, ...]
    num_faults: int


class LabeledData:
    """A data set. Only `read_dataset` makes one. Safe to read from several threads.

    `kind` says its format, `classes` the names of its classes in their order, where the format lists them, and
    `subsets` its parts. `notice` is a sentence about what its truth is not; mostly empty.
    """

    def __init__(self, path: str, found: FoundSet, reader: SourceReader) -> None:
        self.path = path
        self.kind, self.classes, self.subsets, self.notice = found.kind, found.classes, found.subsets, found.notice
        self._found = found
        self._reader = reader

    def labeled(self, subset: str = ALL) -> Iterator[Labeled]:
        """Yield each picture, of one part or of all; what cannot be had has a `problem`. No picture is read."""
        if subset != ALL and subset not in self.subsets:
            raise SourceRejected(
                f"The data set has no part {subset!r}. Its parts: {', '.join(filter(None, self.subsets)) or 'none'}."
            )
        return self._found.labeled(subset)

    def open(self, labeled: Labeled) -> tuple[InputImage, Labeled]:
        """Return a picture, and its labels in its own pixels. Raises ImageRejected."""
        if labeled.problem:
            raise ImageRejected(labeled.problem)
        image = self._reader.read(labeled.source)
        return image, labeled.in_pixels(image.resolution_wh)

    def summary(self, subset: str = ALL) -> DataSummary:
        """Return what is in the data set, without reading a picture."""
        labels, subsets, faults = Counter[str](), Counter[str](), list[str]()
        num_pictures = num_broken = num_texts = num_faults = 0
        for one in self.labeled(subset):
            num_broken += bool(one.problem)
            num_pictures += not one.problem
            subsets[one.subset] += not one.problem
            num_texts += bool(one.texts)
            labels.update(region.label for region in one.regions)
            sentences = [*filter(None, [one.problem]), *one.faults]
            num_faults += len(sentences)
            faults += [f"{one.name}: {sentence}" for sentence in sentences][: max(0, _MAX_KEPT - len(faults))]
        return DataSummary(
            num_pictures, num_broken, labels.total(), num_texts, dict(labels), dict(subsets), tuple(faults), num_faults
        )


def read_dataset(
    path: str | Path,
    *,
    read: Callable[..., InputImage] = read_image,
    reviewed: bool | None = None,
    label_megabytes: int = LABEL_MEGABYTES,
) -> LabeledData:
    """Return the data set of a folder, a ZIP, or the file of labels in a folder. Raises SourceRejected.

    `read` takes what `read_image` does: a server reads pictures elsewhere. `reviewed` takes of the playground's own
    answers only those that a person has approved or corrected, or only others to which the model is likely right. A
    file of labels may have `label_megabytes`.
    """
    text = os.path.expanduser(str(path))
    if not os.path.exists(text):
        raise SourceRejected(f"There is no data set at {text[:200]!r}. Accepted: the folder or the ZIP of {ACCEPTED}.")
    files = _files_of(os.path.abspath(text), label_megabytes)
    finders: tuple[Callable[[DataFiles], FoundSet | None], ...] = (
        partial(find_journal, reviewed=reviewed), find_coco, find_yolo, find_voc, find_lines,
    )  # fmt: skip
    for find in finders:
        if found := find(files):
            return LabeledData(text, found, SourceReader(read))
    name = os.path.basename(os.path.abspath(text))  # where it is on a server is nobody's business
    raise SourceRejected(f"{name[:200]!r} is no data set that is known here.{_nearly(files)} Accepted: {ACCEPTED}.")


def _nearly(files: DataFiles) -> str:
    """Return a sentence about what might have been meant as labels, and why it is none."""
    for path in islice(files.ending(".json", ".jsonl", ".xml"), _MOST_LOOKED_AT):
        read, kind = (json.loads, "JSON") if path.lower().endswith(".json") else (ElementTree.fromstring, "XML")
        try:
            read(files.read(path)) if not path.lower().endswith(".jsonl") else files.text(path)
        except (ValueError, RecursionError, SyntaxError, LookupError, DefusedXmlException) as error:
            return f" {path[:200]} cannot be read as {kind}: {str(error)[:200].rstrip('.')}."
        except SourceRejected as error:
            return f" {error}"
    if has_labels_beside(files) or files.has_folder("labels"):
        return f" There are labels as YOLO has them, but {why_no_names(files)}."
    return ""


def _files_of(path: str, label_megabytes: int) -> DataFiles:
    """Return the files of a folder or an archive; of a file of labels those around it, or around `annotations`."""
    if os.path.isdir(path) or not path.lower().endswith(LABEL_FILES):
        return DataFiles(path, label_megabytes=label_megabytes)
    folder = os.path.dirname(path)
    name = os.path.basename(folder)
    if name.lower() in ("annotations", "labels") or subset_named(name) in ("train", "val", "test"):
        folder = os.path.dirname(folder)
    return DataFiles(folder, only=os.path.relpath(path, folder).replace(os.sep, "/"), label_megabytes=label_megabytes)
