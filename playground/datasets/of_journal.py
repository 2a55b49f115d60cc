"""What the playground itself has answered and people have put right: the journal of a job, or a file of predictions."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
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

_NO_TRUTH = "What is held to be true here are answers of the playground, and whoever gave one agrees with it."


def find_journal(files: DataFiles, *, reviewed: bool | None) -> FoundSet | None:
    """Return the answers of a job, or those of a file that Save wrote: all, or those that people have seen, or others.

    What was approved or corrected was seen; what was skipped is never there. Of the others there are those that the
    model was sure of, and without a label that people have taken from one that they saw.
    """
    paths = [path for path in files.ending(".jsonl") if _first_of(files, path)]
    if not paths:
        return None

    def labeled(wanted: str) -> Iterator[Labeled]:
        for path in paths if holds_part("", wanted) else ():
            is_job = "sha256" in _first_of(files, path)
            yield from _of_job(files, path, reviewed) if is_job else _of_lines(files, path)

    are_seen = reviewed and all("sha256" in _first_of(files, path) for path in paths)  # of what was saved nobody knows
    return FoundSet("predictions of the playground", (), ("",), labeled, "" if are_seen else _NO_TRUTH)


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


def _of_job(files: DataFiles, path: str, reviewed: bool | None) -> Iterator[Labeled]:
    with ExitStack() as stack:
        folder = Path(files.root, folder_of(path))
        if files.is_archive:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name in (JOURNAL, REVIEWS):
                if files.has(member := join_paths(folder_of(path), name)):
                    (folder / name).write_bytes(files.read(member))
        yield from _of_rows(files, Answers(folder), path, reviewed)


def _of_rows(files: DataFiles, answers: Answers, path: str, reviewed: bool | None) -> Iterator[Labeled]:
    try:
        disputed = _disputed(answers.rows()) if reviewed is False else frozenset()
        for row in answers.rows():
            is_seen = row.verdict is Verdict.APPROVED or row.is_corrected
            if row.verdict is Verdict.SKIPPED or reviewed not in (None, is_seen):
                continue
            if reviewed is False and not _is_sure(row.prediction, disputed):
                continue
            if row.prediction is None:
                yield unusable(row.source.name, row.error, said_by=path)
            else:
                yield _labeled(row.source.name, _where(files, row.source, path), row.prediction, path)
    except (JobRejected, InputRejected) as error:
        yield unusable(path, str(error), said_by=path)


def _disputed(rows: Iterable[Row]) -> frozenset[str]:
    """Return the labels that people have taken from something: what else is called so may be called so wrongly."""
    changed = [(row.said, row.prediction) for row in rows if row.is_corrected]
    taken = (Counter(said.label_counts()) - Counter(now.label_counts()) for said, now in changed if said and now)
    return frozenset(label for labels in taken for label in labels)


def _is_sure(prediction: Prediction | None, disputed: Set[str]) -> bool:
    if prediction is None or prediction.is_unsure or prediction.is_truncated:
        return False
    return disputed.isdisjoint(region.label for region in prediction.regions)


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
