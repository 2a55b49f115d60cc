"""The widget, for a frame of 600 px in somebody's page: components first, wiring last.

What they do is `handlers`' business; how it tells its height is in `assets/widget.js`.
"""

from typing import Any

import gradio as gr

from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui import text
from playground.ui.components import WORKSPACE, Lines, Stage
from playground.ui.parts import Components, example_pictures, picture_field, run_and_stop
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.server.turns import COSTLY
from playground.ui.widget.handlers import WIDGET_NAME, WidgetHandlers
from playground.ui.wiring import Wiring

_PLUMBING: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_AT_ONCE: dict[str, Any] = {"queue": False, **_PLUMBING}
_IN_TURN: dict[str, Any] = {**_AT_ONCE, **COSTLY}
_SETTLED = ("stage", "answer", "run", "stop", "status")
_NEW_PICTURE = ("held", "picture", "problem", *_SETTLED)


def build_widget(app: gr.Blocks, predictor: Predictor, settings: Settings) -> None:
    """Put the widget into an app that is being built."""
    handlers = WidgetHandlers(predictor, settings)
    components: Components = {
        "held": gr.State(),  # without it, Gradio's books of this session and the files of its tab are thrown away
        "gesture": gr.Number(0, precision=0, visible=False),  # what the user has done so far, as the page counts it
        "memory": gr.Textbox(visible=False),  # what the browser has kept for a reload
        "address": gr.Textbox(visible=False),  # what follows the question mark in it
    }
    with gr.Column(elem_id="widget", elem_classes=WORKSPACE):
        components |= {
            "picture": picture_field(has_camera=False),  # a frame of another site has none
            "examples": example_pictures(),
            "problem": Lines(elem_id="problem"),
            "phrase": gr.Textbox(label="Phrase", visible=False, max_lines=2, interactive=True, elem_id="phrase"),
            **run_and_stop(),
            "status": Lines(elem_id="status"),
            "stage": Stage(elem_id="stage"),
            "answer": gr.Textbox(
                label="Answer", placeholder=text.ANSWER_EMPTY, buttons=["copy"], lines=1, max_lines=8,
                interactive=False, elem_id="answer",
            ),
        }  # fmt: skip
        link = '<a class="more" href="./" target="_blank" rel="noopener">More questions ↗</a>'
        gr.HTML(f'<h1 class="more">{text.TITLE}</h1>{link}')
    _wire(Wiring(components), components, handlers, app)
    app.unload(handlers.leave)


def _wire(wiring: Wiring, on: Components, handlers: WidgetHandlers, app: gr.Blocks) -> None:
    sources = (on["picture"].input, handlers.take_picture), (on["examples"].click, handlers.take_example)
    for trigger, handler in sources:
        taken = wiring.on(
            trigger, handler, writes=_NEW_PICTURE, js="playground.taking", trigger_mode="multiple", **_IN_TURN
        )
        taken.then(None, js="playground.taken", **_PLUMBING)
    opened = wiring.on(
        app.load, handlers.open, writes=("address", "phrase", *_NEW_PICTURE), js="() => openWidget()", **_IN_TURN
    )
    opened.success(None, js="playground.opened", **_PLUMBING)
    triggers = [on["run"].click, on["phrase"].submit]
    # A picture that is on its way is waited for: the question is about that one.
    pressed = gr.on(triggers, None, outputs=on["status"], js="playground.sayIfTaking", **_PLUMBING)
    ready = pressed.success(None, js="playground.whenTaken", **_PLUMBING)
    wiring.on(ready.failure, handlers.rest, writes=_SETTLED, **_AT_ONCE)
    begun = wiring.on(ready.success, handlers.begin, writes=("run", "stop"), **_AT_ONCE)
    waited = wiring.on(
        begun.success,  # not on the click itself: Stop must find the run that `begin` expects
        handlers.wait,
        writes=("status",),
        check=handlers.check,
        refuses_at=("picture",),
        trigger_mode="multiple",  # the run before may not have ended yet
        concurrency_limit=None,
        **_PLUMBING,
    )
    wiring.on(waited.failure, handlers.rest, writes=_SETTLED, **_AT_ONCE)
    run = wiring.on(
        waited.success,
        handlers.run,
        writes=("stage", "answer", "status"),
        api_name=WIDGET_NAME,
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=on["status"],
        trigger_mode="multiple",
        **MODEL_QUEUE,
    )
    wiring.on(run.then, handlers.rest, writes=_SETTLED, **_AT_ONCE)
    wiring.on(run.failure, handlers.turned_away, writes=("run", "stop", "status"), **_AT_ONCE)
    wiring.on(on["stop"].click, handlers.stop, writes=("run", "stop", "status"), **_AT_ONCE)
