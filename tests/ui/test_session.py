"""The workspace of a tab."""

from dataclasses import FrozenInstanceError, replace

import pytest

from playground.corrections import NO_CORRECTIONS, Corrections, corrected
from playground.question import Question
from playground.ui.session import Item, Shown, Tab, Workspace
from tests.ui.doubles import ANSWER


def workspace_of(*paths: str) -> Workspace:
    workspace = Workspace()
    for path in paths:
        workspace = workspace.with_new(Item(path))
    return workspace


def test_a_new_workspace_shows_a_picture_without_a_path() -> None:
    assert workspace_of().item == Item()
    assert Item().name == "picture"


def test_the_newest_picture_is_worked_on() -> None:
    assert workspace_of("/cache/a.png", "/cache/my street.png").item == Item("/cache/my street.png")


def test_a_workspace_never_changes() -> None:
    before = workspace_of("a")
    before.with_new(Item("b"))
    before.with_answer("a", ANSWER, None)
    assert before == Workspace((Item("a"),))
    with pytest.raises(FrozenInstanceError):
        before.items = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        before.item.path = "b"  # type: ignore[misc]


def test_the_oldest_pictures_are_let_go() -> None:
    workspace = workspace_of(*map(str, range(100)))
    assert len(workspace.items) < 32
    assert [item.path for item in workspace.items] == [str(n) for n in range(100 - len(workspace.items), 100)]


def test_an_answer_belongs_to_its_picture_and_to_no_other() -> None:
    workspace = workspace_of("a", "b").with_answer("a", ANSWER, None)
    assert [item.prediction for item in workspace.items] == [ANSWER, None]
    assert workspace.item == Item("b")
    assert workspace.with_answer("gone", ANSWER, None) == workspace
    twice = workspace_of("a", "b", "a").with_answer("a", ANSWER, None)  # the same file, given again
    assert [item.prediction for item in twice.items] == [None, None, ANSWER]


def test_the_next_answer_about_a_picture_stands_beside_the_one_before_unless_the_question_is_the_same() -> None:
    again, other = replace(ANSWER, text="again"), replace(ANSWER, question=Question("<CAPTION>"))
    workspace = workspace_of("a").with_answer("a", ANSWER, None).with_answer("a", again, None)
    assert [item.prediction for item in workspace.items] == [again]
    tab = Tab(workspace.with_answer("a", other, None), Shown.ANSWER)
    first, second = tab.workspace.items
    assert (first.prediction, second.prediction, tab.to_keep().workspace) == (again, other, tab.workspace)
    back = tab.with_past(first.answer_id, {"text": "Done"})
    assert (back.answer, back.workspace.items) == (again, (second, first))
    assert back.without_past(second.answer_id).workspace.items == (first,)
    assert back.without_past(first.answer_id) == back, "what is worked on stays"
    assert back.with_past("gone", {}) == back


def test_an_answer_that_was_corrected_stays_beside_the_next_one_and_comes_back_with_a_reload() -> None:
    corrections = Corrections(((1, None),))
    tab = Tab(workspace_of("a")).with_answer("a", ANSWER, None, {})
    tab = tab.with_corrections(tab.item.answer_id, corrections, 1)
    assert (tab.answer, tab.put_aside) == (corrected(ANSWER, corrections), None)
    assert tab.with_corrections(tab.item.answer_id, NO_CORRECTIONS, 1) == tab, "what comes late changes nothing"
    first = tab.item
    tab = tab.with_answer("a", replace(ANSWER, text="another"), None, {})
    late = tab.with_corrections(first.answer_id, Corrections(((0, None),)), 2)
    for kept in (tab, tab.to_keep(), replace(tab, shown=Shown.PARTIAL)):
        assert kept.put_aside == first
    assert (late.answer, late.put_aside and late.put_aside.version) == (tab.answer, 2)
    assert (tab.with_corrected({}).item, tab.with_corrected({}).put_aside) == (first, None)


def test_a_correction_that_comes_after_the_next_answer_brings_back_the_one_that_it_is_of() -> None:
    said = Tab(workspace_of("a")).with_answer("a", ANSWER, None, {})
    again = said.with_answer("a", replace(ANSWER, text="again"), None, {})
    assert (len(again.workspace.items), again.put_aside) == (1, None)
    corrections = Corrections(((1, None),))
    late = again.with_corrections(said.item.answer_id, corrections, 1)
    assert (late.answer, late.to_keep().put_aside) == (again.answer, late.put_aside)
    assert late.with_corrected({}).answer == corrected(ANSWER, corrections)
    assert late.with_corrections(said.item.answer_id, NO_CORRECTIONS, 1) == late
