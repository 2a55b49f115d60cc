"""The page of one picture: components first, wiring last. What they do is `handlers`' business."""

from typing import Any

import gradio as gr

from playground.drawing.styles import LABEL_SIZES
from playground.engines import Engines
from playground.export import FORMATS
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, TASKS
from playground.ui import text
from playground.ui.components import WORKSPACE, Lines, RegionTable, RegionTableData, Stage
from playground.ui.frame import add_title
from playground.ui.limits import LimitSliders
from playground.ui.one_picture.controls import Choices
from playground.ui.one_picture.embed import embed_code, wire_embed
from playground.ui.one_picture.handlers import RUN_NAME, Handlers
from playground.ui.one_picture.history import History
from playground.ui.one_picture.region_asks import ASK_NAME
from playground.ui.one_picture.saving import COPIES
from playground.ui.one_picture.where import WhereItLooked, where_it_looked, wire_where_it_looked
from playground.ui.one_picture.wording import closer_field, wording_fields
from playground.ui.parts import (
    PHOTOGRAPHS,
    SCENES,
    Components,
    checkpoint_choices,
    example_pictures,
    phrase_field,
    picture_field,
    run_and_stop,
)
from playground.ui.plumbing import AT_ONCE, IN_TURN, PLUMBING, wire_pictures, wire_run
from playground.ui.reading import ReadingView
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.server.turns import COSTLY
from playground.ui.session import Tab
from playground.ui.tabs import Tabs
from playground.ui.task_list import listed
from playground.ui.wiring import Wiring

_SECONDS_BETWEEN_POLLS = 0.5
_SHORTEST, _END = 16, 32  # tokens; `poll` says what the checkpoint can write, as soon as it is loaded

# What a handler writes that shows a new picture, an answer, or an answer in another way.
_SEEN_ANSWER = ("stage", "answer", "reading", "table", "limits", "names", "notes")
_FOUND = ("found", "found_lines")
_SETTLED = (*_SEEN_ANSWER, "details", "status", "run", "stop", "back", "history", "past")
_NEW_PICTURE = ("held", "picture", "scenes", "page", "problem", *_SETTLED)
_NEW_ANSWER = (
    *_SEEN_ANSWER, "details", "status", "looks", "style", "has_labels", "opacity", "label_size", "min_score", "labels",
    "format", "raw", "glances", "timings", "merge",
)  # fmt: skip
_REMEMBER_FORM = '(...values) => playground.rememberForm(["names", "look_closer"], values)'
_TO_TRY = ("examples", "photographs", "scene")
_ASKED = ("task", "phrase", "names", "look_closer", "decoding", "checkpoint")
_FORM = ("asks", "listed", "seed", "looks_kept", *_ASKED)
_WHOLE_PAGE = tuple(dict.fromkeys((*_FORM, *_TO_TRY, *_NEW_PICTURE, *_NEW_ANSWER)))


def build_one_picture(app: gr.Blocks, predictor: Predictor, settings: Settings) -> Tabs[Tab]:
    """Put the page into an app that is being built; returns what is kept of its tabs."""
    handlers = Handlers(predictor, settings)
    components: Components = {
        "held": gr.State(),  # without it, Gradio's books of this session and the files of its tab are thrown away
        "gesture": gr.Number(0, precision=0, visible=False),  # what the user has done so far, as the page counts it
        "asks": gr.Checkbox(visible=False),  # whether the page begins with a question about an example
        "memory": gr.Textbox(visible=False),  # what the browser has kept for a reload
        "looks_kept": gr.Textbox("", visible=False),  # what it keeps of how answers are to be seen
        "listed": gr.Textbox(listed(TASKS), visible=False),  # of which checkpoint's own tasks are in the list
        "timer": gr.Timer(_SECONDS_BETWEEN_POLLS),
        "file": gr.DownloadButton("File", visible="hidden", elem_id="file"),  # there whatever is shown below
    }
    add_title("", text.LEAD, settings)
    classes = [WORKSPACE, "begins-with-example"] if settings.welcome else [WORKSPACE]
    with gr.Row(elem_id="columns", elem_classes=classes):
        with gr.Column(elem_id="form"):
            components |= _form(predictor.engines, settings)
        with gr.Column(elem_id="show"):
            components["stage"] = Stage(elem_id="stage", elem_classes=_stage_classes(predictor, settings))
            components["back"] = gr.Button(visible=False, size="sm", elem_id="back")
        with gr.Column(elem_id="result"):
            components |= _result(settings)
    wiring = Wiring(components)
    _wire_picture(wiring, components, handlers)
    _wire_form(wiring, components, handlers, app)
    wire_run(
        wiring,
        components,
        handlers,
        [components["run"].click, components["phrase"].submit],
        api_name=RUN_NAME,
        shows=_NEW_ANSWER,
        settles=_SETTLED,
        begins=("run", "stop", "stage"),
        refuses_at=("picture", "draw"),  # what is wrong with the picture, and with the regions that are drawn on it
    )
    _wire_answer(wiring, components, handlers)
    _wire_corrections(wiring, components, handlers)
    wire_embed(components)
    wire_where_it_looked(wiring, components, WhereItLooked(predictor, handlers.tabs))
    _wire_asks(wiring, components, handlers)
    app.unload(handlers.leave)
    return handlers.tabs


