"""A PDF that can be searched: each picture a page, with what was read as invisible text over it."""

from __future__ import annotations  # of a library that is imported late

import math
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from playground.errors import ExportRejected
from playground.export.annotated import CheckedPictures
from playground.export.documents import Document, Page, write_documents
from playground.export.files import jpeg_bytes, provenance
from playground.export.format import Format, Holds
from playground.export.texts import for_xml
from playground.reading_order import Word

if TYPE_CHECKING:
    from fpdf import FPDF

_DOTS_PER_INCH = 200  # at which pages of documents are read, so that they keep their size
_MAX_POINTS = 14_400  # of a side, which readers of PDF take
_MAX_BYTES = 400_000_000  # of the pictures of a document, which lie in memory until it is complete
_UNITS, _ADVANCE = 1000, 500  # of a letter: its height, and its width before it is stretched
_USUAL = frozenset(chr(number) for number in range(0x20, 0x250) if chr(number).isprintable())
_UNDATED = datetime(1980, 1, 1, tzinfo=UTC)  # the same answers give the same bytes; fpdf2 wants a date


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write one PDF a document."""
    write_documents(pictures, stream, "pdf", _write_document)


def _write_document(document: Document, file: IO[bytes]) -> None:
    from fpdf import FPDF

    pdf = FPDF(unit="pt")
    pdf.set_auto_page_break(False)
    pdf.creation_date = _UNDATED
    pdf.set_title(for_xml(document.name))
    num_bytes, notes, answered = 0, [], ""
    with tempfile.TemporaryDirectory() as folder:
        letters = _Letters(pdf, Path(folder))
        for page in document.pages:
            content = _picture(page)
            num_bytes += len(content)
            if num_bytes > _MAX_BYTES:
                raise ExportRejected(
                    f"The pictures of {document.name} have more than {_MAX_BYTES // 1_000_000} MB together, too many "
                    f"for one PDF. Save its pages in parts, such as those before page {page.number}."
                )
            _add_page(pdf, page, content, letters)
            answered = answered or provenance(page.picture.prediction)
            notes += [f"Page {page.number}: {note}" for note in _notes(page)]
        pdf.set_subject(for_xml("\n".join((answered, *notes))))
        file.write(pdf.output())


def _picture(page: Page) -> bytes:
    """Return the file that the picture came in where it is a JPEG, and the picture as one else."""
    content, extension = page.picture.file_as_it_came or (b"", "")
    return content if extension == "jpg" else jpeg_bytes(page.picture.image.pixels, description="")


def _notes(page: Page) -> Iterator[str]:
    if page.note:
        yield page.note
    if page.text:
        yield "What was read has no places, and cannot be searched. Ask for text with its places."


def _add_page(pdf: FPDF, page: Page, picture: bytes, letters: _Letters) -> None:
    from fpdf.enums import TextMode

    width, height = page.resolution_wh
    scale = min(72 / _DOTS_PER_INCH, _MAX_POINTS / max(width, height))
    pdf.add_page(format=(max(width * scale, 1), max(height * scale, 1)))
    pdf.image(BytesIO(picture), 0, 0, pdf.w, pdf.h)
    words = [word for line in page.lines for word in line.words]
    letters.prepare("".join(word.text for word in words))
    pdf.text_mode = TextMode.INVISIBLE
    for word in words:
        letters.put(word, scale)


class _Letters:
    """Letters that are seen by nobody, each as wide as the next, in fonts that hold those of a page."""

    def __init__(self, pdf: FPDF, folder: Path) -> None:
        self._pdf = pdf
        self._folder = folder
        self._count = 0
        self._held: frozenset[str] = frozenset()

    def prepare(self, text: str) -> None:
        """Take a font in which every character of a page is."""
        needed = frozenset(text)
        if needed <= self._held:
            return
        self._held = _USUAL | needed
        self._count += 1
        path = self._folder / f"{self._count}.ttf"
        path.write_bytes(_font(self._held))
        self._pdf.add_font(f"Invisible{self._count}", fname=path)

    def put(self, word: Word, scale: float) -> None:
        """Write a word over its quad, turned and stretched as that is."""
        text = for_xml(word.text)
        x1, y1, x2, y2, _, _, x4, y4 = (min(max(value * scale, -_MAX_POINTS), _MAX_POINTS) for value in word.xyxyxyxy)
        width, height = max(math.hypot(x2 - x1, y2 - y1), 0.1), max(math.hypot(x4 - x1, y4 - y1), 0.1)
        if not text:
            return
        self._pdf.set_font(f"Invisible{self._count}", size=height)
        self._pdf.set_stretching(100 * width * _UNITS / (len(text) * _ADVANCE * height))
        with self._pdf.rotation(-math.degrees(math.atan2(y2 - y1, x2 - x1)), x4, y4):
            self._pdf.text(x4, y4, text)


@lru_cache(4)
def _font(characters: frozenset[str]) -> bytes:
    """Return a font whose characters all are a block of one size, by which a reader of PDF knows where they are."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    names = {ord(character): f"u{ord(character):06x}" for character in sorted(characters)}
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, _UNITS), (_ADVANCE, _UNITS), (_ADVANCE, 0)):
        pen.lineTo(point)
    pen.closePath()
    block, glyphs = pen.glyph(), [".notdef", *names.values()]
    builder = FontBuilder(_UNITS, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys(glyphs, block))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (_ADVANCE, 0)))
    builder.setupHorizontalHeader(ascent=_UNITS, descent=0)
    builder.setupOS2(sTypoAscender=_UNITS, sTypoDescender=0, usWinAscent=_UNITS, usWinDescent=0)
    builder.setupNameTable({"familyName": "Invisible", "styleName": "Regular"})
    builder.setupPost()
    content = BytesIO()
    builder.save(content)
    return content.getvalue()


PDF = Format(
    "pdf", "PDF that can be searched", "pdf", "zip", _write,
    "A PDF has no place for scores and for who drew a region. The text lies unseen over the picture, each word in its "
    "own place, which within a line is reckoned. A text without a place, such as a caption, is not in it; of what the "
    "model did not read or is not sure of, the document's properties say on which page.",
    is_document=True,
    holds=Holds.PLACED_TEXT,
)  # fmt: skip
