"""Cells of tables that no spreadsheet calculates, and the lines that they make up. Knows no format."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# Where a cell may begin: with the text, behind another separator than ours, in a new line. There a formula begins with
# a sign, which may be a full-width one (Excel in East Asia), behind blanks and quotes that are passed over.
_BEGINNING = r"(?:^|(?<=[;|\t\r\n\x0b\x0c\x85\u2028\u2029]))"
_PASSED_OVER = r"[ \"\x00-\x08\x0e-\x1f\x7f\xa0\u2000-\u200f\u3000\ufeff]*"
_FORMULA = re.compile(f"{_BEGINNING}{_PASSED_OVER}[=+\\-@＝＋－＠﹢﹣−﹦﹫]")


def as_text(label: str) -> str:
    """Return a text that no spreadsheet calculates, also one that divides cells at `;` or tabs (OWASP)."""
    return _FORMULA.sub(r"'\g<0>", label)


def csv_lines(rows: Iterable[Sequence[str | float]]) -> bytes:
    """Return rows as lines of a table, in UTF-8."""
    content = io.StringIO(newline="")
    csv.writer(content).writerows(rows)
    return content.getvalue().encode("utf-8", "replace")
