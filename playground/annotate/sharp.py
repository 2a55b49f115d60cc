"""Answers whose regions get sharper outlines, before they are written down."""

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

from playground.annotate.job import AnswersTogether
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.results import Prediction


class Sharpens(Protocol):
    """What makes the outlines of a prediction sharper, as `Predictor` does."""

    def sharpen(self, image: InputImage, given: Prediction) -> Prediction:
        """Return a prediction with sharper outlines."""


class SharpOutlines:
    """Lets others answer, and makes the outlines of what they found sharper."""

    def __init__(self, others: AnswersTogether, sharpens: Sharpens) -> None:
        self._others = others
        self._sharpens = sharpens

    def predict_each(
        self, images: Sequence[InputImage], question: Question
    ) -> Generator[tuple[int, Prediction], None, None]:
        """Yield the place of each picture and its final prediction."""
        with closing(self._others.predict_each(images, question)) as answers:
            for place, prediction in answers:
                yield place, self._sharpens.sharpen(images[place], prediction) if prediction.regions else prediction
