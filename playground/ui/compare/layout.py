"""The comparing page: components first, wiring last. What they do is `handlers`' business."""

import json
from typing import Any

import gradio as gr

from playground.engines import Engines
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import TASKS
from playground.ui import text
from playground.ui.compare.components import AgreementFigures, Over, Words, WordsData
from playground.ui.compare.form import SAME, Form
from playground.ui.compare.handlers import COMPARE_NAME, CompareHandlers
from playground.ui.compare.showing import BESIDE, EMPTY, LEFT, ON_TOP, RIGHT, SIDES
from playground.ui.components import WORKSPACE, Lines, Stage
from playground.ui.frame import add_title
from playground.ui.parts import (
    Components,
    checkpoint_choices,
    example_pictures,
    phrase_field,
    picture_field,
    run_and_stop,
)
from playground.ui.plumbing import AT_ONCE, IN_TURN, PLUMBING, wire_pictures, wire_run
from playground.ui.server.turns import COSTLY
from playground.ui.session import Tab
from playground.ui.tabs import Tabs
from playground.ui.wiring import Wiring

_LEAD = "Ask about one picture in two ways, and see where the answers differ."
_SECONDS_BETWEEN_POLLS = 1.0

_CHOICES = ("task", "checkpoint", "decoding", "right_task", "right_checkpoint", "right_decoding")
_PHRASES = ("phrase", "right_phrase")
_SHOWN = ("left", "right", "left_words", "right_words", "figures", "view", "over")
_SETTLED = (*_SHOWN, "run", "stop", "status")
_NEW_PICTURE = ("held", "picture", "scenes", "problem", *_SETTLED)


def build_compare(app: gr.Blocks, predictor: Predictor, settings: Settings, first: Tabs[Tab]) -> None:
    """Put the page into an app that is being built; it goes on with what is kept of the page of one picture."""
    handlers = CompareHandlers(predictor, settings, first)
    components: Components = {
        "held": gr.State(),  # without it, Gradio's books of this session and the files of its tab are thrown away
        "gesture": gr.Number(0, precision=0, visible=False),  # what the user has done so far, as the page counts it
        "memory": gr.Textbox(visible=False),  # what the browser has kept for a reload
        "timer": gr.Timer(_SECONDS_BETWEEN_POLLS),
    }
    add_title("compare", _LEAD, settings)
    with gr.Row(elem_id="compare", elem_classes=WORKSPACE):
        with gr.Column(elem_id="form"):
            components |= _picture()
        for side, prefix, decoding in ((LEFT, "", Form().decoding), (RIGHT, "right_", Form().right_decoding)):
            with gr.Column(elem_id=f"{SIDES[side]}-form", elem_classes="side-form"):
                title = f"{SIDES[side].capitalize()}: what do you want to know?"
                components |= _side(predictor.engines, prefix, title, decoding)
        components["over"] = Over(elem_id="over")
        for side, name in enumerate(SIDES):
            with gr.Column(elem_id=f"{name}-show"):
                components[name] = Stage(elem_id=name)
                components[f"{name}_words"] = Words(WordsData(empty=EMPTY[side]), elem_id=f"{name}-words")
    _wire(Wiring(components), components, handlers, app)
    app.unload(handlers.leave)


def _picture() -> Components:
    components: Components = {"picture": picture_field(), "problem": Lines(elem_id="problem")}
    with gr.Accordion("Try an example", open=True, elem_id="scenes") as components["scenes"]:
        components["examples"] = example_pictures()
    return {
        **components,
        **run_and_stop(),
        "status": Lines(elem_id="status"),
        "figures": AgreementFigures(elem_id="figures"),
        "view": gr.Radio(
            label="View",
            choices=[("Side by side", BESIDE), ("One over the other", ON_TOP)],
            value=BESIDE,
            visible=False,
            interactive=True,
            elem_id="view",
        ),
    }


def _side(engines: Engines, prefix: str, title: str, decoding: str) -> Components:
    tasks = [(task.title, task.id) for task in TASKS]
    dash = prefix.replace("_", "-")
    options: dict[str, Any] = {"interactive": True, "min_width": 120}
    components: Components = {
        f"{prefix}task": gr.Dropdown(
            label=title,
            choices=[("The same", SAME), *tasks] if prefix else tasks,
            value=SAME if prefix else Form().task,
            filterable=not prefix,
            elem_id=f"{dash}task",
            **options,
        ),
        f"{prefix}phrase": phrase_field(f"{dash}phrase", max_lines=4, **options),
    }
    with gr.Row(elem_classes="side-settings"):
        components[f"{prefix}checkpoint"] = gr.Dropdown(
            label="Checkpoint", choices=checkpoint_choices(engines), value="", elem_id=f"{dash}checkpoint", **options
        )
        components[f"{prefix}decoding"] = gr.Dropdown(
            label="Decoding", choices=text.decoding_choices(), value=decoding, elem_id=f"{dash}decoding", **options
        )
    return components


def _wire(wiring: Wiring, on: Components, handlers: CompareHandlers, app: gr.Blocks) -> None:
    sources = (on["picture"].input, handlers.take_picture), (on["examples"].click, handlers.take_example)
    wire_pictures(wiring, sources, writes=_NEW_PICTURE)
    opened = wiring.on(
        app.load,
        handlers.open,
        writes=(*_CHOICES, *_PHRASES, *_NEW_PICTURE),
        js="() => [playground.remembered()[0]]",
        **IN_TURN,
    )
    opened.success(None, js="playground.opened", **PLUMBING)
    chosen = (*_PHRASES, *_SETTLED)
    questions = [on[name].input for name in ("task", "decoding", "right_task", "right_decoding")]
    wiring.on(questions, handlers.choose, writes=chosen, **AT_ONCE)
    checkpoints = [on["checkpoint"].input, on["right_checkpoint"].input]
    wiring.on(checkpoints, handlers.choose_checkpoint, writes=(*chosen, "timer"), **AT_ONCE)
    wiring.on(on["timer"].tick, handlers.poll, writes=("status", "timer"), **AT_ONCE)
    wiring.on(on["view"].input, handlers.choose_view, writes=("over",), **PLUMBING, **COSTLY)
    form = [on[name] for name in (*_CHOICES, *_PHRASES)]
    gr.on([part.change for part in form], None, form, js=_keep_form(), **PLUMBING)
    triggers = [on["run"].click, on["phrase"].submit, on["right_phrase"].submit]
    shows = (*_SHOWN, "status")
    wire_run(wiring, on, handlers, triggers, api_name=COMPARE_NAME, shows=shows, settles=_SETTLED)


def _keep_form() -> str:
    """Return the script that keeps the form in the browser under the names of the components."""
    names = [*_CHOICES, *_PHRASES]
    return f"(...values) => playground.rememberForm({json.dumps(names)}, values)"
