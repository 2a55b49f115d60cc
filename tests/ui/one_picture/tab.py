"""A tab of the page without a browser: what its components hold; handlers are called as `wiring` calls them."""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image
from starlette.datastructures import Headers

from playground.predictor import Predictor
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import TASKS
from playground.ui import session as sessions
from playground.ui.components import RegionTableData, StageData
from playground.ui.limits import LimitsData
from playground.ui.one_picture.handlers import Handlers
from playground.ui.one_picture.names import NamesData
from playground.ui.picture import Upload
from playground.ui.session import Item
from playground.ui.task_list import listed
from playground.ui.wiring import Problems, Updates, arguments_of

NO_FORM: Mapping[str, Any] = {
    "gesture": 0,
    "memory": "",
    "picture": None,
    "page": 0,
    "seed": None,
    "task": "<OD>",
    "phrase": "",
    "draw": True,
    "stage": StageData(regions=[]),
    "checkpoint": "",
    "is_wanted": False,
    "decoding": "greedy",
    "max_new_tokens": 64,
    "longest": 512,
    "style": ["box"],
    "has_labels": True,
    "opacity": 0.5,
    "label_size": 1,
    "looks_kept": "",
    "listed": listed(TASKS),
    "min_score": 0,
    "labels": ["car", "tree"],
    "table": RegionTableData(hidden=[]),
    "limits": LimitsData(),
    "merge": False,
    "names": NamesData(),
    "look_closer": False,
    "format": "png",
    "hub_name": "",
    "found": None,
}
# What the user does there comes back, not what a handler wrote.
_ONES_OWN = ("picture", "stage", "table", "limits", "names")


class Tab:
    """Keeps what is written to the form, so that the next handler reads it."""

    def __init__(self, predictor: Any, handlers: Handlers, session: str = "ann") -> None:
        self.predictor = predictor
        self.handlers = handlers
        self.form = dict(NO_FORM)
        self.request = gr.Request(session_hash=session, headers=Headers())
        self._is_begun = False
        self.seen = ""  # what stands for the answer that the page shows

    def beside(self, session: str) -> "Tab":
        """Return another tab of the same server."""
        return Tab(self.predictor, self.handlers, session)

    @property
    def item(self) -> Item:
        """The picture that this tab shows, with its answer."""
        return self.kept.item

    @property
    def kept(self) -> sessions.Tab:
        """What the server remembers of this tab."""
        return self.handlers.tabs.of(self.request.session_hash or "")

    def call(self, handler: Callable[..., Updates | None], **form: Any) -> Updates:
        """Change the form, call a handler with it, and return what it writes."""
        self.form |= {"gesture": self.form["gesture"] + 1} | form
        updates = handler(**self._read_by(handler)) or {}
        self._take_in(updates)
        return updates

    def check(self, **form: Any) -> Problems:
        """What is refused before a run is queued."""
        self.form |= form
        return self.handlers.check(**self._read_by(self.handlers.check))

    def take(self, picture: str | bytes | None, **form: Any) -> Updates:
        """Give the field a picture."""
        return self.call(self.handlers.take_picture, picture=None if picture is None else Upload(picture), **form)

    def begin(self, **form: Any) -> Updates:
        """Press Run: from now on the run can be stopped."""
        self._is_begun = True
        return self.call(self.handlers.begin, **form)

    def run(self, **form: Any) -> Generator[Updates, None, None]:
        """Carry out the run, for which Run is pressed if it was not yet; yields what it shows."""
        self.form |= form
        if not self._is_begun:
            self.begin()
        self._is_begun = False
        return self._absorb(self.handlers.run(**self._read_by(self.handlers.run)))

    def wait(self) -> Generator[Updates, None, None]:
        """Wait for the checkpoint."""
        return self._absorb(self.handlers.wait(**self._read_by(self.handlers.wait)))

    def answer(self, **form: Any) -> Updates:
        """Run to the end; returns the last that was shown."""
        *_, last = self.run(**form)
        return last

    def _absorb(self, running: Iterator[Updates]) -> Generator[Updates, None, None]:
        try:
            for updates in running:
                self._take_in(updates)
                yield updates
        finally:
            running.close()  # type: ignore[attr-defined]  # a generator: a tab that is closed ends it

    def _read_by(self, handler: Callable[..., Any]) -> dict[str, Any]:
        stage = self.form["stage"].model_copy(update={"answer": self.seen})
        return arguments_of(handler, {**self.form, "stage": stage, "request": self.request})

    def _take_in(self, updates: Updates) -> None:
        if (stage := updates.get("stage")) and not stage.keep:
            self.seen = stage.answer
        for name in updates.keys() & self.form.keys() - set(_ONES_OWN):
            update = updates[name]
            is_partial = isinstance(update, dict) and update.get("__type__") == "update"
            self.form[name] = update.get("value", self.form[name]) if is_partial else update


def tab_of(predictor: Predictor, **settings: Any) -> Tab:
    """Return a tab of a server of its own."""
    return Tab(predictor, Handlers(predictor, Settings(**{"welcome": False} | settings)))


def answered(tab: Tab, prediction: Prediction) -> Tab:
    """Let the picture of a tab have an answer."""
    session = tab.request.session_hash or ""
    tab.handlers.tabs.change(session, lambda kept: kept.with_answer(tab.item.path, prediction, None, {}))
    tab.seen = tab.item.answer_id
    return tab


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)
