"""What the teaching page shows of a teaching: a line on how far it is, and the board. Pure functions."""

import base64
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from itertools import chain, repeat, zip_longest
from typing import Any

import gradio as gr
from PIL import Image

from playground.drawing.colors import colors_of
from playground.errors import ImageRejected
from playground.finetune.checks import LessonReport
from playground.finetune.lessons import Lesson
from playground.finetune.teaching import HeldOutAnswer, TeachingProgress, TeachingStage
from playground.question import Question
from playground.regions import Region
from playground.tasks import get_task
from playground.teachings import ServedTeaching, TeachingState, kept_point
from playground.ui import text
from playground.ui.components import boxes_from, truth_from
from playground.ui.link import Link
from playground.ui.teach.components import AnswerData, BoardData, HeldOutData, PointData
from playground.ui.wiring import Updates

_SHOWN = 3  # pictures that were held out
_MOST_TOLD = 20  # sentences of a report
_SIDE = 560  # pixels of them

_STAGES = {
    TeachingStage.LOADING: "Loading the checkpoint",
    TeachingStage.CHECKING: "Checking the pictures",
    TeachingStage.MEASURING: "Asking about the pictures that are held out",
    TeachingStage.TEACHING: "Teaching",
}


def teaching_line(teaching: ServedTeaching) -> text.Line:
    """Say how far it is."""
    match teaching.state:
        case TeachingState.READY:
            return text.line("Ready to teach.", "good")
        case TeachingState.WORKING:
            return text.line("Ending after this step…" if teaching.is_ending else _doing(teaching.progress), "busy")
        case TeachingState.STOPPED:
            return text.line(f"Stopped. Teach goes on from there{_or_keep(teaching)}", "warning")
        case TeachingState.TAUGHT:
            return _outcome(teaching.progress)
        case TeachingState.KEPT:
            return text.line(f"Kept as {teaching.message}: it is in the list of checkpoints of each page.", "good")
        case TeachingState.FAILED:
            return text.line(teaching.message, "error")


def report_lines(report: LessonReport) -> list[text.Line]:
    """Say what is taught, and on demand what is left out and what is worth knowing."""
    lines = [text.line(report.summary)]
    for sentences, what, tone in ((report.left_out, "left out", "warning"), (report.notices, "worth knowing", "plain")):
        if sentences:
            more = f" And {len(sentences) - _MOST_TOLD} more." if len(sentences) > _MOST_TOLD else ""
            lines.append(text.line(f"{len(sentences)} {what}", tone, " ".join(sentences[:_MOST_TOLD]) + more))
    return lines


def _doing(progress: TeachingProgress | None) -> str:
    if progress is None:
        return "Loading the checkpoint…"
    said = _STAGES.get(progress.stage, "Teaching")
    if progress.stage is not TeachingStage.LOADING:
        said += f": step {progress.step} of {progress.steps}"
    if progress.seconds_left is not None and progress.step:
        said += f", about {text.duration(progress.seconds_left)} left"
    return f"{said}…"


_AS_BEFORE = "It became no better: what may be kept answers as before."


def _or_keep(teaching: ServedTeaching) -> str:
    """Return what else may become of one that was stopped."""
    if not teaching.can_be_kept:
        return "."
    kept = kept_point(teaching.progress.points) if teaching.progress else None
    return f". {_AS_BEFORE}" if kept and kept.step == 0 else ", or keep what it has learned."


def _outcome(progress: TeachingProgress | None) -> text.Line:
    kept = kept_point(progress.points) if progress else None
    if progress is None or kept is None or kept.quality is None or progress.points[0].quality is None:
        return text.line("Done; nothing was held out to measure with. Keep it, or throw it away.", "good")
    if kept.step == 0:
        more = "more minutes, or more pictures" if progress.step < progress.steps else "more pictures"
        return text.line(f"{_AS_BEFORE} Give it {more}.", "warning")
    first, name = progress.points[0].quality, progress.quality_name
    change = f"{name} of the pictures held out was {first:.2f} before, and is {kept.quality:.2f} now"
    return text.line(f"Done: {change}. Keep it, or throw it away.", "good" if kept.quality >= first else "warning")


