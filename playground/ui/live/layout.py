"""The page of the camera: what is asked, and the camera. What they do is `handlers`' business."""

from typing import Any

import gradio as gr

from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, TASKS, InputKind, Task
from playground.ui.components import Lines
from playground.ui.frame import add_title
from playground.ui.live.components import Camera
from playground.ui.live.handlers import LiveHandlers
from playground.ui.parts import Components, phrase_field
from playground.ui.plumbing import AT_ONCE, PLUMBING
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.wiring import Wiring

_LEAD = "Hold something before the camera: what is found is named, and keeps its number while it is seen."


def build_live(app: gr.Blocks, predictor: Predictor, settings: Settings) -> None:
    """Put the page into an app that is being built."""
    handlers = LiveHandlers(predictor, settings)
    add_title("live", _LEAD, settings)
    options: dict[str, Any] = {"interactive": True}
    with gr.Row(elem_id="live"):
        with gr.Column(elem_id="form"):
            components: Components = {
                "task": gr.Dropdown(
                    label="What do you want to know?",
                    choices=[(task.title, task.id) for task in TASKS if _can_be_asked(task)],
                    value=DEFAULT_TASK.id,
                    elem_id="task",
                    **options,
                ),
                "phrase": phrase_field(max_lines=4, **options),
                "status": Lines(elem_id="status"),
            }
        with gr.Column(elem_id="seen"):
            components["camera"] = Camera(elem_id="camera")
    _wire(Wiring(components), components, handlers, app)
    app.unload(handlers.leave)


def _can_be_asked(task: Task) -> bool:
    """Whether a task is for a camera: there is nobody to draw regions, and nothing to hide from who holds it."""
    return task.input_kind is not InputKind.REGIONS and not task.covers


def _wire(wiring: Wiring, on: Components, handlers: LiveHandlers, app: gr.Blocks) -> None:
    wiring.on(app.load, handlers.open, writes=("status",), **AT_ONCE)
    wiring.on(on["task"].change, handlers.choose_task, writes=("phrase",), **AT_ONCE)
    # The model's queue: whoever asks a question waits for one frame of each camera at most.
    looked = wiring.on(
        on["camera"].frame, handlers.look, writes=("camera", "status"), trigger_mode="once", **PLUMBING, **MODEL_QUEUE
    )
    looked.failure(None, js="playgroundLive.failed", **PLUMBING)
    wiring.on(on["camera"].halt, handlers.halt, writes=("status",), **AT_ONCE)
