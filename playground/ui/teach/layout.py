"""The page that teaches: pictures, what is said of them, and how it goes. What they do is `handlers`' business."""

from typing import Any

import gradio as gr

from playground.annotate.jobs import Jobs
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, TASKS
from playground.teachings import Teachings
from playground.ui.components import Lines
from playground.ui.frame import add_title
from playground.ui.given_files import GivenFilesField
from playground.ui.parts import Components
from playground.ui.plumbing import AT_ONCE, IN_TURN, PLUMBING
from playground.ui.teach.components import Board
from playground.ui.teach.handlers import EACH_ITS_OWN, FROM_JOB, FROM_ZIP, TeachHandlers
from playground.ui.wiring import Wiring

_LEAD = "Teach the model your own things: from pictures that you have put right, to an adapter that you keep."
_SECONDS_BETWEEN_LOOKS = 1.5
_USUAL_MINUTES = 10
_SEEN = ("status", "board", "check", "teach", "stop", "outcome", "ask", "timer")


def build_teach(app: gr.Blocks, predictor: Predictor, settings: Settings, jobs: Jobs, teachings: Teachings) -> None:
    """Put the page into an app that is being built."""
    handlers = TeachHandlers(predictor, jobs, teachings, settings)
    components: Components = {
        "memory": gr.Textbox(visible=False),  # what the browser has kept
        "job": gr.Textbox("", visible=False),
        "teaching": gr.Textbox("", visible=False),
        "timer": gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False),
    }
    add_title("teach", _LEAD, settings)
    with gr.Row(elem_id="teach"):
        with gr.Column(elem_id="lessons"):
            components |= _form(predictor, settings)
        with gr.Column(elem_id="taught"):
            components["board"] = Board(elem_id="board")
    _wire(Wiring(components), components, handlers, app)


def _form(predictor: Predictor, settings: Settings) -> Components:
    options: dict[str, Any] = {"interactive": True}
    most = max(2, round(settings.teach_minutes))
    components: Components = {
        "source": gr.Radio(
            [("My job: pictures corrected or approved", FROM_JOB), ("The ZIP of a data set", FROM_ZIP)], value=FROM_JOB,
            label="From which pictures?", elem_id="source", **options,
        ),
        "zip": GivenFilesField(label="ZIP", file_types=[".zip"], visible=False, height=140, elem_id="zip"),
        "task": gr.Dropdown(
            label="What is it to answer?", value=DEFAULT_TASK.id,
            choices=[*((task.title, task.id) for task in TASKS), ("What each line of JSON Lines asks", EACH_ITS_OWN)],
            visible=False, elem_id="task", **options,
        ),
        "base": gr.Dropdown(
            label="Which checkpoint?", choices=predictor.engines.names(), elem_id="base", **options
        ),
        "minutes": gr.Slider(
            1, most, value=min(_USUAL_MINUTES, most), step=1, label="Minutes at most", elem_id="minutes",
            visible=settings.teach_minutes > 1, **options,
        ),
        "check": gr.Button("Check the pictures", elem_id="check"),
        "report": Lines(elem_id="report"),
    }  # fmt: skip
    with gr.Row(elem_id="actions"):
        components["teach"] = gr.Button("Teach", variant="primary", min_width=90, scale=3, interactive=False,
                                        elem_id="teach-run")  # fmt: skip
        components["stop"] = gr.Button("Stop", min_width=90, interactive=False, elem_id="stop")
    components["status"] = Lines(elem_id="status")
    with gr.Column(visible=False, elem_id="outcome") as components["outcome"]:
        components["name"] = gr.Textbox("mine", label="Name", max_lines=1, max_length=60, elem_id="name", **options)
        with gr.Row():
            components["keep"] = gr.Button("Keep", variant="primary", min_width=90, elem_id="keep")
            components["throw_away"] = gr.Button("Throw away", min_width=90, elem_id="throw-away")
    components["ask"] = gr.Button("Ask with it", visible=False, link="./", elem_id="ask")
    return components


def _wire(wiring: Wiring, on: Components, handlers: TeachHandlers, app: gr.Blocks) -> None:
    fields = ("source", "zip", "task")
    opened = wiring.on(
        app.load, handlers.open, writes=(*_SEEN, "report", "teaching", "job", "base", *fields),
        js="() => [playgroundTeach.kept()]", **AT_ONCE,
    )  # fmt: skip
    opened.success(None, inputs=on["teaching"], js="(key) => playgroundTeach.keep(key)", **PLUMBING)
    wiring.on(on["source"].input, handlers.choose_source, writes=("zip", "task"), **AT_ONCE)
    checked = wiring.on(on["check"].click, handlers.check, writes=(*_SEEN, "report", "teaching"), **IN_TURN)
    checked.success(None, inputs=on["teaching"], js="(key) => playgroundTeach.keep(key)", **PLUMBING)
    wiring.on(on["teach"].click, handlers.teach, writes=_SEEN, **AT_ONCE)
    wiring.on(on["stop"].click, handlers.stop, writes=("status",), **AT_ONCE)
    wiring.on(on["timer"].tick, handlers.look, writes=_SEEN, **AT_ONCE)
    wiring.on(on["keep"].click, handlers.keep, writes=_SEEN, **IN_TURN)
    thrown = wiring.on(on["throw_away"].click, handlers.throw_away, writes=(*_SEEN, "report", "teaching"), **IN_TURN)
    thrown.success(None, js='() => playgroundTeach.keep("")', **PLUMBING)
