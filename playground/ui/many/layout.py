"""The page of many pictures: components first, wiring last. What they do is `handlers`' business."""

from typing import Any

import gradio as gr

from playground.annotate.jobs import Jobs
from playground.export import FORMATS, VIDEO_FORMATS
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, TASKS, InputKind, Task
from playground.ui import text
from playground.ui.components import WORKSPACE, Lines, Stage
from playground.ui.frame import add_title
from playground.ui.many.components import FilesData, FilesDrop, ResultGrid
from playground.ui.many.form import FIELDS
from playground.ui.many.handlers import ManyHandlers
from playground.ui.many.showing import PREVIEW
from playground.ui.many.sources import FIRST_FORMAT, SHOWN, source_options
from playground.ui.parts import Components, checkpoint_choices, phrase_field
from playground.ui.plumbing import AT_ONCE, IN_TURN, PLUMBING
from playground.ui.server.multipart_limits import MAX_FILES
from playground.ui.server.turns import COSTLY
from playground.ui.wiring import Wiring

_LEAD = "Ask the same about a folder, a PDF or a video, put right what is wrong, and take away a data set."
_SECONDS_BETWEEN_LOOKS = 1.0
_MEGABYTE = 1_000_000
_DOUBT = "Delete this job? Its answers, what you corrected and the pictures that you gave are lost then."
_BUTTONS = ("preview", "run", "pause", "stop", "delete", "timer", "results")
_SEEN = ("grid", "status", *_BUTTONS)
_CLOSED = ("opened", "review", "stage", "doubt")
_GONE = ("job", *_SEEN, *_CLOSED)
_OF_TASK = ("phrase", "then", "one_by_one", "tiles", "format")
_JOBS = ("jobs", "memory")
_OPENED = (*_CLOSED, "about", "told", "approve", "skip", "grid", "status")


def build_many(app: gr.Blocks, predictor: Predictor, settings: Settings, jobs: Jobs) -> None:
    """Put the page into an app that is being built."""
    handlers = ManyHandlers(predictor, jobs)
    components: Components = {
        "job": gr.Textbox("", visible=False),
        "memory": gr.Textbox(visible=False),  # what the browser has kept
        "opened": gr.Textbox("", visible=False),
        "timer": gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False),
        "come_back": gr.Button(visible="hidden", elem_id="come-back"),  # the page presses it
    }
    add_title("many", _LEAD, settings)
    with gr.Row(elem_id="many"):
        with gr.Column(elem_id="form"):
            components |= _form(predictor, settings)
        with gr.Column(elem_id="found-in-all"):
            components |= _review()
            with gr.Column(visible=False, elem_id="results") as components["results"]:
                components |= _results()
    _wire(Wiring(components), components, handlers, app)


