"""Between form and domain: each handler reads the form, makes one call, and writes the form.

Knows no component: what goes where is `layout`'s business.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from PIL import Image

from playground import drawing, paths
from playground.engines import State, too_late_sentence
from playground.errors import CheckpointUnavailable, ExportRejected, InputRejected
from playground.events import RunStage
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.results import Prediction
from playground.scenes.scene import Scene
from playground.settings import Settings
from playground.tasks import InputKind, get_task
from playground.ui import scene, text
from playground.ui.components import RegionTableData, StageData, boxes_from, truth_from
from playground.ui.server.files import save_bytes, save_export, save_jpeg
from playground.ui.session import Session, Stops, View, read_view
from playground.ui.streams import errors_for_the_user, paced, sentence_of, stream_of

EXAMPLES = sorted(paths.EXAMPLES.glob("*.[jp][pn]g"))
DISPLAY_SIDE = 1600  # pixels; the page shows and draws on a copy, files are written at full size
STRIP_HEIGHT = 92  # pixels of the field for the next picture
_SECONDS_BETWEEN_LOOKS = 0.3


class Handlers:
    """The handlers of the page, over one predictor.

    Most answer with `Shown`: what the stage, the table and the rest of the result are to show, in the order of
    its fields.
    """

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._pool = predictor.engines
        self._settings = settings
        self._stops = Stops()
        self._stream = stream_of(predictor, settings)

    # The picture

    def take_picture(self, source: str | bytes | None, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Show a picture from the field, which becomes a strip that takes the next one: picture, problem, `Shown`.

        A picture that cannot be used is a sentence under the field, and nothing else changes.
        """
        if source is None:
            return gr.skip(), gr.skip(), *Shown.nothing()
        try:
            session = _remember(source, self._predictor.read_image(source))
        except Exception as error:
            return None, [text.line(sentence_of(error), "error")], *Shown.nothing()
        return self._take(session, task_id, request)

    def take_example(self, index: int, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Show one of the pictures that come with the playground."""
        return self.take_picture(str(EXAMPLES[index]), task_id, request)

    def take_new_scene(self, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Draw a scene that nobody chose, and show it like any picture: seed, picture, problem, `Shown`."""
        return self._take_scene(scene.draw_any(), task_id, request)

    def take_scene(self, seed: float | None, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Draw the scene of a seed, as `take_new_scene` does. A bad seed is a sentence, and nothing else changes."""
        try:
            drawn = scene.draw(scene.read_seed(seed))
        except InputRejected as error:
            return gr.skip(), gr.skip(), [text.line(str(error), "error")], *Shown.nothing()
        return self._take_scene(drawn, task_id, request)

    def _take_scene(self, drawn: Scene, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        path = scene.save(drawn)
        session = replace(_remember(path, self._predictor.read_image(path)), seed=drawn.seed)
        return drawn.seed, *self._take(session, task_id, request)

    def _take(self, session: Session, task_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Begin with a new picture; the run about the one before is abandoned."""
        self._stops.abandon(request.session_hash or "")
        strip = gr.update(value=None, height=STRIP_HEIGHT, show_label=False, placeholder=text.NEXT_PICTURE)
        return strip, [], *self._before_answer(session, task_id).values()

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
        with errors_for_the_user():
            self._pool.request(name)
        return self.poll(name)

    def status(self, checkpoint: str = "", run: text.Line | None = None) -> list[text.Line]:
        """Which checkpoint answers, on what device, and what it is doing."""
        lines = [text.checkpoint_line(self._pool.status(checkpoint))]
        return [*lines, run] if run else lines

    def poll(self, checkpoint: str) -> tuple[Any, ...]:
        """Status, banner, and whether to ask again soon."""
        status = self._pool.status(checkpoint)
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
        _checkpoint: str,
        request: gr.Request,
    ) -> list[dict[str, Any]]:
        """Refuse what is missing before anything is queued, each sentence at its field. Takes what `wait` takes."""
        problems = self._problems(session, picture, task_id, phrase, draw, stage)
        if not problems:
            self._stops.expect(request.session_hash or "")
        fields = ("", "picture", "", "phrase", "regions", "", "")
        return [gr.validate(field not in problems, problems.get(field, "")) for field in fields]

    def begin(self, *inputs: Any) -> tuple[Any, Any]:
        """Let Stop be pressed, while the run waits in the queue already: the buttons run and stop."""
        is_running = not self._problems(*inputs[:6])
        return gr.update(interactive=not is_running), _stop_button(is_enabled=is_running)

    def wait(
        self,
        _session: Session,
        _picture: Any,
        _task_id: str,
        _phrase: str,
        _draw: bool,
        _stage: StageData,
        checkpoint: str,
        request: gr.Request,
    ) -> Iterator[list[text.Line]]:
        """Follow the checkpoint until it can answer: not in the model's queue, so that a download holds nobody up."""
        self._pool.request(checkpoint)
        deadline = time.monotonic() + self._settings.load_wait_seconds
        with errors_for_the_user():
            while not self._stops.is_stopped(request.session_hash or ""):
                status = self._pool.status(checkpoint)
                if status.state is State.FAILED or time.monotonic() > deadline:
                    yield self.status(checkpoint)
                    is_late = status.state is not State.FAILED
                    sentence = too_late_sentence(status, self._settings.load_wait_seconds)
                    raise CheckpointUnavailable(sentence if is_late else status.message)
                yield self.status(checkpoint, text.line(text.WAITING, "busy"))
                if status.state is State.READY:
                    return
                time.sleep(_SECONDS_BETWEEN_LOOKS)

    def rest(self) -> tuple[Any, Any]:
        """The run is over, however it ended: the buttons run and stop."""
        return gr.update(interactive=True), _stop_button(is_enabled=False)

    def turned_away(self, checkpoint: str) -> tuple[Any, ...]:
        """The queue was full before the run could begin: the buttons run and stop, and the status."""
        return *self.rest(), self.status(checkpoint, text.line(text.BUSY, "warning"))

    def _problems(
        self, session: Session, _picture: Any, task_id: str, phrase: str, _draw: bool, stage: StageData
    ) -> dict[str, str]:
        if not session.path:
            return {"picture": text.NO_PICTURE}
        try:
            drawn: Any = stage.regions or ()
            check_question(Question(task_id, phrase, drawn), session.resolution_wh)
        except InputRejected as error:
            return {error.field: str(error)}
        return {}

    def run(
        self,
        session: Session,
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
        drawn: Any = stage.regions or ()
        question = Question(task_id, phrase, drawn, checkpoint, decoding, max_new_tokens)
        is_drawing = draw and _wants_regions(task_id)
        shown = None
        with self._stops.run(request.session_hash or "") as ending:
            try:
                for prediction in paced(self._stream(session.path, question, stop=ending)):
                    if ending.is_abandoned:
                        return
                    if prediction.is_final:
                        truth = scene.truth_about(session.seed, prediction)
                        session = replace(session, prediction=prediction, truth=truth)
                    show = self._answer if prediction.is_final else self._partial_answer
                    shown = show(session, prediction, is_drawing=is_drawing)
                    yield shown.values()
            except Exception as error:
                if not ending.is_abandoned:
                    yield self._failed(session, shown, checkpoint, sentence_of(error)).values()

    def _failed(self, session: Session, shown: "Shown | None", checkpoint: str, sentence: str) -> "Shown":
        """The run ended in a sentence; what was drawn is kept."""
        stage = shown.stage.model_copy(update={"busy": False}) if shown else self._stage(session)
        return Shown(
            stage=stage,
            answer=gr.skip(),
            table=gr.skip(),
            notes=[],
            status=self.status(checkpoint, text.line(sentence, "error")),
        )

    def _partial_answer(self, session: Session, prediction: Prediction, *, is_drawing: bool) -> "Shown":
        boxes = boxes_from(prediction, drawing.color_of)
        is_new = prediction.stage is RunStage.WAITING
        hidden: list[int] | None = [] if is_new else None  # what the user hides later stays
        return Shown(
            stage=self._stage(session, is_drawing=is_drawing, boxes=boxes, busy=True, hidden=hidden),
            answer=prediction.text,
            table=RegionTableData(boxes=boxes, hidden=hidden, empty=text.TABLE_EMPTY),
            notes=[],
            status=self.status(prediction.checkpoint, text.run_line(prediction)),
        )

    def _answer(self, session: Session, prediction: Prediction, *, is_drawing: bool) -> "Shown":
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
        with errors_for_the_user():
            return self._show(session, read_view(*form), is_drawing=draw and _wants_regions(task_id))

    def _show(self, session: Session, view: View, *, is_drawing: bool) -> tuple[StageData, RegionTableData]:
        prediction = session.prediction
        assert prediction is not None
        boxes = boxes_from(prediction, drawing.color_of)
        listed = [box for box, region in zip(boxes, prediction.regions, strict=True) if view.lists(region)]
        annotated = self._annotated(session, prediction.keep(view.shows), view.look)
        truth = truth_from(text.truth(session.truth), session.truth.regions) if session.truth else None
        stage = self._stage(
            session,
            is_drawing=is_drawing,
            boxes=listed,
            annotated=annotated,
            alt=text.alt_text(prediction),
            truth=truth,
        )
        return stage, RegionTableData(boxes=listed, empty=text.table_empty(prediction))

    def _annotated(self, session: Session, prediction: Prediction, look: drawing.Look) -> FileData | None:
        if not prediction.regions:
            return None
        picture = self._predictor.read_image(session.display_path)
        return FileData(path=save_jpeg(drawing.draw(picture.pixels, prediction, look), "annotated"))

    def save(self, session: Session, format_id: str, *form: Any) -> str:
        """Write what is shown, at full size, as a file of Gradio's cache; returns its path."""
        with errors_for_the_user():
            if session.prediction is None:
                raise ExportRejected("There is no answer to save yet. Ask something first.")
            view = read_view(*form)
            image = self._predictor.read_image(session.path)
            shown = session.prediction.keep(view.shows)
            return save_export(image, shown, view.look, name=session.name, format_id=format_id)


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

    @classmethod
    def nothing(cls) -> tuple[Any, ...]:
        """Everything stays as it is."""
        return tuple(gr.skip() for _ in cls.names())

    def values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.names())


def _stop_button(*, is_enabled: bool) -> Any:
    return gr.update(interactive=is_enabled, variant="stop" if is_enabled else "secondary")


def _wants_regions(task_id: str) -> bool:
    return get_task(task_id).input_kind is InputKind.REGIONS


def _remember(source: Any, image: InputImage) -> Session:
    path = source if isinstance(source, str) else save_bytes(source, "picture")
    display = image.pixels.copy()
    display.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Image.Resampling.LANCZOS)
    return Session(path, save_jpeg(display, "picture"), image.resolution_wh)
