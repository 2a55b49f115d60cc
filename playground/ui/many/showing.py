"""What the page of many pictures shows of a job and of one of its pictures. Knows no handler."""

import base64
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from PIL import Image

from playground.annotate.answers import Row
from playground.annotate.findings import Kind, Order, PictureSummary, Sieve, select
from playground.annotate.outputs import WrittenFile
from playground.annotate.served import JobProgress, JobState, ServedJob
from playground.corrections import Corrections, ids_of, read_corrections
from playground.drawing.colors import colors_of
from playground.export import text_shown
from playground.pictures.reader import InputImage
from playground.results import Prediction
from playground.ui import text
from playground.ui.components import StageData, boxes_from, edits_from
from playground.ui.many.components import GridData, WantedData
from playground.ui.server.files import save_jpeg
from playground.ui.taking import DISPLAY_SIDE
from playground.ui.wiring import Updates

PREVIEW = 3  # pictures
_MOST_ROWS = 240  # of one answer
_MOST_LABELS = 200
_SHOWN_LABELS = 4  # of a picture in the grid
_MOST_TOLD = 60
_MOST_LEFT_OUT = 3  # that are named


def sieve_of(wanted: WantedData) -> Sieve:
    """Return which pictures are wanted; what makes no sense is as if nobody had said it."""
    kinds, orders = {kind.value: kind for kind in Kind}, {order.value: order for order in Order}
    return Sieve(
        kinds.get(wanted.kind, Kind.ALL),
        wanted.label,
        max(0, wanted.min_count),
        wanted.max_score,
        orders.get(wanted.order, Order.GIVEN),
    )


def grid_of(job: ServedJob, wanted: WantedData, opened: str = "") -> GridData:
    """Return what the grid shows of a job."""
    findings, progress = job.findings.read(), job.progress()
    rows = select(findings, sieve_of(wanted))
    first = max(0, min(wanted.first, len(rows)))
    some = rows[first : first + max(0, min(wanted.count, _MOST_ROWS))]
    counted, have = job.findings.tally(wanted.label), set(wanted.have)
    names = [name for name, _, _ in counted.labels[:_MOST_LABELS]]
    colors = colors_of(names)
    return GridData(
        job={**progress.to_dict(), "wanted": progress.num_wanted, "preview": PREVIEW},
        revision=f"{len(findings)} {job.findings.num_reviews} {job.findings.num_begun}",
        total=len(rows),
        first=first,
        rows=[_row(job, row, with_thumbnail=row.answer_id not in have) for row in some],
        labels=[[name, count, pictures, colors[name]] for name, count, pictures in counted.labels[:_MOST_LABELS]],
        kinds={kind.value: count for kind, count in counted.kinds},
        histogram=list(counted.histogram),
        threshold=_threshold(job, wanted.label),
        opened=opened,
        wanted=wanted.model_copy(
            update={"have": [], "picture": "", "threshold": -1.0, "num_begun": job.findings.num_begun}
        ),
    )


def _threshold(job: ServedJob, label: str) -> float:
    scores = dict(job.wanted.min_scores) if job.wanted else {}
    return scores.get(label, scores.get("", job.shown_from))


def _row(job: ServedJob, row: PictureSummary, *, with_thumbnail: bool) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for label in row.labels:
        counts[label] = counts.get(label, 0) + 1
    shown = [f"{label} × {count}" if count > 1 else label for label, count in list(counts.items())[:_SHOWN_LABELS]]
    if len(counts) > _SHOWN_LABELS:
        shown.append("…")
    nothing = "nothing it is sure of" if row.is_unsure or row.all_scores else "nothing found"
    told: dict[str, Any] = {
        "id": row.answer_id,
        "name": row.source.stem,
        "says": ", ".join(shown) or row.text or ("" if row.error else nothing),
        "error": row.error,
        "verdict": row.verdict.value,
        "corrected": row.is_corrected,
        "least": round(row.least_score, 2) if row.labels and row.least_score < 1 else None,
    }
    if with_thumbnail and (thumbnail := job.thumbnail(row.source)):
        told["thumb"] = f"data:image/jpeg;base64,{base64.b64encode(thumbnail).decode()}"
    return told


def answer_of(job: ServedJob, answer_id: str) -> str:
    """Return what tells an answer of a job from those of all jobs."""
    return f"{job.folder.name}-{answer_id}"


def stage_of_row(row: Row, job: ServedJob, image: InputImage) -> StageData:
    """Return the picture of a row with its answer, which can be corrected."""
    display = image.pixels.copy()
    display.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Image.Resampling.LANCZOS)
    width, height = image.resolution_wh
    picture = FileData(path=save_jpeg(display, "picture", folder=job.folder))
    said = row.said or row.prediction
    if said is None or row.prediction is None:
        return StageData(image=picture, w=width, h=height)
    corrections = read_corrections(row.changes, said)
    shown, numbers = _shown(row.prediction, ids_of(said, corrections), job)
    return StageData(
        image=picture,
        w=width,
        h=height,
        boxes=boxes_from(shown, colors_of([region.label for region in shown.regions]), numbers),
        edits=_edits(answer_of(job, row.answer_id), said, row.version, corrections)
        if said.regions or row.changes
        else None,
        alt=text.alt_text(shown, shown),
        hidden=[],
    )


