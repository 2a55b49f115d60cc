"""What is taken away from the page: a file, or what goes to the clipboard. Both are what is seen, corrections too.

That is the answer that was there when a button was pressed: another one may have taken its place when this is heard of.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gradio as gr

from playground.choosing import text_with
from playground.errors import ExportRejected
from playground.export import Annotated
from playground.export.as_csv import table_text
from playground.predictor import Predictor
from playground.question import Question
from playground.ui import snippets, text
from playground.ui.components import StageData
from playground.ui.link import link_to
from playground.ui.one_picture.controls import Controls
from playground.ui.one_picture.correcting import Correcting
from playground.ui.one_picture.looks import KeptLooks
from playground.ui.one_picture.showing import labels_of
from playground.ui.server.files import check_kept, save_export
from playground.ui.session import Item, Shown
from playground.ui.streams import errors_for_the_user
from playground.ui.view import View
from playground.ui.wiring import Updates

# What the buttons say, by what they copy.
COPIES = {"link": "Link", "table": "Table", "picture": "Picture", "python": "Python", "curl": "curl", "mcp": "MCP call"}
_PROGRAMS: dict[str, Callable[[Question, str], str]] = {
    "python": snippets.as_python,
    "curl": snippets.as_curl,
    "mcp": snippets.as_mcp,
}


class Saving:
    """The handlers of what is saved and copied."""

    def __init__(self, predictor: Predictor, correcting: Correcting) -> None:
        self._predictor = predictor
        self._correcting = correcting

    def choose_format(self, format: str, looks_kept: str) -> Updates:
        """Say what the chosen kind of file cannot hold, and keep the choice for the answers that follow."""
        looks = replace(KeptLooks.read(looks_kept), format=format)
        return {"format": gr.update(info=text.cannot_carry(format)), "looks_kept": looks.write()}

    def save(self, format: str, controls: Controls, stage: StageData, request: gr.Request) -> Updates:
        """Write what is shown, at full size, as a file of Gradio's cache."""
        with errors_for_the_user():
            item, view = self._seen(controls, stage, request)
            return {"file": save_export(self._annotated(item, view), view.look, format)}

    def copy(self, copied: str, controls: Controls, stage: StageData, request: gr.Request) -> Updates:
        """Write what the page then puts on the clipboard: `copied` says what, and then holds it."""
        with errors_for_the_user():
            item, view = self._seen(controls, stage, request)
            if copied == "picture":
                return {"copied_file": save_export(self._annotated(item, view), view.look, "png")}
            return {"copied": _text_of(copied, item, view)}

    def _seen(self, controls: Controls, stage: StageData, request: gr.Request) -> tuple[Item, View]:
        tab = self._correcting.take(stage, request.session_hash or "")
        item = tab.workspace.find(stage.answer)
        if item is None:
            is_partial = tab.shown is Shown.PARTIAL
            raise ExportRejected(text.NOT_WHOLE if is_partial else text.NOTHING_TO_SAVE)
        return item, controls.view_of(item)

    def _annotated(self, item: Item, view: View) -> Annotated:
        check_kept(item.path)
        answer, image = item.prediction, self._predictor.read_image(item.path)
        assert answer is not None, "an item is found by its answer"
        kept = answer.keep(view.shows)
        if kept.regions != answer.regions:
            kept = replace(kept, text=text_with(answer, kept.regions))  # which does not name what is hidden
        return Annotated(item.name, kept, image, Path(item.path), labels_of(answer), self._predictor.look_plainly)


def _text_of(kind: str, item: Item, view: View) -> str:
    answer = item.prediction
    assert answer is not None, "see above"
    seen = replace(
        answer.question,
        min_scores=tuple(view.limits.items()) or answer.question.min_scores,
        merge=answer.question.merge if view.merged is None else "iou",
    )
    if kind == "link":
        return link_to(item, seen).write()
    if kind == "table":
        return table_text(answer.keep(view.shows))
    return _PROGRAMS[kind](seen, f"{item.name}{Path(item.path).suffix or '.png'}")
