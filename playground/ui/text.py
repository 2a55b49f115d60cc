"""The page's own sentences. Pure functions of domain values; knows nothing of Gradio."""

from collections.abc import Sequence

from playground.checkpoints.catalog import Checkpoint
from playground.engines import State, Status
from playground.events import RunStage
from playground.export import FORMATS
from playground.grammar import summarize, tokenize
from playground.question import DECODINGS
from playground.results import Prediction, Timings
from playground.scenes.examples import Example
from playground.tasks import InputKind, OutputKind, OwnTask, Task, get_task

TITLE = "Florence-2 Playground"
LEAD = "Drop a picture, ask something, and watch the answer being drawn."
NEXT_PICTURE = "Drop another picture here"
NO_PICTURE = "Add a picture first: drop one here, or pick an example."
WELCOME = "An example, answered by this model. Drop a picture of your own, or ask something else about this one."
ANSWER_EMPTY = "What the model says appears here."
TABLE_EMPTY = "What the model finds is listed here."
NOTHING_FOUND = "Nothing found."
FILTERED = "Every region is filtered out."
UNSURE = "The model is not sure of its answer, so it is not shown."
NOTHING_THERE = "Nothing."
NEW_SCENE = "Draw me a new scene"
DRAW_HINT = "Draw regions on the picture"
DECODING_TITLES = {"greedy": "Fast (greedy)", "careful": "Careful (three beams)"}

WAITING = "Waiting for the model…"
STOPPED = "Stopped before it began."
FILM_TOO_LONG = "a film may take ten minutes here. Write the whole one on a machine of your own."
NOT_WHOLE = "The answer is not whole. Save it when it is done, or run again."
NOTHING_TO_SAVE = "There is no answer to save yet. Ask something first."
STOPPED_LOOKING = "Stopped; the answer before stays."
NOT_ON_ZERO_GPU = "On this machine each answer has a GPU for some seconds only, too short for this. Ask for it by name."
LOOKING_FOR_MORE = "Looking for more like this…"
NOT_SHARPENED = "Sharper outlines are turned off here. Ask whoever runs the playground to start it without --masks off."
BUSY = "As many questions as the playground takes wait already. Press Run again in a minute."

STILL_ANSWERING = "The model is still answering. Wait until it is done, or press Stop."

Line = dict[str, str]  # {"text": ..., "tone": "plain" | "busy" | "good" | "warning" | "error", "details": on demand}

_DOING = {
    RunStage.WAITING: "Waiting for the model",
    RunStage.ENCODING_IMAGE: "Looking at the picture",
    RunStage.ENCODING_PROMPT: "Reading the question",
    RunStage.WRITING: "Writing",
}
_TONES = {
    State.ABSENT: "plain",
    State.DOWNLOADING: "busy",
    State.LOADING: "busy",
    State.READY: "good",
    State.FAILED: "error",
}


def line(text: str, tone: str = "plain", details: str = "") -> Line:
    """One line of text with the tone in which it is shown, and what is said to those who ask for more."""
    return {"text": text, "tone": tone} | ({"details": details} if details else {})


def decoding_choices() -> list[tuple[str, str]]:
    """Titles and names of the ways to decode."""
    return [(DECODING_TITLES[name], name) for name in DECODINGS]


def cannot_carry(format_id: str) -> str:
    """What a kind of file cannot hold."""
    return next(row.cannot_carry for row in FORMATS if row.id == format_id)


def history_title(count: int) -> str:
    """What the tray of answers says before it is opened."""
    return f"Asked before ({count})"


def page_title(page: int, count: int) -> str:
    """What a page of a file is called, counted from 1."""
    return f"Page {page + 1} of {count}"


def phrase_label(task: Task) -> str:
    """What the text field asks for."""
    if isinstance(task, OwnTask) and task.input_kind is InputKind.SENTENCE:
        return "Your question, or a sentence"
    return {
        InputKind.SENTENCE: "A sentence about the picture",
        InputKind.CLASSES: "Things to find, separated by commas",
        InputKind.EXPRESSIONS: "What to outline, separated by commas",
        InputKind.PROMPT: "The prompt, as the checkpoint knows it",
    }.get(task.input_kind, "")


