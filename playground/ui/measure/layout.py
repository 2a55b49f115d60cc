"""The page for measuring: a data set, who is measured, and the report. What they do is `handlers`' business."""

from typing import Any

import gradio as gr

from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import TASKS
from playground.ui.components import Lines
from playground.ui.frame import add_title
from playground.ui.given_files import GivenFilesField
from playground.ui.measure.components import ReportFrame
from playground.ui.measure.handlers import MeasureHandlers
from playground.ui.parts import Components, run_and_stop
from playground.ui.plumbing import AT_ONCE, PLUMBING
from playground.ui.wiring import Wiring

_LEAD = "How good is it on what you have? Give a data set with its labels, and read the report."
_ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "measure", "concurrency_limit": 1}
_BUTTONS = ("run", "stop", "status")
_FIRST_LIMIT = 50  # pictures


def build_measure(app: gr.Blocks, predictor: Predictor, settings: Settings) -> None:
    """Put the page into an app that is being built."""
    handlers = MeasureHandlers(predictor, settings)
    add_title("measure", _LEAD, settings)
    with gr.Row(elem_id="measure"):
        with gr.Column(elem_id="form"):
            components = _form(predictor, settings)
        with gr.Column(elem_id="measured", visible=False) as components["results"]:
            with gr.Row(elem_id="downloads"):
                for name, label in (("page_file", "Report (HTML)"), ("json_file", "Figures (JSON)")):
                    components[name] = gr.DownloadButton(
                        label, size="sm", min_width=120, scale=0, elem_id=name.replace("_", "-")
                    )
            components["report"] = ReportFrame(elem_id="report")
    _wire(Wiring(components), components, handlers, app)
    app.unload(handlers.leave)


def _form(predictor: Predictor, settings: Settings) -> Components:
    options: dict[str, Any] = {"interactive": True}
    most = max(1, settings.measure_pictures)
    return {
        "files": GivenFilesField(label="Data set (ZIP)", file_types=[".zip"], height=140, elem_id="files"),
        "task": gr.Dropdown(
            label="What is asked?",
            choices=[("What the data asks, or every object", ""), *_tasks()],
            value="",
            elem_id="task",
            **options,
        ),
        "checkpoints": gr.Dropdown(
            label="Checkpoints",
            info="Without one, the one that answers. Several stand beside one another.",
            choices=predictor.engines.names(),
            value=[],
            multiselect=True,
            elem_id="checkpoints",
            **options,
        ),
        "limit": gr.Number(
            min(_FIRST_LIMIT, most),
            label="Pictures, at most",
            info=f"Up to {most}.",
            precision=0,
            elem_id="limit",
            **options,
        ),
        **run_and_stop(),
        "status": Lines(elem_id="status"),
    }


def _tasks() -> list[tuple[str, str]]:
    return [(task.title, task.id) for task in TASKS if not task.covers and not task.on_crop and not task.then]


def _wire(wiring: Wiring, on: Components, handlers: MeasureHandlers, app: gr.Blocks) -> None:
    wiring.on(app.load, handlers.open, writes=("checkpoints", *_BUTTONS), **AT_ONCE)
    begun = wiring.on(on["run"].click, handlers.begin, writes=_BUTTONS, **AT_ONCE)
    run = wiring.on(
        begun.success,  # not on the click itself: Stop must find the run that `begin` expects
        handlers.run,
        writes=("status", "report", "page_file", "json_file", "results"),
        trigger_mode="once",
        **PLUMBING,
        **_ONE_AT_A_TIME,
    )
    wiring.on(run.then, handlers.rest, writes=("run", "stop"), **AT_ONCE)
    wiring.on(run.failure, handlers.fail, writes=_BUTTONS, **AT_ONCE)
    wiring.on(on["stop"].click, handlers.stop, writes=_BUTTONS, **AT_ONCE)
