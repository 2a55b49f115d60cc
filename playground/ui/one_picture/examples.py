"""Which pictures there are to try, and the one that whoever comes for the first time sees asked and answered."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from playground.checkpoints.catalog import BUNDLED
from playground.engines import Engines, State, Status
from playground.events import RunStage
from playground.paths import EXAMPLES
from playground.question import Question
from playground.results import Prediction
from playground.tasks import DEFAULT_TASK
from playground.ui.parts import ASTRONAUT
from playground.ui.session import Item, Tab

_FIRST_SCENE = EXAMPLES / "room.png"  # whose sides are as 4 to 3, for which the page keeps room


def examples_for(status: Status) -> dict[str, Any]:
    """Return which of the pictures to try are offered, by the names of their components."""
    is_bundled = status.checkpoint.name == BUNDLED
    scenes, photographs = gr.update(visible=is_bundled), gr.update(visible=not is_bundled)
    return {"examples": scenes, "scene": scenes, "photographs": photographs}


class Welcome:
    """The first example, and what each checkpoint has answered about it since the server was started."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._answers: dict[str, Prediction] = {}
        self._lock = threading.Lock()

    def picture(self, checkpoint: str) -> Path | None:
        """Return the picture to begin with; none where the checkpoint cannot be asked soon."""
        status = self._engines.status(checkpoint)
        if status.state not in (State.READY, State.LOADING):
            return None
        return _FIRST_SCENE if status.checkpoint.name == BUNDLED else ASTRONAUT

    def answer(self, checkpoint: str) -> Prediction | None:
        """Return what this checkpoint has answered, if it was asked before."""
        with self._lock:
            return self._answers.get(self._engines.status(checkpoint).checkpoint.name)

    def keep(self, item: Item, prediction: Prediction) -> None:
        """Keep the whole answer to the question that the page begins with."""
        question = replace(prediction.question, checkpoint="")
        if item.is_welcome and prediction.stage is RunStage.DONE and question == Question(DEFAULT_TASK.id):
            with self._lock:
                self._answers[prediction.checkpoint] = prediction


def greeted(tab: Tab, item: Item, answer: Prediction | None, line: dict[str, str]) -> Tab:
    """Return a tab that begins with an example; one that has a picture already keeps that: its user was quicker."""
    if tab.item.path:
        return tab
    begun = replace(tab, workspace=tab.workspace.with_new(item))
    return begun.with_answer(item.path, answer, None, line) if answer else begun
