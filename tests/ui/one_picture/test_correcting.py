"""An answer that is corrected on the page: whoever asks for it next gets the corrected one."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from playground.ui.components import EditsData, RegionTableData, StageData
from playground.ui.one_picture.controls import Choices
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER
from tests.ui.one_picture.tab import Tab, answered

Ask = Callable[..., Tab]
VAN = {"id": 0, "label": "van", "xyxy": [4, 4, 22, 16]}
NO_TREE = {"id": 1, "gone": True}


@pytest.fixture
def tab(ask: Ask) -> Tab:
    """A tab whose picture has an answer: a car, a tree, and a car without a score."""
    return answered(ask(ANSWER), ANSWER)


def edited(
    tab: Tab,
    *changes: dict[str, Any],
    version: int = 1,
    is_going_on: bool = True,
    offered: Sequence[str] = ("car", "tree"),
) -> StageData:
    told = EditsData(answer=tab.item.answer_id, version=version, is_going_on=is_going_on)
    return StageData(edits=told.model_copy(update={"changes": list(changes), "offered": list(offered)}))


def correct(tab: Tab, *changes: dict[str, Any], **options: Any) -> Updates:
    return tab.call(tab.handlers.correcting.correct, stage=edited(tab, *changes, **options))


def saved(tab: Tab, **form: Any) -> list[str]:
    path = Path(tab.call(tab.handlers.saving.save, format="json", **form)["file"])
    return [f"{region['label']} {region['source']}" for region in json.loads(path.read_text())["regions"]]


def test_what_follows_from_a_correction_is_shown_and_the_picture_is_drawn_at_its_end(tab: Tab) -> None:
    shown = correct(tab, VAN, NO_TREE)
    assert (shown["answer"], [box.label for box in shown["table"].boxes]) == ("van, car", ["van", "car"])
    assert [(box.id, box.source) for box in shown["stage"].boxes] == [(0, "edited"), (2, "model")]
    assert shown["labels"] == gr.update(choices=[("van · 1", "van"), ("car · 1", "car")], value=["van", "car"])
    assert "2 regions" in shown["status"][-1]["text"]
    assert (shown["stage"].annotated, shown["stage"].edits.version) == (None, 1)
    assert correct(tab, VAN, NO_TREE, version=2, is_going_on=False)["stage"].annotated is not None


def test_styles_are_chosen_for_a_shape_that_is_new_and_only_such_as_draw_something(tab: Tab) -> None:
    outline = {**VAN, "polygons": [[[4, 4], [22, 4], [22, 16]]]}
    assert correct(tab, outline)["style"]["value"] == ["box", "polygon", "mask"]
    assert correct(tab, outline, version=2, is_going_on=False)["style"]["value"] == ["box", "polygon", "mask"]
    assert correct(tab, version=3)["style"]["value"] == ["box"]


def test_styles_that_a_page_has_chosen_for_another_shape_than_is_there_by_now_make_way(tab: Tab) -> None:
    chosen = Choices(choices=["box"]).preprocess(["mask", ["no style"]])
    assert chosen == ["mask"]
    assert tab.call(tab.handlers.correcting.correct, stage=edited(tab), style=chosen)["style"]["value"] == ["box"]
    with pytest.raises(gr.Error, match="is not a style of drawing"):
        saved(tab, style=["box", "nothing"])


def test_whoever_asks_for_the_answer_gets_what_was_just_corrected(tab: Tab) -> None:
    stage = edited(tab, VAN, NO_TREE)
    assert saved(tab, stage=stage) == ["van edited", "car model"]
    boxes = tab.call(tab.handlers.redraw, min_score=0.95, stage=edited(tab, version=0))["stage"].boxes
    assert [box.label for box in boxes] == ["van", "car"], "what a person has corrected is not judged by a score"
    assert saved(tab, min_score=0, stage=edited(tab, version=0), table=RegionTableData(hidden=[2])) == ["van edited"]
    assert saved(tab, table=RegionTableData(hidden=[]), labels=["car"], stage=edited(tab, version=2)) == [
        "car model", "car model",
    ]  # fmt: skip


def test_what_comes_late_for_an_answer_that_has_gone_can_be_brought_back(tab: Tab) -> None:
    late = edited(tab, NO_TREE, version=3).edits
    assert late is not None
    answered(tab, ANSWER)  # to the same question
    shown = correct(tab)
    assert "back" not in shown
    stage = edited(tab, version=0).model_copy(update={"late": [late]})
    for _ in range(2):  # it is sent as long as the page is there
        shown = tab.call(tab.handlers.correcting.correct, stage=stage)
        assert shown["back"]["visible"]
    tab.call(tab.handlers.bring_back)
    assert saved(tab, stage=StageData()) == ["car model", "car model"]


def test_a_new_label_is_seen_until_the_page_was_offered_it_and_it_is_taken_away(tab: Tab) -> None:
    assert saved(tab, stage=edited(tab, VAN), labels=["tree"]) == ["van edited", "tree model"]
    offered = correct(tab, VAN, version=2)["stage"].edits.offered  # which is on its way while the page says the next
    assert saved(tab, stage=edited(tab, VAN, version=2), labels=["tree"]) == ["van edited", "tree model"]
    assert saved(tab, stage=edited(tab, VAN, version=2, offered=offered), labels=["tree"]) == ["tree model"]


def test_a_corrected_answer_outlives_the_next_question_and_a_reload(tab: Tab) -> None:
    run = tab.run(stage=edited(tab, VAN))
    *_, _last = run
    rest = tab.call(tab.handlers.rest)
    assert rest["back"] == gr.update(value="Bring back your correction", visible=True)
    assert saved(tab, stage=StageData(), labels=["car", "tree"]) == ["car model", "tree model", "car model"]
    shown = tab.call(tab.handlers.bring_back)
    assert [box.label for box in shown["stage"].boxes] == ["van", "tree", "car"]
    assert (shown["back"]["visible"], shown["stage"].edits.changes[0]["label"]) == (False, "van")


def test_corrections_that_cannot_be_are_a_sentence_and_change_nothing(tab: Tab) -> None:
    with pytest.raises(gr.Error, match=r"These corrections cannot be kept: .* outside of the picture"):
        correct(tab, {**VAN, "xyxy": [0, 0, 61, 40]})
    assert tab.item.prediction == ANSWER
