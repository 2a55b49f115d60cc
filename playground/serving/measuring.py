"""What an answer costs in a cluster on this machine, in processor time, and how many answers come of it.

People ask as those of `playground.serving.load` do: one alone, who gets short answers and then long ones, and some
together, from whom the costs follow; and others, against whom a simulation is held. All of them in turn, several times,
so that other programs disturb all alike.
"""

import json
import os
import platform
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from statistics import mean, median

from playground import console
from playground.pictures.reader import InputImage, read_image
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.scene import make_scene
from playground.serving.client import RemoteEngines
from playground.serving.load import (
    ASKED_TASKS,
    MAX_PICTURES,
    LoadFigures,
    expected_answers,
    first_pictures,
    local_engines,
    measure_load,
)
from playground.serving.queueing import Costs
from playground.serving.sizing import Machine, Measured, MeasuredRun
from playground.settings import Settings

_CROWD = 16  # people, by whom it is measured what answers cost together
_HELD_AGAINST = (10, 50)  # people, who are simulated too
_ROUNDS, _LEAD_SECONDS = 5, 3.0
_COST_SECONDS, _RUN_SECONDS = 5.0, 20.0  # the slowest twentieth of fewer answers would be chance
_TIMES = ("client", "proxy", "rest", "begin", "token", "more", "new", "wait", "threads")

Expected = dict[tuple[str, str], str]  # what is answered, by picture and task


