"""JSON Lines: a picture, a prompt and an answer a line, as tutorials on fine-tuning Florence-2 write them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from playground.datasets.files import DataFiles, folder_of, join_paths, subset_named
from playground.datasets.formats import FoundSet, holds_part
from playground.datasets.labeled import FrameSize, Labeled, unusable
from playground.errors import SourceRejected, UnknownTask
from playground.grammar import parse
from playground.locations import NUM_BINS
from playground.question import Question
from playground.regions import MAX_TEXT, Region
from playground.tasks import TASKS, InputKind, OutputKind, Task, get_task

_PICTURE = ("image", "file_name", "image_path", "filename", "path")
_PROMPT = ("prefix", "prompt", "task", "question", "instruction")
_ANSWER = ("suffix", "answer", "answers", "completion", "response", "text", "caption")
_ASKED = re.compile(r"\s*(<[^<>\s]+>)\s*(.*)", re.DOTALL)
_FRAME: FrameSize = (float(NUM_BINS), float(NUM_BINS))  # of the location tokens
_BINS = (NUM_BINS, NUM_BINS)
_LOCATION = re.compile(r"<loc_\d{1,3}>")
_LIKE_LOCATION = re.compile(r"<loc_[^<>]*>")
_OWN_PROMPT = next(task for task in TASKS if task.input_kind is InputKind.PROMPT)


def find_lines(files: DataFiles) -> FoundSet | None:
    """Return the data set, if a file of lines names pictures and answers."""
    parts: dict[str, list[str]] = {}
    for path in files.ending(".jsonl"):
        if _has_answers(files, path):
            parts.setdefault(_subset_of(path), []).append(path)
    if not parts:
        return None

    def labeled(wanted: str) -> Iterator[Labeled]:
        for subset, paths in parts.items():
            if holds_part(subset, wanted):
                for path in paths:
                    yield from _labeled(files, path, subset)

    return FoundSet("JSON Lines", (), tuple(parts), labeled)


def _has_answers(files: DataFiles, path: str) -> bool:
    """Whether one of the first lines is a row of a data set."""
    try:
        for count, (_, line) in enumerate(files.lines(path)):
            row = _row(line)
            if row and _first(row, _PICTURE) and _first(row, _ANSWER):
                return True
            if count > 20:
                return False
    except SourceRejected:
        return False
    return False


def _subset_of(path: str) -> str:
    subset = subset_named(path.rpartition("/")[2].partition(".")[0])
    return subset if subset in ("train", "val", "test") else subset_named(folder_of(path).rpartition("/")[2])


def _row(line: str) -> Mapping[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _first(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """Return the first text that a row holds under one of these keys; of several texts the first counts."""
    return next(iter(_several(row, keys)), "")


def _several(row: Mapping[str, Any], keys: tuple[str, ...]) -> list[str]:
    """Return the texts that a row holds under the first of these keys that has any."""
    for key in keys:
        held = row.get(key)
        values = held if isinstance(held, list) else [held]
        texts = [one for one in values if isinstance(one, str | int | float) and not isinstance(one, bool)]
        if said := [str(one)[:MAX_TEXT] for one in texts if str(one).strip()]:
            return said
    return []


def _labeled(files: DataFiles, path: str, subset: str) -> Iterator[Labeled]:
    here = folder_of(path)
    near = (here, join_paths(here, "images"), folder_of(here), "images")
    asked: dict[tuple[str, Question], int] = {}  # in which line first
    for number, line in files.lines(path):
        place = f"{path}, line {number}"
        row = _row(line) or {}
        pictures, answers = _several(row, _PICTURE), _several(row, _ANSWER)
        if len(pictures) != 1 or not answers:
            several = f"names {len(pictures)} pictures" if pictures else "names no picture"
            what = "is no JSON object" if not row else several if len(pictures) != 1 else "holds no answer"
            sentence = f'This line {what}: it needs {{"image": ..., "prefix": ..., "suffix": ...}}.'
            yield unusable(place, sentence, subset=subset, said_by=place)
            continue
        question, regions = understood(_first(row, _PROMPT), answers[0])
        lost = _what_is_lost(question, answers[0], regions)
        if lost and not regions:  # an empty answer would be another one
            yield unusable(place, lost, subset=subset, said_by=place)
            continue
        faults = [lost] if lost else []
        if question and regions and (first := asked.setdefault((pictures[0], question), number)) != number:
            faults.append(f"Line {first} asks {question.task} about it, too. Write the whole answer on one line.")
        if regions and len(answers) > 1:
            faults.append(f"This line holds {len(answers)} answers, of which the first was taken. Write them as one.")
        source, texts = files.find(pictures[0], near), tuple(dict.fromkeys([*answers, *_several(row, ("answers",))]))
        yield Labeled(pictures[0], source, regions, texts, question, subset, place, _FRAME, (), tuple(faults))


def _what_is_lost(question: Question | None, answer: str, regions: Sequence[Region]) -> str:
    """Return what of an answer is no region though it should be; nothing where all of it was understood."""
    if question is None or get_task(question.task).output_kind in (OutputKind.TEXT, OutputKind.TEXT_WITH_BOX):
        return ""
    is_free = question.task == _OWN_PROMPT.id
    written = len(_LIKE_LOCATION.findall(answer))
    read = sum(_num_coordinates(region) for region in regions)
    if written == read and (regions or is_free):
        return ""
    return (
        f"The answer of this line to {question.task} holds {written} coordinates, {read} of them of whole regions: "
        f"{answer[:60]!r}. Write a name and <loc_0> to <loc_{NUM_BINS - 1}> for each, as the task has them."
    )


def _num_coordinates(region: Region) -> int:
    if region.polygons:
        return sum(2 * len(part) for part in region.polygons)
    return 8 if region.xyxyxyxy else 4


def understood(prompt: str, answer: str) -> tuple[Question | None, tuple[Region, ...]]:
    """Return what a prompt asks, and the regions of its answer, in a frame of 1000 x 1000.

    A prompt begins with the token of a task, or is one of somebody's own, such as `<DocVQA>What is the date?`.
    """
    if not prompt.strip():
        return None, ()
    task, rest = _task_of(prompt)
    if task is None:
        has_locations = bool(_LOCATION.search(answer))
        regions = parse(answer, _OWN_PROMPT, _BINS).regions if has_locations else ()
        return Question(_OWN_PROMPT.id, prompt.strip()), regions
    boxes = tuple(region.xyxy for region in parse(rest, "<REGION_PROPOSAL>", _BINS).regions)
    is_about_regions = task.input_kind is InputKind.REGIONS
    question = Question(task.id, "" if is_about_regions else rest.strip(), boxes if is_about_regions else ())
    return question, parse(answer, task, _BINS).regions


def _task_of(prompt: str) -> tuple[Task | None, str]:
    """Return the task that a prompt asks for, by its token or by its whole sentence, and what follows."""
    if match := _ASKED.fullmatch(prompt):
        for name in (match[1], match[1].upper()):  # of which no checkpoint has one of its own
            with suppress(UnknownTask):
                return get_task(name), match[2]
        return None, ""
    said = prompt.strip()
    for task in TASKS:
        if task.input_kind is InputKind.NONE and task.then is None and said in (task.prompt, task.id.strip("<>")):
            return task, ""
    return None, ""
