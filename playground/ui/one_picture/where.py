"""Where the model looked while it wrote each word of the answer: asked for by a button, shown on the picture.

What is shown, and how, is in `assets/glances.*`.
"""

import base64
from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import GradioModel
from pydantic import Field

from playground.errors import InputRejected
from playground.glances import Glance
from playground.paths import read_asset
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui.components import AssetComponent
from playground.ui.server.files import check_kept
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.server.run_messages import silence
from playground.ui.session import Tab
from playground.ui.streams import errors_for_the_user
from playground.ui.tabs import Tabs
from playground.ui.wiring import Updates, Wiring


class GlancesData(GradioModel):
    """Words, each {"text", "special", "cells"}: of the cells, `side` x `side`, a byte each in base64."""

    side: int = 0
    glances: list[dict[str, Any]] = Field(default_factory=list)


class Glances(AssetComponent):
    """The words and tokens of an answer; what is pointed at shows on the stage of its workspace."""

    template = '<div class="glances" role="group" aria-label="What the model wrote, word by word" hidden></div>'
    style = read_asset("glances.css")
    script = read_asset("glances.js")
    data_model = GlancesData

    def preprocess(self, payload: GlancesData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: GlancesData | None) -> GlancesData:  # type: ignore[override]
        return value or GlancesData()


def glances_from(glances: Sequence[Glance]) -> GlancesData:
    """Return glances as the page shows them."""
    return GlancesData(
        side=len(glances[0].cells) if glances else 0,
        glances=[{"text": glance.text, "special": glance.is_special, "cells": _bytes_of(glance)} for glance in glances],
    )


def _bytes_of(glance: Glance) -> str:
    return base64.b64encode(np.round(255 * glance.cells).astype(np.uint8).tobytes()).decode("ascii")


class WhereItLooked:
    """Asks the model that has answered where it looked."""

    def __init__(self, predictor: Predictor, tabs: Tabs[Tab]) -> None:
        self._predictor = predictor
        self._tabs = tabs

    def look(self, request: gr.Request) -> Updates:
        """Show where the model looked while it wrote the answer that is shown; not of one that has gone meanwhile."""
        session = request.session_hash or ""
        tab = self._tabs.of(session)
        item, said = tab.item, tab.item.said
        silence(lambda: self._tabs.of(session).item.said is not said)
        with errors_for_the_user():
            if tab.answer is None or said is None:
                raise InputRejected("There is no answer to look at yet. Ask something first.", field="look")
            check_kept(item.path)
            return {"glances": glances_from(self._predictor.look(item.path, said))}


def where_it_looked(settings: Settings) -> dict[str, Any]:
    """Return the button and the words; on ZeroGPU the model is another process's, and there is no button."""
    return {
        "look": gr.Button(
            "Show where it looked", size="sm", visible=not settings.on_zero_gpu, elem_id="where-it-looked"
        ),
        "glances": Glances(elem_id="glances"),
    }


def wire_where_it_looked(wiring: Wiring, on: dict[str, Any], handler: WhereItLooked) -> None:
    """The model's turn is waited for as by a run."""
    options: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", **MODEL_QUEUE}
    wiring.on(on["look"].click, handler.look, writes=("glances",), **options)
