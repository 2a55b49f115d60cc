"""How predictions reach the page and the API: at what pace, from which process, and with which words when they fail.

Errors become `gr.Error` here and only here.
"""

import errno
import html
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gradio as gr

from playground.errors import EngineFailed, PlaygroundError
from playground.events import RunStage
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.settings import Settings

_SECONDS_BETWEEN_UPDATES = 0.1

_logger = logging.getLogger(__name__)

Stream = Callable[..., Iterator[Prediction]]  # called as `Predictor.run` is


def stream_of(predictor: Predictor, settings: Settings) -> Stream:
    """Return what runs a question: the predictor itself, or its twin in ZeroGPU's forked process."""
    return _on_zero_gpu(predictor) if settings.on_zero_gpu else predictor.run


@contextmanager
def errors_for_the_user() -> Iterator[None]:
    """Show what a user is meant to read. A toast keeps markup, and the sentence may quote what came: escape it."""
    try:
        yield
    except Exception as error:
        raise gr.Error(html.escape(sentence_of(error), quote=False), print_exception=False) from error


def sentence_of(error: Exception) -> str:
    """Return what the user is to read. Where a bug was met goes to the log, without what it says of whose question."""
    if isinstance(error, PlaygroundError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk of the playground is full. Try again later, or tell whoever runs it."
    name = type(error).__name__
    _logger.error("%s, most recent call last:\n%s", name, "".join(traceback.format_tb(error.__traceback__)))
    return (
        f"Something is wrong with the playground itself ({name}). Try again; if it stays so, please report it with "
        "what `python app.py --check` prints."
    )


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


_zero_gpu_predictor: Predictor | None = None


def _answer_on_zero_gpu(image: Any, question: Question) -> Iterator[Prediction | EngineFailed]:
    """What runs in ZeroGPU's forked process: arguments and values are pickled, so there is no stop event.

    An error of ours is a value: of an exception, ZeroGPU passes on the class's name and not the sentence.
    """
    assert _zero_gpu_predictor is not None
    try:
        yield from _zero_gpu_predictor.run(image, question)
    except PlaygroundError as error:
        yield EngineFailed(str(error))


def _on_zero_gpu(predictor: Predictor) -> Stream:
    """Let the runs of a predictor take a GPU of Hugging Face's ZeroGPU. There, Stop works between two values."""
    import spaces

    global _zero_gpu_predictor  # noqa: PLW0603  # the decorated function must be found by name in the fork
    _zero_gpu_predictor = predictor
    on_gpu = spaces.GPU(_answer_on_zero_gpu)

    def stream(image: Any, question: Question, *, stop: threading.Event | None = None) -> Iterator[Prediction]:
        for prediction in on_gpu(image, question):
            if isinstance(prediction, PlaygroundError):
                raise prediction
            if stop is not None and stop.is_set():
                yield replace(prediction, stage=RunStage.STOPPED, is_final=True)
                return
            yield prediction

    return stream
