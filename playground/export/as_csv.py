"""One row a text and one a region, for spreadsheets. The rows of several pictures begin with the picture's name."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.format import Format
from playground.export.texts import text_answered
from playground.regions import Region
from playground.results import Prediction

COLUMNS = (
    "label", "score", "x_min", "y_min", "x_max", "y_max", "area", "xyxyxyxy", "polygons", "source", "text", "is_unsure",
)  # fmt: skip

# Where a cell may begin: with the text, behind another separator than ours, in a new line. There a formula begins with
# a sign, which may be a full-width one (Excel in East Asia), behind blanks and quotes that are passed over.
_BEGINNING = r"(?:^|(?<=[;|\t\r\n\x0b\x0c\x85\u2028\u2029]))"
_PASSED_OVER = r"[ \"\x00-\x08\x0e-\x1f\x7f\xa0\u2000-\u200f\u3000\ufeff]*"
_FORMULA = re.compile(f"{_BEGINNING}{_PASSED_OVER}[=+\\-@＝＋－＠﹢﹣−﹦﹫]")

_Row = tuple[str | float, ...]
_NO_REGION: _Row = ("",) * len(COLUMNS)


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8 with a byte order mark, without which Excel reads Chinese as Latin. Pixels have three decimals."""
    stream.write(codecs.BOM_UTF8)
    stream.write(_lines([("picture", *COLUMNS) if pictures.are_several else COLUMNS]))
    for picture in pictures.each:
        rows = list(_rows(picture.prediction))
        if pictures.are_several:  # a picture in which nothing was found has a row too: it was asked about
            rows = [(_as_text(picture.stem), *row) for row in rows or [_NO_REGION]]
        stream.write(_lines(rows))


def table_text(prediction: Prediction) -> str:
    """Return the table of one picture with tabs between its cells, as a spreadsheet takes it from a clipboard."""
    content = io.StringIO(newline="")
    csv.writer(content, dialect="excel-tab", lineterminator="\n").writerows([COLUMNS, *_rows(prediction)])
    return content.getvalue()


def _rows(prediction: Prediction) -> Iterator[_Row]:
    """Yield a caption or what was read, and then the regions."""
    if text := text_answered(prediction):
        yield (*_NO_REGION[:-2], _as_text(text), _flag(prediction))
    for region in prediction.regions:
        yield (*_cells(region), "", _flag(prediction))


def _lines(rows: Iterable[_Row]) -> bytes:
    content = io.StringIO(newline="")
    csv.writer(content).writerows(rows)
    return content.getvalue().encode("utf-8", "replace")


def _flag(prediction: Prediction) -> str:
    return "yes" if prediction.is_unsure else "no"


def _cells(region: Region) -> _Row:
    score = "" if region.score is None else round(region.score, 4)
    quad = "" if region.xyxyxyxy is None else json.dumps([round(value, 3) for value in region.xyxyxyxy])
    parts = [[[round(x, 3), round(y, 3)] for x, y in part] for part in region.polygons]
    numbers = [round(value, 3) for value in (*region.xyxy, region.area)]
    return (_as_text(region.label), score, *numbers, quad, json.dumps(parts) if parts else "", region.source)


def _as_text(label: str) -> str:
    """Return a text that no spreadsheet calculates, also one that divides cells at `;` or tabs (OWASP)."""
    return _FORMULA.sub(r"'\g<0>", label)


CSV = Format(
    "csv", "Table (CSV)", "csv", "csv", _write,
    "It holds texts and regions: no picture, and not the note of who answered. "
    "Where a text begins with = + - or @, or goes on with one behind ; | a tab or a line break, an apostrophe stands "
    "before it, so that no spreadsheet calculates it.",
    has_pixels=False,
    holds_all=True,
)  # fmt: skip
