"""`Format`, a row of the table of formats."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.texts import holds_read_text, text_answered
from playground.results import Prediction


class Holds(Enum):
    """What of an answer a format is there for."""

    ANYTHING = "anything"
    REGIONS = "regions"
    TEXT = "text"
    PLACED_TEXT = "text with its places"
    FRAMES = "frames of a video"

    def something_of(self, prediction: Prediction) -> bool:
        """Whether there is something of that in an answer, or could have been."""
        if self is Holds.FRAMES:  # of which one picture alone is none
            return False
        is_read = holds_read_text(prediction)
        if self is Holds.PLACED_TEXT:
            return is_read
        if self is Holds.TEXT:
            return is_read or bool(text_answered(prediction))
        return self is Holds.ANYTHING or bool(prediction.regions) or not text_answered(prediction)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `write` writes pictures to a stream from its first byte to its last, and never seeks.

    `suffix` tells two files of one extension apart; several pictures together have `extension_of_several`.
    `cannot_carry` is said to the user. `has_pixels` says that pictures are needed, and not only what was answered.
    `holds` says for which answers it is offered.
    `holds_all` says that what the page does not show at first is in it too, marked as unsure, as in no set to train on.
    `is_document` says that the pages of a document are one file, `is_film` the same of the frames of a video; it holds
    nothing else, and of their regions those that have a track. `has_parts` says that a data set can be divided into
    parts to train on and to judge by.
    """

    id: str
    title: str
    extension: str
    extension_of_several: str
    write: Callable[[CheckedPictures, BinaryIO], None]
    cannot_carry: str
    suffix: str = ""
    has_pixels: bool = True
    holds: Holds = Holds.ANYTHING
    holds_all: bool = False
    is_document: bool = False
    is_film: bool = False
    has_parts: bool = False
