"""`Format`, a row of the table of formats."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from playground.export.annotated import CheckedPictures


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `write` writes pictures to a stream from its first byte to its last, and never seeks.

    `suffix` tells two files of one extension apart; several pictures together have `extension_of_several`.
    `cannot_carry` is said to the user. `has_pixels` says that pictures are needed, and not only what was answered.
    `holds_all` says that what the page does not show at first is in it too, marked as unsure, as in no set to train on.
    `is_document` says that the pages of a document are one file.
    """

    id: str
    title: str
    extension: str
    extension_of_several: str
    write: Callable[[CheckedPictures, BinaryIO], None]
    cannot_carry: str
    suffix: str = ""
    has_pixels: bool = True
    holds_all: bool = False
    is_document: bool = False
