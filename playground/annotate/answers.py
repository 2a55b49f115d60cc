"""What is in a folder of answers, whoever writes there: its rows, and what people say of them.

Anybody may read, and say something, at any time: the journal is not changed by that. What is said stands in a file
beside it, in which the last line of a picture counts.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from playground.annotate.sources import JOURNAL, PictureSource
from playground.corrections import corrected, read_corrections
from playground.errors import JobRejected, PlaygroundError
from playground.question import Question
from playground.results import Prediction

JOB = "job.json"
REVIEWS = "reviews.jsonl"
_ID_BYTES = 8  # of an answer: two of ten thousand are alike with a chance of 1 in 10^11
_KEY_BYTES = 16  # a picture's place and content; two of a million are alike with a chance of 1 in 10^26

Reviews = Mapping[bytes, Mapping[str, Any]]  # what people said, by the key of a row


class Verdict(Enum):
    """What a person says of an answer."""

    OPEN = ""
    APPROVED = "approved"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """As which one of those that were answered together a picture was finished, and as which it was given, from 1."""

    finished: int = 1
    size: int = 1
    given: int = 1

    @property
    def is_last(self) -> bool:
        """Whether all that were answered together are finished with it."""
        return self.finished == self.size

    def to_wire(self) -> list[int]:
        """Return what a line of a journal says of it."""
        return [self.finished, self.size, self.given]

    @classmethod
    def from_wire(cls, wire: Any) -> "GroupPlace":
        """Read what a line says; raises ValueError or TypeError. Older journals were written in the order given."""
        finished, size, *given = wire
        return cls(finished, size, *(given or [finished]))


@dataclass(frozen=True, slots=True)
class Row:
    """A picture that is done: its prediction, or the sentence that says why there is none. `sha256` is its file's.

    `changes`, as `corrections` reads them, are what a person has made different of what the model `said`; of several
    `version`s of them the highest holds.
    """

    source: PictureSource
    sha256: str
    prediction: Prediction | None = None
    error: str = ""
    verdict: Verdict = Verdict.OPEN
    changes: tuple[Mapping[str, Any], ...] = ()
    version: int = 0
    said: Prediction | None = None
    in_group: GroupPlace = GroupPlace()

    @property
    def is_corrected(self) -> bool:
        """Whether a person has changed something of the answer."""
        return bool(self.changes)

    @property
    def key(self) -> bytes:
        """What names the picture and its content."""
        return key_of(self.source, self.sha256)

    @property
    def answer_id(self) -> str:
        """What tells this answer of a job from all others, also from one about the same picture to another question."""
        said = self.said or self.prediction
        asked = said.question.to_dict() if said else {}
        return blake2b(f"{self.key.hex()} {asked}".encode(), digest_size=_ID_BYTES).hexdigest()

    def with_review(self, reviews: Reviews) -> "Row":
        """Return the row with what people have said of it."""
        said = reviews.get(self.key)
        if said is None:
            return self
        return self.reviewed(Verdict(said["verdict"]), tuple(said.get("changes", ())), said.get("version", 0))

    def reviewed(self, verdict: Verdict, changes: tuple[Mapping[str, Any], ...], version: int) -> "Row":
        """Return the row with a verdict, and with what a person has changed. Raises InputRejected."""
        said = self.said or self.prediction
        prediction = corrected(said, read_corrections(changes, said)) if said else None
        return replace(
            self, verdict=verdict, changes=changes if said else (), version=version, said=said, prediction=prediction
        )


def key_of(source: PictureSource, sha256: str) -> bytes:
    """Return what names a picture and its content."""
    return blake2b(json.dumps([source.to_dict(), sha256]).encode(), digest_size=_KEY_BYTES).digest()


class Answers:
    """The answers of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / JOURNAL
        self._reviews = folder / REVIEWS

    def rows(self, *, only_approved: bool = False, by_document: bool = False) -> Iterator[Row]:
        """Yield what is done, as people have corrected it.

        The rows come in the order in which the pictures were given, or `by_document`: its pages together, in their
        order, and so the frames of a video.
        """
        reviews = self.reviews()
        for row in self._by_document() if by_document else (row for row, _ in self._as_given()):
            said = row.with_review(reviews)
            if said.verdict is Verdict.APPROVED or not only_approved:
                yield said

    def placed(self, start: int = 0) -> Iterator[tuple[Row, int]]:
        """Yield the rows as they were finished, each with where its line ends in the journal, from such a place on."""
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            lines.seek(start)
            for line in lines:
                if not line.endswith(b"\n"):  # it is being written
                    return
                start += len(line)
                yield self._row(line), start

    def _as_given(self) -> Iterator[tuple[Row, int]]:
        """Yield the rows as their pictures were given, each with where its line begins."""
        group: list[tuple[Row, int]] = []  # what is finished of pictures that were answered together
        start = 0
        for row, end in self.placed():
            if group and row.in_group.finished <= group[-1][0].in_group.finished:
                yield from sorted(group, key=_place_given)
                group = []
            group.append((row, start))
            start = end
        yield from sorted(group, key=_place_given)

    def _by_document(self) -> Iterator[Row]:
        documents: dict[tuple[str, str], int] = {}
        places = []
        for row, start in self._as_given():
            number = documents.setdefault((row.source.path, row.source.member), len(documents))
            places.append((number, row.source.page or 0, row.source.seconds or 0.0, start))
        for *_, start in sorted(places):
            yield from (row for row, _ in islice(self.placed(start), 1))

    def review(self, row: Row) -> None:
        """Write down what a person says of a row, and has changed of it. Raises JobRejected."""
        changes = {"changes": row.changes, "version": row.version} if row.version else {}
        said = {**row.source.to_dict(), "sha256": row.sha256, "verdict": row.verdict.value, **changes}
        try:
            with self._reviews.open("ab+") as file:
                is_cut = file.tell() > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
                file.write(b"\n" * is_cut + encoded_line(said))
        except OSError as error:
            raise JobRejected(f"{self._reviews} cannot be written ({error.strerror}). Make room first.") from error

    def reviews(self) -> Reviews:
        """Return what people have said; a line that a kill has cut short was not said."""
        said: dict[bytes, Mapping[str, Any]] = {}
        if self._reviews.exists():
            with self._reviews.open("rb") as lines:
                for line in lines:
                    with suppress(ValueError, KeyError, TypeError):
                        wire = json.loads(line)
                        said[key_of(PictureSource.from_dict(wire), wire["sha256"])] = wire
        return said

    def _row(self, line: bytes) -> Row:
        try:
            wire = json.loads(line)
            prediction = Prediction.from_dict(wire["prediction"]) if "prediction" in wire else None
            in_group = GroupPlace.from_wire(wire["group"])
            return Row(
                PictureSource.from_dict(wire), wire["sha256"], prediction, wire.get("error", ""), in_group=in_group
            )
        except (PlaygroundError, ValueError, KeyError, TypeError) as error:
            raise JobRejected(
                f"A line of {self._path} was changed and cannot be read ({error}). Put it back as it was, or begin "
                "anew with --overwrite."
            ) from error


def _place_given(placed: tuple[Row, int]) -> int:
    return placed[0].in_group.given


def question_of(folder: Path) -> Question | None:
    """Return what was asked in a folder; None where nothing was. Raises JobRejected."""
    file = folder / JOB
    if not file.exists():
        return None
    try:
        return Question.from_dict(json.loads(file.read_text(encoding="utf-8"))["question"])
    except (OSError, ValueError, KeyError, TypeError, PlaygroundError) as error:
        raise JobRejected(f"{file} cannot be read. Name another --out, or begin anew with --overwrite.") from error


def encoded_line(wire: dict[str, Any]) -> bytes:
    """Return a line of JSON, whatever characters a file's name has."""
    return (json.dumps(wire, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