def _stage_classes(predictor: Predictor, settings: Settings) -> list[str]:
    sharpens = predictor.sharpener.is_on and not settings.on_zero_gpu
    return ["can-correct", "can-ask", *(["can-sharpen"] if sharpens else [])]


def _form(engines: Engines, settings: Settings) -> Components:
    return dict(
        picture=picture_field(),
        problem=Lines(elem_id="problem"),
        page=gr.Dropdown(label="The file has several pages", visible=False, interactive=True, elem_id="page"),
        **_scenes(),
        **_past(),
        task=gr.Dropdown(
            label="What do you want to know?",
            choices=[(task.title, task.id) for task in TASKS],
            value=DEFAULT_TASK.id,
            interactive=True,
            elem_id="task",
        ),
        phrase=phrase_field(max_lines=4, interactive=True),
        draw=gr.Checkbox(label=text.DRAW_HINT, value=True, visible=False, interactive=True, elem_id="draw"),
        **wording_fields(),
        **run_and_stop(),
        status=Lines(elem_id="status"),
        banner=Lines(elem_id="banner"),
        get=gr.Button(visible=False, size="md", elem_id="get"),
        # Kept by the page, not by the server: whether this tab waits for what is offered.
        is_wanted=gr.Checkbox(False, visible=False),
        **_advanced(engines, settings),
    )


def _scenes() -> Components:
    with gr.Accordion("Try an example", open=True, elem_id="scenes") as scenes:
        examples = example_pictures(SCENES, elem_id="examples")
        photographs = example_pictures(PHOTOGRAPHS, elem_id="photographs", visible=False)
        with gr.Row(elem_id="scene") as scene:
            new_scene = gr.Button(text.NEW_SCENE, min_width=150, scale=3, elem_id="new-scene")
            seed = gr.Number(label="Seed", placeholder="any", interactive=True, min_width=80, scale=2, elem_id="seed")
    return {
        "scenes": scenes, "examples": examples, "photographs": photographs, "scene": scene, "new_scene": new_scene,
        "seed": seed,
    }  # fmt: skip


def _past() -> Components:
    with gr.Accordion("Asked before", open=False, visible=False, elem_id="past") as past:
        return {"past": past, "history": History(elem_id="history")}


def _advanced(engines: Engines, settings: Settings) -> Components:
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        return {
            "checkpoint": gr.Dropdown(
                label="Checkpoint",
                choices=checkpoint_choices(engines),
                value="",
                interactive=True,
                elem_id="checkpoint",
            ),
            "hub_name": gr.Textbox(
                label="Find another on the Hugging Face hub",
                placeholder="A part of its name, then Enter",
                visible=settings.may_search_hub,
                interactive=True,
                max_lines=1,
                elem_id="hub-name",
            ),
            "found": gr.Radio(label="Choose one to fetch it", visible=False, interactive=True, elem_id="found"),
            "found_lines": Lines(elem_id="found-lines"),
            "look_closer": closer_field(),
            "decoding": gr.Radio(
                label="Decoding",
                choices=text.decoding_choices(),
                value="greedy",
                interactive=True,
                elem_id="decoding",
            ),
            "max_new_tokens": gr.Slider(
                label="Longest answer, in tokens",
                minimum=_SHORTEST,
                maximum=_END,
                value=_END,
                step=16,
                buttons=[],
                interactive=False,
                elem_id="max-new-tokens",
            ),
            # Kept by the page, not by the server: a handler gets it and the slider as they were at the same moment.
            "longest": gr.Number(_END, precision=0, visible=False),
        }


