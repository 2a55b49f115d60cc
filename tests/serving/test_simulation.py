"""The simulation of a cluster, where what must come of it is known."""

import json

import pytest

simpy = pytest.importorskip("simpy", reason="simpy is not installed; requirements-scale.txt has it.")

from playground.serving.simulation import (  # noqa: E402  # which needs simpy
    MEASURED,
    ReplicaTimes,
    compare_runs,
    replicas_needed,
    simulate_people,
    simulate_visitors,
)

TIMES = ReplicaTimes(encode=1.0, alone=0.5, together=1.2, way=0.0)


def test_one_person_waits_for_nobody_and_eight_are_answered_together() -> None:
    alone = simulate_people(TIMES, replicas=1, people=1, seconds=60)
    assert alone.answers_per_minute == pytest.approx(120, abs=2)
    assert alone.p50_s == pytest.approx(0.5)
    together = simulate_people(TIMES, replicas=1, people=8, seconds=120)
    assert together.answers_per_minute == pytest.approx(8 * 60 / 1.2, rel=0.05)
    two = simulate_people(TIMES, replicas=2, people=16, seconds=120)
    assert two.answers_per_minute == pytest.approx(2 * 8 * 60 / 1.2, rel=0.05)


def test_more_questions_need_more_replicas() -> None:
    assert simulate_visitors(TIMES, replicas=1, per_second=0.01, seconds=20_000).p95_s == pytest.approx(1.5, abs=0.3)
    needed = [replicas_needed(TIMES, per_day) for per_day in (1_000, 30_000, 100_000)]
    assert needed[0] == 1
    assert needed == sorted(needed)
    assert needed[-1] > 1


def test_the_page_says_how_far_the_simulation_is_from_what_was_measured() -> None:
    rows = compare_runs(json.loads(MEASURED.read_text(encoding="utf-8"))["runs"])
    page = MEASURED.with_suffix(".md").read_text(encoding="utf-8")
    for row in rows:
        assert f"| {row['replicas']} | {row['people']} | {row['measured']:.0f} | {row['simulated']:.0f} |" in page
