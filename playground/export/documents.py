"""What the formats of documents share: pages of lines in reading order, and one file a document. Knows no format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import IO, BinaryIO

from playground.errors import ExportRejected
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.files import open_zip
from playground.export.names import UniqueNames, safe_name
from playground.export.texts import holds_read_text, text_shown
from playground.reading_order import TextLine, lines_in_order

_MAX_WORDS = 50_000  # of a page: a few seconds in the slowest format; a newspaper's page has a tenth


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its lines, or with a text of which nobody knows where it stands. `note` says what is missing."""

    picture: CheckedPicture
    number: int  # from 1, in its document
    lines: tuple[TextLine, ...]
    text: str
    note: str

    @property
    def resolution_wh(self) -> tuple[int, int]:
        return self.picture.prediction.resolution_wh

    def is_corrected(self, line: TextLine) -> bool:
        """Whether a person wrote or changed something of a line."""
        return any(self.picture.prediction.regions[index].source != "model" for index in line.indices)


@dataclass(frozen=True, slots=True)
class Document:
    """What one file is made of; its pages can be iterated once."""

    name: str
    pages: Iterator[Page]
    has_many_pages: bool


def write_documents(
    pictures: CheckedPictures, stream: BinaryIO, extension: str, write: Callable[[Document, IO[bytes]], None]
) -> None:
    """Write one document as it is, or several as files of a ZIP; a picture that is no page is a document of its own."""
    if not pictures.are_several:
        write(_only_document(pictures.each), stream)
        return
    names = UniqueNames()
    with open_zip(stream) as archive:
        for _, group in groupby(pictures.each, _key):
            first = next(group)
            name = names.take(_name(first))
            with archive.open(f"{name}.{extension}", "w", force_zip64=True) as file:
                write(_document(name, first, group), file)  # noqa: B031  # the rest of it


def _only_document(pictures: Iterator[CheckedPicture]) -> Document:
    first = next(pictures)

    def rest() -> Iterator[CheckedPicture]:
        for picture in pictures:
            if _key(picture) != _key(first):
                raise ExportRejected("These are pages of several documents. Save them with as_several.")
            yield picture

    return _document(_name(first), first, rest())


def _key(picture: CheckedPicture) -> tuple[bool, str]:
    return (True, picture.page.document) if picture.page else (False, picture.stem)


def _name(picture: CheckedPicture) -> str:
    return safe_name(picture.page.name, fallback="document") if picture.page else picture.stem


def _document(name: str, first: CheckedPicture, rest: Iterator[CheckedPicture]) -> Document:
    def pages() -> Iterator[Page]:
        yield _page(first)
        yield from map(_page, rest)

    return Document(name, pages(), has_many_pages=first.page is not None)


def _page(picture: CheckedPicture) -> Page:
    prediction = picture.prediction
    lines = lines_in_order(prediction.regions) if holds_read_text(prediction) else ()
    num_words = sum(len(line.words) for line in lines)
    if num_words > _MAX_WORDS:
        raise ExportRejected(
            f"{picture.stem}: The page has {num_words} words; at most {_MAX_WORDS} are saved. Hide some regions and "
            "save again."
        )
    text = "" if lines else text_shown(prediction)
    number = picture.page.number if picture.page else 1
    return Page(picture, number, lines, text, _note(picture, is_empty=not (lines or text)))


def _note(picture: CheckedPicture, *, is_empty: bool) -> str:
    """Return what is to be said of a page on which not all was read, or nothing."""
    if picture.prediction.is_unsure:
        left_out = ", and it is left out" if is_empty else ""
        return f"The model is not sure of what it read here{left_out}."
    if is_empty and picture.prediction.regions:
        return "Things were found here, and nothing was read."
    if is_empty:
        return "Nothing was read here."
    return "The answer ended before the page did." if picture.prediction.is_truncated else ""
