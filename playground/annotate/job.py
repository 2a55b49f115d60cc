"""Many pictures, one question: answered in groups, written down one by one, and told as events.

Knows no terminal and no page: whoever iterates shows what happens, and may stop it between two groups.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from playground.annotate.answers import GroupPlace, Row
from playground.annotate.journal import Journal
from playground.annotate.reading import ReadSource, SourceReader
from playground.annotate.sources import PictureSource
from playground.errors import EngineFailed, InputRejected
from playground.pictures.reader import InputImage
from playground.question import Question, check_question
from playground.results import Prediction
from playground.tasks import InputKind, OwnTask, find_task

GROUP_SIZE = 8  # pictures that are answered together, where nobody says how many an engine answers at the same time
_GROUP_PIXELS = 50_000_000
_USUAL_WH = (1000, 1000)  # to check a question before there is a picture


@dataclass(frozen=True, slots=True)
class PictureAnswered:
    """A picture was answered."""

    source: PictureSource
    image: InputImage
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class PictureFailed:
    """A picture could not be answered; `error` says why."""

    source: PictureSource
    error: str


@dataclass(frozen=True, slots=True)
class PictureSkipped:
    """A picture was done before."""

    source: PictureSource


@dataclass(frozen=True, slots=True)
class PictureAnsweredElsewhere:
    """A picture was answered on another machine, where its pixels are."""

    source: PictureSource
    prediction: Prediction


JobEvent = PictureAnswered | PictureAnsweredElsewhere | PictureFailed | PictureSkipped


class AnswersTogether(Protocol):
    """What answers a question about several pictures at the same time, as `Predictor` does."""

    def predict_each(
        self, images: Sequence[InputImage], question: Question
    ) -> Generator[tuple[int, Prediction], None, None]:
        """Yield the place of each picture and its final prediction, as soon as that is complete."""


def run_job(
    predictor: AnswersTogether,
    reader: SourceReader,
    sources: Iterable[PictureSource],
    question: Question,
    *,
    journal: Journal | None = None,
    group_size: int = GROUP_SIZE,
    in_order: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Generator[JobEvent, None, None]:
    """Ask about the pictures of all sources, and yield what became of each, once it is finished or `in_order`.

    What the journal holds is skipped, and what is answered is written into it as soon as it is. `group_size` pictures
    are answered together, or fewer where they are large. `is_stopped` is asked between groups. Raises what concerns all
    pictures: CheckpointUnavailable, JobRejected, and InputRejected or UnknownTask for the question itself.
    """
    job = _Job(predictor, question, journal)
    group: list[ReadSource] = []
    for read in reader.read_ahead(sources, job.is_done):
        if is_stopped():
            return
        if read.is_done or job.is_done(read.source, read.sha256) or any(read.source == one.source for one in group):
            yield PictureSkipped(read.source)
            continue
        group.append(read)
        if _is_full(group, group_size):
            yield from job.answer(group, in_order=in_order)
            group = []
    if group and not is_stopped():
        yield from job.answer(group, in_order=in_order)


def answer_group(predictor: AnswersTogether, group: Sequence[ReadSource], question: Question) -> Iterator[JobEvent]:
    """Yield what becomes of pictures that are answered together, in their order; nothing is written down."""
    yield from _Job(predictor, question, None).answer(group, in_order=True)


def _is_full(group: Sequence[ReadSource], group_size: int) -> bool:
    images = [read.image for read in group if read.image]
    num_pixels = sum(image.pixels.width * image.pixels.height for image in images)
    return len(group) >= group_size or num_pixels >= _GROUP_PIXELS


class _Job:
    def __init__(self, predictor: AnswersTogether, question: Question, journal: Journal | None) -> None:
        self._predictor = predictor
        self._question = question
        self._journal = journal

    def is_done(self, source: PictureSource, sha256: str) -> bool:
        """Whether a picture was done before."""
        return self._journal is not None and self._journal.has(source, sha256)

    def answer(self, group: Sequence[ReadSource], *, in_order: bool) -> Iterator[JobEvent]:
        """Answer a group; write each picture down once it is complete, and tell it then or as the group has them."""
        errors = ((place, read.error) for place, read in enumerate(group) if read.error)
        events: dict[int, JobEvent] = {}
        num_told = 0
        for number, (place, outcome) in enumerate(chain(errors, self._outcomes(group)), start=1):
            event = self._written(group[place], outcome, GroupPlace(number, len(group), place + 1))
            events[place if in_order else num_told] = event
            while num_told in events:
                yield events.pop(num_told)
                num_told += 1

    def _written(self, read: ReadSource, outcome: Prediction | str, in_group: GroupPlace) -> JobEvent:
        event = _event(read, outcome)
        if self._journal is not None and not self._journal.append(_row(event, read.sha256, in_group)):
            return PictureSkipped(read.source)
        return event

    def _outcomes(self, group: Sequence[ReadSource]) -> Iterator[tuple[int, Prediction | str]]:
        """Yield the place of each picture that was read, with its prediction or why there is none."""
        images = {place: read.image for place, read in enumerate(group) if read.image}
        places = list(images)
        if not images:
            return
        try:
            with closing(self._predictor.predict_each([*images.values()], self._question)) as predictions:
                for index, prediction in predictions:
                    yield places[index], prediction
                    del images[places[index]]
        except (EngineFailed, InputRejected):  # one of them takes too much memory, or lacks what is asked about
            yield from ((place, self._outcome(image)) for place, image in images.items())

    def _outcome(self, image: InputImage) -> Prediction | str:
        try:
            ((_, prediction),) = self._predictor.predict_each([image], self._question)
            return prediction
        except InputRejected as error:
            if error.field != "regions":
                raise
            return str(error)
        except EngineFailed as error:
            return str(error)


def _event(read: ReadSource, outcome: Prediction | str) -> PictureAnswered | PictureFailed:
    if isinstance(outcome, str) or read.image is None:
        return PictureFailed(read.source, str(outcome))
    return PictureAnswered(read.source, read.image, outcome)


def _row(event: PictureAnswered | PictureFailed, sha256: str, in_group: GroupPlace) -> Row:
    if isinstance(event, PictureFailed):
        return Row(event.source, sha256, error=event.error, in_group=in_group)
    return Row(event.source, sha256, event.prediction, in_group=in_group)


def question_for_many(question: Question, own_tasks: Sequence[OwnTask]) -> Question:
    """Return a question that can be put to any picture, with the id of its task. Raises UnknownTask, InputRejected."""
    task = find_task(question.task, own_tasks)
    if task.input_kind is InputKind.REGIONS:
        sentence = f"{question.task} asks about regions, of which none are drawn here. Choose another task."
        raise InputRejected(sentence, field="task")
    return check_question(question, _USUAL_WH, own_tasks).question
