"""The runs that can be stopped."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import pytest

from playground.ui.runs import RunKey, Runs

ANN, BOB = RunKey("ann", "one picture"), RunKey("bob", "one picture")
ANNS_OTHER = RunKey("ann", "compare")


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
