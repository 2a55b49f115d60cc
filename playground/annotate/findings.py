"""What was found in many pictures, to be looked through: a few values a picture, filtered, sorted and counted.

Knows the answers of a folder. Reads on where the journal has grown, and all anew where other choices are made.
"""

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from playground.annotate.answers import Answers, Row, Verdict
from playground.annotate.sources import PictureSource
from playground.choosing import chosen
from playground.errors import JobRejected
from playground.export import text_shown
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction

SCORE_BINS = 20  # of the histogram of scores, from 0 to 1


class Kind(Enum):
    """Which pictures are looked at."""

    ALL = "all"
    FOUND = "found"
    NOTHING = "not found"
    ERRORS = "errors"
    OPEN = "not looked at"
    APPROVED = "approved"
    SKIPPED = "skipped"
    CORRECTED = "corrected"


class Order(Enum):
    """Which pictures come first."""

    GIVEN = "as given"
    LEAST_SURE = "least sure"
    MOST_FOUND = "most found"


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which pictures are wanted: of a kind, with so many regions of a label, of any without one, and how sure."""

    kind: Kind = Kind.ALL
    label: str = ""
    min_count: int = 0
    max_score: float = 1.0  # of the least sure region
    order: Order = Order.GIVEN


@dataclass(frozen=True, slots=True)
class PictureSummary:
    """One picture: its line in the journal, from 0, what is wanted of its answer, and all scores that it has.

    `given` sorts pictures as they were given; the journal has those of a group as they were finished. Numbers change
    when the journal is begun anew or errors are dropped from it, an `answer_id` never.
    """

    number: int
    answer_id: str
    source: PictureSource
    start: int
    given: tuple[int, int]
    error: str = ""
    text: str = ""
    labels: tuple[str, ...] = ()
    scores: tuple[float | None, ...] = ()
    all_scores: tuple[tuple[str, float], ...] = ()
    is_unsure: bool = False
    verdict: Verdict = Verdict.OPEN
    is_corrected: bool = False

    @property
    def least_score(self) -> float:
        """How sure the model is of what it is least sure of; 1 where nothing is judged."""
        return min((score for score in self.scores if score is not None), default=1.0)

    def count(self, label: str) -> int:
        """Return how many regions have a label; of any, without one."""
        return self.labels.count(label) if label else len(self.labels)

    def is_of(self, kind: Kind) -> bool:
        """Whether the picture is of a kind."""
        match kind:
            case Kind.ALL:
                return True
            case Kind.FOUND:
                return bool(self.labels or self.text)
            case Kind.NOTHING:
                return not (self.labels or self.text or self.error)
            case Kind.ERRORS:
                return bool(self.error)
            case Kind.CORRECTED:
                return self.is_corrected
            case Kind.OPEN:
                return self.verdict is Verdict.OPEN and not self.error
            case _:
                return bool(self.verdict.value == kind.value)


@dataclass(frozen=True, slots=True)
class Tally:
    """All pictures together: regions and pictures by label, pictures by kind, and how many regions have which score."""

    labels: tuple[tuple[str, int, int], ...]
    kinds: tuple[tuple[Kind, int], ...]
    histogram: tuple[int, ...]


class Findings:
    """The findings of a folder of answers. Safe to use from several threads."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._wanted: Question | None = None
        self._shown_from = 0.0
        self._lock, self._reviewing = threading.Lock(), threading.Lock()
        self.num_reviews = self.num_begun = 0  # since this was made
        self._counted: tuple[object, Tally] = (None, tally(()))
        self._forget()

    def _forget(self) -> None:
        self._rows: list[PictureSummary] = []
        self._end = 0
        self.num_begun += 1

    def choose(self, wanted: Question | None, shown_from: float) -> None:
        """Make of the answers, from now on, what a question wants made of them; see `choosing.chosen`."""
        with self._lock:
            if (wanted, shown_from) != (self._wanted, self._shown_from):
                self._wanted, self._shown_from = wanted, shown_from
                self._forget()

    def read(self, *, anew: bool = False) -> Sequence[PictureSummary]:
        """Return all findings, in the order of the journal, with what it has got since the last time."""
        with self._lock:
            if anew:
                self._forget()
            reviews = self._answers.reviews() if not self._rows else {}  # those of new rows are yet to be written
            for row, end in self._answers.placed(self._end):
                self._rows.append(self._finding(len(self._rows), row.with_review(reviews), self._end))
                self._end = end
            return tuple(self._rows)

    def tally(self, label: str = "") -> Tally:
        """Count what was found, once for as long as it stays so."""
        rows = self.read()
        key = label, len(rows), self.num_reviews, self.num_begun
        if key != self._counted[0]:
            self._counted = key, tally(rows, label)
        return self._counted[1]

    def number_of(self, answer_id: str) -> int:
        """Return the number of an answer. Raises JobRejected where it is not there any more."""
        for row in self.read():
            if row.answer_id == answer_id:
                return row.number
        raise JobRejected("This answer is not there any more: its picture is asked about anew. Open the picture again.")

    def row(self, number: int) -> Row:
        """Return a row with what people have said of it. Raises JobRejected."""
        found = self.read()
        if not 0 <= number < len(found):
            raise JobRejected(f"There is no picture {number + 1} among the {len(found)} that are answered.")
        row, _ = next(iter(self._answers.placed(found[number].start)))
        return row.with_review(self._answers.reviews())

    def review(
        self,
        number: int,
        verdict: Verdict | None = None,
        changes: Sequence[Mapping[str, Any]] | None = None,
        version: int = 0,
    ) -> Row:
        """Write down what a person says of a picture, or changes of its answer.

        Of several versions of changes, which may come in any order, the highest holds. Raises JobRejected, and
        InputRejected for changes that cannot be.
        """
        with self._reviewing:
            row = self.row(number)
            if row.prediction is None:
                raise JobRejected("This picture has no answer, so there is nothing to approve or to skip.")
            is_late = changes is None or version <= row.version
            row = row.reviewed(
                row.verdict if verdict is None else verdict,
                row.changes if is_late else tuple(changes or ()),
                max(version, row.version),
            )
            self._answers.review(row)
            with self._lock:
                if number < len(self._rows):
                    self._rows[number] = self._finding(number, row, self._rows[number].start)
                self.num_reviews += 1
        return row

    def wanted(self, prediction: Prediction) -> Prediction:
        """Return what is wanted of a prediction."""
        return chosen(replace(prediction, question=self._wanted or prediction.question), shown_from=self._shown_from)

    def _finding(self, number: int, row: Row, start: int) -> PictureSummary:
        given = number - row.in_group.finished, row.in_group.given
        if row.prediction is None:
            return PictureSummary(number, row.answer_id, row.source, start, given, error=row.error, verdict=row.verdict)
        wanted = self.wanted(row.prediction)
        asked = replace(wanted.question, min_scores=())
        everything = chosen(replace(row.prediction, question=asked), shown_from=None)
        return PictureSummary(
            number, row.answer_id, row.source, start, given,
            text="" if row.prediction.regions else text_shown(row.prediction)[:300],
            labels=tuple(map(_name, wanted.regions)),
            scores=tuple(region.score for region in wanted.regions),
            all_scores=tuple((_name(one), one.score) for one in everything.regions if one.score is not None),
            is_unsure=row.prediction.is_unsure, verdict=row.verdict, is_corrected=row.is_corrected,
        )  # fmt: skip


