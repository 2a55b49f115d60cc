"""The simulation of a cluster, where what must come of it is known."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("simpy", reason="simpy is not installed; requirements-scale.txt has it.")

from playground.serving.load import LoadFigures
from playground.serving.measuring import costs_in, costs_of
from playground.serving.queueing import Costs, People, simulate_people, simulate_visitors
from playground.serving.simulation import MEASURED, main
from playground.serving.sizing import PER_DAY, Machine, compare_runs, read_measured, replicas_needed

COSTS = Costs(
    client=0.0, proxy=0.0, rest=0.0, begin=0.3, token=0.02, more=0.2, new=1.0, wait=0.0, at_once=8
)  # of 10 tokens, an answer takes half a second alone, and eight of them 1.2 seconds together
MANY = [(10,)] * 16


@pytest.mark.parametrize(
    ("costs", "people", "processors", "per_minute"),
    [
        pytest.param(COSTS, [[(10,)]], 2, 120, id="one person waits for nobody"),
        pytest.param(COSTS, [[(10, 0)]], 2, 2 * 60 / 0.8, id="a long answer and a short one in turn"),
        pytest.param(COSTS, [MANY], 2, 8 * 60 / 1.2, id="eight are answered together"),
        pytest.param(COSTS, [MANY, MANY], 2, 16 * 60 / 1.2, id="a processor for each of two replicas"),
        pytest.param(COSTS, [MANY, MANY], 1, 8 * 60 / 1.2, id="two replicas share one processor"),
        pytest.param(COSTS, [MANY, []], 2, 8 * 60 / 1.2, id="all pictures at one replica"),
        pytest.param(replace(COSTS, threads=2.0), [MANY], 2, 8 * 60 / 0.6, id="an engine on two processors"),
        pytest.param(replace(COSTS, wait=0.2), [[(10,)]], 2, 60 / 0.7, id="a wait in which nobody works"),
        pytest.param(replace(COSTS, client=0.3), [MANY, MANY], 9, 60 / 0.3, id="a program that asks and can no more"),
        pytest.param(replace(COSTS, proxy=0.3), [MANY, MANY], 9, 60 / 0.3, id="a proxy that can no more"),
        pytest.param(replace(COSTS, rest=0.85), [MANY], 1, 60, id="work for which nobody waits"),
        pytest.param(replace(COSTS, accelerator=True), [MANY, MANY], 1, 16 * 60 / 1.2, id="two accelerators"),
    ],
)
def test_so_many_answers_come(costs: Costs, people: list[People], processors: int, per_minute: float) -> None:
    came = simulate_people(costs, people=people, processors=processors, lead=10, seconds=200)
    assert came.answers_per_minute == pytest.approx(per_minute, rel=0.05)


def test_other_programs_put_some_answers_off() -> None:
    alone, beside = (
        simulate_people(COSTS, people=[[(10,)], [(10,)]], processors=2, others=others, lead=10, seconds=400)
        for others in ((), [0.0] * 15 + [1.6] * 5)
    )
    assert alone.p95_s == pytest.approx(alone.p50_s)
    assert beside.p50_s == pytest.approx(alone.p50_s)
    assert beside.p95_s > 1.3 * alone.p95_s


def test_of_answers_that_are_written_together_the_short_ones_come_first() -> None:
    came = simulate_people(COSTS, people=[[(0,), (0,), (60,)]], processors=1, lead=0, seconds=1.2)
    assert came.answers_per_minute > 60, "more than the one that began at once"


def test_more_questions_need_more_replicas() -> None:
    machine = Machine(1, COSTS, (10,))
    few = simulate_visitors(
        COSTS, replicas=1, processors=1, answers=(10,), per_second=0.01, new_share=0.5, seconds=20_000
    )
    assert few.p95_s == pytest.approx(1.5, abs=0.3)
    needed = [replicas_needed(machine, per_day) for per_day in (1_000, 30_000, 100_000)]
    assert needed[0] == 1
    assert needed == sorted(needed)
    assert needed[-1] > 1


def test_the_costs_explain_what_was_measured() -> None:
    short = LoadFigures(1, 1, "x", "none", 2, p50_s=0.8, replica_cpu_s=0.4, client_cpu_s=0.1, proxy_cpu_s=0.05)
    long = replace(short, replica_cpu_s=0.7)
    crowd = replace(short, answered_together=8.0, replica_cpu_s=0.15, client_cpu_s=0.08, rest_cpu_s=0.01)
    costs = costs_of((5, short), (20, long), crowd, [(10, 10)] * 16, new=1.0, at_once=8, threads=1.0)
    assert costs == replace(COSTS, client=0.08, proxy=0.05, rest=0.01, wait=0.25)
    slower = replace(crowd, replica_cpu_s=0.3, proxy_cpu_s=0.07)
    assert costs_in(slower, costs, [(10, 10)] * 8) == replace(costs, begin=0.6, token=0.04, proxy=0.07)


def test_the_page_holds_what_is_simulated_and_how_far_that_is_off() -> None:
    measured = read_measured(MEASURED)
    page = MEASURED.with_suffix(".md").read_text(encoding="utf-8")
    for (checkpoint, replicas, people), figures in compare_runs(measured).items():
        said = []
        for name, digits in (("answers_per_minute", 0), ("p50_s", 2), ("p95_s", 2)):
            one = figures[name]
            said.append(f"{one.measured:.{digits}f} | {one.simulated:.{digits}f} | {100 * one.off:+.0f} %")
        assert f"| {checkpoint} | {replicas} | {people} | {' | '.join(said)} |" in page
    for per_day in PER_DAY[:3]:  # the last takes a minute
        needed = [str(replicas_needed(machine, per_day)) for machine in measured.machines.values()]
        assert f"| {per_day:,} | {' | '.join(needed)} |" in page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, r"cannot be read \(No such file or directory\)", id="no file"),
        pytest.param(b"{", "holds no measured times: invalid JSON", id="no JSON"),
        pytest.param(b"{}", "holds no measured times: processor: field required", id="something else"),
    ],
)
def test_bad_times_are_a_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "times.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["--times", str(file)])
    assert re.search(said, str(ended.value))
    assert "--measure" in str(ended.value)
