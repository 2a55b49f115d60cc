"""PDF: how many pages a document has, each as a picture, and the text that is in it already.

Knows pypdfium2. A page is upright as its document says, with its forms filled in.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2
from PIL import Image
from pypdfium2 import PdfDocument, PdfiumError

from playground.errors import ImageRejected
from playground.pictures.limits import Limits, check_memory, check_resolution

PDF_MARK = b"%PDF"
_DOTS_PER_INCH = 200  # at which print of 8 points can be read
_POINTS_PER_INCH = 72
_MARK_WITHIN = 1 << 10  # bytes: some programs write something before it
_BYTES_A_PIXEL = 4
_MIN_TEXT = 20  # characters, below which a page has no text to speak of: a number or a stamp


def is_document(data: bytes) -> bool:
    """Whether a file is a PDF."""
    return PDF_MARK in data[:_MARK_WITHIN]


def count_document_pages(data: bytes, password: str = "") -> int:
    """Return how many pages a PDF has. Raises ImageRejected."""
    with _opened(data, password) as document:
        return len(document)


def draw_page(data: bytes, page: int, limits: Limits, password: str = "") -> tuple[Image.Image, int, str]:
    """Return a page as an RGB picture within the limits, how many pages there are, and the text of the page.

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
        return drawn, count, _text(sheet)


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


def _text(sheet: pypdfium2.PdfPage) -> str:
    text = str(sheet.get_textpage().get_text_bounded()).strip()
    return text if len(text) >= _MIN_TEXT else ""


@contextmanager
def _opened(data: bytes, password: str) -> Iterator[PdfDocument]:
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
