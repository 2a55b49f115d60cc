"""What was read as Markdown: a heading for each page, a paragraph for each column, notes in italics."""

import re
from itertools import groupby
from typing import IO, BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.documents import Document, Page, write_documents
from playground.export.files import provenance
from playground.export.format import Format, Holds
from playground.export.texts import for_xml
from playground.reading_order import paragraphs

_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_BEGINNINGS = re.compile(r"^(\d+)([.)])|^([-+=])", re.MULTILINE)


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8, one file a document."""
    write_documents(pictures, stream, "md", _write_document)


def _write_document(document: Document, file: IO[bytes]) -> None:
    answered = ""
    file.write(f"# {_escaped(document.name)}\n".encode())
    for page in document.pages:
        parts = [f"## Page {page.number}"] if document.has_many_pages else []
        answered = answered or provenance(page.picture.prediction)
        file.write(("\n" + "\n\n".join([*parts, *_paragraphs(page)]) + "\n").encode("utf-8", "replace"))
    file.write(f"\n---\n\n*{_escaped(answered)}*\n".encode("utf-8", "replace"))


def _paragraphs(page: Page) -> list[str]:
    parts = [f"*{page.note}*"] if page.note else []
    for block in paragraphs(page.lines):
        for turn, lines in groupby(block, key=lambda line: line.turn):
            note = [f"*({turn})*"] if turn else []
            parts.append("\n".join((*note, *(_escaped(line.text) for line in lines))))
    return [*parts, *([_escaped(page.text)] if page.text else [])]


def _escaped(text: str) -> str:
    """Return a text in which no character means anything to Markdown."""
    lines = [" ".join(line.split()) for line in for_xml(text).splitlines()]
    return _BEGINNINGS.sub(r"\1\\\2\3", _SIGNS.sub(r"\\\1", "\n".join(filter(None, lines))))


MARKDOWN = Format(
    "md", "Markdown (MD)", "md", "zip", _write,
    "It holds what was read, or a caption, in reading order: not where it stands, no scores and not who wrote it. What "
    "is turned says so, and so does a page of which the model read nothing or is not sure.",
    has_pixels=False,
    is_document=True,
    holds=Holds.TEXT,
)  # fmt: skip
