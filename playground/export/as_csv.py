"""One row a region, for spreadsheets."""

import csv
import io
import json

from playground.export.common import Export, Format
from playground.regions import Region

COLUMNS = ("label", "score", "x_min", "y_min", "x_max", "y_max", "area", "xyxyxyxy", "polygons")


def write(export: Export) -> bytes:
    """Write UTF-8 with a byte order mark, without which Excel reads Chinese as Latin. Pixels have three decimals."""
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(COLUMNS)
    writer.writerows(_row(region) for region in export.prediction.regions)
    return content.getvalue().encode("utf-8-sig", "replace")


def _row(region: Region) -> list[str | float]:
    score = "" if region.score is None else round(region.score, 4)
    quad = "" if region.xyxyxyxy is None else json.dumps([round(value, 3) for value in region.xyxyxyxy])
    parts = [[[round(x, 3), round(y, 3)] for x, y in part] for part in region.polygons]
    numbers = [round(value, 3) for value in (*region.xyxy, region.area)]
    return [_as_text(region.label), score, *numbers, quad, json.dumps(parts) if parts else ""]


def _as_text(label: str) -> str:
    # A spreadsheet runs such a cell as a formula (OWASP, CSV injection).
    return f"'{label}" if label.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else label


FORMAT = Format(
    "csv", "Table (CSV)", "csv", write,
    "It holds the regions alone: no picture, no caption, and not the note of who answered. "
    "A label that begins with = + - or @ gets an apostrophe before it, so that no spreadsheet runs it.",
)  # fmt: skip
