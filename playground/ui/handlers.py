"""Between form and domain: each handler reads the form, makes one call, and writes the form.

Domain errors become `gr.Error` here and only here. Knows no component: what goes where is `layout`'s business.
"""

import html
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder
from PIL import Image

from playground import drawing
from playground.errors import EngineFailed, ExportRejected, ImageRejected, InputRejected, PlaygroundError
from playground.export import Export, export
from playground.images import InputImage
from playground.pool import State
from playground.predictor import Predictor
from playground.request import MAX_NEW_TOKENS, read_inputs
from playground.results import Prediction, Region, Stage
from playground.settings import Settings
from playground.tasks import TASKS, InputKind, get_task
from playground.ui import text
from playground.ui.viewer import RegionTableData, StageData, boxes_from

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "assets" / "examples").glob("*.[jp][pn]g"))
DISPLAY_SIDE = 1600  # pixels; the page shows and draws on a copy, files are written at full size
STRIP_HEIGHT = 92  # pixels of the field for the next picture
_SECONDS_BETWEEN_UPDATES = 0.1
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Session:
    """What the server remembers of one tab: paths in Gradio's cache and the last answer, never pixels."""

    path: str = ""
    display_path: str = ""
    resolution_wh: tuple[int, int] = (0, 0)
    prediction: Prediction | None = None

    @property
    def name(self) -> str:
        return Path(self.path).stem or "picture"


@dataclass(frozen=True, slots=True)
class View:
    """What the user wants to see of an answer."""

    look: drawing.Look
    min_score: float
    labels: frozenset[str]
    hidden: frozenset[int]

    def shows(self, index: int, region: Region) -> bool:
        """Whether this region is drawn and saved."""
        return index not in self.hidden and self.lists(region)

    def lists(self, region: Region) -> bool:
        """Whether this region has a row in the table; a region without a score is not judged by one."""
        return region.label in self.labels and (region.score is None or region.score >= self.min_score)


def _no_tool(handler: Any) -> Any:
    """Keep an endpoint out of the MCP server, where Gradio would make a tool of every public one."""
    handler._mcp_type = "none"  # the mark that `gradio.mcp` reads: anything but "tool"
    return handler


class Ending(threading.Event):
    """Set when a run is to end; it is abandoned where nobody wants to see what it has."""

    is_abandoned = False


class Stops:
    """One event for each session's run, from the moment it is asked for: it can be stopped in the queue already."""

    def __init__(self) -> None:
        self._events: dict[str, Ending] = {}
        self._lock = threading.Lock()

    def expect(self, session_hash: str) -> None:
        """A run is about to be queued; one that is still going for this session is abandoned."""
        self.abandon(session_hash)
        with self._lock:
            self._events[session_hash] = Ending()

    def stop(self, session_hash: str) -> None:
        """Stop the run of this session, if there is one."""
        with self._lock:
            event = self._events.get(session_hash)
        if event is not None:
            event.set()

    def abandon(self, session_hash: str) -> None:
        """Stop the run of this session, in the queue too, and let it show nothing more."""
        with self._lock:
            event = self._events.get(session_hash)
        if event is not None:
            event.is_abandoned = True
            event.set()

    @contextmanager
    def run(self, session_hash: str) -> Iterator[Ending]:
        """Hold the event of the expected run; forget it at the end."""
        with self._lock:
            event = self._events.setdefault(session_hash, Ending())
        try:
            yield event
        finally:
            event.set()
            with self._lock:
                if self._events.get(session_hash) is event:
                    del self._events[session_hash]


