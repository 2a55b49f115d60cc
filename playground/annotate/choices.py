"""What of the answers goes into files: names of classes, lowest scores, one region for a thing.

The journal keeps the answers as they came, so that another choice asks nobody again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import supervision as sv

from playground.errors import InputRejected
from playground.question import Question, asked_names
from playground.regions import Region
from playground.results import Prediction
from playground.tasks import InputKind, get_task

_SAME_THING = 0.7  # intersection over union from which on two regions are taken for one thing


@dataclass(frozen=True, slots=True)
class Choices:
    """`names` maps what was asked to what it is called. `min_score` is that of all labels, `min_scores` of one each.

    Without a `min_score`, data sets and drawn pictures hold what the page would show: nothing of answers of which the
    model is not sure.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    min_score: float | None = None
    min_scores: Mapping[str, float] = field(default_factory=dict)
    merge_duplicates: bool = False

    def apply(self, prediction: Prediction, *, shown_from: float | None = None) -> Prediction:
        """Return what of a prediction is wanted; `shown_from` is the lowest score that the page would show."""
        regions = [self._renamed(region) for region in prediction.regions]
        regions = [region for region in regions if self._is_wanted(region, prediction, shown_from)]
        if self.merge_duplicates:
            regions = without_duplicates(regions)
        return replace(prediction, regions=tuple(regions), question=self._renamed_question(prediction.question))

    def _is_wanted(self, region: Region, prediction: Prediction, shown_from: float | None) -> bool:
        if region.score is None:
            return True
        if (least := self.min_scores.get(region.label, self.min_score)) is not None:
            return region.score >= least
        return shown_from is None or (region.score >= shown_from and not prediction.is_unsure)

    def _renamed(self, region: Region) -> Region:
        name = self.names.get(region.label, region.label)
        return region if name == region.label else replace(region, label=name)

    def _renamed_question(self, question: Question) -> Question:
        """Return the question with the names as they are called, by whose order classes are numbered."""
        asked = asked_names(question)
        if not self.names or not asked:
            return question
        return replace(question, phrase=", ".join(dict.fromkeys(self.names.get(name, name) for name in asked)))


def without_duplicates(regions: Sequence[Region]) -> list[Region]:
    """Return the regions without those that lie on a surer one, whatever it is called; what has no score stays."""
    judged = [region for region in regions if region.score is not None]
    if not judged:
        return list(regions)
    detections = sv.Detections(
        xyxy=np.array([region.xyxy for region in judged], dtype=np.float64),
        confidence=np.array([region.score for region in judged], dtype=np.float64),
        class_id=np.arange(len(judged)),
    )
    kept = detections.with_nms(_SAME_THING, class_agnostic=True)
    stay = {id(judged[index]) for index in (kept.class_id if kept.class_id is not None else ())}
    return [region for region in regions if region.score is None or id(region) in stay]


def read_names(pairs: Sequence[str]) -> dict[str, str]:
    """Return names by what is asked, from texts such as "person wearing helmet=helmet". Raises InputRejected."""
    names: dict[str, str] = {}
    for pair in pairs:
        asked, sign, name = (part.strip() for part in pair.rpartition("="))
        if not (asked and sign and name) or "," in pair:
            raise InputRejected(
                f"{pair[:200]!r} gives no name: write what is asked, =, and what it is called, such as "
                "--name 'person wearing helmet=helmet', each with a --name of its own.",
                field="name",
            )
        names[asked] = name
    return names


def read_min_scores(text: str) -> tuple[float | None, dict[str, float]]:
    """Return the lowest score of all labels and of single ones, from "0.3" or "helmet=0.3,vest=0.5".

    Raises InputRejected.
    """
    least: float | None = None
    single: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        label, _, number = (piece.strip() for piece in part.rpartition("="))
        try:
            score = float(number)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1:
            raise InputRejected(
                f"{part[:200]!r} is no lowest score: give a number from 0 to 1, such as 0.3, or one a name, such as "
                "helmet=0.3,vest=0.5.",
                field="min-score",
            )
        if label:
            single[label] = score
        else:
            least = score
    return least, single


def with_names(question: Question, names: Mapping[str, str]) -> Question:
    """Return a question that asks for what has a name too, where the task asks for things by name."""
    kind = get_task(question.task).input_kind
    if kind not in (InputKind.CLASSES, InputKind.EXPRESSIONS):
        return question
    asked = asked_names(question)
    return replace(question, phrase=", ".join([*asked, *(name for name in names if name not in asked)]))