def teach_controls(teaching: ServedTeaching | None) -> Updates:
    """Return which buttons can be pressed."""
    state = teaching.state if teaching else None
    is_working = state is TeachingState.WORKING
    can_start = state in (TeachingState.READY, TeachingState.STOPPED, TeachingState.FAILED)
    return {
        "check": gr.update(interactive=not is_working),  # which would end it
        "teach": gr.update(interactive=can_start),
        "stop": gr.update(interactive=is_working, variant="stop" if is_working else "secondary"),
        "outcome": gr.update(visible=teaching is not None and teaching.can_be_kept),
        "ask": _ask(teaching),
        "timer": gr.update(active=is_working),
    }


def _ask(teaching: ServedTeaching | None) -> dict[str, Any]:
    if teaching is None or teaching.state is not TeachingState.KEPT:
        return gr.update(visible=False)
    question = Question(teaching.lessons.lessons[0].question.task, checkpoint=teaching.message)
    return gr.update(visible=True, link=f"./?{Link(question).write()}")


def revision_of(teaching: ServedTeaching) -> str:
    """Return what changes whenever the board is to be drawn anew."""
    points = teaching.progress.points if teaching.progress else ()
    return f"{teaching.out.name} {len(points)} {bool(teaching.before)} {teaching.state.value}"


def board_of(teaching: ServedTeaching) -> BoardData:
    """Return the curve and the pictures that are held out."""
    progress = teaching.progress
    is_over = teaching.state in (TeachingState.TAUGHT, TeachingState.KEPT)
    answers = zip_longest(teaching.before[:_SHOWN], (teaching.best if is_over else teaching.now)[:_SHOWN])
    lessons = teaching.lessons.held_out[:_SHOWN]  # several may be about one picture
    pictures = [
        shown
        for lesson, (before, now) in zip(lessons, chain(answers, repeat((None, None))), strict=False)
        if (shown := _picture(lesson, _asked(lesson, teaching.lessons.held_out), before, now))
    ]
    return BoardData(
        revision=revision_of(teaching),
        quality_name=progress.quality_name if progress else "",
        points=[PointData(step=p.step, loss=p.loss, quality=p.quality) for p in progress.points] if progress else [],
        pictures=pictures,
    )


def _asked(lesson: Lesson, others: Sequence[Lesson]) -> str:
    """Return what is asked about a picture, where that is not one question for all."""
    question = lesson.question
    if all(other.question == question for other in others):
        return ""
    return f": {question.phrase or get_task(question.task).title}"


def _picture(lesson: Lesson, asked: str, before: HeldOutAnswer | None, now: HeldOutAnswer | None) -> HeldOutData | None:
    try:
        image, (width, height) = _small(lesson)
    except ImageRejected:
        return None
    said = lesson.text if lesson.is_answered_by_text or not lesson.regions else ""
    regions = lesson.regions or tuple(Region("", box) for box in lesson.question.regions)
    truth: dict[str, Any] = {"text": said, "boxes": truth_from(said, regions).boxes}
    labels = [region.label for answer in (before, now) if answer for region in answer.prediction.regions]
    colors = colors_of([*(region.label for region in lesson.regions), *labels])
    return HeldOutData(
        name=f"{lesson.name}{asked}", image=image, w=width, h=height, right=AnswerData(**truth),
        before=_answer(before, colors), now=_answer(now, colors),
    )  # fmt: skip


def _answer(answer: HeldOutAnswer | None, colors: dict[str, str]) -> AnswerData | None:
    if answer is None:
        return None
    regions: tuple[Region, ...] = answer.prediction.regions
    return AnswerData(text="" if regions else answer.prediction.text, boxes=boxes_from(answer.prediction, colors))


@lru_cache(maxsize=64)
def _small(lesson: Lesson) -> tuple[str, tuple[int, int]]:
    """Return a picture as the page shows it, and the size that regions are in."""
    pixels = lesson.read().pixels
    small = pixels.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    written = BytesIO()
    small.save(written, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}", pixels.size
