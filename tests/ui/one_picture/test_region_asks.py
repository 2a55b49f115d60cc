"""Questions about regions of an answer: put in the model's turn, shown while they are answered, never at the cost of
what is there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from playground.events import RunStage
from playground.regions import Region
from playground.ui import text
from playground.ui.components import AskData, EditsData, StageData
from playground.ui.one_picture.looks import Liked
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER, CAR, TREE, UNSCORED
from tests.ui.one_picture.tab import Tab, answered, pixels

Ask = Callable[..., Tab]
SAID = replace(
    ANSWER,
    regions=(Region("a red car", CAR.xyxy), Region("a tall tree", TREE.xyxy)),
    notices=("It guesses.",),
    is_final=False,
    stage=RunStage.WRITING,
)
DESCRIBED = replace(SAID, is_final=True, stage=RunStage.DONE)


def asking(tab: Tab, *ids: int, what: str = "describe", **stage: Any) -> StageData:
    return StageData(ask=AskData(answer=tab.item.answer_id, what=what, ids=list(ids)), **stage)


def put(tab: Tab, *ids: int, **options: Any) -> list[Updates]:
    tab.call(tab.handlers.ask_on, stage=asking(tab, *ids, **options))
    return list(tab.handlers.asks.ask("", "greedy", Liked(), tab.request))


def test_what_is_found_is_shown_while_it_is_written_and_the_answer_stays(ask: Ask) -> None:
    tab = answered(ask(SAID, DESCRIBED), ANSWER)
    *updates, last = put(tab, 0, 1, 2)
    assert [update["stage"].found.is_final for update in updates] == [False] * len(updates)
    assert updates[0]["status"][-1]["text"] == "Describing 3 regions…"
    assert last["stage"].found.is_final
    assert last["stage"].found.changes == [{"id": 0, "text": "a red car"}, {"id": 1, "text": "a tall tree"}]
    assert last["status"][-1]["text"].startswith("Described 2 of 3 regions in ")
    assert last["status"][-1]["text"].endswith(" s. It guesses.")
    assert tab.kept.answer == ANSWER
    assert tab.predictor.asked[0][1].regions == (CAR.xyxy, TREE.xyxy, UNSCORED.xyxy), "all in one question"


def test_it_is_asked_about_the_region_as_it_was_just_corrected(ask: Ask) -> None:
    tab = answered(ask(DESCRIBED), ANSWER)
    change = {"id": 0, "label": "van", "xyxy": [4, 4, 30, 16]}
    edits = EditsData(answer=tab.item.answer_id, version=1, changes=[change])
    put(tab, 0, edits=edits)
    assert tab.predictor.asked[0][1].regions == ((4, 4, 30, 16),)


def test_many_regions_are_asked_about_in_turn_until_stop(ask: Ask) -> None:
    regions = tuple(Region(f"{n}", (n, n, n + 5, n + 5)) for n in range(30))
    tab = answered(ask(replace(DESCRIBED, regions=())), replace(ANSWER, regions=regions))
    put(tab, *range(30))
    assert [len(question.regions) for _, question in tab.predictor.asked] == [24, 6]
    tab.predictor.asked.clear()
    tab.call(tab.handlers.ask_on, stage=asking(tab, *range(30)))
    run = tab.handlers.asks.ask("", "greedy", Liked(), tab.request)
    next(run)
    tab.call(tab.handlers.stop)
    *_, last = run
    assert "Stopped before the end" in last["status"][-1]["text"]
    assert len(tab.predictor.asked) == 1


def test_what_is_alike_is_an_answer_of_its_own_and_a_stop_leaves_the_one_before(ask: Ask) -> None:
    found = replace(ANSWER, scores_are_likeness=True)
    tab = answered(ask(), ANSWER)
    tab.predictor.find_more = lambda *_, **__: found
    *_, last = put(tab, 0, what="more")
    assert last["min_score"] == 0.8
    assert [item.prediction for item in tab.kept.workspace.items] == [found]
    tab = answered(ask(), ANSWER)
    tab.predictor.find_more = lambda *_, stop, **__: stop.set() or found
    *_, last = put(tab, 0, what="more")
    assert last["status"][-1]["text"] == "Stopped; the answer before stays."
    assert (tab.kept.answer, tab.kept.item.prediction) == (ANSWER, ANSWER)


def test_nothing_that_goes_on_is_given_up_for_it_and_run_gives_it_up(ask: Ask) -> None:
    tab = answered(ask(SAID, DESCRIBED), ANSWER)
    tab.call(tab.handlers.ask_on, stage=asking(tab, 0))
    asked = tab.handlers.asks.ask("", "greedy", Liked(), tab.request)
    next(asked)
    with pytest.raises(gr.Error, match=text.STILL_ANSWERING):
        tab.call(tab.handlers.ask_on, stage=asking(tab, 1))
    assert tab.call(tab.handlers.begin, stage=StageData())["stage"] == StageData(keep=True)
    assert list(asked) == []
    with pytest.raises(gr.Error, match=text.STILL_ANSWERING):
        tab.call(tab.handlers.ask_on, stage=asking(tab, 1))


def test_what_cannot_be_asked_is_a_sentence(ask: Ask) -> None:
    tab = answered(ask(RuntimeError("a bug")), ANSWER)
    for stage, sentence in (
        (asking(tab, 7), "These regions are gone"),
        (asking(tab, 0, what="paint"), "is nothing that is asked about a region"),
        (StageData(), "is nothing that is asked about a region"),
    ):
        with pytest.raises(gr.Error, match=sentence):
            tab.call(tab.handlers.ask_on, stage=stage)
    (last,) = put(tab, 0)
    assert last["stage"].found.is_final
    assert last["status"][-1]["tone"] == "error"


def test_a_region_is_cut_out_at_full_size(ask: Ask) -> None:
    quad = (10.0, 10.0, 30.0, 10.0, 30.0, 20.0, 10.0, 20.0)
    tilted = Region("sign", (10, 10, 30, 20), xyxyxyxy=quad)
    tab = answered(ask(), replace(ANSWER, regions=(replace(CAR, xyxy=(4.5, 4, 20.2, 16)), tilted)))
    tab.form |= {"labels": ["car", "sign"], "style": []}
    for place, size, mode in ((0, (17, 12), "RGB"), (1, (20, 10), "RGBA")):
        path = Path(tab.call(tab.handlers.asks.cut_out, stage=asking(tab, place))["file"])
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == (size, mode)
    cover = [{"id": 1, "label": "sign", "xyxy": tilted.xyxy, "quad": quad, "source": "model", "cover": "cover"}]
    covered = EditsData(answer=tab.item.answer_id, version=1, changes=cover)
    stage = asking(tab, 0).model_copy(update={"edits": covered})
    path = Path(tab.call(tab.handlers.asks.cut_out, stage=stage)["file"])
    assert pixels(str(path))[8:, 8:].max() == 0, "what is covered is in no file"
    assert tab.item.prediction is not None
    assert [(region.source, region.cover) for region in tab.item.prediction.regions][1] == ("model", "cover")
