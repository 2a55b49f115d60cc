"""One row a picture, for spreadsheets: how many regions it has, in all and of each class."""

import codecs
import json
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.cells import as_text, csv_lines
from playground.export.classes import ClassNumbers
from playground.export.format import Format, Holds
from playground.export.spooled import Spooled

_MAX_CLASSES = 200  # columns: read text has as many labels as pictures have words
_COLUMNS = ("picture", "regions", "lowest_score", "is_unsure")


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8 with a byte order mark; the classes, which are known after the last picture, are columns."""
    classes = ClassNumbers()
    with Spooled() as spool:
        for picture in pictures.each:
            prediction, counts = picture.prediction, dict[int, int]()
            for number in classes.number(prediction):
                column = min(number, _MAX_CLASSES)
                counts[column] = counts.get(column, 0) + 1
            scores = [region.score for region in prediction.regions if region.score is not None]
            least = round(min(scores), 4) if scores else ""
            unsure = "yes" if prediction.is_unsure else "no"
            first = [as_text(picture.stem), len(prediction.regions), least, unsure]
            spool.add(json.dumps([first, list(counts.items())]) + "\n")
        names = [*map(as_text, classes.names[:_MAX_CLASSES]), *["others"] * (len(classes.names) > _MAX_CLASSES)]
        stream.write(codecs.BOM_UTF8 + csv_lines([(*_COLUMNS, *names)]))
        for first, pairs in map(json.loads, spool.lines()):
            of_class = dict(pairs)
            stream.write(csv_lines([[*first, *(of_class.get(number, 0) for number in range(len(names)))]]))


COUNTS = Format(
    "counts", "Counts (CSV)", "csv", "csv", _write,
    f"It holds numbers alone: how many regions a picture has, and how many of each class. {_MAX_CLASSES} classes have "
    "a column of their own, the rest are counted together as others.",
    suffix="-counts",
    has_pixels=False,
    holds=Holds.REGIONS,
)  # fmt: skip