def measure_cluster(checkpoint: str) -> Measured:
    """Measure what an answer costs in clusters of one and of two replicas, and how many answers come of them."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in replicas: threads that wait take no processor time
    name, processors = os.path.basename(checkpoint.rstrip("/")), os.cpu_count() or 1
    pictures = first_pictures(MAX_PICTURES)
    expected = expected_answers(checkpoint, pictures)
    new, threads = _measure_engine(checkpoint)
    machines, runs = {}, []
    for replicas in (1, 2):
        with local_engines(replicas, checkpoint) as engines:
            assert isinstance(engines, RemoteEngines)
            watched = _Watched(
                engines, replicas, name, pictures, expected, new=new, threads=threads if replicas == 1 else 1.0
            )
            for _ in range(_ROUNDS):
                costs = watched.costs()
                runs += [watched.run(people, costs) for people in _HELD_AGAINST]
        if replicas == 1:
            machine = Machine(processors, median_costs([run.costs for run in runs]), tuple(sorted(watched.tokens)))
            machines[f"{name}, {processors} processors"] = machine
    return Measured(processor_name(), machines, tuple(runs))


class _Watched:
    """A cluster whose answers are known, and are counted while people ask it."""

    def __init__(
        self,
        engines: RemoteEngines,
        replicas: int,
        checkpoint: str,
        pictures: Sequence[InputImage],
        expected: Expected,
        *,
        new: float,
        threads: float,
    ) -> None:
        self._replicas = replicas
        self._engines, self._checkpoint, self._pictures, self._expected = engines, checkpoint, pictures, expected
        self._new, self._threads = new, threads
        self._processors = os.cpu_count() or 1
        with engines.acquire() as engine:
            self._at_once = engine.max_asks
            said = [[expected[picture.digest, task] for task in ASKED_TASKS] for picture in pictures]
            self._tokens = [tuple(engine.num_tokens(text) for text in texts) for texts in said]

    @property
    def tokens(self) -> list[int]:
        """The tokens of all answers."""
        return [number for numbers in self._tokens for number in numbers]

    def costs(self) -> Costs:
        """Measure what answers cost now: short ones and long ones alone, and many together."""
        by_length = sorted(range(len(self._pictures)), key=lambda place: sum(self._tokens[place]))
        short, long = (self._figures(1, self._pictures[place : place + 1]) for place in (by_length[0], by_length[-1]))
        crowd = self._figures(_CROWD)
        lengths = [mean(self._tokens[place]) for place in (by_length[0], by_length[-1])]
        return costs_of(
            (lengths[0], short), (lengths[1], long), crowd, [self._tokens[place] for place in range(_CROWD)],
            new=self._new, at_once=self._at_once, threads=self._threads,
        )  # fmt: skip

    def run(self, people: int, costs: Costs) -> MeasuredRun:
        """Let people ask."""
        figures = self._figures(people, seconds=_RUN_SECONDS)
        by_replica: dict[str, list[tuple[int, ...]]] = {}
        for person in range(people):
            place = person % len(self._pictures)
            replica = self._engines.connection.answered_by[self._pictures[place].digest]
            by_replica.setdefault(replica, []).append(self._tokens[place])
        return MeasuredRun(
            self._checkpoint, tuple(map(tuple, by_replica.values())), figures.answers_per_minute, figures.p50_s or 0.0,
            figures.p95_s or 0.0, self._processors, figures.others_in_turn, _LEAD_SECONDS, figures.seconds,
            costs_in(figures, costs, [self._tokens[person % len(self._tokens)] for person in range(people)]),
        )  # fmt: skip

    def _figures(
        self, people: int, pictures: Sequence[InputImage] = (), *, seconds: float = _COST_SECONDS
    ) -> LoadFigures:
        figures = LoadFigures(self._replicas, people, self._checkpoint, "none", self._processors)
        pictures = pictures or self._pictures[:people]
        measure_load(
            self._engines, figures, seconds, expected=lambda _: self._expected, pictures=pictures,
            lead=_LEAD_SECONDS if people > 1 else 0.0,
        )  # fmt: skip
        console.say(json.dumps(asdict(figures)))
        return figures


def costs_of(
    short: tuple[float, LoadFigures],
    long: tuple[float, LoadFigures],
    crowd: LoadFigures,
    crowd_tokens: Sequence[Sequence[int]],
    *,
    new: float,
    at_once: int,
    threads: float,
) -> Costs:
    """Return the costs that explain what was measured of short answers, of long ones, and of many people.

    Of the first two, the mean number of tokens comes with the figures; of the many, that of each answer.
    """
    (few, of_few), (many, of_many) = short, long
    token = max(0.0, (of_many.replica_cpu_s - of_few.replica_cpu_s) / max(1.0, many - few))
    begin = max(0.0, of_few.replica_cpu_s - few * token)
    together = max(1.01, crowd.answered_together or 1.0)
    longest = _mean_longest([number for numbers in crowd_tokens for number in numbers], round(together))
    grown = crowd.replica_cpu_s * together / (begin + token * longest)
    works = of_few.client_cpu_s + of_few.proxy_cpu_s + of_few.replica_cpu_s / threads
    costs = Costs(
        client=crowd.client_cpu_s, proxy=crowd.proxy_cpu_s, rest=crowd.rest_cpu_s, begin=begin, token=token,
        more=min(1.0, max(0.0, (grown - 1) / (together - 1))), new=new,
        wait=max(0.0, (of_few.p50_s or 0.0) - works), at_once=at_once, threads=threads,
    )  # fmt: skip
    return _rounded(costs)


def costs_in(run: LoadFigures, costs: Costs, tokens: Sequence[Sequence[int]]) -> Costs:
    """Return costs as they were in a run: an answer takes more processor time where other programs share the caches.

    `tokens` are those of the answers of each person.
    """
    together = max(1.0, run.answered_together or 1.0)
    longest = _mean_longest([number for numbers in tokens for number in numbers], round(together))
    usual = (costs.begin + costs.token * longest) * (1 + costs.more * (together - 1)) / together
    times = run.replica_cpu_s / usual
    now = replace(
        costs, client=run.client_cpu_s, proxy=run.proxy_cpu_s, rest=run.rest_cpu_s, begin=times * costs.begin,
        token=times * costs.token,
    )  # fmt: skip
    return _rounded(now)


def _mean_longest(tokens: Sequence[int], together: int) -> float:
    chance = random.Random(0)
    return mean(max(chance.choices(tokens, k=together)) for _ in range(500))


def median_costs(rounds: Sequence[Costs]) -> Costs:
    """Return the costs of several rounds as those of one."""
    middle = {f.name: median(getattr(costs, f.name) for costs in rounds) for f in fields(Costs) if f.name in _TIMES}
    return _rounded(replace(rounds[0], **middle))


def _rounded(costs: Costs) -> Costs:
    return replace(costs, **{name: round(getattr(costs, name), 5) for name in _TIMES})


def _measure_engine(checkpoint: str) -> tuple[float, float]:
    """Return the processor time that a new picture takes, and on how many processors an engine works at once."""
    pool = Pool(Settings(checkpoint=checkpoint, device="cpu", offline=True, load_wait_seconds=600))
    predictor, question = Predictor(pool), Question("<OD>", max_new_tokens=40)
    predictor.predict(read_image(make_scene(7_999_999).image), question)
    new, threads = [], []
    for number in range(6):
        picture = read_image(make_scene(8_000_000 + number).image)
        (first, _), (second, clock) = (_timed(predictor, picture, question) for _ in range(2))
        new.append(first - second)
        threads.append(second / clock)
    pool.close()
    return median(new), min(os.cpu_count() or 1, max(1.0, *threads))


def _timed(predictor: Predictor, picture: InputImage, question: Question) -> tuple[float, float]:
    """Return the processor time of an answer, and the time on the clock."""
    used, started = time.process_time(), time.perf_counter()
    predictor.predict(picture, question)
    return time.process_time() - used, time.perf_counter() - started


def processor_name() -> str:
    """Return what the processor of this machine calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
