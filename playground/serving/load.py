"""How many people a cluster answers: `python -m playground.serving.load --replicas 2 --people 10`.

So many people each ask two things about a picture of their own, one after the other, again and again until the time is
over. Each answer is held against what one process says. The last line is JSON; see `LoadFigures`.
"""

import argparse
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from playground import console
from playground.errors import EngineFailed, PlaygroundError
from playground.pictures.reader import InputImage, read_image
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.scenes.scene import make_scene
from playground.serving.client import RemoteEngines
from playground.serving.cluster import local_cluster
from playground.settings import Settings

_TASKS = "<OD>", "<CAPTION>"
_FIRST_SCENE = 9_000_000
_MAX_PICTURES = 32  # that differ; of more people some ask about the same
_MAX_TOKENS = 40
_BIN = re.compile(r"(?<=<loc_)\d+")
_FAULTS = ("none", "replica", "controller", "leaving")


@dataclass(slots=True)
class LoadFigures:
    """What came of it.

    `p50_s` and `p95_s` are seconds to a whole answer, `first_p50_s` to its first word. `lost` answers never came,
    `doubled` ones had something twice, `wrong` ones were not what one process says, `refused` ones ended with a
    sentence. `rounded` ones have a corner one bin, a thousandth of a side, away from where one process has it: of two
    that are as likely, sums in another order choose the other. `second_without_encoding` is the share of second
    questions about a picture that encoded nothing.
    """

    replicas: int
    people: int
    checkpoint: str
    fault: str
    processors: int
    seconds: float = 0.0
    answers: int = 0
    answers_per_minute: float = 0.0
    p50_s: float | None = None
    p95_s: float | None = None
    first_p50_s: float | None = None
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    rounded: int = 0
    refused: int = 0
    left: int = 0
    faults: int = 0
    retries: int = 0
    second_without_encoding: float | None = None


@dataclass(slots=True)
class _Notes:
    """What the people note, all of them together."""

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    rounded: int = 0
    refused: list[str] = field(default_factory=list)
    left: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Crowd:
    """People who ask, and know what they should hear."""

    def __init__(
        self, predictor: Predictor, pictures: Sequence[InputImage], expected: dict[tuple[str, str], str]
    ) -> None:
        self.notes = _Notes()
        self._predictor = predictor
        self._pictures = pictures
        self._expected = expected
        self._over = threading.Event()

    def ask(self, people: int, seconds: float, *, leaving: bool) -> None:
        """Let so many people ask for so long; if they are `leaving`, every third goes away in the middle of answers."""
        threads = [
            threading.Thread(target=self._person, args=(number, leaving and number % 3 == 0), daemon=True)
            for number in range(people)
        ]
        for thread in threads:
            thread.start()
        self._over.wait(seconds)
        self._over.set()
        for thread in threads:
            thread.join(120)
            self.notes.lost += thread.is_alive()

    def _person(self, number: int, leaves: bool) -> None:
        chance = random.Random(number)
        image = self._pictures[number % len(self._pictures)]
        while not self._over.is_set():
            for task in _TASKS:
                self._question(image, task, leaves and chance.random() < 0.5)

    def _question(self, image: InputImage, task: str, leaves: bool) -> None:
        started, first, last = time.perf_counter(), None, None
        try:
            answer = self._predictor.run(image, Question(task, max_new_tokens=_MAX_TOKENS))
            for prediction in answer:
                if prediction.raw_text and first is None:
                    first = time.perf_counter() - started
                    if leaves:
                        answer.close()
                        with self.notes.lock:
                            self.notes.left += 1
                        return
                last = prediction
        except EngineFailed as error:
            with self.notes.lock:
                self.notes.refused.append(str(error))
            return
        self._note(image, task, last, first, time.perf_counter() - started)

    def _note(self, image: InputImage, task: str, last: Prediction | None, first: float | None, seconds: float) -> None:
        with self.notes.lock:
            if last is None or not last.is_final:
                self.notes.lost += 1
                return
            expected = self._expected[image.digest, task]
            self.notes.doubled += len(last.raw_text) > len(expected) and last.raw_text != expected
            is_rounded = last.raw_text != expected and _differ_by_a_bin(last.raw_text, expected)
            self.notes.rounded += is_rounded
            self.notes.wrong += last.raw_text != expected and not is_rounded
            self.notes.seconds.append(seconds)
            if first is not None:
                self.notes.first.append(first)


def _differ_by_a_bin(said: str, expected: str) -> bool:
    """Whether two answers say the same, but for corners that are one bin apart."""
    if _BIN.sub("", said) != _BIN.sub("", expected):
        return False
    pairs = zip(_BIN.findall(said), _BIN.findall(expected), strict=True)
    return all(abs(int(one) - int(other)) <= 1 for one, other in pairs)


def expected_answers(checkpoint: str, pictures: Sequence[InputImage]) -> dict[tuple[str, str], str]:
    """Return what one process says, by picture and task."""
    pool = Pool(Settings(checkpoint=checkpoint, offline=True, load_wait_seconds=600))
    predictor = Predictor(pool)
    said = {}
    for image in pictures:
        for task in _TASKS:
            question = Question(task, max_new_tokens=_MAX_TOKENS)
            said[image.digest, task] = predictor.predict(image, question).raw_text
    pool.close()
    return said


