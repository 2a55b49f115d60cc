"""The workspace of a tab, the view of an answer, and the runs that can be stopped."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from playground.corrections import NO_CORRECTIONS, Corrections, corrected
from playground.drawing.styles import Look
from playground.question import Question
from playground.ui.session import Item, RunKey, Runs, Shown, Tab, Tabs, View, Workspace
from tests.ui.doubles import ANSWER, CAR, TREE, UNSCORED

ANN, BOB = RunKey("ann", "one picture"), RunKey("bob", "one picture")
ANNS_OTHER = RunKey("ann", "compare")


def workspace_of(*paths: str) -> Workspace:
    workspace = Workspace()
    for path in paths:
        workspace = workspace.with_new(Item(path))
    return workspace


# The workspace


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


# The view


@pytest.mark.parametrize(
    ("changes", "listed", "shown"),
    [
        pytest.param({}, [True, True, True], [True, True, True], id="all"),
        pytest.param({"min_score": 0.5}, [True, False, True], [True, False, True], id="no score is not judged by one"),
        pytest.param({"min_score": 0.9}, [True, False, True], [True, False, True], id="the lowest score is enough"),
        pytest.param({"labels": frozenset({"tree"})}, [False, True, False], [False, True, False], id="one label"),
        pytest.param({"hidden": frozenset({0})}, [True, True, True], [False, True, True], id="hidden, but listed"),
    ],
)
def test_a_view_says_what_is_listed_and_what_is_drawn(
    changes: dict[str, Any], listed: list[bool], shown: list[bool]
) -> None:
    view = replace(View(Look(styles=("box",)), 0.0, frozenset({"car", "tree"}), frozenset()), **changes)
    regions = (CAR, TREE, UNSCORED)
    assert [view.lists(place, region) for place, region in enumerate(regions)] == listed
    assert [view.shows(index, region) for index, region in enumerate(regions)] == shown


# Runs


def expecting(*keys: RunKey) -> Runs:
    runs = Runs()
    for key in keys:
        runs.expect(key)
    return runs


def test_stop_ends_a_run_that_goes_on_and_no_other_of_the_tab_or_of_another() -> None:
    runs = expecting(ANN, ANNS_OTHER, BOB)
    with runs.run(ANN) as ending, runs.run(ANNS_OTHER) as other, runs.run(BOB) as bobs:
        assert not runs.stop(ANN)
        assert (ending.is_set(), other.is_set(), bobs.is_set()) == (True, False, False)
        assert not ending.is_abandoned  # what it has is shown


def test_a_tab_that_closes_ends_all_of_its_runs_also_in_the_queue() -> None:
    runs = expecting(ANN, ANNS_OTHER, BOB)
    with runs.run(ANNS_OTHER) as other, runs.run(BOB) as bobs:
        runs.abandon_session("ann")
        assert (runs.find(ANN), other.is_abandoned, bobs.is_set()) == (None, True, False)


def test_a_run_that_is_stopped_before_it_begins_never_does() -> None:
    runs = expecting(ANN)
    assert runs.stop(ANN)
    with runs.run(ANN) as ending:
        assert ending.is_abandoned


def test_one_run_comes_of_one_press_however_many_are_begun() -> None:
    runs = expecting(ANN)
    with runs.run(ANN) as ending, runs.run(ANN) as second:
        assert (ending.is_abandoned, second.is_abandoned) == (False, True)
    with runs.run(ANN) as late:
        assert late.is_abandoned


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda runs: runs.stop(ANN), id="stopped"),
        pytest.param(lambda runs: runs.abandon(ANN), id="abandoned"),
        pytest.param(lambda runs: runs.abandon_session("ann"), id="closed"),
    ],
)
def test_nothing_that_ends_a_run_reaches_the_next_one(end: Callable[[Runs], None]) -> None:
    runs = Runs()
    end(runs)  # there is none
    for _ in range(2):
        runs.expect(ANN)
        with runs.run(ANN) as ending:
            assert (ending.is_set(), ending.is_abandoned) == (False, False)
            end(runs)
            assert ending.is_set()
        assert runs.find(ANN) is None


def test_a_run_that_is_expected_abandons_the_one_before_and_outlives_its_end() -> None:
    runs = expecting(ANN)
    with ExitStack() as old:
        before = old.enter_context(runs.run(ANN))
        runs.expect(ANN)
        assert before.is_abandoned
        with runs.run(ANN) as ending:
            old.close()
            runs.stop(ANN)
            assert ending.is_set()
            assert not ending.is_abandoned


def test_a_run_whose_reader_goes_is_ended_and_forgotten() -> None:
    runs, begun = expecting(ANN), []

    def go_on() -> Any:
        with runs.run(ANN) as ending:
            begun.append(ending)
            yield

    with closing(go_on()) as running:
        next(running)
    assert begun[0].is_set()
    assert runs.find(ANN) is None


# Tabs


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def item(tmp_path: Path) -> Item:
    path = tmp_path / "street.png"
    path.write_bytes(b"a picture")
    return Item(str(path), str(path), (60, 40), seed=7)


def answered(tab: Tab, item: Item) -> Tab:
    return tab.with_picture(item, 0).with_answer(item.path, ANSWER, None, {"text": "Done"})


@pytest.fixture
def tabs(item: Item) -> Tabs:
    """Ann's tab has an answer."""
    tabs = Tabs(Tab, 3600, Clock())
    tabs.open("ann", "", "a" * 32)
    tabs.change("ann", lambda tab: answered(tab, item))
    return tabs


