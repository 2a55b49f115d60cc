"""PDF: how many pages a document has, each as a picture, and the text that is in it already.

Knows pypdfium2. A page is upright as its document says, with its forms filled in.
"""

from __future__ import annotations  # of a library that is imported late

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PIL import Image

from playground.errors import ImageRejected
from playground.late import Late
from playground.pictures.limits import Limits, check_memory, check_resolution
from playground.regions import Quad, Region

if TYPE_CHECKING:
    import pypdfium2
    import pypdfium2.raw as pdfium
else:
    pdfium = Late("pypdfium2.raw")

PDF_MARK = b"%PDF"
_DOTS_PER_INCH = 200  # at which print of 8 points can be read
_POINTS_PER_INCH = 72
_MARK_WITHIN = 1 << 10  # bytes: some programs write something before it
_BYTES_A_PIXEL = 4
_PARTS = 16  # of a pixel: pdfium counts in whole numbers
_MAX_PIECES, _MAX_CHARACTERS = 5000, 100_000  # of the text of a page
_SAME_PIECE = 2.2  # sizes of a character between the middles of two that follow one another
_SAME_ANGLE = 0.1  # radians
_MIN_TEXT = 20  # characters, below which a page has no text to speak of: a number or a stamp


def is_document(data: bytes) -> bool:
    """Whether a file is a PDF."""
    return PDF_MARK in data[:_MARK_WITHIN]


def count_document_pages(data: bytes, password: str = "") -> int:
    """Return how many pages a PDF has. Raises ImageRejected."""
    with _opened(data, password) as document:
        return len(document)


def draw_page(
    data: bytes, page: int, limits: Limits, password: str = ""
) -> tuple[Image.Image, int, tuple[Region, ...]]:
    """Return a page as an RGB picture within the limits, how many pages there are, and the text of the page.

    The text is that which the document holds, piece by piece, where it stands in the picture.

    Raises ImageRejected, also where there is no such page.
    """
    with _opened(data, password) as document:
        count = len(document)
        if not 0 <= page < count:
            raise ImageRejected(f"The document has {count} pages; there is no page {page + 1}. Choose another.")
        sheet = document[page]
        scale = _scale(sheet.get_size(), limits)
        drawn = sheet.render(scale=scale).to_pil().convert("RGB")
        check_resolution(drawn.size, limits)
        return drawn, count, tuple(_text(sheet, drawn.size))


def _scale(points_wh: tuple[float, float], limits: Limits) -> float:
    """Return the pixels of a point: as many as reading needs, and no more than can be kept."""
    width, height = (max(side, 1.0) for side in points_wh)
    scale = min(
        _DOTS_PER_INCH / _POINTS_PER_INCH,
        math.sqrt(limits.max_megapixels * 0.99e6 / (width * height)),  # sides are rounded up
        limits.max_side / max(width, height),
    )
    size = math.ceil(width * scale), math.ceil(height * scale)
    check_resolution(size, limits)
    check_memory(size, "PDF", _BYTES_A_PIXEL, limits)
    return scale


@dataclass(slots=True)
class _Piece:
    """Characters that follow one another, and the box around them in points."""

    angle: float  # radians, clockwise
    text: str = ""
    left: float = math.inf
    bottom: float = math.inf
    right: float = -math.inf
    top: float = -math.inf
    size: float = 0.0  # of the largest character
    last: tuple[float, float] | None = None  # the middle of the last one

    def goes_on(self, middle: tuple[float, float], size: float, angle: float) -> bool:
        """Whether a character belongs to the same line."""
        near = self.last is None or math.dist(self.last, middle) <= _SAME_PIECE * max(self.size, size)
        return near and abs(angle - self.angle) < _SAME_ANGLE

    def add(self, character: str, box: tuple[float, float, float, float]) -> None:
        """Take a character and its box: left, right, bottom, top."""
        self.text += character
        self.left, self.right = min(self.left, box[0]), max(self.right, box[1])
        self.bottom, self.top = min(self.bottom, box[2]), max(self.top, box[3])
        self.size = max(self.size, box[1] - box[0], box[3] - box[2])
        self.last = (box[0] + box[1]) / 2, (box[2] + box[3]) / 2


def _text(sheet: pypdfium2.PdfPage, size: tuple[int, int]) -> Iterator[Region]:
    """Yield the text of a page, piece by piece, each of one line; nothing of a page number or a stamp alone."""
    pieces = [piece for piece in _pieces(sheet.get_textpage()) if piece.text.strip()]
    if sum(len(piece.text) for piece in pieces) >= _MIN_TEXT:
        yield from (_placed(piece, sheet, size) for piece in pieces[:_MAX_PIECES])


def _pieces(text: pypdfium2.PdfTextPage) -> Iterator[_Piece]:
    """Yield the pieces of a page, character by character: to ask for the text of a box looks through all of them."""
    sides = [ctypes.c_double() for _ in range(4)]
    piece = _Piece(0.0)
    for index in range(min(text.count_chars(), _MAX_CHARACTERS)):
        character = chr(pdfium.FPDFText_GetUnicode(text, index))
        if character.isspace() or not character.isprintable():
            piece.text += " "
            continue
        pdfium.FPDFText_GetCharBox(text, index, *sides)
        left, right, bottom, top = (side.value for side in sides)
        angle = pdfium.FPDFText_GetCharAngle(text, index)
        middle, size = ((left + right) / 2, (bottom + top) / 2), max(right - left, top - bottom)
        if not piece.goes_on(middle, size, angle):
            yield piece
            piece = _Piece(angle)
        elif piece.last is None:
            piece.angle, piece.text = angle, ""
        piece.add(character, (left, right, bottom, top))
    yield piece


def _placed(piece: _Piece, sheet: pypdfium2.PdfPage, size: tuple[int, int]) -> Region:
    points = ((piece.left, piece.bottom), (piece.right, piece.top))
    xs, ys = zip(*(_pixel(sheet, x, y, size) for x, y in points), strict=True)
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    # The corner that is at the top left of the text.
    first = round((math.degrees(piece.angle) + sheet.get_rotation()) / 90) % 4
    numbers = [value for corner in corners[first:] + corners[:first] for value in corner]
    return Region(" ".join(piece.text.split()), (x0, y0, x1, y1), xyxyxyxy=cast(Quad, tuple(numbers)))


def _pixel(sheet: pypdfium2.PdfPage, x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
    """Return where a point of a page is in its picture, whichever way the page is turned."""
    column, row = ctypes.c_int(), ctypes.c_int()
    width, height = (_PARTS * side for side in size)
    pdfium.FPDF_PageToDevice(sheet, 0, 0, width, height, 0, x, y, column, row)
    return column.value / _PARTS, row.value / _PARTS


@contextmanager
def _opened(data: bytes, password: str) -> Iterator[pypdfium2.PdfDocument]:
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(data, password=password or None)
    except PdfiumError as error:
        if "password" in str(error).lower():
            said = "The password of this PDF is another one." if password else "This PDF needs a password."
            raise ImageRejected(f"{said} Give it, or save the document without one.") from error
        raise ImageRejected("The PDF is damaged or cut short. Save it again, and try that.") from error
    try:
        if document.get_formtype():
            document.init_forms()
        yield document
    except PdfiumError as error:
        raise ImageRejected("This page of the PDF is damaged. Save the document again, and try that.") from error
    finally:
        document.close()