@contextmanager
def _faults(fault: str, every: float, count: list[int]) -> Iterator[None]:
    """Kill a replica, or the controller, again and again while people ask."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(every):
            pids = processes_of("ServeController" if fault == "controller" else "ServeReplica")
            if pids:
                os.kill(random.choice(pids), signal.SIGKILL)
                count.append(1)

    killer = threading.Thread(target=kill, daemon=True)
    if fault in ("replica", "controller"):
        killer.start()
    try:
        yield
    finally:
        over.set()


def processes_of(kind: str) -> list[int]:
    """Return the processes of this program's own cluster that are of a kind. Needs a Ray that runs."""
    import ray

    actors: dict[str, Any] = ray._private.state.actors()
    return [
        actor["Pid"]
        for actor in actors.values()
        if actor["State"] == "ALIVE" and actor["ActorClassName"].startswith(kind)
    ]


def measure_load(
    engines: Pool | RemoteEngines,
    figures: LoadFigures,
    seconds: float,
    *,
    expected: Callable[[Sequence[InputImage]], dict[tuple[str, str], str]],
    fault_every: float = 15.0,
) -> LoadFigures:
    """Let people ask a cluster, or one process, and return what came of it."""
    pictures = [
        read_image(make_scene(_FIRST_SCENE + number).image) for number in range(min(figures.people, _MAX_PICTURES))
    ]
    engines.wait()
    crowd = _Crowd(Predictor(engines), pictures, expected(pictures))
    killed: list[int] = []
    started = time.perf_counter()
    with _faults(figures.fault, fault_every, killed):
        crowd.ask(figures.people, seconds, leaving=figures.fault == "leaving")
    notes = crowd.notes
    figures.seconds = round(time.perf_counter() - started, 1)
    figures.answers = len(notes.seconds)
    figures.answers_per_minute = round(60 * figures.answers / figures.seconds, 1)
    if len(notes.seconds) > 1:
        figures.p50_s = round(median(notes.seconds), 3)
        figures.p95_s = round(quantiles(notes.seconds, n=20)[-1], 3)
        figures.first_p50_s = round(median(notes.first), 3) if notes.first else None
    figures.lost, figures.doubled, figures.wrong = notes.lost, notes.doubled, notes.wrong
    figures.rounded = notes.rounded
    figures.refused, figures.left, figures.faults = len(notes.refused), notes.left, len(killed)
    if isinstance(engines, RemoteEngines):
        _count_encodings(figures, engines, len(pictures))
    for sentence in list(dict.fromkeys(notes.refused))[:5]:
        console.say(f"refused: {sentence}")
    return figures


def _count_encodings(figures: LoadFigures, engines: RemoteEngines, num_pictures: int) -> None:
    figures.retries = engines.connection.num_retries
    later = figures.answers + figures.left - num_pictures
    if figures.fault in ("none", "leaving") and later > 0:  # a replica that is killed takes its count with it
        encodings = sum(engines.connection.image_encodings.values())
        figures.second_without_encoding = round(1 - max(0, encodings - num_pictures) / later, 4)


@contextmanager
def _engines(replicas: int, checkpoint: str, port: int) -> Iterator[Pool | RemoteEngines]:
    """Give the engines of a cluster on this machine; without a replica, those of this process."""
    settings = Settings(checkpoint=checkpoint, device="cpu", offline=True, load_wait_seconds=600)
    if not replicas:
        yield Pool(settings)
        return
    with local_cluster(replicas=replicas, checkpoint=checkpoint, device="cpu", offline=True, port=port) as address:
        engines = RemoteEngines(address, settings)
        yield engines
        engines.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Start a cluster on this machine, let people ask it, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m playground.serving.load", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--replicas", type=int, default=2, help="0: one process, without a cluster")
    add("--people", type=int, default=10, help="who ask at the same time")
    add("--checkpoint", default="tiny-florence2")
    add("--seconds", type=float, default=30, help="how long they ask; at most 600")
    add("--fault", default="none", choices=_FAULTS, help="what is killed, or who leaves, while they ask")
    add("--fault-every", type=float, default=15, metavar="SECONDS")
    add("--port", type=int, default=8123)
    chosen = parser.parse_args(arguments)
    try:
        name = os.path.basename(chosen.checkpoint.rstrip("/"))
        figures = LoadFigures(chosen.replicas, chosen.people, name, chosen.fault, os.cpu_count() or 1)

        def expected(pictures: Sequence[InputImage]) -> dict[tuple[str, str], str]:
            return expected_answers(chosen.checkpoint, pictures)

        with _engines(chosen.replicas, chosen.checkpoint, chosen.port) as engines:
            console.say(f"{chosen.people} people ask for {chosen.seconds:g} seconds.")
            measure_load(engines, figures, min(chosen.seconds, 600), expected=expected, fault_every=chosen.fault_every)
        console.say(json.dumps(asdict(figures)))
    except PlaygroundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
