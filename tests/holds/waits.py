"""Somebody asks one question after another while a job is at work: how long each waits for a turn.

A job takes turns with people, a group of pictures at a time, so that whoever asks waits for no more than the group in
work.

    python -m tests.holds.waits --count 30
"""

import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from playground.annotate.jobs import Jobs
from playground.checkpoints.catalog import BUNDLED
from playground.events import RunStage
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.inference.run import Run
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.scene import make_scene
from playground.settings import Settings
from tests.holds import command as holds

_QUESTION = Question("<OD>", checkpoint=BUNDLED)
_SEED = 3_000_000
_PICTURES_A_QUESTION = 32  # that the job has for each question: it is never over before the questions are
_SECONDS_BETWEEN = 0.3


class _Groups:
    """When each group of the job had its turn."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.turns: list[tuple[float, float]] = []
        answer = Engine._answer

        def timed(engine: Engine, model: PreparedModel, run: Run) -> None:
            began = time.monotonic()
            answer(engine, model, run)
            if len(run.asks) > 1:
                self.turns.append((began, time.monotonic()))

        patch.setattr(Engine, "_answer", timed)

    def begun_within(self, first: float, last: float) -> int:
        """Return how many groups had their turn from its beginning to its end in a time."""
        return sum(first < began and ended <= last for began, ended in self.turns)


def _ask(predictor: Predictor, seed: int) -> tuple[float, float, float]:
    """Ask about a new picture; returns when, when it was the question's turn, and when the answer was complete."""
    picture = make_scene(seed, resolution_wh=(320, 240)).image
    asked, turn = time.monotonic(), 0.0
    for prediction in predictor.run(picture, _QUESTION):
        if not turn and prediction.stage is not RunStage.WAITING:
            turn = time.monotonic()
    return asked, turn, time.monotonic()


def hold(order: holds.Order) -> Mapping[str, Any]:
    """Ask alone, then beside a job."""
    predictor = Predictor.load(BUNDLED, device="cpu", offline=True)
    _ask(predictor, _SEED - 1)
    alone = [_ask(predictor, _SEED + number) for number in range(order.count)]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        groups, visitor = _Groups(patch), Path(folder) / "visitor"
        visitor.mkdir()
        paths = [visitor / f"{number}.png" for number in range(order.count * _PICTURES_A_QUESTION)]
        for number, path in enumerate(paths):
            make_scene(_SEED + 10_000 + number, resolution_wh=(128, 128)).image.save(path)
        jobs = Jobs(predictor, Settings(), Path(folder))
        job = jobs.find(jobs.create([str(path) for path in paths], visitor))
        jobs.start(job, _QUESTION)
        while not groups.turns:
            threading.Event().wait(0.01)
        beside = []
        for number in range(order.count):
            time.sleep(_SECONDS_BETWEEN)
            beside.append(_ask(predictor, _SEED + 20_000 + number))
        is_at_work, progress = job.is_working, job.progress()
        jobs.close()
    overtaken = [groups.begun_within(asked, turn) for asked, turn, _ in beside]
    waits = [turn - asked for asked, turn, _ in beside]
    return {
        "questions": order.count,
        "wait_s": {"median": round(median(waits), 3), "worst": round(max(waits), 3)},
        "answer_s": {
            name: {"median": round(median(times), 3), "worst": round(max(times), 3)}
            for name, times in (
                ("alone", [done - asked for asked, _, done in alone]),
                ("beside_a_job", [done - asked for asked, _, done in beside]),
            )
        },
        "longest_group_s": round(max(ended - began for began, ended in groups.turns), 3),
        "pictures_of_the_job": progress.num_done,
        "failures": [
            *(f"{count} groups had their turn while somebody waited" for count in overtaken if count > 1),
            *([] if is_at_work else ["the job was over before the questions were"]),
        ],
    }


if __name__ == "__main__":
    holds.main("waits", "Ask single questions while a job is at work.", hold, count=30)