def _result(settings: Settings) -> Components:
    components: Components = {
        "notes": Lines(elem_id="notes"),
        "answer": gr.Textbox(
            label="Answer",
            placeholder=text.ANSWER_EMPTY,
            buttons=["copy"],
            lines=1,
            max_lines=14,
            interactive=False,
            elem_id="answer",
        ),
        "reading": ReadingView(elem_id="reading"),
        "table": RegionTable(RegionTableData(empty=text.TABLE_EMPTY), elem_id="regions"),
    }
    with gr.Column(visible=False, elem_id="details") as details:
        with gr.Row(elem_id="downloads"):
            components |= _downloads()
        components |= _copies()
        with gr.Column(visible=False, elem_id="looks") as looks:
            components |= _looks()
        with gr.Accordion("What the model wrote", open=False):
            raw = gr.HighlightedText(
                label="Every token, with locations marked",
                show_legend=False,
                color_map={"location": "#4f46e5", "token": "#9ca3af"},
                elem_id="raw",
            )
            components |= where_it_looked(settings)
        timings = Lines(elem_id="timings")
    return components | {"details": details, "looks": looks, "raw": raw, "timings": timings}


def _looks() -> Components:
    options: dict[str, Any] = {"interactive": True, "min_width": 160}
    with gr.Accordion("How it is drawn", open=False):
        style = Choices(label="Style", show_label=False, interactive=True, elem_id="style")
        with gr.Row():
            min_score = gr.Slider(0, 1, 0, label="Lowest score", step=0.01, elem_id="min-score", buttons=[], **options)
            opacity = gr.Slider(0.1, 1, 0.5, label="Opacity", step=0.05, elem_id="opacity", buttons=[], **options)
            size = gr.Slider(*LABEL_SIZES, 1, label="Label size", step=0.1, elem_id="label-size", buttons=[], **options)
        limits = LimitSliders(elem_id="limits")
        labels = Choices(label="Labels shown", interactive=True, elem_id="labels")
        with gr.Row():
            merge = gr.Checkbox(False, label="Merge duplicates", interactive=True, elem_id="merge-duplicates")
            has_labels = gr.Checkbox(True, label="Write labels on the picture", interactive=True, elem_id="has-labels")
            reset = gr.Button("Reset looks", size="sm", scale=0, min_width=120, elem_id="reset-looks")
    return {
        "style": style, "has_labels": has_labels, "opacity": opacity, "label_size": size, "min_score": min_score,
        "labels": labels, "limits": limits, "merge": merge, "reset_looks": reset,
    }  # fmt: skip


def _downloads() -> Components:
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
    }


def _copies() -> Components:
    with gr.Accordion("Copy", open=False):
        with gr.Row(elem_id="copies"):
            buttons = {f"copy_{kind}": gr.Button(title, size="sm") for kind, title in COPIES.items()}
        line = Lines(elem_id="copy-line")
        embed = embed_code()
    # What is copied: which it is on the way to the server, and the thing itself on the way back.
    copied, file = gr.Textbox(visible=False), gr.File(visible=False)
    return {**buttons, **embed, "copy_line": line, "copied": copied, "copied_file": file}


def _wire_picture(wiring: Wiring, on: Components, handlers: Handlers) -> None:
    sources = (
        (on["picture"].input, handlers.take_picture),
        (on["page"].input, handlers.take_page),
        (on["examples"].click, handlers.take_example),
        (on["photographs"].click, handlers.take_photograph),
        (on["new_scene"].click, handlers.take_new_scene),
        (on["seed"].submit, handlers.take_scene),
    )
    wire_pictures(wiring, sources, writes=("seed", *_NEW_PICTURE))


def _wire_form(wiring: Wiring, on: Components, handlers: Handlers, app: gr.Blocks) -> None:
    wiring.on(
        on["task"].change,
        handlers.choose_task,
        writes=("phrase", "names", "look_closer", "draw", *_SETTLED),
        **AT_ONCE,
    )
    wiring.on(on["draw"].input, handlers.choose_drawing, writes=("stage",), **AT_ONCE)
    polled = (
        "status", "banner", "get", "is_wanted", "checkpoint", "timer", "max_new_tokens", "longest", "task", "listed",
        *_TO_TRY,
    )  # fmt: skip
    chosen = tuple(dict.fromkeys((*polled, *_SETTLED)))
    opened = wiring.on(app.load, handlers.open, writes=_WHOLE_PAGE, js="() => playground.remembered()", **IN_TURN)
    opened.success(None, inputs=on["asks"], js="playground.opened", **PLUMBING)
    wiring.on(on["hub_name"].submit, handlers.find, writes=_FOUND, trigger_mode="always_last", **PLUMBING)
    for event in (
        wiring.on(on["checkpoint"].input, handlers.choose_checkpoint, writes=chosen, **AT_ONCE),
        wiring.on(on["found"].input, handlers.take_found, writes=(*chosen, "hub_name", *_FOUND), **AT_ONCE),
        wiring.on(on["get"].click, handlers.accept_offer, writes=polled, **AT_ONCE),
        wiring.on(on["timer"].tick, handlers.poll, writes=polled, **AT_ONCE),
        wiring.on(app.load, handlers.poll, writes=polled, **AT_ONCE),
        opened,
    ):
        event.success(None, inputs=on["listed"], js="playground.headTasks", **PLUMBING)
    gr.on(
        [on["task"].change, on["phrase"].change],
        None,
        [on["task"], on["phrase"]],
        js="playground.remember",
        **PLUMBING,
    )
    form = [on["names"], on["look_closer"]]  # an event of our own cannot join others
    for changed in (on["names"].named, on["look_closer"].change):
        changed(None, form, None, js=_REMEMBER_FORM, **PLUMBING)
    app.load(None, None, on["seed"], js="() => null", **PLUMBING)  # an empty number is 0 to Gradio's page