def checkpoint_line(status: Status) -> Line:
    """Which checkpoint answers, and whether it can; on demand, on what device and how."""
    return line(status.message, _TONES[status.state], status.details)


def banner_lines(status: Status) -> list[Line]:
    """What everybody has to know of the checkpoint that answers; on demand, why it does."""
    note = status.checkpoint.note
    return [line(note, "warning", status.why)] if note else []


def offer_label(checkpoint: Checkpoint, *, is_here: bool) -> str:
    """What the button says that gets a checkpoint, or takes it where it is loaded already."""
    size = f" ({checkpoint.download_size})" if checkpoint.download_size else ""
    return f"Use {checkpoint.title}" if is_here else f"Get {checkpoint.title}{size}"


def asking_line(doing: str, count: int, prediction: Prediction) -> Line:
    """What a question about so many regions is doing."""
    step = "" if prediction.stage is RunStage.WRITING else f": {_DOING.get(prediction.stage, 'Writing').lower()}"
    return line(f"{doing} {_regions(count)}{step}…", "busy")


def asked_line(done: str, found: int, count: int, elapsed: float, told: Sequence[str]) -> Line:
    """How it ended: for how many of the regions something was found, and what else is to be told."""
    of_all = "" if found == count else f" of {count}"
    result = f"{done} {found}{of_all} {'region' if count == 1 else 'regions'} in {seconds(1000 * elapsed)}"
    whole = [result if found else "Nothing was found there", *told]
    return line(". ".join(sentence.rstrip(".") for sentence in whole) + "." * bool(told), "warning" if told else "good")


def sharpening_line(count: int) -> Line:
    """What is said while the outlines of so many regions become sharper."""
    return line(f"Sharpening {_regions(count)}…", "busy")


def sharpened_line(found: int, count: int, elapsed: float, ious: Sequence[float], told: Sequence[str]) -> Line:
    """How it ended: for how many regions there is a sharper outline, and how good the model thinks that they are."""
    ended = asked_line("Sharpened", found, count, elapsed, told)
    if not ious:
        return ended
    least, most = f"{min(ious):.2f}", f"{max(ious):.2f}"
    guess = f"Predicted IoU {least}" if least == most else f"Predicted IoU {least} to {most}"
    return line(f"{ended['text'].rstrip('.')}. {guess}, which is no score", ended["tone"])


def _regions(count: int) -> str:
    return "the region" if count == 1 else f"{count} regions"


def way_back_label(count: int) -> str:
    """What the button says that brings back an answer with so many corrections."""
    return f"Bring back your {'correction' if count == 1 else f'{count} corrections'}"


def run_line(prediction: Prediction) -> Line:
    """What a run is doing, or how it ended."""
    count = len(prediction.regions)
    regions = f" · {count} {'region' if count == 1 else 'regions'}" if count else ""
    if prediction.stage is RunStage.DONE:
        return line(f"Done in {seconds(prediction.timings.total)}{regions}", "good")
    if prediction.stage is RunStage.STOPPED:
        total = prediction.timings.total
        after = f" after {seconds(total)}" if total is not None else ""  # unknown where the run never began
        return line(f"Stopped{after}; what was drawn is kept{regions}", "warning")
    draft = " (a draft: the careful search may still change it)" if prediction.is_draft else ""
    return line(f"{_DOING[prediction.stage]}…{regions}{draft}", "busy")


def seconds(milliseconds: float | None) -> str:
    """A duration for a person: `0.40 s`, `1.5 s`, `12 s`; a dash where it was not measured."""
    if milliseconds is None:
        return "–"
    value = milliseconds / 1000
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def timings_line(timings: Timings) -> str:
    """The time taken by each stage."""
    encoded = "remembered" if timings.encode_image == 0 else seconds(timings.encode_image)
    parts = [
        f"picture {encoded}",
        f"question {'remembered' if timings.encode_prompt == 0 else seconds(timings.encode_prompt)}",
        f"first word after {seconds(timings.first_token)}",
    ]
    if timings.first_region is not None:
        parts.append(f"first region after {seconds(timings.first_region)}")
    return " · ".join([*parts, f"all in {seconds(timings.total)}"])


