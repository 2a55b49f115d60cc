"""What is made of an answer: things called by their names, lowest scores held, one region for a thing.

A pure function of a prediction, whose question says what is wanted; it is applied once, by whoever has the answer as it
came.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from playground.grammar import words_of
from playground.question import Question, names_of, same_name
from playground.regions import Region
from playground.results import Prediction
from playground.tasks import OutputKind, get_task

ALIKE = 0.8  # the likeness from which on things are shown; docs/measurements.md has the table


def own_lowest_score(prediction: Prediction) -> float | None:
    """Return the score from which on regions are shown whatever the checkpoint's is; None where that one holds."""
    if prediction.scores_are_likeness:
        return ALIKE
    return 0.0 if get_task(prediction.task).covers else None  # better one cover too many


def chosen(prediction: Prediction, *, shown_from: float | None = None) -> Prediction:
    """Return what of a prediction its question wants.

    With `shown_from`, the lowest score that the page would show, regions for which the question has no lowest score
    are held against that one, and of an answer of which the model is not sure none of them stays.
    """
    question = prediction.question
    if not (question.names or question.min_scores or question.merge or shown_from is not None):
        return prediction
    called, least = names_of(question), _LowestScores(question)
    if shown_from is not None and (own_score := own_lowest_score(prediction)) is not None:
        shown_from = own_score

    def is_wanted(region: Region) -> bool:
        if (own := least.of(region.label)) is not None:
            return region.is_sure(own)
        return shown_from is None or region.is_sure(math.inf if prediction.is_unsure else shown_from)

    regions = [replace(region, label=called(region.label)) for region in prediction.regions]
    regions = [region for region in regions if is_wanted(region)]
    if question.merge:
        from playground.merging import without_duplicates  # imports supervision, which takes a second

        regions = without_duplicates(regions, question.merge)
    if tuple(regions) == prediction.regions:
        return prediction
    return replace(prediction, regions=tuple(regions), text=text_with(prediction, regions))


class _LowestScores:
    def __init__(self, question: Question) -> None:
        self._single = {same_name(name): score for name, score in question.min_scores if name}
        self._of_others = dict(question.min_scores).get("")

    def of(self, label: str) -> float | None:
        return self._single.get(same_name(label), self._of_others)


def text_with(prediction: Prediction, regions: Sequence[Region]) -> str:
    """Return the words of an answer with other regions, where it names what it found; those of a caption stay."""
    kind = get_task(prediction.task).output_kind
    is_named = kind not in (OutputKind.TEXT, OutputKind.TEXT_WITH_BOX)
    return words_of(regions, kind) if is_named else prediction.text