def _wire_answer(wiring: Wiring, on: Components, handlers: Handlers) -> None:
    controls = ("style", "has_labels", "labels", "opacity", "label_size", "min_score", "merge")
    # Of several that come while one goes on, the last is answered: what it is about may have changed since the first.
    last: dict[str, Any] = {"trigger_mode": "always_last", **PLUMBING, **COSTLY}
    kept: dict[str, Any] = {"inputs": on["looks_kept"], "js": "playground.keepLooks", **PLUMBING}
    # An event of our own cannot join others.
    for changes in ([on[name].input for name in controls], on["table"].hide, on["limits"].limit, on["names"].limit):
        redrawn = wiring.on(
            changes,
            handlers.redraw,
            writes=(*_SEEN_ANSWER, "looks_kept"),
            **last,
        )
        redrawn.success(None, **kept)
    wiring.on(on["stage"].closer, handlers.look_closer, writes=("stage",), **last)
    reset = wiring.on(on["reset_looks"].click, handlers.reset_looks, writes=(*_NEW_ANSWER, "looks_kept"), **IN_TURN)
    reset.success(None, **kept)
    liked = wiring.on(on["format"].input, handlers.saving.choose_format, writes=("format", "looks_kept"), **AT_ONCE)
    liked.success(None, **kept)
    saved = wiring.on(on["save"].click, handlers.saving.save, writes=("file",), **last)
    saved.success(None, js="playground.download", **PLUMBING)
    for kind in COPIES:
        copied = wiring.on(
            on[f"copy_{kind}"].click,
            handlers.saving.copy,
            writes=("copied", "copied_file"),
            js=f"copying.begin({kind!r})",
            **last,
        )
        told = {"inputs": [on["copied"], on["copied_file"]], "outputs": on["copy_line"], **PLUMBING}
        copied.success(None, js=f"copying.end({kind!r})", **told)
        copied.failure(None, js=f"copying.fail({kind!r})", **told)


def _wire_corrections(wiring: Wiring, on: Components, handlers: Handlers) -> None:
    stands = (*_SEEN_ANSWER, "labels", "style", "status", "back", "history", "past")
    wiring.on(on["stage"].corrected, handlers.correcting.correct, writes=stands, trigger_mode="always_last", **IN_TURN)
    wiring.on(on["history"].pick, handlers.pick, writes=_WHOLE_PAGE, trigger_mode="always_last", **IN_TURN)
    wiring.on(on["history"].drop, handlers.drop, writes=_SETTLED, **AT_ONCE)
    wiring.on(on["back"].click, handlers.bring_back, writes=_WHOLE_PAGE, **IN_TURN)


def _wire_asks(wiring: Wiring, on: Components, handlers: Handlers) -> None:
    asks, stage = handlers.asks, on["stage"]
    begun = wiring.on(stage.ask, handlers.ask_on, writes=("run", "stop"), trigger_mode="multiple", **AT_ONCE)
    waited = wiring.on(
        begun.success, asks.wait, writes=("status",), trigger_mode="multiple", concurrency_limit=None, **PLUMBING
    )
    wiring.on(waited.failure, handlers.rest, writes=_SETTLED, **AT_ONCE)
    options: dict[str, Any] = {"trigger_mode": "multiple", **PLUMBING, **MODEL_QUEUE}
    asked = wiring.on(waited.success, asks.ask, writes=_NEW_ANSWER, api_name=ASK_NAME, **options)
    wiring.on(asked.then, handlers.rest, writes=_SETTLED, **AT_ONCE)
    wiring.on(asked.failure, asks.turned_away, writes=("status",), **AT_ONCE)
    cut = wiring.on(stage.cut, asks.cut_out, writes=("file",), trigger_mode="multiple", **PLUMBING, **COSTLY)
    cut.success(None, js="playground.download", **PLUMBING)
