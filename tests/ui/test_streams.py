"""At what pace predictions reach those who asked."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from playground.events import RunStage
from playground.results import Prediction
from playground.ui import streams
from tests.ui.doubles import WRITING


class Clock:
    """The time is what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(streams.time, "monotonic", lambda: self.now)

    def at(self, *steps: tuple[float, Prediction]) -> Generator[Prediction, None, None]:
        for self.now, prediction in steps:
            yield prediction


def numbered(number: int, **changes: Any) -> Prediction:
    return replace(WRITING, text=str(number), **changes)


def test_at_most_ten_updates_a_second_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    tokens = [(index / 100, numbered(index)) for index in range(100)]  # a second, a token each hundredth
    passed = list(streams.paced(clock.at(*tokens)))
    assert 5 <= len(passed) <= 10
    assert passed[0].text == "0"


def test_each_new_stage_and_the_final_answer_are_passed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = (RunStage.WAITING, RunStage.ENCODING_IMAGE, RunStage.ENCODING_PROMPT, RunStage.WRITING)
    begun = [(0.0, numbered(index, stage=stage)) for index, stage in enumerate(stages)]
    written = [(0.01, numbered(4)), (0.02, numbered(5)), (0.03, numbered(6, is_final=True))]
    passed = streams.paced(Clock(monkeypatch).at(*begun, *written))
    assert [prediction.text for prediction in passed] == ["0", "1", "2", "3", "6"]


def test_what_is_due_after_a_pause_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = streams.paced(Clock(monkeypatch).at((0, numbered(0)), (0.05, numbered(1)), (0.2, numbered(2))))
    assert [prediction.text for prediction in passed] == ["0", "2"]


def test_a_reader_that_goes_ends_the_run() -> None:
    ended = []

    def predictions() -> Generator[Prediction, None, None]:
        try:
            yield WRITING
        finally:
            ended.append(True)

    paced = streams.paced(predictions())
    next(paced)
    paced.close()
    assert ended == [True]
