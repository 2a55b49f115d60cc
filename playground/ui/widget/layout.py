"""The widget, for a frame of 600 px in somebody's page: components first, wiring last.

What they do is `handlers`' business; how it tells its height is in `assets/widget.js`.
"""

import gradio as gr

from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui import text
from playground.ui.components import WORKSPACE, Lines, Stage
from playground.ui.parts import Components, example_pictures, phrase_field, picture_field, run_and_stop
from playground.ui.plumbing import IN_TURN, PLUMBING, wire_pictures, wire_run
from playground.ui.widget.handlers import WIDGET_NAME, WidgetHandlers
from playground.ui.wiring import Wiring

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
            "phrase": phrase_field(max_lines=2, interactive=True),
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
    wire_pictures(wiring, sources, writes=_NEW_PICTURE)
    opened = wiring.on(
        app.load, handlers.open, writes=("address", "phrase", *_NEW_PICTURE), js="() => openWidget()", **IN_TURN
    )
    opened.success(None, js="playground.opened", **PLUMBING)
    triggers, shows = [on["run"].click, on["phrase"].submit], ("stage", "answer", "status")
    wire_run(wiring, on, handlers, triggers, api_name=WIDGET_NAME, shows=shows, settles=_SETTLED)
