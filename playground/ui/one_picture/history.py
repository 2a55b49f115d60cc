"""The tray of what this tab was asked before: one entry for each picture and question, the newest first."""

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from playground.paths import read_asset
from playground.tasks import get_task
from playground.ui import text
from playground.ui.components import AssetComponent
from playground.ui.session import Item, Tab, is_there
from playground.ui.wiring import Updates


class EntryData(GradioModel):
    """One answer: `asked_at` is in seconds since 1970."""

    id: str
    image: FileData
    question: str
    answer: str
    asked_at: float


class HistoryData(GradioModel):
    """What the tray shows; `current` is the id of what is on the stage. As an input, the one that was `chosen`."""

    entries: list[EntryData] = Field(default_factory=list)
    current: str = ""
    chosen: str = ""


class History(AssetComponent):
    """Pictures with what was asked about them. Events: `pick` and `drop`, each about the entry that is `chosen`."""

    template, style, script = read_asset("history.html"), read_asset("history.css"), read_asset("history.js")
    data_model = HistoryData

    def preprocess(self, payload: HistoryData | None) -> str:  # type: ignore[override]
        """Take only which one was chosen."""
        return payload.chosen if payload else ""

    def postprocess(self, value: HistoryData | None) -> HistoryData:  # type: ignore[override]
        return value or HistoryData()


def history_of(tab: Tab) -> Updates:
    """Return what the tray shows of a tab, and whether there is something to go back to."""
    entries = [_entry(item) for item in reversed(tab.workspace.items) if item.prediction and is_there(item)]
    current = tab.item.answer_id if tab.answer else ""
    is_of_use = any(entry.id != current for entry in entries)
    return {
        "history": HistoryData(entries=entries, current=current),
        "past": gr.update(visible=is_of_use, label=text.history_title(len(entries))),
    }


def _entry(item: Item) -> EntryData:
    prediction = item.prediction
    assert prediction is not None, "only answered pictures have an entry"
    asked = prediction.question
    title = get_task(asked.task).title
    return EntryData(
        id=item.answer_id,
        image=FileData(path=item.display_path),
        question=f"{title}: {asked.phrase}" if asked.phrase else title,
        answer=prediction.text[:80],
        asked_at=item.asked_at,
    )
