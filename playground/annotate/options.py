"""What of files with many pictures is wanted, as people type it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from playground.annotate.own_text import check_is_for_reading
from playground.annotate.sources import Wanted, read_pages, read_step
from playground.errors import InputRejected
from playground.question import Question
from playground.regions import Text
from playground.wire import misspelled, what_is_wrong

_EACH_SECOND = "1s"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which pages of documents, what opens them, and whether their own text is taken; which frames of videos."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    pages: Text = ""
    password: Text = field(default="", repr=False)
    own_text: Annotated[bool, Field(strict=True)] = False
    every: Text = ""
    start: Text = ""
    end: Text = ""

    def wanted(self, **looks: Any) -> Wanted:
        """Return what is wanted; `looks` are the functions of a `Wanted`. Raises SourceRejected."""
        return Wanted(
            read_pages(self.pages), self.password, read_step(self.every or _EACH_SECOND, self.start, self.end), **looks
        )

    def check(self, question: Question) -> None:
        """Raise SourceRejected or SettingsInvalid for what cannot be, or not with this question."""
        self.wanted()
        if self.own_text:
            check_is_for_reading(question)

    def nothing_found(self) -> str:
        """Return the sentence for files in which there is no picture, or none that is wanted."""
        parts = [f"of documents only the pages {self.pages}"] if self.pages else []
        if self.start or self.end:
            times = (f"from {self.start}" if self.start else "", f"to {self.end}" if self.end else "")
            parts.append(f"of videos only what is {' '.join(filter(None, times))}")
        if parts:
            return f"There is no picture in these files, {' and '.join(parts)}. Want more of them, or give others."
        return "There is no picture in these files. Give pictures, or a ZIP, a PDF or a video of them."

    def to_dict(self) -> dict[str, Any]:
        """Return what may be kept on a disk: not the password."""
        return {name: value for name, value in asdict(self).items() if name != "password"}

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any] | None, *, is_asked: bool = False) -> "SourceOptions":
        """Read options from whoever sent them; of those that are asked for now every key must be known.

        Raises InputRejected.
        """
        if is_asked and (reason := misspelled(wire, cls)):
            raise _no_options(reason)
        try:
            return _WIRE.validate_python({} if wire is None else wire)
        except ValidationError as error:
            raise _no_options(what_is_wrong(error)) from error


_WIRE = TypeAdapter(SourceOptions)


def _no_options(reason: str) -> InputRejected:
    return InputRejected(
        f"These are no options of sources: {reason}. They may have pages, password, own_text, every, start and end.",
        field="options",
    )