def test_a_reload_brings_back_the_picture_with_its_last_answer(tabs: Tabs, item: Item) -> None:
    tabs.change("ann", lambda tab: replace(tab, shown=Shown.PARTIAL, line={"text": "Writing"}))
    tabs.close("ann")
    tab = tabs.open("anns next", "a" * 32, "b" * 32)
    assert (tab.item.path, tab.answer, tab.line) == (item.path, ANSWER, {"text": "Done"})
    assert tabs.open("again", "b" * 32, "c" * 32) == tab


def test_nobody_else_sees_it(tabs: Tabs) -> None:
    for key in ("", "b" * 32, "ann", "a" * 31):
        assert tabs.open("bob", key, "c" * 32) == Tab()
    assert tabs.of("bob") == Tab()


def test_a_duplicated_tab_goes_its_own_way(tabs: Tabs) -> None:
    tabs.open("twin", "a" * 32, "b" * 32)
    tabs.change("twin", lambda tab: tab.with_picture(Item("other"), 1))
    assert tabs.of("ann").answer == ANSWER
    assert tabs.of("twin").item == Item("other")


def test_who_was_quicker_than_the_load_of_the_page_keeps_the_new_picture(tabs: Tabs) -> None:
    tabs.change("anns next", lambda tab: tab.with_picture(Item("new"), 5))
    assert tabs.open("anns next", "a" * 32, "b" * 32).item == Item("new")


def test_a_picture_whose_file_is_gone_is_not_brought_back(tabs: Tabs, item: Item) -> None:
    Path(item.path).unlink()
    assert tabs.open("anns next", "a" * 32, "b" * 32) == Tab()


def test_a_closed_tab_is_kept_as_long_as_files_are_and_an_open_one_longer(item: Item) -> None:
    clock = Clock()
    tabs = Tabs(Tab, 60, clock)
    for session in ("open", "closed"):
        tabs.open(session, "", session[0] * 32)
        tabs.change(session, lambda tab: answered(tab, item))
    tabs.close("closed")
    clock.now = 61
    assert tabs.open("next", "c" * 32, "d" * 32) == Tab()
    assert tabs.of("open").answer == ANSWER


def test_a_connection_that_was_lost_for_a_moment_costs_nothing(tabs: Tabs) -> None:
    tabs.close("ann")
    assert tabs.change("ann", lambda tab: tab).answer == ANSWER


def test_so_many_tabs_and_answers_are_kept_and_closed_ones_go_first(
    item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.ui.session._MAX_BYTES", 3 * answered(Tab(), item).num_bytes)
    tabs = Tabs(Tab, 3600, Clock())
    for session in map(str, range(3)):
        tabs.change(session, lambda tab: answered(tab, item))
    tabs.close("1")
    tabs.change("3", lambda tab: answered(tab, item))
    assert [tabs.of(str(n)).answer is not None for n in range(4)] == [True, False, True, True]
    monkeypatch.setattr("playground.ui.session._MAX_TABS", 2)
    tabs.change("4", lambda tab: answered(tab, item))
    assert [tabs.of(str(n)).answer is not None for n in range(5)] == [False, False, False, True, True]


def test_of_two_pictures_the_one_that_was_given_last_stays(item: Item) -> None:
    tab = Tab().with_picture(Item("second"), 2)
    assert tab.with_picture(Item("first, but large"), 1) is tab
    assert tab.with_picture(item, 3).item == item
