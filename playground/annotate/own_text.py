"""The text that a page of a document holds, taken in place of what a model would read."""

from collections.abc import Generator, Sequence
from contextlib import closing

from playground.annotate.job import AnswersTogether
from playground.errors import SettingsInvalid
from playground.events import RunStage
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.reading_order import lines_in_order
from playground.results import Prediction
from playground.tasks import TASKS, Group, OutputKind, get_task

_TAKEN = "This is the text that the page itself holds; the model was not asked."


def is_for_reading(question: Question) -> bool:
    """Whether a question asks for the text of a picture."""
    return any(task.id == question.task and task.group is Group.READ for task in TASKS)


def check_is_for_reading(question: Question) -> None:
    """Refuse a question that asks for something else than text. Raises SettingsInvalid."""
    if not is_for_reading(question):
        reading = " or ".join(task.id for task in TASKS if task.group is Group.READ)
        raise SettingsInvalid(f"The text of a page answers no {question.task}. Ask {reading}, or leave --own-text out.")


class OwnTextFirst:
    """Answers for pages that hold their own text, and lets a model answer for all others."""

    def __init__(self, others: AnswersTogether, question: Question) -> None:
        """Raises SettingsInvalid for a question that asks for something else than text."""
        check_is_for_reading(question)
        self._others = others

    def predict_each(
        self, images: Sequence[InputImage], question: Question
    ) -> Generator[tuple[int, Prediction], None, None]:
        """Yield the place of each picture and its final prediction."""
        yield from ((place, _answer(image, question)) for place, image in enumerate(images) if image.own_text)
        asked = [place for place, image in enumerate(images) if not image.own_text]
        if asked:
            with closing(self._others.predict_each([images[place] for place in asked], question)) as answers:
                yield from ((asked[index], prediction) for index, prediction in answers)


def _answer(image: InputImage, question: Question) -> Prediction:
    has_places = get_task(question.task).output_kind is OutputKind.QUADS
    lines = [line.text for line in lines_in_order(image.own_text)]
    return Prediction(
        question, question.checkpoint, image.resolution_wh, image.digest,
        text="\n".join(lines), regions=image.own_text if has_places else (),
        stage=RunStage.DONE, is_final=True, notices=(_TAKEN,),
    )  # fmt: skip
