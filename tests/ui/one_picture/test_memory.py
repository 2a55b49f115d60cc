"""What a browser sends of a tab at its reload, which anybody may have written."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from playground.question import Question
from playground.ui.link import Link
from playground.ui.memory import Memory
from playground.ui.one_picture.names import NameData
from playground.ui.session import Shown
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER, WRITING
from tests.ui.one_picture.tab import Tab, answered

Ask = Callable[..., Tab]
KEY, NEXT = "a" * 32, "b" * 32


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", json.dumps({"before": 1, "key": "A" * 32, "task": None}), " " * 100_000, '"' + "[" * 9000],
)
def test_what_makes_no_sense_is_as_if_it_were_not_there(content: str) -> None:
    assert Memory.read(content) == Memory()


def reloaded(tab: Tab, **memory: str) -> tuple[Tab, Updates]:
    """Return the tab of the page that was loaded again, and what it was given."""
    next_tab = tab.beside("after the reload")
    return next_tab, next_tab.call(tab.handlers.open, memory=json.dumps(memory))


@pytest.fixture
def tab(ask: Ask) -> Tab:
    tab = ask(WRITING, ANSWER)
    tab.call(tab.handlers.open, memory=json.dumps({"key": KEY}))
    return tab


def test_a_reload_brings_back_the_form_and_the_answer(tab: Tab) -> None:
    answered(tab, ANSWER)
    tab.call(tab.handlers.leave)
    names = {"names": [{"asked": "a kite", "called": "toy"}], "limits": {"toy": 0.4}, "one_by_one": True}
    form = json.dumps({"names": names, "look_closer": True})
    next_tab, updates = reloaded(tab, before=KEY, key=NEXT, task="<REGION_TO_CATEGORY>", phrase="a kite", form=form)
    assert (updates["task"], updates["phrase"]["value"]) == ("<REGION_TO_CATEGORY>", "a kite")
    assert updates["look_closer"]["value"]
    assert updates["names"].model_dump(include=names.keys()) == names
    assert len(updates["stage"].boxes) == len(ANSWER.regions)
    assert (updates["stage"].draw, updates["details"]["visible"]) == (True, True)
    assert next_tab.kept.answer == ANSWER


def test_a_reload_during_a_run_ends_it_and_brings_back_the_last_whole_answer(tab: Tab) -> None:
    answered(tab, ANSWER)
    running = tab.run()
    next(running)
    tab.call(tab.handlers.leave)
    assert list(running) == []
    next_tab, updates = reloaded(tab, before=KEY, key=NEXT)
    assert (next_tab.kept.answer, next_tab.kept.shown) == (ANSWER, Shown.ANSWER)
    assert updates["run"]["interactive"]


def test_a_first_visit_and_an_unknown_task_open_the_page_as_it_is(tab: Tab) -> None:
    _, updates = reloaded(tab, key=NEXT, task="<WHAT>")
    assert updates["task"] == "<OD>"
    to_try = {"examples", "photographs", "scene"}
    form = {"task", "phrase", "names", "look_closer", "checkpoint"}
    assert updates.keys() == {*form, "held", "looks_kept", "asks", *to_try}
    assert updates["asks"] is False


ASKED = Question(
    "<OPEN_VOCABULARY_DETECTION>", "car", names={"tree": "plant"}, one_by_one=True, tiles=0, decoding="careful"
)
FORM = {"task": ASKED.task, "decoding": "careful"}


def test_a_link_and_an_answer_of_before_bring_back_all_that_was_asked(ask: Ask) -> None:
    regions = Question("<REGION_TO_OCR>", regions=[[1, 2, 30, 20]], decoding="no such")
    tab = ask(ANSWER)
    written = [
        tab.beside("linked").call(tab.handlers.open, memory=json.dumps({"link": Link(ASKED, seed=1).write()})),
        picked(tab, ASKED),
    ]
    for updates in written:
        assert {name: updates[name] for name in FORM} == FORM
        assert (updates["phrase"]["value"], updates["look_closer"]["value"]) == ("car, tree", True)
        assert (updates["names"].names, updates["names"].one_by_one) == ([NameData(asked="tree", called="plant")], True)
    opened = tab.beside("other").call(tab.handlers.open, memory=json.dumps({"link": Link(regions, seed=1).write()}))
    for updates in (opened, picked(tab, regions)):
        assert updates["stage"].regions == [[1, 2, 30, 20]]
        assert "decoding" not in updates


def picked(tab: Tab, question: Question) -> Updates:
    answered(tab, replace(ANSWER, question=question))
    return tab.call(tab.handlers.pick, history=tab.item.answer_id)
