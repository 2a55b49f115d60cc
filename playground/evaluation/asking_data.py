"""A data set put to a checkpoint: what is asked about each picture, and what comes of it.

Knows no terminal and no page: whoever iterates shows how far it is, and may stop it between two groups of pictures.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from playground.annotate.job import AnswersTogether, PictureAnswered, answer_group
from playground.annotate.reading import ReadSource
from playground.datasets.formats import ALL
from playground.datasets.labeled import Labeled
from playground.datasets.reading import LabeledData
from playground.errors import ImageRejected, InputRejected, UnknownTask
from playground.pictures.reader import InputImage
from playground.question import MAX_INPUTS, Question, same_name
from playground.regions import Region
from playground.results import Prediction
from playground.tasks import TASKS, InputKind, OutputKind, Task, get_task

_HELD_OUT = ("test", "val")
_FINDS_ALL = TASKS[0]  # what is asked where nobody says what, and things are labeled
_DESCRIBES = get_task("<CAPTION>")
_MOST_TOLD, _MOST_PROBLEMS = 5, 3  # tasks and sentences of one refusal
_ASKED_OF_EACH = {
    InputKind.SENTENCE: "a sentence",
    InputKind.REGIONS: "a region",
    InputKind.PROMPT: "a prompt",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A picture with its truth in its own pixels, and the answer to each question about it; or why there is none."""

    labeled: Labeled
    questions: tuple[Question, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    error: str = ""

    @property
    def regions(self) -> tuple[Region, ...]:
        """All that was found."""
        return tuple(region for prediction in self.predictions for region in prediction.regions)

    @property
    def text(self) -> str:
        """All that was written."""
        return "\n".join(prediction.text for prediction in self.predictions)


@dataclass(frozen=True, slots=True)
class DataQuestions:
    """What is asked about the pictures of a data set: one task of all, or what the data itself asks about each.

    `classes` are the names that are asked for, where the task finds things by name: each by a prompt of its own, which
    finds more (docs/measurements.md), or `together` in one.
    """

    task: Task | None
    classes: tuple[str, ...]
    together: bool = False

    def about(self, labeled: Labeled) -> tuple[Question, ...]:
        """Return the questions about a picture. Raises InputRejected where the data does not hold what they need."""
        asked = labeled.question
        if self.task is None:
            return (replace(asked, checkpoint=""),) if asked else (Question(_FINDS_ALL.id),)
        if self.task.input_kind is InputKind.NONE:
            return (Question(self.task.id),)
        if self.task.input_kind in _ASKED_OF_EACH:
            return (replace(asked, checkpoint=""),) if asked else ()
        return tuple(self._by_name())

    def is_about(self, labeled: Labeled) -> bool:
        """Whether a picture is asked about: one of which the data asks something else is passed over."""
        asked = labeled.question
        if self.task is None or labeled.problem or (asked and asked.task == self.task.id):
            return True
        if self.task.input_kind in _ASKED_OF_EACH:
            return False
        is_placed = bool(labeled.regions) and not self.task.output_kind.is_text
        return asked is None or (is_placed and labeled.regions_answer(self.task))

    def is_known_of(self, labeled: Labeled) -> bool:
        """Whether the data says of a picture what the answer can be held against; that it shows nothing is said too."""
        asked = labeled.question
        task = self.task or (get_task(asked.task) if asked else _FINDS_ALL)
        if task.output_kind.is_text:
            return bool(labeled.texts)
        is_read = task.input_kind is InputKind.PROMPT or task.output_kind is OutputKind.QUADS
        return bool(labeled.regions or asked or is_read or not labeled.texts)

    def _by_name(self) -> Iterator[Question]:
        assert self.task is not None
        is_list = self.task.input_kind is InputKind.CLASSES  # else each is a prompt of its own anyhow
        names = iter(self.classes)
        while some := list(islice(names, len(self.classes) if is_list and self.together else MAX_INPUTS)):
            called = tuple((_as_one_name(name), name) for name in some if _as_one_name(name) != name)
            phrase = ", ".join(map(_as_one_name, some))
            yield Question(self.task.id, phrase, names=called, one_by_one=is_list and not self.together)


def _as_one_name(name: str) -> str:
    """Return a name without what divides names."""
    return " ".join(name.replace(",", " ").replace("\n", " ").split())


def choose_subset(data: LabeledData, wanted: str) -> str:
    """Return the part that is measured: the one that is wanted, else what is held out, else all."""
    return wanted or next((part for part in _HELD_OUT if part in data.subsets), ALL)


def choose_questions(data: LabeledData, subset: str, task_id: str, *, together: bool = False) -> DataQuestions:
    """Return what is asked about a data set. Raises UnknownTask, or InputRejected where the data cannot answer it."""
    labels = data.classes
    if not labels:
        labels = tuple(dict.fromkeys(region.label for one in data.labeled(subset) for region in one.regions))
    if not task_id:
        return DataQuestions(None, labels, together)
    try:
        task = get_task(task_id)
    except UnknownTask:
        task = get_task(f"<{task_id.strip('<>').upper()}>")
    is_by_name = task.input_kind in (InputKind.CLASSES, InputKind.EXPRESSIONS)
    if is_by_name and not labels:
        raise InputRejected(
            f"“{task.title}” asks for the classes of the data set by name, and it has none. Choose another task.",
            field="task",
        )
    return DataQuestions(task, labels, together)


def choose_pictures(data: LabeledData, subset: str, asks: DataQuestions, limit: int | None) -> list[Labeled]:
    """Return the pictures that are asked about, at most so many. Raises InputRejected where there is none."""
    pictures = list(_at_most(limit, filter(asks.is_about, data.labeled(subset))))
    if all(one.problem for one in pictures):
        why = _why_none(data, subset, asks, pictures)
        raise InputRejected(f"There is no picture in the data set that can be asked about. {why}".strip(), field="task")
    if not any(asks.is_known_of(one) for one in pictures if not one.problem):
        task = asks.task or _FINDS_ALL
        is_text = task.output_kind.is_text
        has, other = ("no texts", _FINDS_ALL) if is_text else ("texts and nothing that is to be found", _DESCRIBES)
        raise InputRejected(
            f"The data set has {has}, so no answer of “{task.title}” can be held against it. Choose another task, "
            f"such as “{other.title}” ({other.id}).",
            field="task",
        )
    return pictures


def _at_most(limit: int | None, pictures: Iterable[Labeled]) -> Iterator[Labeled]:
    """Yield so many pictures that can be had, and so many of the rest, some of which are about a whole file."""
    counts = Counter[bool]()
    for one in pictures:
        counts[is_broken := bool(one.problem)] += 1
        if limit is None or counts[is_broken] <= limit:
            yield one
        if limit is not None and counts[False] >= limit:
            return


def _why_none(data: LabeledData, subset: str, asks: DataQuestions, pictures: Sequence[Labeled]) -> str:
    if asks.task and (what := _ASKED_OF_EACH.get(asks.task.input_kind, "")):
        return f"“{asks.task.title}” needs {what} for each, in the prompts of JSON Lines."
    asked = dict.fromkeys(get_task(one.question.task) for one in data.labeled(subset) if one.question)
    if asks.task and asked and asks.task not in asked:
        others = ", ".join(f"“{task.title}” ({task.id})" for task in islice(asked, _MOST_TOLD))
        return f"It asks {others} of its pictures, and not “{asks.task.title}”. Leave it to the data what is asked."
    problems = dict.fromkeys(one.problem for one in reversed(pictures))  # those of whole files stand first
    return " ".join(islice(problems, _MOST_PROBLEMS)) or "It is empty."


def ask_about_data(
    predictor: AnswersTogether, data: LabeledData, pictures: Iterable[Labeled], asks: DataQuestions, **options: Any
) -> Iterator[Outcome]:
    """Yield what comes of each picture, in their order; `options` are those of `ask_in_groups`."""
    return chain.from_iterable(ask_in_groups(predictor, data, pictures, asks, **options))


def ask_in_groups(
    predictor: AnswersTogether,
    data: LabeledData,
    pictures: Iterable[Labeled],
    asks: DataQuestions,
    *,
    checkpoint: str = "",
    group_size: int = 1,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[Outcome]]:
    """Yield what comes of some pictures, in their order; those about which the same is asked are answered together."""
    group: list[tuple[Outcome, InputImage]] = []
    for labeled in pictures:
        if is_stopped():
            return
        opened = _opened(data, labeled, asks, checkpoint)
        if isinstance(opened, Outcome):
            yield [*_answered(predictor, group), opened]
            group = []
            continue
        if group and (len(group) >= group_size or group[0][0].questions != opened[0].questions):
            yield list(_answered(predictor, group))
            group = []
        group.append(opened)
    if group and not is_stopped():
        yield list(_answered(predictor, group))


def _opened(
    data: LabeledData, labeled: Labeled, asks: DataQuestions, checkpoint: str
) -> tuple[Outcome, InputImage] | Outcome:
    """Return a picture with its questions, or why it cannot be asked about."""
    try:
        image, in_pixels = data.open(labeled)
        questions = tuple(replace(question, checkpoint=checkpoint) for question in asks.about(in_pixels))
    except (ImageRejected, InputRejected) as error:
        return Outcome(labeled, error=str(error))
    return Outcome(in_pixels, questions), image


def _answered(predictor: AnswersTogether, group: Sequence[tuple[Outcome, InputImage]]) -> Iterator[Outcome]:
    if not group:
        return
    read = [ReadSource(outcome.labeled.source, "", image) for outcome, image in group]
    questions = group[0][0].questions
    events = [list(answer_group(predictor, read, question)) for question in questions]
    for (outcome, _), of_picture in zip(group, zip(*events, strict=True), strict=True):
        answered = [event.prediction for event in of_picture if isinstance(event, PictureAnswered)]
        errors = [getattr(event, "error", "") for event in of_picture]
        if len(answered) == len(questions):
            yield replace(outcome, predictions=tuple(answered))
        else:
            yield replace(outcome, error=next(filter(None, errors), "It was not answered."))


def named_alike(regions: Iterable[Region], classes: Iterable[str]) -> tuple[tuple[Region, ...], tuple[str, ...]]:
    """Return regions under the names of their classes, in whatever capitals or plurals; and the names of no class."""
    known = {same_name(name): name for name in reversed(list(classes))}
    named, strange = list[Region](), list[str]()
    for region in regions:
        if name := known.get(same_name(region.label)):
            named.append(replace(region, label=name))
        else:
            strange.append(region.label)
    return tuple(named), tuple(strange)
