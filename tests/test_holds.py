"""A short slice of what the commands of `tests/holds` try for minutes; `docs/security.md` says what they find."""

import pytest

from playground.tasks import OutputKind
from tests.holds import api, faults, floods, grammar, intake, scan, soak
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


def test_no_file_takes_more_than_is_stated() -> None:
    reader = intake.Reader()
    for make in (intake.tiff_of_31_bits, intake.webp_without_loss, intake.deep_png_with_a_clear_color):
        outcome, seconds, growth = reader.read(make())
        assert outcome in ("accepted", "refused"), make.__name__
        assert (seconds <= intake.MAX_SECONDS, growth <= intake.MAX_GROWTH) == (True, True), (make, seconds, growth)
    reader.close()


def test_each_word_that_was_read_of_a_scan_is_found_at_its_place_and_other_pages_say_so() -> None:
    figures = scan.carry_out(Order(count=4))
    assert figures["failures"] == []
    assert (figures["pages"], figures["pages_said_to_be_unread"]) == (4, 3)
    assert figures["words_read"] > 0


def test_no_call_harms_the_server() -> None:
    figures = api.carry_out(Order(seed=2, count=150))
    assert figures["failures"] == []
    assert figures["answered"] > 10
    assert figures["refused"] > 50


@pytest.mark.long
def test_no_flood_keeps_the_others_out() -> None:
    figures = floods.carry_out(Order(count=12, seconds=len(floods.ATTACKS)))
    # How long others wait on a machine that has other work too says little: the command is for one that has none.
    assert [failure for failure in figures["failures"] if "others waited" not in failure] == []
    assert all(figures[door]["others"] >= 8 and figures[door]["worst_s"] < 30 for door in floods.ATTACKS)
    assert figures["memory_mb"]["peak"] < floods.MOST_MEMORY_MB


@pytest.mark.long
@pytest.mark.long
def test_runs_leave_nothing_behind() -> None:
    figures = soak.carry_out(Order(seed=2, count=16))
    assert figures["failures"] == []
    assert figures["most files"] > 10 > figures["files left"]
    assert figures["broken off"] > 1


@pytest.mark.long
def test_what_fails_ends_in_a_sentence_and_a_working_page() -> None:
    figures = faults.carry_out(Order(count=1))
    assert figures["failures"] == []
    assert figures["tried"] >= len(faults.FAULTS) - 2  # without the right to mount a small disk
    said = [sentence for sentence in figures["said"].values() if not sentence.startswith("not tried")]
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in said)
