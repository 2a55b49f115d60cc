"""How predictions reach the page and the API: at what pace, from which process, and in which words when they fail.

Errors become `gr.Error` here and only here.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gradio as gr

from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.settings import Settings
from playground.ui.server.failures import sentence_of
from playground.ui.server.zero_gpu import ZeroGpuRunner

_SECONDS_BETWEEN_UPDATES = 0.1


class Runner(Protocol):
    """What puts a question about a picture, as `Predictor` does."""

    def run(self, image: Any, question: Question, *, stop: threading.Event | None = None) -> Iterator[Prediction]:
        """Yield ever more complete predictions, the last of which is final."""


def runner_of(predictor: Predictor, settings: Settings) -> Runner:
    """Return what runs a question: the predictor itself, or its twin in ZeroGPU's forked process."""
    return ZeroGpuRunner(predictor) if settings.on_zero_gpu else predictor


@contextmanager
def errors_for_the_user() -> Iterator[None]:
    """Show what a user is meant to read."""
    try:
        yield
    except Exception as error:
        raise gr.Error(sentence_of(error), print_exception=False) from error


def paced(predictions: Iterator[Prediction]) -> Iterator[Prediction]:
    """Pass on the final prediction, each new stage, and at most ten others a second."""
    shown_at, stage = -math.inf, None
    try:
        for prediction in predictions:
            now = time.monotonic()
            is_due = now - shown_at >= _SECONDS_BETWEEN_UPDATES
            if prediction.is_final or prediction.stage is not stage or is_due:
                shown_at, stage = now, prediction.stage
                yield prediction
    finally:
        predictions.close()  # type: ignore[attr-defined]  # a generator: the run ends with its reader