def select(findings: Sequence[PictureSummary], sieve: Sieve) -> list[PictureSummary]:
    """Return the findings that are wanted, in the order that is."""
    wanted = [
        finding
        for finding in findings
        if finding.is_of(sieve.kind)
        and finding.count(sieve.label) >= (sieve.min_count or bool(sieve.label))
        and (sieve.max_score >= 1 or (finding.labels and finding.least_score <= sieve.max_score))
    ]
    if sieve.order is Order.LEAST_SURE:
        wanted.sort(key=lambda finding: (not finding.labels, finding.least_score, finding.given))
    elif sieve.order is Order.MOST_FOUND:
        wanted.sort(key=lambda finding: (-finding.count(sieve.label), finding.given))
    else:
        wanted.sort(key=lambda finding: finding.given)
    return wanted


def tally(findings: Sequence[PictureSummary], label: str = "") -> Tally:
    """Count what was found; the histogram is of one label, or of all."""
    regions: Counter[str] = Counter()
    pictures: Counter[str] = Counter()
    bins = [0] * SCORE_BINS
    for finding in findings:
        regions.update(finding.labels)
        pictures.update(set(finding.labels))
        for name, score in finding.all_scores:
            if not label or name == label:
                bins[min(SCORE_BINS - 1, math.floor(score * SCORE_BINS))] += 1
    kinds = tuple((kind, sum(finding.is_of(kind) for finding in findings)) for kind in Kind)
    return Tally(tuple((name, count, pictures[name]) for name, count in regions.most_common()), kinds, tuple(bins))


def _name(region: Region) -> str:
    return region.label or "region"
