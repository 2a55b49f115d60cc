"""The workspace of a tab, the view of an answer, and the runs that can be stopped."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from playground.drawing.styles import Look
from playground.ui.session import Item, RunKey, Runs, View, Workspace
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


def test_the_next_answer_about_a_picture_takes_the_place_of_the_one_before() -> None:
    other = replace(ANSWER, text="another")
    workspace = workspace_of("a").with_answer("a", ANSWER, None).with_answer("a", other, None)
    assert workspace.items == (Item("a", prediction=other),)


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
    assert [view.lists(region) for region in regions] == listed
    assert [view.shows(index, region) for index, region in enumerate(regions)] == shown


# Runs


def test_stop_ends_a_run_that_goes_on_and_no_other_of_the_tab_or_of_another() -> None:
    runs = Runs()
    with runs.run(ANN) as ending, runs.run(ANNS_OTHER) as other, runs.run(BOB) as bobs:
        runs.stop(ANN)
        assert (ending.is_set(), other.is_set(), bobs.is_set()) == (True, False, False)
        assert [runs.is_stopped(key) for key in (ANN, ANNS_OTHER, BOB)] == [True, False, False]
        assert not ending.is_abandoned  # what it has is shown


def test_a_tab_that_closes_ends_all_of_its_runs_also_in_the_queue() -> None:
    runs = Runs()
    runs.expect(ANN)
    with runs.run(ANNS_OTHER) as other, runs.run(BOB) as bobs:
        runs.stop_session("ann")
        assert (runs.is_stopped(ANN), other.is_set(), bobs.is_set()) == (True, True, False)


def test_a_run_that_was_stopped_in_the_queue_ends_as_soon_as_it_begins() -> None:
    runs = Runs()
    runs.expect(ANN)
    assert not runs.is_stopped(ANN)
    runs.stop(ANN)
    with runs.run(ANN) as ending:
        assert ending.is_set()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda runs: runs.stop(ANN), id="stopped"),
        pytest.param(lambda runs: runs.abandon(ANN), id="abandoned"),
        pytest.param(lambda runs: runs.stop_session("ann"), id="closed"),
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
        assert not runs.is_stopped(ANN)  # it is forgotten


def test_an_abandoned_run_shows_nothing_more() -> None:
    runs = Runs()
    runs.expect(ANN)
    runs.abandon(ANN)
    with runs.run(ANN) as ending:
        assert (ending.is_set(), ending.is_abandoned) == (True, True)


def test_a_run_that_is_expected_abandons_the_one_before_and_outlives_its_end() -> None:
    runs = Runs()
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
    runs, begun = Runs(), []

    def go_on() -> Any:
        with runs.run(ANN) as ending:
            begun.append(ending)
            yield

    with closing(go_on()) as running:
        next(running)
    assert begun[0].is_set()
    assert not runs.is_stopped(ANN)
