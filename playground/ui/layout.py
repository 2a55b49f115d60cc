"""The page: components first, wiring last. Knows where things stand; what they do is `handlers`' business."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from playground.export import FORMATS
from playground.paths import ASSETS
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, TASKS
from playground.ui import text
from playground.ui.api import Api
from playground.ui.components import Lines, RegionTable, RegionTableData, Stage
from playground.ui.handlers import EXAMPLES, Handlers, Shown
from playground.ui.picture import Picture
from playground.ui.server.cleanup import upkeep
from playground.ui.server.headers import SecurityHeaders
from playground.ui.server.queue_limits import MODEL, limit_places
from playground.ui.session import Session

_SECONDS_BETWEEN_POLLS = 0.5
_SECONDS_BETWEEN_ROUNDS = 60  # in which files are deleted that are older than the settings allow
_MODEL: dict[str, Any] = {"concurrency_id": MODEL, "concurrency_limit": 1}  # shared by all that run the model


@dataclass(frozen=True, slots=True)
class Form:
    """What the user fills in."""

    picture: Picture
    problem: Lines
    examples: gr.Dataset
    new_scene: gr.Button
    seed: gr.Number
    task: gr.Dropdown
    phrase: gr.Textbox
    draw: gr.Checkbox
    run: gr.Button
    stop: gr.Button
    checkpoint: gr.Dropdown
    decoding: gr.Radio
    max_new_tokens: gr.Slider


@dataclass(frozen=True, slots=True)
class Result:
    """What the user gets."""

    stage: Stage
    answer: gr.Textbox
    table: RegionTable
    notes: Lines
    details: gr.Column
    has_regions: gr.Column
    style: gr.CheckboxGroup
    has_labels: gr.Checkbox
    opacity: gr.Slider
    min_score: gr.Slider
    labels: gr.CheckboxGroup
    raw: gr.HighlightedText
    timings: Lines
    format: gr.Dropdown
    save: gr.Button
    file: gr.DownloadButton

    @property
    def view(self) -> list[Any]:
        """The controls that `session.read_view` reads."""
        return [self.style, self.has_labels, self.opacity, self.min_score, self.labels, self.table]


def build_app(predictor: Predictor, settings: Settings) -> gr.Blocks:
    """Return the page and the API over a predictor; nothing is started."""
    handlers = Handlers(predictor, settings)
    app: gr.Blocks
    with gr.Blocks(title=text.TITLE, analytics_enabled=False) as app:
        session = gr.State(Session())
        timer = gr.Timer(_SECONDS_BETWEEN_POLLS)
        gr.Markdown(f"# {text.TITLE}\n{text.LEAD}", elem_id="title")
        banner = Lines(elem_id="banner")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=4, min_width=300, elem_id="form"):
                form = _form(predictor)
            with gr.Column(scale=7, min_width=300, elem_id="result"):
                status = Lines(elem_id="status")
                result = _result()
        _wire_form(handlers, form, result, session, status, banner, timer)
        _wire_run(handlers, form, result, session, status)
        _wire_result(handlers, form, result, session)
        _add_api(Api(predictor, settings), settings)
        app.load(handlers.poll, form.checkpoint, [status, banner, timer], queue=False, **_PLUMBING)
        app.load(None, None, form.seed, js="() => null", **_PLUMBING)  # an empty number is 0 to Gradio's page
        app.unload(handlers.stop)
    app.queue(max_size=settings.queue_size, default_concurrency_limit=4, api_open=False)
    limit_places(app, settings)
    return app


_PLUMBING: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def _form(predictor: Predictor) -> Form:
    return Form(
        picture=Picture(
            label="Picture",
            elem_id="picture",
            height=210,
            buttons=[],
            placeholder="Drop a picture here\nor click to choose one",
        ),
        problem=Lines(elem_id="problem"),
        examples=gr.Dataset(
            label="or try a drawn scene",
            components=[gr.Image(visible=False)],
            samples=[[str(path)] for path in EXAMPLES],
            type="index",
            samples_per_page=20,
            elem_id="examples",
        ),
        **_scene(),
        task=gr.Dropdown(
            label="What do you want to know?",
            choices=[(task.title, task.id) for task in TASKS],
            value=DEFAULT_TASK.id,
            interactive=True,
            elem_id="task",
        ),
        phrase=gr.Textbox(label="Phrase", visible=False, max_lines=4, interactive=True, elem_id="phrase"),
        draw=gr.Checkbox(label=text.DRAW_HINT, value=True, visible=False, interactive=True, elem_id="draw"),
        **_buttons(),
        **_advanced(predictor),
    )


def _scene() -> dict[str, Any]:
    with gr.Row(elem_id="scene"):
        return {
            "new_scene": gr.Button(text.NEW_SCENE, min_width=170, scale=5, elem_id="new-scene"),
            "seed": gr.Number(
                label="Seed", placeholder="type one", interactive=True, min_width=120, scale=4, elem_id="seed"
            ),
        }


def _buttons() -> dict[str, Any]:
    with gr.Row(elem_id="actions"):
        return {
            "run": gr.Button("Run", variant="primary", min_width=90, scale=3, elem_id="run"),
            "stop": gr.Button("Stop", min_width=90, interactive=False, elem_id="stop"),
        }


def _advanced(predictor: Predictor) -> dict[str, Any]:
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        return {
            "checkpoint": gr.Dropdown(
                label="Checkpoint",
                choices=[("Automatic", ""), *predictor.engines.names()],
                value="",
                interactive=True,
                elem_id="checkpoint",
            ),
            "decoding": gr.Radio(
                label="Decoding",
                choices=text.decoding_choices(),
                value="greedy",
                interactive=True,
                elem_id="decoding",
            ),
            "max_new_tokens": gr.Slider(
                label="Longest answer, in tokens",
                minimum=16,
                maximum=1024,
                step=16,
                value=1024,
                interactive=True,
                elem_id="max-new-tokens",
            ),
        }


def _result() -> Result:
    stage = Stage(elem_id="stage")
    notes = Lines(elem_id="notes")
    answer = gr.Textbox(
        label="Answer",
        placeholder=text.ANSWER_EMPTY,
        buttons=["copy"],
        lines=1,
        max_lines=14,
        interactive=False,
        elem_id="answer",
    )
    table = RegionTable(RegionTableData(empty=text.TABLE_EMPTY), elem_id="regions")
    with gr.Column(visible=False, elem_id="details") as details:
        with gr.Column(visible=False, elem_id="looks") as has_regions:
            looks = _looks()
        with gr.Row(elem_id="downloads"):
            downloads = _downloads()
        with gr.Accordion("What the model wrote", open=False):
            raw = gr.HighlightedText(
                label="Every token, with locations marked",
                show_legend=False,
                color_map={"location": "#4f46e5", "token": "#9ca3af"},
                elem_id="raw",
            )
        timings = Lines(elem_id="timings")
    return Result(
        stage=stage, answer=answer, table=table, notes=notes, details=details, has_regions=has_regions,
        raw=raw, timings=timings, **looks, **downloads,
    )  # fmt: skip


def _looks() -> dict[str, Any]:
    options: dict[str, Any] = {"interactive": True, "min_width": 160}
    with gr.Accordion("How it is drawn", open=True):
        style = gr.CheckboxGroup(label="Style", show_label=False, interactive=True, elem_id="style")
        with gr.Row():
            min_score = gr.Slider(0, 1, 0, label="Lowest score", step=0.01, elem_id="min-score", buttons=[], **options)
            opacity = gr.Slider(0.1, 1, 0.5, label="Opacity", step=0.05, elem_id="opacity", buttons=[], **options)
        labels = gr.CheckboxGroup(label="Labels shown", interactive=True, elem_id="labels")
        has_labels = gr.Checkbox(True, label="Write labels on the picture", interactive=True, elem_id="has-labels")
    return {"style": style, "has_labels": has_labels, "opacity": opacity, "min_score": min_score, "labels": labels}


def _downloads() -> dict[str, Any]:
    return {
        "format": gr.Dropdown(
            label="Save as",
            choices=[(row.title, row.id) for row in FORMATS],
            value=FORMATS[0].id,
            info=FORMATS[0].cannot_carry,
            interactive=True,
            scale=3,
            min_width=240,
            elem_id="format",
        ),
        "save": gr.Button("Save", min_width=90, scale=1, elem_id="save"),
        "file": gr.DownloadButton("File", visible="hidden", elem_id="file"),
    }


def _wire_form(
    handlers: Handlers,
    form: Form,
    result: Result,
    session: gr.State,
    status: Lines,
    banner: Lines,
    timer: gr.Timer,
) -> None:
    shown = _shown(result, session, status)
    taken = [form.picture, form.problem, *shown]
    form.picture.input(handlers.take_picture, [form.picture, form.task], taken, queue=False, **_PLUMBING)
    form.examples.click(handlers.take_example, [form.examples, form.task], taken, queue=False, **_PLUMBING)
    drawn = [form.seed, *taken]
    for scene in (
        form.new_scene.click(handlers.take_new_scene, form.task, drawn, queue=False, **_PLUMBING),
        form.seed.submit(handlers.take_scene, [form.seed, form.task], drawn, queue=False, **_PLUMBING),
    ):
        scene.then(None, js="playground.showScene", **_PLUMBING)
    form.task.change(
        handlers.choose_task, [form.task, session], [form.phrase, form.draw, result.stage], queue=False, **_PLUMBING
    )
    form.draw.input(handlers.choose_drawing, [form.draw, session], result.stage, queue=False, **_PLUMBING)
    form.checkpoint.input(
        handlers.choose_checkpoint, form.checkpoint, [status, banner, timer], queue=False, **_PLUMBING
    )
    timer.tick(handlers.poll, form.checkpoint, [status, banner, timer], queue=False, **_PLUMBING)


def _wire_run(handlers: Handlers, form: Form, result: Result, session: gr.State, status: Lines) -> None:
    needed = [session, form.picture, form.task, form.phrase, form.draw, result.stage, form.checkpoint]
    question = [session, form.task, form.phrase, form.draw, result.stage, form.checkpoint]
    triggers = [form.run.click, form.phrase.submit]
    buttons = [form.run, form.stop]
    begun = gr.on(triggers, handlers.begin, needed, buttons, queue=False, **_PLUMBING)
    begun.then(None, js="playground.showStage", **_PLUMBING)
    waited = gr.on(
        triggers,
        handlers.wait,
        needed,
        status,
        validator=handlers.check,
        trigger_mode="once",
        concurrency_limit=None,
        **_PLUMBING,
    )
    waited.failure(handlers.rest, None, buttons, queue=False, **_PLUMBING)
    run = waited.success(
        handlers.run,
        [*question, form.decoding, form.max_new_tokens],
        _shown(result, session, status),
        api_name="run_on_page",  # `run` is the public endpoint's
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=status,
        **_MODEL,
    )
    run.then(handlers.rest, None, buttons, queue=False, **_PLUMBING)
    run.failure(handlers.turned_away, form.checkpoint, [*buttons, status], queue=False, **_PLUMBING)
    form.stop.click(handlers.stop, None, None, queue=False, **_PLUMBING)


def _wire_result(handlers: Handlers, form: Form, result: Result, session: gr.State) -> None:
    redraw: dict[str, Any] = {
        "fn": handlers.redraw,
        "inputs": [session, form.task, form.draw, *result.view],
        "outputs": [result.stage, result.table],
        "trigger_mode": "always_last",
        **_PLUMBING,
    }
    controls: list[Any] = [result.style, result.has_labels, result.labels, result.opacity, result.min_score]
    gr.on([control.input for control in controls], **redraw)
    result.table.hide(**redraw)
    result.format.change(
        lambda name: gr.update(info=next(row.cannot_carry for row in FORMATS if row.id == name)),
        result.format, result.format, queue=False, **_PLUMBING,
    )  # fmt: skip
    saved = result.save.click(handlers.save, [session, result.format, *result.view], result.file, **_PLUMBING)
    saved.success(None, js="playground.download", **_PLUMBING)


def _shown(result: Result, session: gr.State, status: Lines) -> list[Any]:
    """The components that `handlers.Shown` writes, in its order."""
    others = {"session": session, "status": status}
    return [others.get(name) or getattr(result, name) for name in Shown.names()]


class _Regions(gr.JSON):
    """Boxes as JSON. The schema of `gr.JSON` is not valid JSON Schema, so that MCP refuses every call."""

    def get_block_name(self) -> str:
        return "json"

    def api_info(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}


def _add_api(api: Api, settings: Settings) -> None:
    """The public endpoints. Their components are never shown: they give the endpoints their schema."""
    with gr.Column(visible=False):
        image = Picture(label="image")
        task = gr.Textbox(label="task", value=DEFAULT_TASK.id)
        phrase = gr.Textbox(label="phrase", value="")
        regions = _Regions(label="regions", value=[])
        checkpoint = gr.Textbox(label="checkpoint", value="")
        decoding = gr.Textbox(label="decoding", value="greedy")
        max_new_tokens = gr.Number(label="max_new_tokens", value=None)
        prediction = gr.JSON(label="prediction")
        annotated = gr.Image(label="annotated", format="jpeg")
        listed = gr.JSON(label="tasks")
        format_ = gr.Textbox(label="format", value=FORMATS[0].id)
        file = gr.File(label="file")
        answer = gr.Textbox(label="answer")
        question = [image, task, phrase, regions]
        ask = gr.Button()
        ask.click(
            api.run,
            [*question, checkpoint, decoding, max_new_tokens],
            [prediction, annotated],
            api_name="run",
            **_MODEL,
        )
        ask.click(api.tasks, None, listed, api_name="tasks", queue=False)
        ask.click(api.export, [image, prediction, format_], file, api_name="export")
        if settings.mcp:
            ask.click(api.ask_florence2, question, answer, api_name="ask_florence2", **_MODEL)
            ask.click(api.list_tasks, None, answer, api_name="list_tasks", queue=False)


def launch_options(settings: Settings) -> dict[str, Any]:
    """What `launch` is to be given besides where to listen."""
    keep = settings.keep_files_seconds
    return {
        "theme": _theme(),
        "css_paths": [ASSETS / "page.css"],
        "js": (ASSETS / "page.js").read_text(encoding="utf-8"),
        "footer_links": ["api"],
        "app_kwargs": {
            "middleware": [Middleware(SecurityHeaders, settings=settings)],
            "lifespan": upkeep(every_seconds=min(keep, _SECONDS_BETWEEN_ROUNDS), keep_seconds=keep),
        },
        "run_history": False,
        "max_file_size": f"{settings.max_megabytes}mb",
        "mcp_server": settings.mcp,
        "enable_monitoring": False,
        "server_name": settings.host or None,
        "server_port": settings.port or None,
    }


def _theme() -> gr.themes.Base:
    """One accent color; fonts of the reader's own system, so that no foreign host is asked."""
    font = ["system-ui", "sans-serif"]
    return gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=font,
        font_mono=["ui-monospace", "monospace"],
    )
