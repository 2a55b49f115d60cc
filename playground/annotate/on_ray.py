"""The same job on a Ray: pictures are read in some workers, and answered in others that hold an engine each.

What comes back is written into the journal here, so that a job goes on where it was whoever is killed. Knows Ray Data.
"""

import json
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from playground.annotate.answers import Answers, Row, key_of
from playground.annotate.job import (
    AnswersTogether,
    JobEvent,
    PictureAnswered,
    PictureAnsweredElsewhere,
    PictureFailed,
    PictureSkipped,
    answer_group,
)
from playground.annotate.journal import Journal
from playground.annotate.own_text import OwnTextFirst
from playground.annotate.reading import ReadSource, SourceReader
from playground.annotate.sources import PictureSource
from playground.errors import EngineFailed, SettingsInvalid
from playground.local_ray import STORE_BYTES, check_installed, local_ray
from playground.pictures.limits import Limits
from playground.pictures.reader import UnpackedImage
from playground.pictures.workers import PictureWorkers
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings

LOCAL = "local"
PARQUET = "predictions.parquet"
_SOURCES_AT_ONCE = 20_000  # that are handed over to Ray: a list of a million would lie in memory
_ROWS_AT_ONCE = 1000  # of the Parquet file
_CPUS_OF_AN_ENGINE = 4
_LEAST_CPUS = 2
_LOOKS = 15  # at what is free
_CONNECT_SECONDS = 5
_REGIONS = TypeAdapter(tuple[Region, ...])


@dataclass(frozen=True, slots=True)
class RayJob:
    """What a job needs to know of where it runs."""

    address: str  # of a Ray, or LOCAL for one of its own
    settings: Settings
    password: str = ""
    own_text: bool = False
    group_size: int = 8  # pictures that an engine answers at the same time
    store_bytes: int = 1_000_000_000  # of a Ray of its own, for pixels on their way; what is beyond is put on the disk


