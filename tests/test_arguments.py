"""Numbers on a command line."""

import argparse
from collections.abc import Callable

import pytest

from playground.arguments import number, whole


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        pytest.param(whole(), "0", 0, id="the least"),
        pytest.param(whole(1, 9), "9", 9, id="the most"),
        pytest.param(number(0.5), "5e-1", 0.5, id="an exponent"),
    ],
)
def test_numbers_are_read(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        pytest.param(whole(), "-1", "a whole number of at least 0, but got '-1'", id="below"),
        pytest.param(whole(1, 9), "10", "a whole number from 1 to 9, but got '10'", id="beyond"),
        pytest.param(whole(1), "2.5", "a whole number of at least 1, but got '2.5'", id="a fraction"),
        pytest.param(whole(1), "", "but got ''", id="nothing"),
        pytest.param(whole(1), "9" * 5000, "but got '999", id="more digits than Python reads"),
        pytest.param(number(1), "nan", "a number of at least 1, but got 'nan'", id="no number"),
        pytest.param(number(1), "inf", "a number of at least 1, but got 'inf'", id="no end"),
        pytest.param(number(0, 1), "1.01", "a number from 0 to 1, but got '1.01'", id="above a share"),
        pytest.param(number(), "many", "but got 'many'", id="a word"),
    ],
)
def test_what_is_no_such_number_is_a_sentence(read: Callable[[str], float], text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read(text)
    assert said in str(refused.value)
