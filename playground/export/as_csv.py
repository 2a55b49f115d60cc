"""One row a text and one a region, for spreadsheets. The rows of several pictures begin with the picture's name."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.cells import as_text, csv_lines
from playground.export.format import Format
from playground.export.texts import text_answered
from playground.regions import Region
from playground.results import Prediction

COLUMNS = (
    "label", "score", "x_min", "y_min", "x_max", "y_max", "area", "xyxyxyxy", "polygons", "source", "text", "is_unsure",
)  # fmt: skip

_Row = tuple[str | float, ...]
_NO_REGION: _Row = ("",) * len(COLUMNS)


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8 with a byte order mark, without which Excel reads Chinese as Latin. Pixels have three decimals."""
    stream.write(codecs.BOM_UTF8)
    stream.write(csv_lines([("picture", *COLUMNS) if pictures.are_several else COLUMNS]))
    for picture in pictures.each:
        rows = list(_rows(picture.prediction))
        if pictures.are_several:  # a picture in which nothing was found has a row too: it was asked about
            rows = [(as_text(picture.stem), *row) for row in rows or [_NO_REGION]]
        stream.write(csv_lines(rows))


def table_text(prediction: Prediction) -> str:
    """Return the table of one picture with tabs between its cells, as a spreadsheet takes it from a clipboard."""
    content = io.StringIO(newline="")
    csv.writer(content, dialect="excel-tab", lineterminator="\n").writerows([COLUMNS, *_rows(prediction)])
    return content.getvalue()


def _rows(prediction: Prediction) -> Iterator[_Row]:
    """Yield a caption or what was read, and then the regions."""
    if text := text_answered(prediction):
        yield (*_NO_REGION[:-2], as_text(text), _flag(prediction))
    for region in prediction.regions:
        yield (*_cells(region), as_text(region.text), _flag(prediction))


def _flag(prediction: Prediction) -> str:
    return "yes" if prediction.is_unsure else "no"


def _cells(region: Region) -> _Row:
    score = "" if region.score is None else round(region.score, 4)
    quad = "" if region.xyxyxyxy is None else json.dumps([round(value, 3) for value in region.xyxyxyxy])
    parts = [[[round(x, 3), round(y, 3)] for x, y in part] for part in region.polygons]
    numbers = [round(value, 3) for value in (*region.xyxy, region.area)]
    return (as_text(region.label), score, *numbers, quad, json.dumps(parts) if parts else "", region.source)


CSV = Format(
    "csv", "Table (CSV)", "csv", "csv", _write,
    "It holds texts and regions: no picture, and not the note of who answered. "
    "Where a text begins with = + - or @, or goes on with one behind ; | a tab or a line break, an apostrophe stands "
    "before it, so that no spreadsheet calculates it.",
    has_pixels=False,
    holds_all=True,
)  # fmt: skip