@contextmanager
def _connected(address: str, store_bytes: int = STORE_BYTES) -> Iterator[None]:
    """Hold a Ray; one of its own has a store of so many bytes.

    Raises SettingsInvalid where it is not installed, or none is at the address.
    """
    check_installed("ray")
    if address == LOCAL:
        with local_ray(num_cpus=max(2, os.cpu_count() or 1), store_bytes=store_bytes):
            yield
        return
    import ray

    try:
        _check_answers(address)
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsInvalid(
            f"No Ray answers at {address!r} ({type(error).__name__}). Give --ray local, or the address of a Ray's head."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise OSError or ValueError where nothing listens at HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


def run_job_on_ray(
    job: RayJob,
    sources: Iterable[PictureSource],
    question: Question,
    *,
    journal: Journal,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Generator[JobEvent, None, None]:
    """Ask about the pictures of all sources, as `job.run_job` does, and yield what became of each, as it comes.

    Raises SettingsInvalid where there is no Ray, or none of it is free, EngineFailed where the workers cannot answer.
    """
    with _connected(job.address, job.store_bytes):
        yield from _events(job, sources, question, journal, is_stopped)


def _events(
    job: RayJob, sources: Iterable[PictureSource], question: Question, journal: Journal, is_stopped: Callable[[], bool]
) -> Iterator[JobEvent]:
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    share = _Share.of(free_resources(ray.available_resources), job.settings.device)
    waiting = iter(sources)
    while not is_stopped() and (some := list(islice(waiting, _SOURCES_AT_ONCE))):
        rows = iter(_pipeline(job, share, some, question, journal).iter_rows())
        try:
            for row in rows:
                yield _written(row, journal)
                if is_stopped():
                    return
        except ray.exceptions.RayError as error:
            raise EngineFailed(
                f"The workers cannot go on ({type(error.__cause__ or error).__name__}). Their log says more; start the "
                "same command again to go on."
            ) from error


def free_resources(look: Callable[[], dict[str, float]], pause: float = 1.0) -> dict[str, float]:
    """Return what of a Ray is free, once that stays the same: a job that was just killed gives back what it had.

    Raises SettingsInvalid where it stays too little, as beside replicas that have nearly all: no worker would begin.
    """
    free: dict[str, float] = {}
    for _ in range(_LOOKS):
        before, looked = free, look()
        free = {kind: looked.get(kind, 0) for kind in ("CPU", "GPU")}
        if free == before and free["CPU"] >= _LEAST_CPUS:
            return free
        time.sleep(pause)
    raise SettingsInvalid(
        f"The Ray has {free['CPU']:g} free processors, but a job needs {_LEAST_CPUS}: one reads, one answers. "
        "End what else runs there, or add a machine."
    )


def _pipeline(job: RayJob, share: "_Share", sources: list[PictureSource], question: Question, journal: Journal) -> Any:
    import ray

    wires = [{"wire": json.dumps({**source.to_dict(), "problem": source.problem})} for source in sources]
    settings = asdict(job.settings)
    return (
        ray.data.from_items(wires, override_num_blocks=max(1, math.ceil(len(wires) / (4 * job.group_size))))
        .map_batches(
            _Intake,
            fn_constructor_args=(settings, job.password, journal.done_keys()),
            batch_size=1,  # each may have 120 million bytes
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=share.num_readers),
        )
        .map_batches(
            _Engines,
            fn_constructor_args=(settings, json.dumps(question.to_dict()), job.own_text),
            batch_size=job.group_size,
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            compute=ray.data.ActorPoolStrategy(size=share.num_engines),
        )
    )


@dataclass(frozen=True, slots=True)
class _Share:
    """How a Ray is divided: some processors read, and the others answer."""

    num_readers: int
    num_engines: int
    cpus: int
    gpus: int = 0

    @classmethod
    def of(cls, resources: dict[str, float], device: str) -> "_Share":
        cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
        readers = max(1, cpus // 8)
        if gpus and device != "cpu":
            return cls(max(1, min(cpus - gpus - 1, 4 * gpus)), gpus, 1, 1)
        free = max(1, cpus - readers)  # none is left over where an engine takes all: then nobody reads, and all wait
        each = min(_CPUS_OF_AN_ENGINE, free)
        return cls(readers, max(1, free // each), each)


class _Intake:
    """Reads pictures in a worker, each within the limits, in a process that may die of it."""

    def __init__(self, settings: dict[str, Any], password: str, done: frozenset[bytes]) -> None:
        known = Settings(**settings)
        limits = Limits(max_megapixels=known.max_megapixels, max_megabytes=known.max_megabytes)
        self._workers = PictureWorkers(limits)
        self._reader = SourceReader(self._workers.read, password=password)
        self._done = done

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Return rows: a picture, why there is none, or that it is done."""
        rows = [self._row(str(wire)) for wire in batch["wire"]]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _row(self, wire: str) -> dict[str, Any]:
        said = json.loads(wire)
        problem = said.pop("problem")
        source = PictureSource.from_dict(said)
        source = PictureSource(source.path, source.member, source.page, source.seconds, problem)
        read = self._reader.read_new(source, lambda one, sha256: key_of(one, sha256) in self._done)
        image = read.image
        about = {
            "size": image.pixels.size, "original_wh": image.resolution_wh, "digest": image.digest,
            "notices": image.notices, "num_pages": image.num_pages,
            "own_text": _REGIONS.dump_python(image.own_text, mode="json"),
        } if image else {}  # fmt: skip
        return {
            "wire": wire, "sha256": read.sha256, "error": read.error, "about": json.dumps(about),
            "pixels": image.pixels.tobytes() if image else b"",
        }  # fmt: skip


class _Engines:
    """Answers pictures in a worker, some together."""

    def __init__(self, settings: dict[str, Any], question: str, own_text: bool) -> None:
        self._question = Question.from_dict(json.loads(question))
        named = settings["checkpoint"] or self._question.checkpoint  # a folder's name says not where it is
        pool = Pool(Settings(**{**settings, "checkpoint": named, "load_wait_seconds": math.inf}))
        pool.start()
        predictor = Predictor(pool)
        self._answers: AnswersTogether = OwnTextFirst(predictor, self._question) if own_text else predictor

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Return rows: a prediction, why there is none, or that it was done before."""
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        reads = [_read_of(row) for row in rows]
        told = {id(read.source): _outcome(event) for read, event in self._answered(reads)}
        return {
            "wire": [str(row["wire"]) for row in rows],
            "sha256": [str(row["sha256"]) for row in rows],
            "outcome": [told.get(id(read.source), "{}") for read in reads],
        }

    def _answered(self, reads: list[ReadSource]) -> Iterator[tuple[ReadSource, JobEvent]]:
        group = [read for read in reads if not read.is_done]
        yield from zip(group, answer_group(self._answers, group, self._question), strict=True)


def _read_of(row: dict[str, Any]) -> ReadSource:
    source = PictureSource.from_dict(json.loads(row["wire"]))
    about = json.loads(row["about"])
    if not about:
        return ReadSource(source, str(row["sha256"]), error=str(row["error"]))
    unpacked = UnpackedImage(
        bytes(row["pixels"]), tuple(about["size"]), about["digest"], tuple(about["original_wh"]),
        tuple(about["notices"]), about["num_pages"], _REGIONS.validate_python(about["own_text"]),
    )  # fmt: skip
    return ReadSource(source, str(row["sha256"]), unpacked.to_image())


def _outcome(event: JobEvent) -> str:
    match event:
        case PictureAnswered(_, _, prediction):
            return json.dumps({"prediction": prediction.to_dict()})
        case PictureFailed(_, error):
            return json.dumps({"error": error})
        case _:
            return "{}"


def _written(row: dict[str, Any], journal: Journal) -> JobEvent:
    """Write a row that a worker has sent into the journal, and return what it says."""
    source, sha256, said = PictureSource.from_dict(json.loads(row["wire"])), row["sha256"], json.loads(row["outcome"])
    if not said or journal.has(source, sha256):
        return PictureSkipped(source)
    prediction = Prediction.from_dict(said["prediction"]) if "prediction" in said else None
    journal.append(Row(source, sha256, prediction, said.get("error", "")))
    return PictureAnsweredElsewhere(source, prediction) if prediction else PictureFailed(source, said["error"])


def write_parquet(answers: Answers) -> Path:
    """Write the answers of a folder as a table beside the journal, a row for each picture; returns where."""
    import pyarrow as pa
    from pyarrow import parquet

    names = ("source", "member", "page", "seconds", "sha256", "error", "text", "num_regions", "prediction")
    types = (pa.string(), pa.string(), pa.int64(), pa.float64(), *[pa.string()] * 3, pa.int64(), pa.string())
    schema = pa.schema(list(zip(names, types, strict=True)))
    path, rows = answers.folder / PARQUET, answers.rows()
    with parquet.ParquetWriter(path, schema) as file:
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            file.write_table(pa.Table.from_pylist([_flat(row) for row in some], schema))
    return path


def _flat(row: Row) -> dict[str, Any]:
    said = row.prediction
    about = (
        {"text": said.text, "num_regions": len(said.regions), "prediction": json.dumps(said.to_dict())} if said else {}
    )
    wire = row.source.to_dict()
    return {"member": "", **wire, "sha256": row.sha256, "error": row.error, **about}
