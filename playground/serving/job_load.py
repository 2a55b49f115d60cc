"""What is lost of a job whose workers are killed: `python -m playground.serving.job_load --fault worker` tries it.

It runs on a Ray of this machine, with drawn pictures. With `--fault store` they are so large that two of them fill the
store of Ray. Each answer is held against what one process says. The last line is JSON; see `JobFigures`.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from playground import console
from playground.annotate.job import PictureSkipped
from playground.annotate.journal import Journal
from playground.annotate.on_ray import LOCAL, RayJob, run_job_on_ray
from playground.annotate.sources import find_sources
from playground.arguments import number, whole
from playground.errors import EngineFailed, PlaygroundError
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.scene import make_scene
from playground.serving.faults import processes_of
from playground.serving.load import differ_by_a_bin
from playground.settings import Settings

JOB_FAULTS = ("none", "worker", "store")
_FIRST_SCENE = 9_100_000
_LEAST_STORE_BYTES = 80_000_000  # Ray wants no less
_LARGE = (4000, 3000)  # pixels, of which two fill such a store
_TRIES = 5  # of the whole command, as a person would start it again
_TASK = "<OD>"


@dataclass(slots=True)
class JobFigures:
    """What came of so many pictures: `lost` have no row, `doubled` have several; `wrong` and `rounded` as in `load`."""

    pictures: int
    checkpoint: str
    fault: str
    seconds: float = 0.0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    rounded: int = 0
    failed: int = 0
    faults: int = 0
    restarts: int = 0  # of the command, which went on where it was


def measure_job(figures: JobFigures, *, fault_every: float) -> JobFigures:
    """Let a job of drawn pictures run to its end, and return what came of it."""
    settings = Settings(checkpoint=figures.checkpoint, device="cpu", offline=True, load_wait_seconds=600)
    question = Question(_TASK, checkpoint=figures.checkpoint)
    with tempfile.TemporaryDirectory(prefix="job-") as folder:
        photos, killed = _draw(Path(folder) / "photos", figures), list[int]()
        job = RayJob(LOCAL, settings)
        if figures.fault == "store":
            job = replace(job, store_bytes=_LEAST_STORE_BYTES)
        started = time.perf_counter()
        with closing(Journal(Path(folder) / "out", question)) as journal, _killing(figures, fault_every, killed):
            while not _went_through(job, photos, question, journal) and figures.restarts < _TRIES:
                figures.restarts += 1
            figures.seconds, figures.faults = round(time.perf_counter() - started, 1), len(killed)
            _count(figures, settings, question, journal)
    return figures


def _draw(folder: Path, figures: JobFigures) -> Path:
    folder.mkdir()
    for place in range(figures.pictures):
        picture = make_scene(_FIRST_SCENE + place).image
        if figures.fault == "store":
            picture = picture.resize(_LARGE)
        picture.save(folder / f"{place:05}.jpg", quality=95)
    return folder


def _went_through(job: RayJob, photos: Path, question: Question, journal: Journal) -> bool:
    """Run the job, and return whether it came to its end."""
    try:
        events = run_job_on_ray(job, find_sources([photos]), question, journal=journal)
        done = sum(not isinstance(event, PictureSkipped) for event in events)
        console.say(f"{done} pictures are done.")
        return True
    except EngineFailed as error:
        console.say(str(error))
        return False


@contextmanager
def _killing(figures: JobFigures, every: float, killed: list[int]) -> Iterator[None]:
    """Kill a worker that reads or answers, again and again."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(every):
            if pids := processes_of("MapWorker"):
                os.kill(random.choice(pids), signal.SIGKILL)
                killed.append(1)

    thread = threading.Thread(target=kill, daemon=True)
    if figures.fault == "worker":
        thread.start()
    try:
        yield
    finally:
        over.set()


def _count(figures: JobFigures, settings: Settings, question: Question, journal: Journal) -> None:
    predictor = Predictor(Pool(settings))
    rows = list(journal.rows())
    seen = Counter(row.source.path for row in rows)
    figures.lost = figures.pictures - len(seen)
    figures.doubled = sum(count > 1 for count in seen.values())
    for row in rows:
        if row.prediction is None:
            figures.failed += 1
            continue
        said, expected = row.prediction.raw_text, predictor.predict(row.source.path, question).raw_text
        is_rounded = said != expected and differ_by_a_bin(said, expected)
        figures.rounded += is_rounded
        figures.wrong += said != expected and not is_rounded


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a job, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m playground.serving.job_load", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--pictures", type=whole(1, 100_000), default=60, metavar="N", help="how many")
    add("--checkpoint", default="tiny-florence2")
    add("--fault", default="none", choices=JOB_FAULTS, help="a worker is killed again and again, or the store is full")
    add("--fault-every", type=number(0.1, 600), default=10, metavar="SECONDS")
    chosen = parser.parse_args(arguments)
    try:
        figures = JobFigures(chosen.pictures, chosen.checkpoint, chosen.fault)
        console.say(json.dumps(asdict(measure_job(figures, fault_every=chosen.fault_every))))
    except PlaygroundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
