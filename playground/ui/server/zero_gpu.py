"""Runs on Hugging Face's ZeroGPU hardware, where each works in a forked process of its own.

Arguments and values are pickled, so there is no stop event: Stop works between two values. Knows the package `spaces`.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from playground.errors import EngineFailed, PlaygroundError
from playground.events import RunStage
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction

_predictor: Predictor | None = None


def _answer(image: Any, question: Question) -> Iterator[Prediction | EngineFailed]:
    """What runs in the forked process. An error of ours is a value: of an exception, only the class's name is told."""
    assert _predictor is not None
    try:
        yield from _predictor.run(image, question)
    except PlaygroundError as error:
        yield EngineFailed(str(error))


class ZeroGpuRunner:
    """Asks a predictor as `Predictor.run` does, on a GPU that is had for the time of the run."""

    def __init__(self, predictor: Predictor) -> None:
        import spaces

        global _predictor  # noqa: PLW0603  # the decorated function must be found by name in the fork
        _predictor = predictor
        self._answer_on_gpu = spaces.GPU(_answer)

    def run(self, image: Any, question: Question, *, stop: threading.Event | None = None) -> Iterator[Prediction]:
        """Yield the predictions of a run; see `Predictor.run`."""
        for prediction in self._answer_on_gpu(image, question):
            if isinstance(prediction, PlaygroundError):
                raise prediction
            if stop is not None and stop.is_set():
                yield replace(prediction, stage=RunStage.STOPPED, is_final=True)
                return
            yield prediction
