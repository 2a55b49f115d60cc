"""Lessons that nobody labeled: what a checkpoint answers about pictures before it is taught.

Taught along, they keep what it knows, and show what is new beside more of what is not ("Learning without Forgetting",
Li and Hoiem, 2016, with answers in place of probabilities).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from playground.annotate.reading import SourceReader
from playground.annotate.sources import check_sources, find_sources
from playground.errors import ImageRejected
from playground.finetune.lessons import Lesson
from playground.finetune.measuring import ask_lessons
from playground.pictures.reader import read_image
from playground.predictor import Predictor
from playground.question import Question


def pictures_to_rehearse(given: Path, question: Question) -> tuple[list[Lesson], list[str]]:
    """Return a question about each picture of a folder, a ZIP or a file, and sentences of those that cannot be read.

    Raises SourceRejected where nothing is there.
    """
    check_sources([given])
    reader = SourceReader(read_image)
    lessons, left_out = [], []
    for source in find_sources([given]):
        try:
            reader.read(source)
            lessons.append(Lesson(source.name, partial(reader.read, source), question))
        except ImageRejected as error:
            left_out.append(f"{source.name}: {error}")
    return lessons, left_out


def rehearsed(predictor: Predictor, lessons: Sequence[Lesson], max_new_tokens: int | None = None) -> list[Lesson]:
    """Return lessons with what is answered to them now; without those of which that is unsure, or was cut off."""
    answers = {place: answer.prediction for place, answer in ask_lessons(predictor, lessons, max_new_tokens)}
    return [
        lesson.answered(answers[place].regions, answers[place].text)
        for place, lesson in enumerate(lessons)
        if not answers[place].is_unsure and not answers[place].is_truncated
    ]