def _shown(prediction: Prediction, ids: tuple[int, ...], job: ServedJob) -> tuple[Prediction, list[int]]:
    """Return what is wanted of a prediction, and the ids of its regions."""
    wanted = job.findings.wanted(prediction)
    numbers, left = [], list(zip(ids, prediction.regions, strict=True))
    for region in wanted.regions:
        place = next(
            place for place, (_, one) in enumerate(left) if one.xyxy == region.xyxy and one.score == region.score
        )
        numbers.append(left.pop(place)[0])
    return wanted, numbers


def _edits(answer_id: str, said: Prediction, version: int, corrections: Corrections) -> Any:
    return edits_from(answer_id, len(said.regions), version, corrections)


def told_lines(row: Row, job: ServedJob) -> list[text.Line]:
    """Return what has no place on the picture: a text, what was asked about each region afterwards, and notes."""
    if row.prediction is None:
        return []
    shown = job.findings.wanted(row.prediction)
    texts = [": ".join(filter(None, (one.label, one.text))) for one in shown.regions if one.text]
    if not row.prediction.regions and (written := text_shown(row.prediction)):
        texts.insert(0, written)
    return [*map(text.line, texts[:_MOST_TOLD]), *text.notes(row.prediction, shown, has_raw_text=False)]


def controls(progress: JobProgress | None) -> Updates:
    """Return which buttons can be pressed, and what they say."""
    state = progress.state if progress else None
    is_working = state is JobState.WORKING
    is_begun = state not in (None, JobState.NEW)
    run = "Run on all"
    if progress and progress.num_pictures and not is_working:
        left = progress.num_pictures - progress.num_done
        is_over = not left and progress.num_failed
        many = "the one" if progress.num_failed == 1 else f"the {progress.num_failed}"
        run = f"Try {many} again that failed" if is_over else f"Run on all {progress.num_pictures}"
        if left and progress.state in (JobState.PAUSED, JobState.STOPPED):
            run = f"Go on with the other {left}"
    return {
        "preview": gr.update(interactive=bool(progress) and not is_working, variant=_main(not is_begun)),
        "run": gr.update(value=run, interactive=is_begun and not is_working, variant=_main(is_begun)),
        "pause": gr.update(interactive=is_working),
        "stop": gr.update(interactive=is_working, variant="stop" if is_working else "secondary"),
        "delete": gr.update(interactive=bool(progress)),
        "timer": gr.update(active=is_working),
        "results": gr.update(visible=is_begun),
    }


def _main(is_main: bool) -> str:
    return "primary" if is_main else "secondary"


def job_line(progress: JobProgress) -> text.Line:
    """Return how far a job is, in a sentence."""
    total = progress.num_wanted or progress.num_pictures
    done = f"{progress.num_done} of {total} pictures" if total else f"{progress.num_done} pictures"
    if progress.state is JobState.WORKING and progress.num_pictures is None:
        return text.line("Waiting for the model, and counting the pictures…", "busy")
    match progress.state:
        case JobState.NEW:
            return text.line("The pictures are here. Try the question on the first of them.", "good")
        case JobState.WORKING:
            return text.line(f"Asking: {done} are done.", "busy")
        case JobState.PAUSED:
            return text.line(f"Paused: {done} are done. It goes on where it was.", "warning")
        case JobState.STOPPED:
            return text.line(f"Stopped: {done} are done. It can go on where it was.", "warning")
        case JobState.FAILED:
            return text.line(progress.message, "error")
        case _ if progress.has_more:
            return _first_line(progress)
        case _:
            return _last_line(progress)


def _first_line(progress: JobProgress) -> text.Line:
    """Return how the pictures that are tried first came out."""
    done = progress.num_done
    if progress.num_failed:
        said = f"{progress.num_answered} of the first {done} are answered; why not the rest stands below them."
        return text.line(f"{said} Change the question until the others are right.", "warning")
    return text.line(f"The first {done} are answered. Change the question until they are right.", "good")


def _last_line(progress: JobProgress) -> text.Line:
    is_one = progress.num_pictures == 1
    if not progress.num_failed:
        return text.line("It is done." if is_one else f"All {progress.num_pictures} pictures are done.", "good")
    if is_one:
        return text.line("It could not be answered. Why stands below it.", "warning")
    said = f"All {progress.num_pictures} pictures are done; {progress.num_failed} could not be answered."
    return text.line(said, "warning")


def saved_line(written: WrittenFile) -> text.Line:
    """Return what is in a file, and what is not."""
    count = written.num_pictures
    left = [f"Left out: {sentence}" for sentence in written.left_out[:_MOST_LEFT_OUT]]
    left += [f"Not in it: {written.num_failed} that could not be answered."] if written.num_failed else []
    left += [f"It ends early: {text.FILM_TOO_LONG}"] if written.is_cut else []
    said = f"Saved {count} {'picture' if count == 1 else 'pictures'}."
    return text.line(" ".join([said, *left]), "warning" if left else "good")
