"""An answer that is corrected on the page: what came of it is kept at once, and shown where the page cannot know it."""

from dataclasses import replace
from typing import Any

import gradio as gr

from playground.corrections import read_corrections
from playground.drawing.detections import shapes_of
from playground.drawing.styles import default_styles
from playground.results import Prediction
from playground.ui import text
from playground.ui.components import EditsData, StageData
from playground.ui.one_picture.controls import Controls
from playground.ui.one_picture.history import history_of
from playground.ui.one_picture.showing import Showing, offering, style_choices, way_back
from playground.ui.server.run_messages import silence
from playground.ui.session import Item, Tab
from playground.ui.streams import errors_for_the_user
from playground.ui.tabs import Tabs
from playground.ui.wiring import Updates


class Correcting:
    """Keeps the corrections of tabs."""

    def __init__(self, tabs: Tabs[Tab], showing: Showing) -> None:
        self._tabs = tabs
        self._showing = showing

    def take(self, stage: StageData, session: str) -> Tab:
        """Keep what a page has corrected until now, and return its tab. Raises InputRejected.

        Each request that is about the answer brings it along, so that none is answered without a correction that its
        user has seen; they may come in another order than they were sent.
        """
        for edits in (*stage.late, stage.edits):
            if edits:
                self._keep(edits, session)
        return self._tabs.of(session)

    def _keep(self, edits: EditsData, session: str) -> None:
        item = self._tabs.of(session).workspace.find(edits.answer)
        if item is None or item.said is None or item.version >= edits.version:
            return
        corrections = read_corrections(edits.changes, item.said)
        self._tabs.change(session, lambda tab: tab.with_corrections(edits.answer, corrections, edits.version))

    def correct(self, stage: StageData, controls: Controls, request: gr.Request) -> Updates:
        """Show what follows from a correction: colors, counts, words, labels to choose from.

        While it goes on, the picture is drawn by the page.
        """
        session = request.session_hash or ""
        with errors_for_the_user():
            tab = self.take(stage, session)
            answer = tab.answer
            late = {"back": way_back(tab.put_aside), **history_of(tab)} if stage.late else {}
            if answer is None or stage.edits is None or stage.edits.answer != tab.item.answer_id:
                return late
            silence(lambda: self._tabs.of(session).answer is not answer)
            updates = _offers(tab.item, answer, controls)
            view = replace(controls, style=updates["style"]["value"]).view_of(tab.item)
            line = text.run_line(answer.keep(view.counts))
            tab = self._tabs.change(session, lambda now: now.offering(line) if now.answer is answer else now)
            shown = self._showing.as_seen(tab.item, answer, view, is_drawn=not stage.edits.is_going_on)
            return {
                **late,
                **shown,
                "stage": offering(shown["stage"], answer),
                **updates,
                "status": self._showing.status(answer.checkpoint, tab.line),
            }

    def bring_back(self, session: str) -> Tab:
        """Let a tab show the corrected answer that was put aside."""

        def change(tab: Tab) -> Tab:
            before = tab.put_aside
            answer = before.prediction if before else None
            return tab.with_corrected(text.run_line(answer)) if answer else tab

        return self._tabs.change(session, change)


def _offers(item: Item, answer: Prediction, controls: Controls) -> dict[str, Any]:
    """The labels and the styles to choose from; a label is chosen that is new, and styles for a shape that is."""
    choices = text.label_choices(answer)
    seen = controls.view_of(item).labels
    has_new_shape = bool(shapes_of(answer) - item.shapes)
    offered = style_choices(answer)
    wanted = {*controls.styles_of(answer), *(default_styles(answer) if has_new_shape else ())}
    styles = [style for _, style in offered if style in wanted]
    return {
        "labels": gr.update(choices=choices, value=[label for _, label in choices if label in seen]),
        "style": gr.update(choices=offered, value=styles),
    }
