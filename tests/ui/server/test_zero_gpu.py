"""Runs on ZeroGPU: its package is stood in for by one that pickles what goes to the other process and comes from it."""

import pickle
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import pytest

from playground.errors import EngineFailed
from playground.events import RunStage
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings
from playground.ui.api import Api
from playground.ui.picture import Upload
from playground.ui.server.zero_gpu import ZeroGpuRunner
from tests.ui.doubles import ANSWER, CAR, WRITING, ScriptedPredictor
from tests.ui.one_picture.tab import Tab, tab_of

Task = Callable[..., Generator[Any, None, None]]

OD = Question("<OD>")


def in_another_process(task: Task) -> Task:
    """Stand in for `spaces.GPU`: arguments and values are pickled, and of errors only gr.Error keeps its text."""

    def call(*arguments: Any) -> Generator[Any, None, None]:
        with closing(task(*pickle.loads(pickle.dumps(arguments)))) as running:
            while True:
                try:
                    value = next(running)
                except StopIteration:
                    return
                except gr.Error:
                    raise
                except Exception as error:
                    raise gr.Error(type(error).__name__, title="ZeroGPU worker error") from error
                yield pickle.loads(pickle.dumps(value))

    return call


@pytest.fixture(autouse=True)
def on_zero_gpu(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    spaces = ModuleType("spaces")
    spaces.__dict__["GPU"] = in_another_process
    monkeypatch.setitem(sys.modules, "spaces", spaces)


@pytest.fixture
def ask(upload: Callable[..., str]) -> Callable[..., Tab]:
    """Return a tab with a picture, whose questions are answered with a script."""

    def open_tab(*script: Prediction | Exception) -> Tab:
        tab = tab_of(ScriptedPredictor(*script), on_zero_gpu=True)
        tab.take(upload())
        return tab

    return open_tab


def test_a_run_there_gives_the_same_answer_as_one_here(predictor: Predictor, image: InputImage) -> None:
    *_, there = ZeroGpuRunner(predictor).run(image, OD)
    here = predictor.predict(image, OD)
    assert len(here.regions) > 2
    assert replace(there, timings=here.timings) == here


def test_a_picture_of_the_api_gets_there(upload: Callable[..., str]) -> None:
    predictor = ScriptedPredictor(ANSWER)
    ((prediction, _drawn),) = Api(predictor, Settings(on_zero_gpu=True)).run(Upload(upload()), "<OD>")
    ((image, _),) = predictor.asked
    assert isinstance(image, InputImage)
    assert image.resolution_wh == (60, 40)
    assert prediction == ANSWER.to_dict()


@pytest.mark.usefixtures("every_step")
def test_stop_takes_effect_at_the_next_value(ask: Callable[..., Tab]) -> None:
    tab = ask(WRITING, replace(WRITING, regions=(CAR,)), WRITING, ANSWER)
    running = tab.run()
    next(running)
    tab.call(tab.handlers.stop)
    assert len(list(running)) == 1
    assert tab.item.prediction is not None
    assert (tab.item.prediction.stage, tab.item.prediction.regions) == (RunStage.STOPPED, (CAR,))
    assert tab.predictor.stops == [None]  # an event of this process is not seen in the other


@pytest.mark.parametrize(
    "prediction",
    [
        pytest.param(ANSWER, id="boxes"),
        pytest.param(replace(ANSWER, regions=(), notices=("Cut.",), is_truncated=True), id="text"),
        pytest.param(
            replace(ANSWER, regions=(Region("a", (0, 0, 9, 9), xyxyxyxy=(0, 0, 9, 0, 9, 9, 0, 9)),)), id="quads"
        ),
        pytest.param(
            replace(ANSWER, regions=(Region("a", (0, 0, 9, 9), polygons=(((0, 0), (9, 0), (9, 9)),)),)), id="polygons"
        ),
    ],
)
def test_predictions_travel_between_processes(prediction: Prediction, image: InputImage) -> None:
    (came,) = ZeroGpuRunner(ScriptedPredictor(prediction)).run(image, prediction.question)
    assert came == prediction


def test_a_sentence_for_the_user_survives_the_way(ask: Callable[..., Tab]) -> None:
    (failed,) = ask(EngineFailed("There is not enough memory.")).run()
    assert failed["status"][-1] == {"text": "There is not enough memory.", "tone": "error"}
