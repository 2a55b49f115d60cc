"""What stands in for the real thing in tests of the page and of the API: a predictor, its engines, and what it says."""

import threading
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.engines import Engines, State, Status
from playground.events import RunStage
from playground.one_engine import OneEngine
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Region
from playground.results import Prediction, Timings
from playground.settings import Settings

CAR = Region("car", (4.0, 4.0, 20.0, 16.0), 0.9)
TREE = Region("tree", (30.0, 5.0, 40.0, 35.0), 0.4)
UNSCORED = Region("car", (44.0, 20.0, 58.0, 36.0))
WRITING = Prediction(Question("<OD>"), BUNDLED, (60, 40), stage=RunStage.WRITING)
ANSWER = replace(
    WRITING,
    text="car, tree",
    regions=(CAR, TREE, UNSCORED),
    raw_text="<s>car<loc_1></s>",
    stage=RunStage.DONE,
    is_final=True,
    timings=Timings(encode_image=0, encode_prompt=12, first_token=30, first_region=60, total=900),
)


class ScriptedPredictor(Predictor):
    """Checks a question as the real one does, and answers it with what a test has scripted; a stop ends the script."""

    def __init__(self, *script: Prediction | Exception, engines: Engines | None = None) -> None:
        super().__init__(engines or Pool(Settings(checkpoint=BUNDLED, offline=True)))  # of which nothing is loaded
        self.script = script
        self.asked: list[tuple[Any, Question]] = []
        self.stops: list[threading.Event | None] = []

    def run(
        self, image: Any, question: Question, *, stop: threading.Event | None = None
    ) -> Generator[Prediction, None, None]:
        check_question(question, self.read_image(image).resolution_wh)
        self.asked.append((image, question))
        self.stops.append(stop)
        return self._say(question, stop)

    def _say(self, question: Question, stop: threading.Event | None) -> Generator[Prediction, None, None]:
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if stop is not None and stop.is_set():
                yield replace(step, question=question, stage=RunStage.STOPPED, is_final=True)
                return
            yield replace(step, question=question)


class DirectedPredictor(Predictor):
    """Answers as another one does, but as slowly as a test wants; remembers what it was asked."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor.engines)
        self.seconds_a_step = 0.0
        self.script: tuple[Prediction, ...] = ()  # what it says instead, where there is one
        self.asked: list[Question] = []

    def run(
        self, image: Any, question: Question, *, stop: threading.Event | None = None
    ) -> Generator[Prediction, None, None]:
        self.asked.append(question)
        said = (replace(step, question=question) for step in self.script)
        return self._say(said if self.script else super().run(image, question, stop=stop))

    def _say(self, predictions: Generator[Prediction, None, None]) -> Generator[Prediction, None, None]:
        with closing(predictions):
            for prediction in predictions:
                yield prediction
                time.sleep(self.seconds_a_step)


class ScriptedEngines(OneEngine):
    """Engines of one checkpoint that passes through states, one a look; once ready, its answers have a longest."""

    def __init__(self, *states: State, max_answer_tokens: int = 512) -> None:
        self.states = list(states)
        self.max_answer_tokens = max_answer_tokens
        self.requested: list[str] = []

    @property
    def current_name(self) -> str:
        return BUNDLED

    def names(self) -> list[tuple[str, str]]:
        return [("Tiny demo model", BUNDLED)]

    def request(self, name: str = "") -> Status:
        self.requested.append(name)
        return self.status(name)

    def status(self, name: str = "") -> Status:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        longest = self.max_answer_tokens if state is State.READY else None
        return Status(resolve(BUNDLED), state, f"Tiny demo model is {state.value}.", max_answer_tokens=longest)
