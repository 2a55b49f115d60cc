"""What whoever builds a data set, or teaches a checkpoint, may do about the figures: sentences for the report."""

from collections.abc import Iterator, Sequence

import numpy as np

from playground.evaluation.asking_data import DataQuestions
from playground.evaluation.data_figures import MeasuredData
from playground.evaluation.detection import ClassFigures, DetectionFigures
from playground.tasks import TO_FIND, InputKind, get_task

_FEW = 100  # things: of so many, one in a hundred is a single thing
_MANY_STRANGE = 0.2  # of all that was said: names of which the data set knows nothing
_GAIN = 0.02  # of the calibration error, from which on a temperature is worth keeping
_MAX_NAMED = 5


def what_next(measured: MeasuredData, asks: DataQuestions) -> list[str]:
    """Return what to do about the figures of a checkpoint, the most urgent first."""
    steps: list[str] = []
    if measured.broken:
        steps.append(
            f"Put right the {_count(len(measured.broken), 'picture')} without an answer; the last table says why."
        )
    if measured.detection:
        is_by_name = asks.task is not None and asks.task.input_kind is InputKind.CLASSES
        steps += _about_regions(measured, measured.detection, is_by_name=is_by_name, is_together=asks.together)
    elif measured.texts and measured.texts.exact < 1:
        steps.append("Look at the worst answers: where they are right and the data set is not, add them to its texts.")
    return steps


def _about_regions(
    measured: MeasuredData, figures: DetectionFigures, *, is_by_name: bool, is_together: bool
) -> Iterator[str]:
    by_name = f"“{get_task(TO_FIND).title}” ({TO_FIND})"
    if not figures.num_true:
        yield "Check the labels: nothing is labeled in any of these pictures, so all that was found counts as wrong."
        return
    if figures.num_true < _FEW:
        yield (
            f"Label more: of {_count(figures.num_true, 'thing')} a single one moves the figures by "
            f"{100 / figures.num_true:.0f} in a hundred, and small differences are chance."
        )
    num_strange = sum(measured.strange.values())
    if not is_by_name and (not figures.num_found or num_strange > _MANY_STRANGE * (num_strange + figures.num_found)):
        often = next(iter(measured.strange), "")
        names = f" (most often “{often}”)" if often else ""
        yield f"Ask for the classes by name, with {by_name}: {num_strange} regions had names of no class{names}."
    elif is_together and measured.unsaid:
        yield f"Ask for each class by itself, without --together: {_listed(measured.unsaid)} were never found."
    elif not is_by_name and measured.unsaid:
        yield f"Ask for {_listed(measured.unsaid)} by name, with {by_name}, or teach them: they were never named."
    if weak := _weakest(figures.by_class):
        yield (
            f"Teach “{weak.name}” first, or look whether its labels are right: {weak.num_right} of {weak.num_true} "
            f"were found, and {_count(weak.num_found - weak.num_right, 'other region')} called so."
        )
    if mixed := _most_mixed(figures):
        true, called, count = mixed
        yield f"Look at “{true}” and “{called}”: {_count(count, 'time')} the first was called the second."
    if figures.best.threshold > 0 and figures.best.f1:
        yield f"Set Lowest score to {figures.best.threshold:.2f} on the page: there F1 is highest."
    trust = figures.trust
    if trust and trust.error - trust.error_after > _GAIN:
        is_sure = "sure of themselves" if trust.temperature > 1 else "modest"
        yield f"Keep the fitted temperature, with --keep-temperature: the scores are too {is_sure}."


def _weakest(classes: Sequence[ClassFigures]) -> ClassFigures | None:
    """Return the class of which most is missed or wrongly said."""

    def mistakes(one: ClassFigures) -> int:
        return one.num_true + one.num_found - 2 * one.num_right

    weak = max(classes, key=mistakes, default=None)
    return weak if weak and mistakes(weak) else None


def _most_mixed(figures: DetectionFigures) -> tuple[str, str, int] | None:
    """Return which class was called which other one most often, and how often, where that is more than once."""
    counts = figures.confusion[:-1, :-1].copy()
    np.fill_diagonal(counts, 0)
    if not counts.size or counts.max() < 2:
        return None
    true, called = np.unravel_index(int(counts.argmax()), counts.shape)
    return figures.class_names[true], figures.class_names[called], int(counts.max())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(f"“{name}”" for name in names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