def _form(predictor: Predictor, settings: Settings) -> Components:
    given = FilesData(max_files=MAX_FILES, max_bytes=settings.max_megabytes * _MEGABYTE)
    options: dict[str, Any] = {"interactive": True}
    components: Components = {
        "files": FilesDrop(given, elem_id="files"),
        "task": gr.Dropdown(
            label="What do you want to know of each?",
            choices=[(task.title, task.id) for task in TASKS if not _is_about_regions(task)],
            value=DEFAULT_TASK.id,
            elem_id="task",
            **options,
        ),
        "phrase": phrase_field(max_lines=4, **options),
        "then": gr.Dropdown(
            label="And then, of each region?",
            choices=[("Nothing more", ""), *((task.title, task.id) for task in TASKS if _is_about_regions(task))],
            value="",
            elem_id="then",
            **options,
        ),
    }
    components |= source_options()
    with gr.Accordion("Names, scores, a closer look", open=False):
        components |= {
            "names": gr.Textbox(
                "",
                label="Call it by another name",
                placeholder="person wearing helmet = helmet",
                info="One a line: what is asked for, and what it is called.",
                lines=2,
                elem_id="names",
                html_attributes=gr.InputHTMLAttributes(autocapitalize="none"),
                **options,
            ),
            "min_scores": gr.Textbox(
                "",
                label="Lowest score",
                placeholder="0.3, or helmet=0.3, vest=0.5",
                info="Or click in the histogram of scores.",
                max_lines=1,
                elem_id="min-scores",
                **options,
            ),
            "merge": gr.Checkbox(False, label="One region for a thing", elem_id="merge", **options),
            "one_by_one": gr.Checkbox(
                False, label="Ask for each name by itself", visible=False, elem_id="one-by-one", **options
            ),
            "tiles": gr.Checkbox(False, label="Look closer, for small things", elem_id="tiles", **options),
        }
    with gr.Accordion("Advanced", open=False):
        components |= {
            "checkpoint": gr.Dropdown(
                label="Checkpoint",
                choices=checkpoint_choices(predictor.engines),
                value="",
                elem_id="checkpoint",
                **options,
            ),
            "decoding": gr.Radio(
                label="Decoding", choices=text.decoding_choices(), value="greedy", elem_id="decoding", **options
            ),
        }
    with gr.Column(elem_id="job-actions"):
        components["preview"] = gr.Button(f"Try on the first {PREVIEW}", variant="primary", interactive=False,
                                          elem_id="preview")  # fmt: skip
        components["run"] = gr.Button("Run on all", interactive=False, elem_id="run")
        with gr.Row():
            components["pause"] = gr.Button("Pause", min_width=80, interactive=False, elem_id="pause")
            components["stop"] = gr.Button("Stop", min_width=80, interactive=False, elem_id="stop")
            components["delete"] = gr.Button("Delete", min_width=80, interactive=False, elem_id="delete")
    components |= _doubt()
    components["status"] = Lines(elem_id="status")
    components["jobs"] = gr.Dropdown(
        label="Your jobs here", choices=[], value=None, visible=False, elem_id="jobs", **options
    )
    return components


def _doubt() -> Components:
    components: Components = {}
    with gr.Column(visible=False, elem_id="doubt") as doubt:
        Lines([text.line(_DOUBT, "warning")])
        with gr.Row():
            components["delete_job"] = gr.Button("Delete it", variant="stop", min_width=90, elem_id="delete-job")
            components["keep_job"] = gr.Button("Keep it", min_width=90, elem_id="keep-job")
    return {**components, "doubt": doubt}


def _is_about_regions(task: Task) -> bool:
    return task.input_kind is InputKind.REGIONS


def _review() -> Components:
    small: dict[str, Any] = {"size": "sm", "min_width": 80}
    with gr.Column(visible=False, elem_id="review", elem_classes=WORKSPACE) as review:
        with gr.Row(elem_id="review-bar"):
            components: Components = {
                "previous": gr.Button("← Previous", elem_id="previous", **small),
                "approve": gr.Button("Approve (A)", variant="primary", elem_id="approve", **small),
                "skip": gr.Button("Skip (S)", elem_id="skip", **small),
                "next": gr.Button("Next →", elem_id="next", **small),
                "close": gr.Button("Close (Esc)", elem_id="close", **small),
            }
        components["about"] = Lines(elem_id="about")
        components["stage"] = Stage(elem_id="stage", elem_classes="can-correct")
        components["told"] = Lines(elem_id="told")
    return {**components, "review": review}


def _results() -> Components:
    components: Components = {}
    with gr.Row(elem_id="downloads"):  # above the grid, which has no end with ten thousand pictures
        components["format"] = gr.Dropdown(
            label="Save all as", choices=[(row.title, row.id) for row in (*FORMATS, *VIDEO_FORMATS)],
            value=FIRST_FORMAT, scale=3, min_width=200, interactive=True, elem_id="format",
        )  # fmt: skip
        components["only_approved"] = gr.Checkbox(
            False, label="Only what is approved", scale=2, min_width=160, interactive=True, elem_id="only-approved"
        )
        components["save"] = gr.Button("Save", min_width=90, scale=1, elem_id="save")
    components["file"] = gr.DownloadButton("File", visible="hidden", elem_id="file")
    components["grid"] = ResultGrid(elem_id="grid")
    return components