class Handlers:
    """The handlers of the page and of the API, over one predictor.

    Most answer with `Shown`: what the stage, the table and the rest of the result are to show, in the order of
    its fields.
    """

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._pool = predictor.pool
        self._settings = settings
        self._stops = Stops()
        self._stream = _on_zero_gpu(predictor) if settings.on_zero_gpu else predictor.run

    # The picture

    def take_picture(self, source: str | bytes | None, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Show a picture from the field, which becomes a strip that takes the next one: picture, problem, `Shown`.

        A picture that cannot be used is a sentence under the field, and nothing else changes.
        """
        nothing = [gr.skip() for _ in Shown.names()]
        if source is None:
            return gr.skip(), gr.skip(), *nothing
        try:
            image = self._predictor.read_image(source)
        except PlaygroundError as error:
            return None, [text.line(str(error), "error")], *nothing
        self._stops.abandon(request.session_hash or "")
        strip = gr.update(value=None, height=STRIP_HEIGHT, show_label=False, placeholder=text.NEXT_PICTURE)
        return strip, [], *self._before_answer(_remember(source, image), task_id).values()

    def take_example(self, index: int, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Show one of the pictures that come with the playground."""
        return self.take_picture(str(EXAMPLES[index]), task_id, request)

    def _before_answer(self, session: Session, task_id: str) -> "Shown":
        return Shown(
            stage=self._stage(session, is_drawing=_wants_regions(task_id), regions=[]),
            answer="",
            table=RegionTableData(empty=text.TABLE_EMPTY, hidden=[]),
            notes=[],
            status=self.status(),
            session=session,
            details=gr.update(visible=False),
        )

    def _stage(self, session: Session, *, is_drawing: bool = False, **extra: Any) -> StageData:
        """The plain picture of a session, with whatever else is to be on it."""
        if not session.display_path:
            return StageData()
        width, height = session.resolution_wh
        picture = FileData(path=session.display_path)
        return StageData(image=picture, w=width, h=height, draw=is_drawing, **extra)

    # The form

    def choose_task(self, task_id: str, session: Session) -> tuple[Any, ...]:
        """Show only what the task needs: phrase, draw, stage."""
        task = get_task(task_id)
        has_phrase = task.input_kind.is_text
        phrase = gr.update(visible=has_phrase, label=text.phrase_label(task), placeholder=task.input_hint)
        is_drawing = _wants_regions(task_id)
        return phrase, gr.update(visible=is_drawing, value=True), self._stage(session, is_drawing=is_drawing)

    def choose_drawing(self, is_drawing: bool, session: Session) -> StageData:
        """Draw on the picture, or scroll over it."""
        return self._stage(session, is_drawing=is_drawing)

    def choose_checkpoint(self, name: str) -> tuple[Any, ...]:
        """Begin loading in the background: status, banner, and the timer that follows it."""
        with _errors_for_the_user():
            self._pool.request(name or self._pool.current_name)
        return self.poll(name)

    def status(self, checkpoint: str = "", run: text.Line | None = None) -> list[text.Line]:
        """Which checkpoint answers, on what device, and what it is doing."""
        lines = [text.checkpoint_line(self._pool.status(checkpoint or self._pool.current_name))]
        return [*lines, run] if run else lines

    def poll(self, checkpoint: str) -> tuple[Any, ...]:
        """Status, banner, and whether to ask again soon."""
        status = self._pool.status(checkpoint or self._pool.current_name)
        banner = [text.line(status.checkpoint.note, "warning")] if status.checkpoint.note else []
        is_settled = status.state in (State.READY, State.FAILED)
        return self.status(checkpoint), banner, gr.Timer(active=not is_settled)

    # The run

    def check(
        self,
        session: Session,
        picture: Any,
        task_id: str,
        phrase: str,
        draw: bool,
        stage: StageData,
        checkpoint: str,
        decoding: str,
        max_new_tokens: float,
        request: gr.Request,
    ) -> list[dict[str, Any]]:
        """Refuse what is missing before anything is queued, each sentence at its field. Takes what `run` takes."""
        del checkpoint, decoding, max_new_tokens
        problems = self._problems(session, picture, task_id, phrase, draw, stage)
        if not problems:
            self._stops.expect(request.session_hash or "")
        fields = ("", "picture", "", "phrase", "regions", "", "", "", "")
        return [gr.validate(field not in problems, problems.get(field, "")) for field in fields]

    def begin(self, *inputs: Any) -> tuple[Any, Any]:
        """Let Stop be pressed, while the run waits in the queue already: the buttons run and stop."""
        is_running = not self._problems(*inputs[:6])
        return gr.update(interactive=not is_running), _stop_button(is_enabled=is_running)

    def rest(self) -> tuple[Any, Any]:
        """The run is over, however it ended: the buttons run and stop."""
        return gr.update(interactive=True), _stop_button(is_enabled=False)

    def _problems(
        self, session: Session, picture: Any, task_id: str, phrase: str, draw: bool, stage: StageData
    ) -> dict[str, str]:
        del picture, draw
        if not session.path:
            return {"picture": text.NO_PICTURE}
        try:
            read_inputs(get_task(task_id), session.resolution_wh, phrase=phrase, regions=stage.regions or [])
        except InputRejected as error:
            return {error.field: str(error)}
        return {}

    def run(
        self,
        session: Session,
        picture: Any,
        task_id: str,
        phrase: str,
        draw: bool,
        stage: StageData,
        checkpoint: str,
        decoding: str,
        max_new_tokens: float,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Ask about the session's picture, and show the answer while it is written."""
        del picture
        inputs: dict[str, Any] = {
            "phrase": phrase,
            "regions": stage.regions or [],
            "checkpoint": checkpoint,
            "decoding": decoding,
            "max_new_tokens": max_new_tokens,
        }
        is_drawing = draw and _wants_regions(task_id)
        shown = None
        with self._stops.run(request.session_hash or "") as ending:
            try:
                for prediction in _paced(self._stream(session.path, task_id, stop=ending, **inputs)):
                    if ending.is_abandoned:
                        return
                    show = self._answer if prediction.is_final else self._partial_answer
                    shown = show(session, prediction, is_drawing=is_drawing)
                    yield shown.values()
            except PlaygroundError as error:
                if not ending.is_abandoned:
                    yield self._failed(session, shown, checkpoint, error).values()

    def _failed(self, session: Session, shown: "Shown | None", checkpoint: str, error: PlaygroundError) -> "Shown":
        """The run ended in a sentence; what was drawn is kept."""
        stage = shown.stage.model_copy(update={"busy": False}) if shown else self._stage(session)
        return Shown(
            stage=stage,
            answer=gr.skip(),
            table=gr.skip(),
            notes=[],
            status=self.status(checkpoint, text.line(str(error), "error")),
        )

    def _partial_answer(self, session: Session, prediction: Prediction, *, is_drawing: bool) -> "Shown":
        boxes = boxes_from(prediction, drawing.color_of)
        hidden: list[int] | None = [] if prediction.stage is Stage.WAITING else None  # then what the user hides stays
        return Shown(
            stage=self._stage(session, is_drawing=is_drawing, boxes=boxes, busy=True, hidden=hidden),
            answer=prediction.text,
            table=RegionTableData(boxes=boxes, hidden=hidden, empty=text.TABLE_EMPTY),
            notes=[],
            status=self.status(prediction.checkpoint, text.run_line(prediction)),
        )

    def _answer(self, session: Session, prediction: Prediction, *, is_drawing: bool) -> "Shown":
        session = replace(session, prediction=prediction)
        styles = [(style.title, style.id) for style in drawing.styles_for(prediction)]
        chosen = list(drawing.default_styles(prediction))
        labels = text.label_choices(prediction)
        look = drawing.Look(styles=tuple(chosen))
        view = View(look, 0.0, frozenset(prediction.label_counts()), frozenset())
        stage, table = self._show(session, view, is_drawing=is_drawing)
        return Shown(
            stage=stage.model_copy(update={"hidden": []}),
            answer=prediction.text,
            table=table.model_copy(update={"hidden": []}),
            notes=text.notes(prediction, told=self._pool.status(prediction.checkpoint).checkpoint.note),
            status=self.status(prediction.checkpoint, text.run_line(prediction)),
            session=session,
            details=gr.update(visible=True),
            has_regions=gr.update(visible=bool(prediction.regions)),
            style=gr.update(choices=styles, value=chosen),
            has_labels=look.labels,
            opacity=look.opacity,
            min_score=0,
            labels=gr.update(choices=labels, value=[label for _, label in labels]),
            raw=text.raw_segments(prediction.raw_text),
            timings=[text.line(text.timings_line(prediction.timings))],
        )

    def stop(self, request: gr.Request) -> None:
        """End this session's run within one step; what was drawn is kept."""
        self._stops.stop(request.session_hash or "")

    # The answer, seen in another way: never runs the model

    def redraw(self, session: Session, task_id: str, draw: bool, *form: Any) -> tuple[Any, ...]:
        """Stage and table after a change of style, score, labels or hidden rows."""
        if session.prediction is None:
            return gr.skip(), gr.skip()
        return self._show(session, read_view(*form), is_drawing=draw and _wants_regions(task_id))

    def _show(self, session: Session, view: View, *, is_drawing: bool) -> tuple[StageData, RegionTableData]:
        prediction = session.prediction
        assert prediction is not None
        boxes = boxes_from(prediction, drawing.color_of)
        listed = [box for box, region in zip(boxes, prediction.regions, strict=True) if view.lists(region)]
        annotated = self._annotated(session, prediction.keep(view.shows), view.look)
        stage = self._stage(
            session, is_drawing=is_drawing, boxes=listed, annotated=annotated, alt=text.alt_text(prediction)
        )
        return stage, RegionTableData(boxes=listed, empty=text.table_empty(prediction))

    def _annotated(self, session: Session, prediction: Prediction, look: drawing.Look) -> FileData | None:
        if not prediction.regions:
            return None
        with Image.open(session.display_path) as picture:
            drawn = drawing.draw(picture.convert("RGB"), prediction, look)
        return FileData(path=_save_jpeg(drawn, "annotated"))

    def save(self, session: Session, format_id: str, *form: Any) -> str:
        """Write what is shown, at full size, as a file of Gradio's cache; returns its path."""
        with _errors_for_the_user():
            if session.prediction is None:
                raise ExportRejected("There is no answer to save yet. Ask something first.")
            view = read_view(*form)
            return self._write(session.path, session.name, session.prediction.keep(view.shows), format_id, view.look)

    def _write(self, source: Any, name: str, prediction: Prediction, format_id: str, look: drawing.Look) -> str:
        image = self._predictor.read_image(source)
        file_name, content = export(Export(image, prediction, look, name), format_id)
        return str(processing_utils.save_bytes_to_cache(content, file_name, cache_dir=_cache_dir()))

    # The API

    @_no_tool
    def api_run(
        self,
        image: str | bytes | None,
        task: str,
        phrase: str = "",
        regions: list[list[float]] | None = None,
        checkpoint: str = "",
        decoding: str = "greedy",
        max_new_tokens: float = MAX_NEW_TOKENS,
    ) -> Iterator[tuple[Any, ...]]:
        """Ask Florence-2 about a picture. Streams predictions; the last one is final and comes with the drawn picture.

        Args:
            image: The picture: JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF.
            task: A task id of `/tasks`, such as "<OD>".
            phrase: Text for the tasks that need it: a sentence, or names separated by commas.
            regions: Boxes [x_min, y_min, x_max, y_max] in pixels of the upright picture, for the region tasks.
            checkpoint: A name of the catalogue; empty for the one the playground runs.
            decoding: "greedy" or "careful" (three beams).
            max_new_tokens: Limit of the answer's length, 1 to 1024.
        """
        with _errors_for_the_user():
            picture = self._predictor.read_image(_given(image))
            inputs: dict[str, Any] = {
                "phrase": phrase,
                "regions": regions or [],
                "checkpoint": checkpoint,
                "decoding": decoding,
                "max_new_tokens": max_new_tokens,
            }
            for prediction in _paced(self._stream(picture, task, **inputs)):
                look = drawing.Look(styles=drawing.default_styles(prediction))
                drawn = drawing.draw(picture.pixels, prediction, look) if prediction.is_final else None
                yield prediction.to_dict(), _save_jpeg(drawn, "annotated") if drawn else None

    @_no_tool
    def api_tasks(self) -> list[dict[str, str]]:
        """List the tasks: id, title, group, what input they need and what shape the answer has."""
        return [
            {
                "id": task.id,
                "title": task.title,
                "group": task.group.value,
                "input": task.input_kind.value,
                "output": task.output_kind.value,
            }
            for task in TASKS
        ]

    @_no_tool
    def api_export(self, image: str | bytes | None, prediction: dict[str, Any], format: str) -> str:
        """Write a prediction as a file.

        Args:
            image: The picture that the prediction is about.
            prediction: A prediction as `/run` returned it.
            format: One of png, overlay, crops, json, csv, coco, yolo, voc.
        """
        with _errors_for_the_user():
            read = Prediction.from_dict(prediction)
            look = drawing.Look(styles=drawing.default_styles(read))
            return self._write(_given(image), "picture", read, format, look)

    def ask_florence2(
        self,
        image: str | bytes | None,
        task: str = "<OD>",
        phrase: str = "",
        regions: list[list[float]] | None = None,
    ) -> str:
        """Ask Florence-2 about a picture; returns the prediction as JSON text, with boxes in pixels.

        Args:
            image: The picture.
            task: A task id of the tool that lists them, such as "<OD>" (find every object) or "<CAPTION>".
            phrase: Text for the tasks that need it: a sentence, or names separated by commas.
            regions: Boxes [x_min, y_min, x_max, y_max] in pixels, for the region tasks.
        """
        *_, (prediction, _) = self.api_run(image, task, phrase, regions)
        return json.dumps(prediction, ensure_ascii=False)

    def list_tasks(self) -> str:
        """List the tasks of Florence-2 as JSON text: id, title, group, input and output."""
        return json.dumps(self.api_tasks(), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a handler of the page writes, in the order of the components. What is left out stays as it is."""

    stage: Any
    answer: Any
    table: Any
    notes: Any
    status: Any
    session: Any = field(default_factory=gr.skip)
    details: Any = field(default_factory=gr.skip)
    has_regions: Any = field(default_factory=gr.skip)
    style: Any = field(default_factory=gr.skip)
    has_labels: Any = field(default_factory=gr.skip)
    opacity: Any = field(default_factory=gr.skip)
    min_score: Any = field(default_factory=gr.skip)
    labels: Any = field(default_factory=gr.skip)
    raw: Any = field(default_factory=gr.skip)
    timings: Any = field(default_factory=gr.skip)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(entry.name for entry in fields(cls))

    def values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.names())


def read_view(
    styles: list[str], has_labels: bool, opacity: float, min_score: float, labels: list[str], table: RegionTableData
) -> View:
    """Read the controls under the picture."""
    look = drawing.Look(styles=tuple(styles), labels=has_labels, opacity=opacity)
    return View(look, min_score, frozenset(labels), frozenset(table.hidden or ()))


def _stop_button(*, is_enabled: bool) -> Any:
    return gr.update(interactive=is_enabled, variant="stop" if is_enabled else "secondary")


def _wants_regions(task_id: str) -> bool:
    return get_task(task_id).input_kind is InputKind.REGIONS


@contextmanager
def _errors_for_the_user() -> Iterator[None]:
    """Show what a user is meant to read. A toast keeps markup, and the sentence may quote what came: escape it."""
    try:
        yield
    except PlaygroundError as error:
        raise gr.Error(html.escape(str(error), quote=False), print_exception=False) from error


def _paced(predictions: Iterator[Prediction]) -> Iterator[Prediction]:
    """Pass on the final prediction, each new stage, and at most ten others a second."""
    shown_at, stage = -math.inf, None
    try:
        for prediction in predictions:
            now = time.monotonic()
            is_due = now - shown_at >= _SECONDS_BETWEEN_UPDATES
            if prediction.is_final or prediction.stage is not stage or is_due:
                shown_at, stage = now, prediction.stage
                yield prediction
    finally:
        predictions.close()  # type: ignore[attr-defined]  # a generator: the run ends with its reader


def _remember(source: Any, image: InputImage) -> Session:
    path = source if isinstance(source, str) else processing_utils.save_bytes_to_cache(source, "picture", _cache_dir())
    display = image.pixels.copy()
    display.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Image.Resampling.LANCZOS)
    return Session(path, _save_jpeg(display, "picture"), image.resolution_wh)


def _save_jpeg(picture: Image.Image, name: str) -> str:
    data = BytesIO()
    picture.save(data, "JPEG", quality=_JPEG_QUALITY)
    return str(processing_utils.save_bytes_to_cache(data.getvalue(), f"{name}.jpg", cache_dir=_cache_dir()))


def _given(image: str | bytes | None) -> str | bytes:
    if image is None:
        raise ImageRejected("There is no picture. Upload one, then send what the upload returned.")
    return image


def _cache_dir() -> str:
    return str(get_upload_folder())


_zero_gpu_predictor: Predictor | None = None


def _answer_on_zero_gpu(image: Any, task: str, inputs: dict[str, Any]) -> Iterator[Prediction | EngineFailed]:
    """What runs in ZeroGPU's forked process: arguments and values are pickled, so there is no stop event.

    An error of ours is a value: of an exception, ZeroGPU passes on the class's name and not the sentence.
    """
    assert _zero_gpu_predictor is not None
    try:
        yield from _zero_gpu_predictor.run(image, task, **inputs)
    except PlaygroundError as error:
        yield EngineFailed(str(error))


def _on_zero_gpu(predictor: Predictor) -> Callable[..., Iterator[Prediction]]:
    """Let the runs of a predictor take a GPU of Hugging Face's ZeroGPU. There, Stop works between two values."""
    import spaces

    global _zero_gpu_predictor  # noqa: PLW0603  # the decorated function must be found by name in the fork
    _zero_gpu_predictor = predictor
    on_gpu = spaces.GPU(_answer_on_zero_gpu)

    def stream(image: Any, task: str, *, stop: threading.Event | None = None, **inputs: Any) -> Iterator[Prediction]:
        for prediction in on_gpu(image, task, inputs):
            if isinstance(prediction, PlaygroundError):
                raise prediction
            if stop is not None and stop.is_set():
                yield replace(prediction, stage=Stage.STOPPED, is_final=True)
                return
            yield prediction

    return stream
