"""Many tabs ask at the same time: a short slice of `python -m tests.holds.load`."""

import pytest

from tests.holds import load
from tests.holds.command import Order

pytestmark = pytest.mark.browser


def test_everybody_gets_their_own_answer() -> None:
    figures = load.carry_out(Order(seed=2, count=10))
    assert figures["failures"] == []
    assert (figures["own right answer"], figures["stopped or gone"]) == (6, 4)
