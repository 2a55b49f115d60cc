"""How many people a cluster answers: `python -m playground.serving.load --replicas 2 --people 10`.

So many people each ask two things about a picture of their own, one after the other, again and again until the time is
over. It begins once each picture has been asked about; what comes after the end is not counted among the answers a
minute. Each answer is held against what one process says. The last line is JSON; see `LoadFigures`.
"""

import argparse
import json
import math
import os
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field
from itertools import pairwise
from statistics import median, quantiles

from playground import console
from playground.arguments import MAX_PORT, number, whole
from playground.errors import EngineFailed, PlaygroundError
from playground.local_ray import check_installed
from playground.pictures.reader import InputImage, read_image
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.scenes.scene import make_scene
from playground.serving.client import RemoteEngines
from playground.serving.cluster import local_cluster
from playground.serving.faults import FAULTS, faults
from playground.serving.processor_time import LOOK_SECONDS, ProcessorTime, processor_time
from playground.serving.wire import ReplicaCounts
from playground.settings import Settings

ASKED_TASKS = "<OD>", "<CAPTION>"
_FIRST_SCENE = 9_000_000
MAX_PICTURES = 32  # that differ; of more people some ask about the same
_MAX_TOKENS = 40
_BIN = re.compile(r"(?<=<loc_)\d+")
DEFAULT_LOAD_PORT = 8123
_LEAD_SECONDS = 3.0  # until as many answers end as begin
_AT_ONCE = 8  # pictures that are asked about before it begins
_PATIENCE_SECONDS = 120  # with the last answers


@dataclass(slots=True)
class LoadFigures:
    """What came of it.

    `p50_s` and `p95_s` are seconds to a whole answer, `first_p50_s` to its first word. `lost` answers never came,
    `doubled` ones had something twice, `wrong` ones were not what one process says, `refused` ones ended with a
    sentence. `rounded` ones have a corner one bin, a thousandth of a side, away from where one process has it: of two
    that are as likely, sums in another order choose the other. `second_without_encoding` is the share of later
    questions about a picture that encoded nothing. `..._cpu_s` are seconds of processor time for each answer: of this
    program, which asks, of Serve's proxy, of the replicas, and of all else in the cluster. `others_cpus` are the
    processors that other programs had meanwhile, `others_in_turn` from one look to the next. `answered_together` is
    how many answers a replica writes at the same time, in the mean.
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
    client_cpu_s: float = 0.0
    proxy_cpu_s: float = 0.0
    replica_cpu_s: float = 0.0
    rest_cpu_s: float = 0.0
    others_cpus: float = 0.0
    others_in_turn: tuple[float, ...] = ()
    answered_together: float | None = None
    people_by_replica: tuple[int, ...] = ()


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

    def ask(self, people: int, lead: float, seconds: float, *, leaving: bool) -> list[ProcessorTime]:
        """Let so many people ask for so long; if they are `leaving`, every third goes away in the middle of answers.

        What is answered before the `lead` is over does not count. Returns who has used the processors since, from one
        look to the next.
        """
        threads = [
            threading.Thread(target=self._person, args=(number, leaving and number % 3 == 0), daemon=True)
            for number in range(people)
        ]
        for thread in threads:
            thread.start()
        self._over.wait(lead)
        with self.notes.lock:
            self.notes.seconds.clear()
            self.notes.first.clear()
        used = self._look_on(seconds)
        self._over.set()
        for thread in threads:
            thread.join(_PATIENCE_SECONDS)
            self.notes.lost += thread.is_alive()
        return used

    def _look_on(self, seconds: float) -> list[ProcessorTime]:
        started, looks = time.monotonic(), [processor_time()]
        for look in range(1, math.ceil(seconds / LOOK_SECONDS) + 1):
            due = started + min(seconds, look * LOOK_SECONDS)
            self._over.wait(max(0.0, due - time.monotonic()))
            looks.append(processor_time())
        return [after - before for before, after in pairwise(looks)]

    def warm_up(self) -> None:
        """Ask both questions about each picture once, some at the same time."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for task in ASKED_TASKS:
                list(threads.map(lambda image, task=task: list(self._ask(image, task)), self._pictures))

    def _ask(self, image: InputImage, task: str) -> Generator[Prediction, None, None]:
        return self._predictor.run(image, Question(task, max_new_tokens=_MAX_TOKENS))

    def _person(self, number: int, leaves: bool) -> None:
        chance = random.Random(number)
        image = self._pictures[number % len(self._pictures)]
        while not self._over.is_set():
            for task in ASKED_TASKS:
                self._question(image, task, leaves and chance.random() < 0.5)

    def _question(self, image: InputImage, task: str, leaves: bool) -> None:
        started, first, last = time.perf_counter(), None, None
        try:
            answer = self._ask(image, task)
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
            is_rounded = last.raw_text != expected and differ_by_a_bin(last.raw_text, expected)
            self.notes.rounded += is_rounded
            self.notes.wrong += last.raw_text != expected and not is_rounded
            if not self._over.is_set():
                self.notes.seconds.append(seconds)
                self.notes.first += [first] if first is not None else []


def differ_by_a_bin(said: str, expected: str) -> bool:
    """Whether two answers say the same, but for corners that are one bin apart."""
    if _BIN.sub("", said) != _BIN.sub("", expected):
        return False
    pairs = zip(_BIN.findall(said), _BIN.findall(expected), strict=True)
    return all(abs(int(one) - int(other)) <= 1 for one, other in pairs)


def first_pictures(number: int) -> list[InputImage]:
    """Return so many pictures, but no more than are asked about at most."""
    return [read_image(make_scene(_FIRST_SCENE + place).image) for place in range(min(number, MAX_PICTURES))]


