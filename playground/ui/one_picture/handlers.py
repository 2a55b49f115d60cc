"""The page of one picture, between form and domain: each handler reads the form, makes one call, and writes the form.

Parameters and results are named after components; see `wiring`. Where a component stands is `layout`'s business.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from PIL import Image

from playground.drawing.annotate import draw
from playground.drawing.colors import color_of
from playground.drawing.styles import Look, default_styles, styles_for
from playground.engines import State, too_late_sentence
from playground.errors import CheckpointUnavailable, ExportRejected, InputRejected, PlaygroundError
from playground.events import RunStage
from playground.export import Annotated
from playground.paths import EXAMPLES
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.results import Prediction
from playground.scenes.scene import Scene
from playground.settings import Settings
from playground.tasks import InputKind, get_task
from playground.ui import scene, text
from playground.ui.components import BoxData, RegionTableData, StageData, boxes_from, truth_from
from playground.ui.picture import Upload
from playground.ui.server.failures import sentence_of
from playground.ui.server.files import check_kept, save_bytes, save_export, save_jpeg
from playground.ui.session import Item, RunKey, Runs, View, Workspace
from playground.ui.shown import above, answer_text, lowest_score
from playground.ui.streams import errors_for_the_user, paced, runner_of
from playground.ui.wiring import Problems, Updates

EXAMPLE_PICTURES = sorted(EXAMPLES.glob("*.[jp][pn]g"))
DISPLAY_SIDE = 1600  # pixels; the page shows and draws on a copy, files are written at full size
STRIP_HEIGHT = 92  # pixels of the field for the next picture
_SECONDS_BETWEEN_LOOKS = 0.3


@dataclass(frozen=True, slots=True)
class Controls:
    """The components under the picture by which an answer is seen, each field called after one."""

    style: list[str]
    has_labels: bool
    opacity: float
    min_score: float
    labels: list[str]
    table: RegionTableData

    @property
    def view(self) -> View:
        """What the user wants to see. Raises PlaygroundError for a look that cannot be."""
        look = Look(styles=tuple(self.style), labels=self.has_labels, opacity=self.opacity)
        return View(look, self.min_score, frozenset(self.labels), frozenset(self.table.hidden or ()))


class Handlers:
    """The handlers of the page, over one predictor."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._engines = predictor.engines
        self._settings = settings
        self._runs = Runs()
        self._runner = runner_of(predictor, settings)

    # The picture

    def take_picture(self, picture: Upload | None, task: str, workspace: Workspace, request: gr.Request) -> Updates:
        """Show a picture from the field, which becomes a strip that takes the next one.

        A picture that cannot be used is a sentence under the field, and nothing else changes.
        """
        if picture is None:
            return {}
        try:
            item = _remember(picture, self._predictor.read_image(picture.source))
        except Exception as error:
            return {"picture": None, "problem": [text.line(sentence_of(error), "error")]}
        return self._take(item, task, workspace, request)

    def take_example(self, examples: int, task: str, workspace: Workspace, request: gr.Request) -> Updates:
        """Show one of the pictures that come with the playground."""
        return self.take_picture(Upload(str(EXAMPLE_PICTURES[examples])), task, workspace, request)

    def take_new_scene(self, task: str, workspace: Workspace, request: gr.Request) -> Updates:
        """Draw a scene that nobody chose, and show it like any picture."""
        return self._take_scene(scene.draw_any_scene(), task, workspace, request)

    def take_scene(self, seed: float | None, task: str, workspace: Workspace, request: gr.Request) -> Updates:
        """Draw the scene of a seed. A bad seed is a sentence, and nothing else changes."""
        try:
            drawn = scene.draw_scene(scene.read_seed(seed))
        except InputRejected as error:
            return {"problem": [text.line(str(error), "error")]}
        return self._take_scene(drawn, task, workspace, request)

    def _take_scene(self, drawn: Scene, task: str, workspace: Workspace, request: gr.Request) -> Updates:
        path = scene.save_scene(drawn)
        item = _remember(Upload(path), self._predictor.read_image(path), seed=drawn.seed)
        return {"seed": drawn.seed, **self._take(item, task, workspace, request)}

    def _take(self, item: Item, task: str, workspace: Workspace, request: gr.Request) -> Updates:
        """Begin with a new picture; the run about the one before is abandoned."""
        self._runs.abandon(_run_of(request))
        return {
            "picture": gr.update(value=None, height=STRIP_HEIGHT, show_label=False, placeholder=text.NEXT_PICTURE),
            "problem": [],
            "stage": _stage(item, is_drawing=_wants_regions(task), regions=[]),
            "answer": "",
            "table": RegionTableData(empty=text.TABLE_EMPTY, hidden=[]),
            "notes": [],
            "status": self._status(),
            "workspace": workspace.with_new(item),
            "details": gr.update(visible=False),
        }

    # The form

    def choose_task(self, task: str, workspace: Workspace) -> Updates:
        """Show only what the task needs."""
        row = get_task(task)
        is_drawing = _wants_regions(task)
        return {
            "phrase": gr.update(
                visible=row.input_kind.is_text, label=text.phrase_label(row), placeholder=row.input_hint
            ),
            "draw": gr.update(visible=is_drawing, value=True),
            "stage": _stage(workspace.item, is_drawing=is_drawing),
        }

    def choose_drawing(self, draw: bool, workspace: Workspace) -> Updates:
        """Draw on the picture, or scroll over it."""
        return {"stage": _stage(workspace.item, is_drawing=draw)}

    def choose_checkpoint(self, checkpoint: str, max_new_tokens: float, longest: int) -> Updates:
        """Begin loading in the background, and follow it."""
        with errors_for_the_user():
            self._engines.request(checkpoint)
        return self.poll(checkpoint, max_new_tokens, longest)

    def poll(self, checkpoint: str, max_new_tokens: float, longest: int) -> Updates:
        """Say how far the checkpoint is, how long its answers can be, and whether to ask again soon."""
        status = self._engines.status(checkpoint)
        is_settled = status.state in (State.READY, State.FAILED)
        updates: Updates = {
            "status": self._status(checkpoint),
            "banner": [text.line(status.checkpoint.note, "warning")] if status.checkpoint.note else [],
            "timer": gr.Timer(active=not is_settled),
        }
        if status.max_answer_tokens:
            end = status.max_answer_tokens
            value = end if max_new_tokens >= longest else min(int(max_new_tokens), end)
            limit = gr.update(maximum=end, value=value, interactive=True)
            updates |= {"max_new_tokens": limit, "longest": end}
        return updates

    def _status(self, checkpoint: str = "", run: text.Line | None = None) -> list[text.Line]:
        """Which checkpoint answers, on what device, and what it is doing."""
        lines = [text.checkpoint_line(self._engines.status(checkpoint))]
        return [*lines, run] if run else lines

    # The run

    def check(self, workspace: Workspace, task: str, phrase: str, stage: StageData) -> Problems:
        """Refuse what is missing before anything is queued, each sentence at its field."""
        return _problems(workspace.item, task, phrase, stage)

    def begin(self, workspace: Workspace, task: str, phrase: str, stage: StageData, request: gr.Request) -> Updates:
        """Let Stop be pressed from now on, while the run waits in the queue too; a run that goes on is abandoned."""
        is_running = not _problems(workspace.item, task, phrase, stage)
        if is_running:
            self._runs.expect(_run_of(request))
        return {"run": gr.update(interactive=not is_running), "stop": _stop_button(is_enabled=is_running)}

    def wait(self, checkpoint: str, request: gr.Request) -> Iterator[Updates]:
        """Follow the checkpoint until it can answer: not in the model's queue, so that a download holds nobody up."""
        self._engines.request(checkpoint)
        deadline = time.monotonic() + self._settings.load_wait_seconds
        with errors_for_the_user():
            while not self._runs.is_stopped(_run_of(request)):
                status = self._engines.status(checkpoint)
                if status.state is State.FAILED or time.monotonic() > deadline:
                    yield {"status": self._status(checkpoint)}
                    is_late = status.state is not State.FAILED
                    sentence = too_late_sentence(status, self._settings.load_wait_seconds)
                    raise CheckpointUnavailable(sentence if is_late else status.message)
                yield {"status": self._status(checkpoint, text.line(text.WAITING, "busy"))}
                if status.state is State.READY:
                    return
                time.sleep(_SECONDS_BETWEEN_LOOKS)

    def rest(self) -> Updates:
        """The run is over, however it ended."""
        return {"run": gr.update(interactive=True), "stop": _stop_button(is_enabled=False)}

    def turned_away(self, checkpoint: str) -> Updates:
        """The queue was full before the run could begin."""
        return {**self.rest(), "status": self._status(checkpoint, text.line(text.BUSY, "warning"))}

    def run(
        self,
        workspace: Workspace,
        task: str,
        phrase: str,
        draw: bool,
        stage: StageData,
        checkpoint: str,
        decoding: str,
        max_new_tokens: float,
        longest: int,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Ask about the picture of the workspace, and show the answer while it is written."""
        limit = int(max_new_tokens) if max_new_tokens < longest else None
        question = Question(task, phrase, _drawn(stage), checkpoint, decoding, limit)
        is_drawing = draw and _wants_regions(task)
        item, shown = workspace.item, None
        with self._runs.run(_run_of(request)) as ending:
            try:
                check_kept(item.path)
                for prediction in paced(self._runner.run(item.path, question, stop=ending)):
                    if ending.is_abandoned:
                        return
                    if prediction.is_final:
                        truth = scene.truth_about(item.seed, prediction)
                        workspace = workspace.with_answer(item.path, prediction, truth)
                        updates = self._answer(workspace.item, prediction, is_drawing=is_drawing)
                        yield {"workspace": workspace, **updates}
                    else:
                        updates = self._partial_answer(item, prediction, is_drawing=is_drawing)
                        shown = updates["stage"]
                        yield updates
            except Exception as error:
                if not ending.is_abandoned:
                    yield self._failed(item, shown, checkpoint, sentence_of(error))

    def stop(self, request: gr.Request) -> None:
        """End this tab's run within one step; what was drawn is kept."""
        self._runs.stop(_run_of(request))

    def leave(self, request: gr.Request) -> None:
        """The tab was closed: end all that runs for it."""
        self._runs.stop_session(request.session_hash or "")

    def _failed(self, item: Item, shown: StageData | None, checkpoint: str, sentence: str) -> Updates:
        """The run ended in a sentence; what was drawn is kept."""
        return {
            "stage": shown.model_copy(update={"busy": False}) if shown else _stage(item),
            "notes": [],
            "status": self._status(checkpoint, text.line(sentence, "error")),
        }

    def _partial_answer(self, item: Item, prediction: Prediction, *, is_drawing: bool) -> Updates:
        view = self._first_view(prediction)
        boxes, seen = _listed(prediction, view), above(prediction, view.min_score)
        is_new = prediction.stage is RunStage.WAITING
        hidden: list[int] | None = [] if is_new else None  # what the user hides later stays
        return {
            "stage": _stage(item, is_drawing=is_drawing, boxes=boxes, busy=True, hidden=hidden),
            "answer": answer_text(prediction, seen),
            "table": RegionTableData(boxes=boxes, hidden=hidden, empty=text.TABLE_EMPTY),
            "notes": [],
            "status": self._status(prediction.checkpoint, text.run_line(seen)),
        }

    def _answer(self, item: Item, prediction: Prediction, *, is_drawing: bool) -> Updates:
        view = self._first_view(prediction)
        labels, chosen = text.label_choices(prediction), list(view.look.styles)
        shown = self._show(item, prediction, view, is_drawing=is_drawing)
        return {
            **shown,
            "stage": shown["stage"].model_copy(update={"hidden": []}),
            "table": shown["table"].model_copy(update={"hidden": []}),
            "status": self._status(prediction.checkpoint, text.run_line(above(prediction, view.min_score))),
            "details": gr.update(visible=True),
            "looks": gr.update(visible=bool(prediction.regions)),
            "style": gr.update(choices=[(style.title, style.id) for style in styles_for(prediction)], value=chosen),
            "has_labels": view.look.labels,
            "opacity": view.look.opacity,
            "min_score": view.min_score,
            "labels": gr.update(choices=labels, value=[label for _, label in labels]),
            "raw": text.raw_segments(prediction.raw_text),
            "timings": [text.line(text.timings_line(prediction.timings))],
        }

    # The answer, seen in another way: never runs the model

    def redraw(self, workspace: Workspace, task: str, draw: bool, controls: Controls) -> Updates:
        """Show the answer after a change of style, score, labels or hidden rows."""
        item = workspace.item
        if item.prediction is None:
            return {}
        with errors_for_the_user():
            is_drawing = draw and _wants_regions(task)
            return self._show(item, item.prediction, controls.view, is_drawing=is_drawing)

    def _first_view(self, prediction: Prediction) -> View:
        """How an answer is seen before anybody has chosen anything."""
        lowest = lowest_score(prediction, self._engines.status(prediction.checkpoint).checkpoint.min_score)
        return View(Look(default_styles(prediction)), lowest, frozenset(prediction.label_counts()), frozenset())

    def _show(self, item: Item, prediction: Prediction, view: View, *, is_drawing: bool) -> Updates:
        listed, seen = _listed(prediction, view), above(prediction, view.min_score)
        stage = _stage(
            item,
            is_drawing=is_drawing,
            boxes=listed,
            annotated=self._annotated(item, prediction.keep(view.shows), view.look),
            alt=text.alt_text(prediction, seen),
            truth=truth_from(text.truth(item.truth), item.truth.regions) if item.truth else None,
        )
        told = self._engines.status(prediction.checkpoint).checkpoint.note
        return {
            "stage": stage,
            "answer": answer_text(prediction, seen),
            "table": RegionTableData(boxes=listed, empty=text.table_empty(prediction)),
            "notes": text.notes(prediction, seen, told=told),
        }

    def _annotated(self, item: Item, prediction: Prediction, look: Look) -> FileData | None:
        if not prediction.regions:
            return None
        try:
            picture = self._predictor.read_image(item.display_path)
            return FileData(path=save_jpeg(draw(picture.pixels, prediction, look), "annotated"))
        except (PlaygroundError, OSError):
            return None  # the copy is gone, or there is no room for another: the answer is not lost for it

    def describe_format(self, format: str) -> Updates:
        """Say what the chosen kind of file cannot hold."""
        return {"format": gr.update(info=text.cannot_carry(format))}

    def save(self, workspace: Workspace, format: str, controls: Controls) -> Updates:
        """Write what is shown, at full size, as a file of Gradio's cache."""
        item = workspace.item
        with errors_for_the_user():
            if item.prediction is None:
                raise ExportRejected("There is no answer to save yet. Ask something first.")
            check_kept(item.path)
            view, image = controls.view, self._predictor.read_image(item.path)
            shown = item.prediction.keep(view.shows)
            return {"file": save_export(Annotated(item.name, shown, image, Path(item.path)), view.look, format)}


def _run_of(request: gr.Request) -> RunKey:
    """The one run of this page's stage."""
    return RunKey(request.session_hash or "", "one picture")


def _stop_button(*, is_enabled: bool) -> Any:
    return gr.update(interactive=is_enabled, variant="stop" if is_enabled else "secondary")


def _wants_regions(task: str) -> bool:
    return get_task(task).input_kind is InputKind.REGIONS


def _problems(item: Item, task: str, phrase: str, stage: StageData) -> Problems:
    if not item.path:
        return {"picture": text.NO_PICTURE}
    try:
        check_question(Question(task, phrase, _drawn(stage)), item.resolution_wh)
    except InputRejected as error:
        return {"draw" if error.field == "regions" else error.field: str(error)}
    return {}


def _drawn(stage: StageData) -> Any:
    """The regions that were drawn, as the question takes them."""
    return stage.regions or ()


def _listed(prediction: Prediction, view: View) -> list[BoxData]:
    boxes = boxes_from(prediction, color_of)
    return [box for box, region in zip(boxes, prediction.regions, strict=True) if view.lists(region)]


def _stage(item: Item, *, is_drawing: bool = False, **extra: Any) -> StageData:
    """The plain picture of an item, with whatever else is to be on it."""
    if not item.display_path:
        return StageData()
    width, height = item.resolution_wh
    return StageData(image=FileData(path=item.display_path), w=width, h=height, draw=is_drawing, **extra)


def _remember(picture: Upload, image: InputImage, *, seed: int | None = None) -> Item:
    source = picture.source
    path = source if isinstance(source, str) else save_bytes(source, "picture")
    display = image.pixels.copy()
    display.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Image.Resampling.LANCZOS)
    return Item(path, save_jpeg(display, "picture"), image.resolution_wh, picture.name, seed=seed)
