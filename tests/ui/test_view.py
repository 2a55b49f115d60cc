"""What is listed and drawn of an answer."""

from dataclasses import replace
from typing import Any

import pytest

from playground.drawing.styles import Look
from playground.ui.view import View
from tests.ui.doubles import CAR, TREE, UNSCORED


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