def expected_answers(checkpoint: str, pictures: Sequence[InputImage]) -> dict[tuple[str, str], str]:
    """Return what one process says, by picture and task."""
    pool = Pool(Settings(checkpoint=checkpoint, offline=True, load_wait_seconds=600))
    predictor = Predictor(pool)
    said = {}
    for image in pictures:
        for task in ASKED_TASKS:
            question = Question(task, max_new_tokens=_MAX_TOKENS)
            said[image.digest, task] = predictor.predict(image, question).raw_text
    pool.close()
    return said


def measure_load(
    engines: Pool | RemoteEngines,
    figures: LoadFigures,
    seconds: float,
    *,
    expected: Callable[[Sequence[InputImage]], dict[tuple[str, str], str]],
    fault_every: float = 15.0,
    pictures: Sequence[InputImage] = (),
    lead: float = 0.0,
) -> LoadFigures:
    """Let people ask a cluster, or one process, and return what came of it.

    What is answered after the `lead` counts, for so many seconds. Without `pictures` they are the first ones of
    `first_pictures`, one for each of them as long as there are some.
    """
    pictures = pictures or first_pictures(figures.people)
    engines.wait()
    crowd = _Crowd(Predictor(engines), pictures, expected(pictures))
    crowd.warm_up()
    before = _counts(engines)
    killed: list[int] = []
    with faults(figures.fault, fault_every, killed):
        used = crowd.ask(figures.people, lead, seconds, leaving=figures.fault == "leaving")
    notes = crowd.notes
    figures.seconds, figures.answers = seconds, len(notes.seconds)
    figures.answers_per_minute = round(60 * figures.answers / figures.seconds, 1)
    if len(notes.seconds) > 1:
        figures.p50_s = round(median(notes.seconds), 3)
        figures.p95_s = round(quantiles(notes.seconds, n=20)[-1], 3)
        figures.first_p50_s = round(median(notes.first), 3) if notes.first else None
    figures.lost, figures.doubled, figures.wrong = notes.lost, notes.doubled, notes.wrong
    figures.rounded = notes.rounded
    figures.refused, figures.left, figures.faults = len(notes.refused), notes.left, len(killed)
    _take_processor_time(figures, used)
    if isinstance(engines, RemoteEngines):
        _take_counts(figures, engines, before, pictures)
    for sentence in list(dict.fromkeys(notes.refused))[:5]:
        console.say(f"refused: {sentence}")
    return figures


def _take_processor_time(figures: LoadFigures, parts: Sequence[ProcessorTime]) -> None:
    answers = max(1, figures.answers)
    used = ProcessorTime(*(sum(column) / answers for column in zip(*map(astuple, parts), strict=True)))
    figures.client_cpu_s, figures.proxy_cpu_s = round(used.client, 5), round(used.proxy, 5)
    figures.replica_cpu_s, figures.rest_cpu_s = round(used.replicas, 5), round(used.rest, 5)
    figures.others_in_turn = tuple(round(part.others / LOOK_SECONDS, 2) for part in parts)
    figures.others_cpus = round(used.others * answers / figures.seconds, 3)


def _counts(engines: Pool | RemoteEngines) -> ReplicaCounts:
    """Return what all replicas have done so far."""
    told = engines.connection.counts.values() if isinstance(engines, RemoteEngines) else ()
    return ReplicaCounts(*(sum(column) for column in zip(*map(astuple, told), strict=True)))


def _take_counts(
    figures: LoadFigures, engines: RemoteEngines, before: ReplicaCounts, pictures: Sequence[InputImage]
) -> None:
    figures.retries = engines.connection.num_retries
    answered_by = [
        engines.connection.answered_by.get(pictures[number % len(pictures)].digest) for number in range(figures.people)
    ]
    figures.people_by_replica = tuple(sorted(Counter(filter(None, answered_by)).values(), reverse=True))
    if figures.fault not in ("none", "leaving"):  # a replica that is killed takes its counts with it
        return
    now = _counts(engines)
    if answers := now.answers - before.answers:
        figures.second_without_encoding = round(1 - (now.encodings - before.encodings) / answers, 4)
        figures.answered_together = round(answers / max(1, now.turns - before.turns), 2)


@contextmanager
def local_engines(replicas: int, checkpoint: str, port: int = DEFAULT_LOAD_PORT) -> Iterator[Pool | RemoteEngines]:
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
    add("--replicas", type=whole(0, 64), default=2, help="0: one process, without a cluster")
    add("--people", type=whole(1, 1000), default=10, help="who ask at the same time")
    add("--checkpoint", default="tiny-florence2")
    add("--seconds", type=number(1, 600), default=30, help="how long they ask")
    add("--fault", default="none", choices=FAULTS, help="what is killed, or who leaves, while they ask")
    add("--fault-every", type=number(0.1, 600), default=15, metavar="SECONDS")
    add("--port", type=whole(1, MAX_PORT), default=DEFAULT_LOAD_PORT)
    chosen = parser.parse_args(arguments)
    try:
        check_installed("psutil")
        name = os.path.basename(chosen.checkpoint.rstrip("/"))
        figures = LoadFigures(chosen.replicas, chosen.people, name, chosen.fault, os.cpu_count() or 1)

        def expected(pictures: Sequence[InputImage]) -> dict[tuple[str, str], str]:
            return expected_answers(chosen.checkpoint, pictures)

        with local_engines(chosen.replicas, chosen.checkpoint, chosen.port) as engines:
            console.say(f"{chosen.people} people ask for {chosen.seconds:g} seconds.")
            measure_load(
                engines, figures, chosen.seconds, expected=expected, fault_every=chosen.fault_every, lead=_LEAD_SECONDS
            )
        console.say(json.dumps(asdict(figures)))
    except PlaygroundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
