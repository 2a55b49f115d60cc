"""The answer as plain text: a caption, what was read, or a line for each thing found; several in a ZIP."""

from typing import IO, BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.documents import Document, Page, write_documents
from playground.export.format import Format
from playground.export.texts import UNSURE_MARK, lines_of


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8; of several pictures a file each, under the picture's name, where training on captions looks."""
    write_documents(pictures, stream, "txt", _write_document)


def _write_document(document: Document, file: IO[bytes]) -> None:
    """Write the pages of a document with a form feed between them, as `pdftotext` does."""
    for index, page in enumerate(document.pages):
        text = _of_page(page) if document.has_many_pages else lines_of(page.picture.prediction)
        file.write(b"\f" * (index > 0) + (f"{text}\n".encode("utf-8", "replace") if text else b""))


def _of_page(page: Page) -> str:
    note = f"[Page {page.number}: {page.note}]" if page.note else ""
    return "\n".join(filter(None, (note, lines_of(page.picture.prediction))))


TXT = Format(
    "txt", "Text (TXT)", "txt", "zip", _write,
    "It holds a caption or what was read, in reading order; of other regions only their labels, a line each. Where "
    f"nothing was found it is empty, and it begins with {UNSURE_MARK} where the model is not sure.",
    has_pixels=False,
    holds_all=True,
    is_document=True,
)  # fmt: skip
