"""The picture of a page that asks about it, and its runs: begun, waited for, stopped, abandoned.

Knows the field for pictures and what is said beside it, and no other component.

A page has one run at a time. What holds at which moment is a table in `docs/architecture.md`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

import gradio as gr

from playground.engines import Engines, State, too_late_sentence
from playground.errors import CheckpointUnavailable
from playground.pictures.reader import InputImage
from playground.settings import Settings
from playground.ui import text
from playground.ui.parts import strip
from playground.ui.picture import Upload
from playground.ui.runs import Ending, RunKey, Runs
from playground.ui.server.failures import sentence_of
from playground.ui.server.run_messages import leave_queue, silence
from playground.ui.session import Item
from playground.ui.streams import errors_for_the_user
from playground.ui.tabs import AnyTab, Held, Tabs
from playground.ui.taking import remember
from playground.ui.wiring import Updates

_SECONDS_BETWEEN_LOOKS = 0.3


_Tab = TypeVar("_Tab", bound=AnyTab)


class PageRuns(Generic[_Tab]):
    """One run for each tab of a page; `function` is Gradio's name of what asks the model."""

    def __init__(self, tabs: Tabs[_Tab], engines: Engines, settings: Settings, *, function: str) -> None:
        self.tabs = tabs
        self._engines = engines
        self._settings = settings
        self._function = function
        self._runs = Runs()

    def take(
        self,
        picture: Upload | None,
        gesture: int,
        read_image: Callable[[str | bytes], InputImage],
        request: gr.Request,
    ) -> tuple[_Tab | None, Updates]:
        """Begin with a picture from the field, as `show` does. One that cannot be used is a sentence under it."""
        if picture is None:
            return None, {}
        try:
            item = remember(picture, read_image(picture.source))
        except Exception as error:
            return None, {"picture": None, "problem": [text.line(sentence_of(error), "error")]}
        return self.show(item, gesture, request)

    def show(self, item: Item, gesture: int, request: gr.Request) -> tuple[_Tab | None, Updates]:
        """Begin with a picture; the run about the one before is abandoned. Returns the tab and what the field shows.

        The page counts what its user does, for requests that it sends at the same time come in any order: without a
        tab, a picture that was given later is there already.
        """
        tab = self.tabs.change(session_of(request), lambda tab: tab.with_picture(item, gesture))
        if tab.gesture != gesture:
            return None, {"picture": strip()}
        self.abandon(request)
        return tab, {"picture": strip(), "problem": [], "held": Held(self.tabs, session_of(request))}

    def is_running(self, request: gr.Request) -> bool:
        """Whether a run of this tab is expected or going on."""
        return self._runs.find(self._key(request)) is not None

    def abandon(self, request: gr.Request) -> bool:
        """Let the run of a tab show nothing more, and free its place in the queue; says whether there was one."""
        if not self._runs.abandon(self._key(request)):
            return False
        leave_queue(session_of(request), self._function)
        return True

    def expect(self, request: gr.Request) -> None:
        """A run is about to be queued: it can be stopped from now on. The one before is abandoned."""
        self.abandon(request)
        self._runs.expect(self._key(request))

    def wait(self, checkpoints: Sequence[str], request: gr.Request) -> Iterator[None]:
        """Follow the checkpoints until they can answer: not in the model's queue, so that a download holds nobody up.

        Raises gr.Error for one that cannot be had; the run ends with it.
        """
        ending = self.expected(request)
        if ending is None:
            return
        self.tell(request, text.line(text.WAITING, "busy"))
        for checkpoint in dict.fromkeys(checkpoints):
            self._engines.request(checkpoint)
            deadline = time.monotonic() + self._settings.load_wait_seconds
            while not ending.is_set():
                status = self._engines.status(checkpoint)
                if status.state is State.FAILED or time.monotonic() > deadline:
                    is_late = status.state is not State.FAILED
                    sentence = too_late_sentence(status, self._settings.load_wait_seconds)
                    self.tell(request, None)
                    yield
                    with errors_for_the_user(), self._runs.run(self._key(request)):  # which ends with this sentence
                        raise CheckpointUnavailable(sentence if is_late else status.message)
                yield
                if status.state is State.READY:
                    break
                time.sleep(_SECONDS_BETWEEN_LOOKS)

    def expected(self, request: gr.Request) -> Ending | None:
        """Return the run that is expected, if any. What it has still to say once it is abandoned reaches nobody."""
        ending = self._runs.find(self._key(request))
        if ending is not None:
            silence(lambda: ending.is_abandoned)
        return ending

    def tell(self, request: gr.Request, line: text.Line | None) -> None:
        """Keep what a run says of itself, for whoever writes the status."""
        self.tabs.change(session_of(request), lambda tab: tab.saying(line))

    @contextmanager
    def run(self, request: gr.Request) -> Iterator[Ending]:
        """Hold the event of the run that is expected. What an abandoned one writes reaches nobody."""
        with self._runs.run(self._key(request)) as ending:
            silence(lambda: ending.is_abandoned)
            yield ending

    def turned_away(self, request: gr.Request) -> None:
        """The queue was full before the run could begin."""
        ending = self._runs.find(self._key(request))
        if ending is not None and not ending.has_begun:
            self.abandon(request)
            self.tell(request, text.line(text.BUSY, "warning"))

    def stop(self, request: gr.Request) -> None:
        """End the run of a tab within one step. One that waits in the queue ends at once."""
        if self._runs.stop(self._key(request)):
            leave_queue(session_of(request), self._function)
            self.tell(request, text.line(text.STOPPED, "warning"))

    def leave(self, request: gr.Request) -> None:
        """The tab was closed: end all that runs for it."""
        self._runs.abandon_session(session_of(request))
        self.tabs.close(session_of(request))

    def _key(self, request: gr.Request) -> RunKey:
        return RunKey(session_of(request), self._function)


def session_of(request: gr.Request) -> str:
    """Return the name of a tab's session."""
    return request.session_hash or ""