def _wire(wiring: Wiring, on: Components, handlers: ManyHandlers, app: gr.Blocks) -> None:
    opened = wiring.on(
        app.load, handlers.open, writes=(*_SEEN, "job", *_JOBS, *FIELDS, *SHOWN), js="() => [playgroundMany.kept()]",
        **AT_ONCE,
    )  # fmt: skip
    opened.success(None, inputs=on["job"], js="(key) => playgroundMany.opened(key)", **PLUMBING)
    brought = wiring.on(on["files"].brought, handlers.bring, writes=("files", *_GONE, *SHOWN), **IN_TURN)
    wiring.on(brought.success, handlers.list_jobs, writes=_JOBS, js="playgroundMany.keep", **AT_ONCE)
    on["jobs"].input(None, inputs=on["jobs"], js="playgroundMany.go", **PLUMBING)
    wiring.on(on["delete"].click, handlers.ask_to_delete, writes=("doubt",), **AT_ONCE).success(
        None, js="() => playgroundMany.focus('#keep-job')", **PLUMBING
    )
    wiring.on(on["keep_job"].click, handlers.keep_job, writes=("doubt",), **AT_ONCE).success(
        None, js="() => playgroundMany.focus('#delete')", **PLUMBING
    )
    deleted = wiring.on(on["delete_job"].click, handlers.delete_job, writes=(*_GONE, *SHOWN), **IN_TURN)
    wiring.on(deleted.success, handlers.list_jobs, writes=_JOBS, js="playgroundMany.forget", **AT_ONCE)
    wiring.on(on["task"].change, handlers.choose_task, writes=_OF_TASK, **AT_ONCE)
    for name in ("preview", "run", "pause", "stop"):
        wiring.on(on[name].click, getattr(handlers, name), writes=_SEEN, **AT_ONCE)
    wanted = [on["names"].blur, on["min_scores"].blur, on["min_scores"].submit, on["merge"].input]
    wiring.on(wanted, handlers.want, writes=_SEEN, trigger_mode="always_last", **IN_TURN)
    wiring.on(on["grid"].hold, handlers.hold, writes=(*_SEEN, "min_scores"), trigger_mode="always_last", **IN_TURN)
    wiring.on(on["timer"].tick, handlers.look, writes=_GONE, **AT_ONCE)
    came = ("job", *_SEEN, *FIELDS, *_OPENED)
    wiring.on(on["come_back"].click, handlers.come_back, writes=tuple(dict.fromkeys(came)), **IN_TURN)
    wiring.on(on["grid"].window, handlers.window, writes=("grid",), trigger_mode="always_last", **IN_TURN)
    picked = wiring.on(on["grid"].pick, handlers.pick, writes=_OPENED, trigger_mode="always_last", **IN_TURN)
    picked.success(None, js="playgroundMany.review", **PLUMBING)
    for name in ("approve", "skip", "next", "previous"):
        wiring.on(on[name].click, getattr(handlers, name), writes=_OPENED, trigger_mode="multiple", **IN_TURN)
    closed = wiring.on(on["close"].click, handlers.close, writes=(*_CLOSED, "grid", "status"), **IN_TURN)
    closed.success(None, js="playgroundMany.closed", **PLUMBING)
    corrected = ("grid", "about", "status")
    wiring.on(on["stage"].corrected, handlers.correct, writes=corrected, trigger_mode="always_last", **IN_TURN)
    saved = wiring.on(on["save"].click, handlers.save, writes=("file", "status"), **PLUMBING, **COSTLY)
    saved.success(None, js="playgroundMany.download", **PLUMBING)
