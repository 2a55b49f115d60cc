"""Captions as text files beside the pictures themselves, where trainers of image models look for them."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from playground.annotate.answers import Answers, Row
from playground.annotate.buckets import is_url
from playground.annotate.outputs import WrittenFile, prediction_of
from playground.errors import ExportRejected
from playground.export import Affixes, caption_of
from playground.question import Question


class Beside(Enum):
    """What becomes of a text file that is there already."""

    NEW = "new"
    OVERWRITE = "overwrite"
    APPEND = "append"


def write_beside(
    answers: Answers, wanted: Question, mode: Beside, affixes: Affixes, *, shown_from: float
) -> WrittenFile:
    """Write `photo.txt` beside each `photo.jpg` that has a caption; a second time changes nothing.

    Pages, frames, and what is in a ZIP or a bucket, have no such place. Raises ExportRejected.
    """
    written = WrittenFile(answers.folder)
    for row, caption in _captions(answers, wanted, affixes, shown_from):
        if not row.source.is_whole_file or row.source.member or is_url(row.source.path):
            written.left_out.append(f"{row.source}: There is no place beside it. Write --format captions.")
            continue
        path = Path(row.source.path).with_suffix(".txt")
        try:
            if reason := _write(path, caption, mode):
                written.left_out.append(f"{path}: {reason}")
            else:
                written.num_pictures += 1
        except OSError as error:
            raise ExportRejected(
                f"{path} cannot be written ({error.strerror}). Make room, or take --format captions instead."
            ) from error
    return written


def _captions(answers: Answers, wanted: Question, affixes: Affixes, shown_from: float) -> Iterator[tuple[Row, str]]:
    for row in answers.rows():
        if row.prediction is not None and (caption := caption_of(prediction_of(row, wanted, shown_from), affixes)):
            yield row, caption


def _write(path: Path, caption: str, mode: Beside) -> str:
    """Write a caption, whole or not at all; returns why not, or nothing."""
    before = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
    content = f"{caption}\n"
    if before == content or (mode is Beside.APPEND and before.endswith(f"\n{content}")):
        return ""
    if before and mode is Beside.NEW:
        return "It is there already. Say --captions-beside overwrite, or append."
    if mode is Beside.APPEND and before:
        content = f"{before.rstrip()}\n{content}"
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(content, "utf-8", "surrogateescape")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return ""
