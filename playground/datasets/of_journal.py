"""What the playground itself has answered and people have put right: the journal of a job, or a file of predictions."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playground.annotate.answers import REVIEWS, Answers, Row, Verdict
from playground.annotate.sources import JOURNAL, PictureSource
from playground.datasets.files import DataFiles, folder_of, join_paths
from playground.datasets.formats import FoundSet, holds_part
from playground.datasets.labeled import Labeled, unusable
from playground.errors import InputRejected, JobRejected, PredictionInvalid, SourceRejected
from playground.export.texts import text_answered
from playground.results import Prediction


def find_journal(files: DataFiles, *, reviewed_only: bool) -> FoundSet | None:
    """Return the answers of a job, or those of a file that Save wrote; with `reviewed_only` what people have seen.

    That is what was approved or corrected; what was skipped is never there.
    """
    paths = [path for path in files.ending(".jsonl") if _first_of(files, path)]
    if not paths:
        return None

    def labeled(wanted: str) -> Iterator[Labeled]:
        for path in paths if holds_part("", wanted) else ():
            is_job = "sha256" in _first_of(files, path)
            yield from _of_job(files, path, reviewed_only) if is_job else _of_lines(files, path)

    return FoundSet("predictions of the playground", (), ("",), labeled)


def _first_of(files: DataFiles, path: str) -> Mapping[str, Any]:
    """Return the first line of a journal, or of a file that Save wrote; nothing where it is neither."""
    try:
        _, line = next(files.lines(path), (0, ""))
        wire = json.loads(line)
    except (SourceRejected, ValueError, RecursionError):
        return {}
    if not isinstance(wire, dict):
        return {}
    is_job = {"source", "sha256", "group"} <= wire.keys() and path.rpartition("/")[2] == JOURNAL
    return wire if is_job or {"picture", "regions", "task"} <= wire.keys() else {}


def _of_lines(files: DataFiles, path: str) -> Iterator[Labeled]:
    for number, line in files.lines(path):
        place = f"{path}, line {number}"
        try:
            wire = json.loads(line)
            prediction, name = Prediction.from_dict(wire), str(wire["picture"])
        except (PredictionInvalid, ValueError, KeyError, TypeError, RecursionError) as error:
            yield unusable(place, f"This line is no prediction: {error}", said_by=place)
            continue
        yield _labeled(name, _with_any_extension(files, name, folder_of(path)), prediction, place)


def _with_any_extension(files: DataFiles, stem: str, here: str) -> PictureSource:
    for path in files.pictures_in(""):
        if path.rpartition("/")[2].rpartition(".")[0] == stem:
            return files.source(path)
    return files.find(stem, (here,))


def _of_job(files: DataFiles, path: str, reviewed_only: bool) -> Iterator[Labeled]:
    with ExitStack() as stack:
        folder = Path(files.root, folder_of(path))
        if files.is_archive:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name in (JOURNAL, REVIEWS):
                if files.has(member := join_paths(folder_of(path), name)):
                    (folder / name).write_bytes(files.read(member))
        yield from _of_rows(files, Answers(folder).rows(), path, reviewed_only)


def _of_rows(files: DataFiles, rows: Iterable[Row], path: str, reviewed_only: bool) -> Iterator[Labeled]:
    try:
        for row in rows:
            is_seen = row.verdict is Verdict.APPROVED or row.is_corrected
            if row.verdict is Verdict.SKIPPED or (reviewed_only and not is_seen):
                continue
            if row.prediction is None:
                yield unusable(row.source.name, row.error, said_by=path)
            else:
                yield _labeled(row.source.name, _where(files, row.source, path), row.prediction, path)
    except (JobRejected, InputRejected) as error:
        yield unusable(path, str(error), said_by=path)


def _where(files: DataFiles, source: PictureSource, path: str) -> PictureSource:
    """Return where a picture of a job is: where it was, of a folder, or else beside the journal."""
    if not files.is_archive and Path(source.path).is_file():
        return source
    found = files.find(source.name, (folder_of(path),))
    return PictureSource(found.path, found.member, source.page, source.seconds, found.problem)


def _labeled(name: str, source: PictureSource, prediction: Prediction, said_by: str) -> Labeled:
    text = text_answered(prediction)
    question = prediction.question.without_choices()
    return Labeled(
        name, source, prediction.regions, (text,) if text else (), question, "", said_by, prediction.resolution_wh
    )