def notes(
    prediction: Prediction, seen: Prediction | None = None, *, told: str = "", has_raw_text: bool = True
) -> list[Line]:
    """What the user has to know about a final answer, but for a sentence that the page tells already.

    `seen` holds the regions that are shown, where some are not; `has_raw_text` says whether the page shows what the
    model wrote.
    """
    lines = [line(notice, "warning") for notice in prediction.notices if notice != told]
    if prediction.missing_names() and not prediction.is_unsure:
        lines.insert(0, line(_not_found(prediction)))
    elif prediction.is_final and is_nothing_found(prediction):
        lines.insert(0, line(NOTHING_FOUND))
    hidden = _hidden(prediction, seen or prediction, has_raw_text=has_raw_text)
    return [*lines, line(hidden)] if hidden else lines


def _not_found(prediction: Prediction) -> str:
    names = prediction.missing_names()
    return f"Not found: {', '.join(names)}." if names else ""


def _hidden(prediction: Prediction, seen: Prediction, *, has_raw_text: bool) -> str:
    """How much of an answer is not shown, why, and where it is to be had."""
    count = len(prediction.regions) - len(seen.regions)
    what = "1 region is hidden" if count == 1 else f"{count} regions are hidden"
    if not count:
        is_text_hidden = has_raw_text and prediction.is_unsure and prediction.text and not seen.regions
        return "What it wrote stands under “What the model wrote”." if is_text_hidden else ""
    if prediction.is_unsure:
        return f"{what} for that reason. Lower “Lowest score” to see more."
    return f"{what}: the score is below the lowest that is shown. Lower “Lowest score” to see more."


def is_nothing_found(prediction: Prediction) -> bool:
    """Whether a task that looks for things found none, or one that writes wrote nothing."""
    if prediction.stage is RunStage.STOPPED or prediction.regions:
        return False
    is_prose = get_task(prediction.task).input_kind is InputKind.PROMPT
    return not prediction.text or not (get_task(prediction.task).output_kind.is_text or is_prose)


def alt_text(prediction: Prediction, seen: Prediction | None = None) -> str:
    """What the result shows, for those who do not see it: the text, or a count of what was found.

    `seen` holds the regions that are shown, where some are not.
    """
    is_text = get_task(prediction.task).output_kind is OutputKind.TEXT
    if is_text and prediction.text and not prediction.is_unsure:
        return prediction.text
    counts = [f"{count} × {label or 'region'}" for label, count in (seen or prediction).label_counts().items()]
    if counts:
        return " ".join([f"Found: {', '.join(counts)}.", _not_found(prediction)]).strip()
    if prediction.is_unsure:
        return UNSURE
    if prediction.regions:
        return FILTERED
    return prediction.text if prediction.text and not is_nothing_found(prediction) else NOTHING_FOUND


def table_empty(prediction: Prediction) -> str:
    """Why the table of a final answer has no row."""
    if prediction.regions:
        return FILTERED
    return NOTHING_FOUND if is_nothing_found(prediction) else TABLE_EMPTY


def truth(example: Example) -> str:
    """What is right to answer, in the words in which the answer is shown."""
    is_text = get_task(example.task).output_kind.is_text
    return (example.text if is_text else summarize(example.regions)) or NOTHING_THERE


def label_choices(prediction: Prediction) -> list[tuple[str, str]]:
    """Labels with their counts, for the filter."""
    return [(f"{label or '(no label)'} · {count}", label) for label, count in prediction.label_counts().items()]


def raw_segments(raw_text: str) -> Sequence[tuple[str, str | None]]:
    """What the model really wrote, in pieces; location tokens and other special tokens are marked."""
    pieces: list[tuple[str, str | None]] = []
    for token in tokenize(raw_text):
        kind = None if not token.is_special else "location" if token.text.startswith("<loc_") else "token"
        if pieces and pieces[-1][1] == kind:
            pieces[-1] = (pieces[-1][0] + token.text, kind)
        else:
            pieces.append((token.text, kind))
    return pieces


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    return f"{max(1, round(seconds))} seconds" if seconds < 90 else f"{round(seconds / 60)} minutes"
