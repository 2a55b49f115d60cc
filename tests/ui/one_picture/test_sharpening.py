"""Sharper outlines on the page: asked for in the model's turn, the last point of several counts, and what cannot be had
is said."""

import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

import gradio as gr
import pytest

from playground.masks.prompts import MaskOutline, MaskPoint, MaskPrompt
from playground.masks.sharpener import MaskSteps, Sharpener
from playground.settings import Settings
from playground.ui import running, text
from playground.ui.components import AskData, StageData
from playground.ui.one_picture.looks import Liked
from tests.ui.doubles import ANSWER, CAR, ScriptedPredictor
from tests.ui.one_picture.tab import Tab, answered, tab_of

TRIANGLE = ((4.04, 4.0), (20.0, 4.0), (20.0, 16.0))


class Masks:
    """Outlines every box as the same triangle, and remembers what it was asked."""

    details = "On a test."

    def __init__(self) -> None:
        self.asked: list[MaskPrompt] = []

    def outlines(
        self, _: Any, prompts: Sequence[MaskPrompt], **__: Any
    ) -> Generator[tuple[int, MaskOutline], None, None]:
        self.asked += prompts
        yield from ((place, MaskOutline((TRIANGLE,), 0.5 + place / 10)) for place in range(len(prompts)))


def tab_with(upload: Callable[..., str], makes: Masks | None, **settings: Any) -> Tab:
    """A tab with an answer, over what makes masks or where that is missing."""
    steps = MaskSteps(find_local=lambda _: upload() if makes else None, load=lambda *_, **__: makes)
    predictor = ScriptedPredictor()
    predictor.sharpener = Sharpener(Settings(offline=True, **settings), steps=steps)
    tab = tab_of(predictor)
    tab.take(upload())
    return answered(tab, ANSWER)


def want(tab: Tab, *ids: int, **more: Any) -> Generator[Any, None, None]:
    ask = AskData(answer=tab.item.answer_id, what="sharpen", ids=list(ids), **more)
    tab.call(tab.handlers.ask_on, stage=StageData(ask=ask))
    list(tab.handlers.asks.wait("", tab.request))
    return tab.handlers.asks.ask("", "greedy", Liked(), tab.request)


def test_outlines_come_as_one_step_with_what_their_model_thinks_of_them(upload: Callable[..., str]) -> None:
    tab = tab_with(upload, masks := Masks())
    *_, last = want(tab, 0, 1)
    found = last["stage"].found
    assert [change["id"] for change in found.changes] == [0, 1]
    assert found.changes[0] == {"id": 0, "xyxy": [4, 4, 20, 16], "polygons": [[[4, 4], [20, 4], [20, 16]]]}
    assert found.is_final
    said = last["status"][-1]["text"]
    assert said.startswith("Sharpened 2 regions in ")
    assert said.endswith("Predicted IoU 0.50 to 0.60, which is no score")
    assert [prompt.box for prompt in masks.asked] == [region.xyxy for region in ANSWER.regions[:2]]
    assert tab.kept.answer == ANSWER


def test_the_next_point_takes_the_place_of_the_one_before(upload: Callable[..., str]) -> None:
    tab = tab_with(upload, masks := Masks())
    first = want(tab, 0, points=[[9, 9, 1]], box=list(CAR.xyxy))
    second = want(tab, 0, points=[[9, 9, 1], [5, 5, 0]], box=list(CAR.xyxy))
    updates = list(second)
    assert list(first) == []
    assert masks.asked == [MaskPrompt(CAR.xyxy, (MaskPoint(9, 9), MaskPoint(5, 5, is_plus=False)))]
    assert updates[-1]["stage"].found.points == [[9, 9, 1], [5, 5, 0]]
    with pytest.raises(gr.Error, match="These points cannot be used"):
        want(tab, 0, points=[[9, 9]])
    with pytest.raises(gr.Error, match="The box of this outline cannot be used"):
        want(tab, 0, box=[1, 2, 3])


def test_stop_while_the_model_is_loaded_is_the_last_that_is_said(
    upload: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tab, is_loaded, silent = tab_with(upload, None), threading.Event(), list[Callable[[], bool]]()
    steps = MaskSteps(find_local=lambda _: upload(), load=lambda *_, **__: is_loaded.wait(9) and Masks())
    sharpener = Sharpener(Settings(offline=True), steps=steps)
    monkeypatch.setattr(tab.handlers.asks._sharpening, "_sharpener", sharpener)
    monkeypatch.setattr(running, "silence", silent.append)  # what Gradio would send at the end is thrown away then
    tab.call(tab.handlers.ask_on, stage=StageData(ask=AskData(answer=tab.item.answer_id, what="sharpen", ids=[0])))
    waits = tab.handlers.asks.wait("", tab.request)
    next(waits)
    tab.handlers.asks.runs.stop(tab.request)
    assert list(waits) == []
    is_loaded.set()
    assert [is_over() for is_over in silent] == [True]
    assert tab.kept.line == text.line(text.STOPPED, "warning")


def test_what_is_missing_is_said_with_the_command_that_brings_it(upload: Callable[..., str]) -> None:
    tab = tab_with(upload, None)
    with pytest.raises(gr.Error, match=r"SAM 2\.1 tiny is not on this machine"):
        want(tab, 0)
    assert tab.kept.line is not None
    assert "hf download facebook/sam2.1-hiera-tiny" in tab.kept.line["details"]
    assert not tab.handlers.asks.runs.is_running(tab.request)
    with pytest.raises(gr.Error, match="turned off here"):
        want(tab_with(upload, None, masks="off"), 0)
    assert tab.kept.answer == ANSWER
