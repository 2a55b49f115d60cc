"""A short slice of what the commands of `tests/holds` try for minutes; SECURITY in the README says what they find."""

from playground.tasks import OutputKind
from tests.holds import api, grammar, intake
from tests.holds.command import Order


def test_no_answer_harms_the_grammar() -> None:
    figures = grammar.carry_out(Order(seed=2, count=300))
    assert figures["failures"] == []
    assert figures["tried"] == 300 * len(OutputKind)
    assert figures["regions"] > figures["tried"] / 2  # what is fed is not all refused


def test_no_file_harms_intake() -> None:
    figures = intake.carry_out(Order(seed=2, count=150))
    assert figures["failures"] == []
    assert figures["processes_lost"] == 0
    assert figures["accepted"] > 30
    assert figures["refused"] > 30


def test_no_call_harms_the_server() -> None:
    figures = api.carry_out(Order(seed=2, count=150))
    assert figures["failures"] == []
    assert figures["answered"] > 10
    assert figures["refused"] > 50
