"""How many replicas so many people need: `python -m playground.serving.simulation` simulates it, event by event.

Fed with times that `--measure` takes on this machine, or that docs/scale.json has. First the people of
`playground.serving.load` are simulated and held against what was measured; then a day with its peak. A replica answers
up to eight of those who wait together; their pictures are encoded one after another, unless they have been before.
"""

import argparse
import json
import random
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import simpy

from playground import console
from playground.paths import ASSETS
from playground.pictures.reader import read_image
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.scene import make_scene
from playground.settings import Settings

MEASURED = ASSETS.parent / "docs" / "scale.json"
_AT_ONCE = 8  # answers of a replica
_SECONDS = 600.0  # of a peak that are simulated
_PEAK = 2.5  # times the questions of a mean hour come in the busiest one
_SECOND = 0.5  # of the questions are about a picture that the replica has encoded
_AIM = 5.0  # seconds: the 95th percentile
_MAX_REPLICAS = 4096
_PER_DAY = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class ReplicaTimes:
    """Seconds of one replica: to encode a picture, to write an answer alone and eight together, and on the way."""

    encode: float
    alone: float
    together: float
    way: float

    def batch(self, num_answers: int, num_new: int) -> float:
        """Return how long some answers take together, the pictures of some of which are new."""
        growth = (self.together - self.alone) / (_AT_ONCE - 1)
        return num_new * self.encode + self.alone + growth * (num_answers - 1)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it."""

    answers_per_minute: float
    p50_s: float
    p95_s: float


class _Replicas:
    def __init__(self, env: simpy.Environment, times: ReplicaTimes, count: int) -> None:
        self._env = env
        self._times = times
        self._waiting: list[deque[tuple[simpy.Event, bool]]] = [deque() for _ in range(count)]
        self._came = [env.event() for _ in range(count)]
        for number in range(count):
            env.process(self._work(number))

    def ask(self, picture: int, is_new: bool) -> simpy.Event:
        """Put a question to the replica of its picture, and return the event of its answer."""
        number = picture % len(self._waiting)
        answered = self._env.event()
        self._waiting[number].append((answered, is_new))
        if not self._came[number].triggered:
            self._came[number].succeed()
        return answered

    def _work(self, number: int) -> Generator[simpy.Event, None, None]:
        waiting = self._waiting[number]
        while True:
            if not waiting:
                self._came[number] = self._env.event()
                yield self._came[number]
            batch = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
            yield self._env.timeout(self._times.batch(len(batch), sum(is_new for _, is_new in batch)))
            for answered, _ in batch:
                answered.succeed()


def simulate_people(times: ReplicaTimes, *, replicas: int, people: int, seconds: float) -> Simulated:
    """Simulate people who ask again as soon as they are answered, about pictures that are encoded."""
    env = simpy.Environment()
    cluster, took = _Replicas(env, times, replicas), list[float]()

    def person(number: int) -> Generator[simpy.Event, None, None]:
        while True:
            started = env.now
            yield env.timeout(times.way)
            yield cluster.ask(number, is_new=False)
            took.append(env.now - started)

    for number in range(people):
        env.process(person(number))
    env.run(seconds)
    return _summary(took, seconds)


def simulate_visitors(times: ReplicaTimes, *, replicas: int, per_second: float, seconds: float = _SECONDS) -> Simulated:
    """Simulate questions that come whenever they come, half of them about a new picture."""
    env, chance = simpy.Environment(), random.Random(0)
    cluster, took = _Replicas(env, times, replicas), list[float]()

    def question() -> Generator[simpy.Event, None, None]:
        started = env.now
        yield env.timeout(times.way)
        yield cluster.ask(chance.randrange(1 << 30), is_new=chance.random() >= _SECOND)
        took.append(env.now - started)

    def arrivals() -> Generator[simpy.Event, None, None]:
        while True:
            yield env.timeout(chance.expovariate(per_second))
            env.process(question())

    env.process(arrivals())
    env.run(seconds)
    return _summary(took, seconds)


def _summary(took: Sequence[float], seconds: float) -> Simulated:
    if len(took) < 2:
        return Simulated(60 * len(took) / seconds, seconds, seconds)
    return Simulated(60 * len(took) / seconds, median(took), quantiles(took, n=20)[-1])


def replicas_needed(times: ReplicaTimes, questions_a_day: int) -> int:
    """Return the fewest replicas that keep the aim in the busiest hour of a day."""
    per_second = _PEAK * questions_a_day / 86_400
    # A trickle is simulated for so long that some hundred questions come.
    seconds = max(_SECONDS, 300 / per_second)

    def is_enough(count: int) -> bool:
        came = simulate_visitors(times, replicas=count, per_second=per_second, seconds=seconds)
        return came.p95_s <= _AIM and came.answers_per_minute >= 0.9 * 60 * per_second

    most = 1
    while not is_enough(most):
        most *= 2
        if most > _MAX_REPLICAS:
            return most
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if is_enough(middle) else (middle, most)
    return most


def measure_times(checkpoint: str) -> dict[str, float]:
    """Return the times of an engine of this process: to encode a picture, to answer alone and eight together."""
    pool = Pool(Settings(checkpoint=checkpoint, device="cpu", offline=True, load_wait_seconds=600))
    predictor, question = Predictor(pool), Question("<OD>", max_new_tokens=40)
    pictures = [read_image(make_scene(8_000_000 + number).image) for number in range(_AT_ONCE)]
    predictor.predict(read_image(make_scene(7_999_999).image), question)
    encoded = [predictor.predict(picture, question).timings.encode_image or 0.0 for picture in pictures]
    alone, together = [], []
    for picture in pictures:
        alone.append(_timed(lambda picture=picture: predictor.predict(picture, question)))
    for _ in range(3):
        together.append(_timed(lambda: predictor.predict_together(pictures, question)))
    return {"encode": mean(encoded) / 1000, "alone": median(alone), "together": median(together)}


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare_runs(measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each run that was measured, how far the simulation is from it."""
    rows = []
    for row in measured:
        people = simulate_people(
            ReplicaTimes(**row["times"]), replicas=row["replicas"], people=row["people"], seconds=120
        )
        off = people.answers_per_minute / row["answers_per_minute"] - 1
        rows.append(
            {
                "replicas": row["replicas"],
                "people": row["people"],
                "measured": row["answers_per_minute"],
                "simulated": round(people.answers_per_minute, 1),
                "off": round(off, 3),
                "is_believed": abs(off) <= 0.15,
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was simulated; the last line is JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.serving.simulation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--measure", default="", metavar="CHECKPOINT", help="print the times of this machine, and end")
    parser.add_argument("--times", default=str(MEASURED), metavar="FILE", help="what was measured")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        console.say(json.dumps(measure_times(chosen.measure)))
        return
    known = json.loads(Path(chosen.times).read_text(encoding="utf-8"))
    checked = compare_runs(known["runs"])
    for row in checked:
        console.say(json.dumps(row))
    needed = {}
    for name, times in known["times"].items():
        needed[name] = {str(per_day): replicas_needed(ReplicaTimes(**times), per_day) for per_day in _PER_DAY}
        console.say(f"{name}: replicas for questions a day: {needed[name]}")
    console.say(json.dumps({"runs": checked, "replicas": needed}))


if __name__ == "__main__":
    main()
