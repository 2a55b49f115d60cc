"""What the server remembers of one tab: a workspace of pictures and answers, and the runs that can be stopped.

Knows no component and no handler.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from playground.drawing.styles import Look
from playground.regions import Region
from playground.results import Prediction
from playground.scenes.examples import Example

_MAX_ITEMS = 16  # of a tab: a prediction can have 200 KB


@dataclass(frozen=True, slots=True)
class Item:
    """A picture and the last answer about it: paths in Gradio's cache, never pixels.

    `name` is that of its file without an extension, for the files that are made of it; `seed` is that of a drawn scene,
    and `truth` what was right to answer about it, where that is known.
    """

    path: str = ""
    display_path: str = ""
    resolution_wh: tuple[int, int] = (0, 0)
    name: str = "picture"
    prediction: Prediction | None = None
    seed: int | None = None
    truth: Example | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """The pictures of a tab, the newest last. The page shows `item`."""

    items: tuple[Item, ...] = ()

    @property
    def item(self) -> Item:
        """The picture that is worked on; one without a path where there is none yet."""
        return self.items[-1] if self.items else Item()

    @property
    def files(self) -> frozenset[str]:
        """What must stay on the disk as long as the tab is open."""
        return frozenset(path for item in self.items for path in (item.path, item.display_path))

    def with_new(self, item: Item) -> "Workspace":
        """Return a workspace that goes on to another picture; the oldest ones are let go."""
        return Workspace((*self.items, item)[-_MAX_ITEMS:])

    def with_answer(self, path: str, prediction: Prediction, truth: Example | None) -> "Workspace":
        """Return a workspace in which the newest picture at this path has an answer; no other one is touched."""
        items = list(self.items)
        for index in reversed(range(len(items))):
            if items[index].path == path:
                items[index] = replace(items[index], prediction=prediction, truth=truth)
                break
        return Workspace(tuple(items))


@dataclass(frozen=True, slots=True)
class View:
    """What the user wants to see of an answer."""

    look: Look
    min_score: float
    labels: frozenset[str]
    hidden: frozenset[int]

    def shows(self, index: int, region: Region) -> bool:
        """Whether this region is drawn and saved."""
        return index not in self.hidden and self.lists(region)

    def lists(self, region: Region) -> bool:
        """Whether this region has a row in the table; a region without a score is not judged by one."""
        return region.label in self.labels and (region.score is None or region.score >= self.min_score)


class RunKey(NamedTuple):
    """Which run of which tab: a page may have several at the same time."""

    session: str
    run: str


class Ending(threading.Event):
    """Set when a run is to end; it is abandoned where nobody wants to see what it has."""

    is_abandoned = False


class Runs:
    """One event for each run, from the moment it is asked for: it can be stopped in the queue already."""

    def __init__(self) -> None:
        self._endings: dict[RunKey, Ending] = {}
        self._lock = threading.Lock()

    def expect(self, key: RunKey) -> None:
        """A run is about to be queued; one of this key that is still going is abandoned."""
        self.abandon(key)
        with self._lock:
            self._endings[key] = Ending()

    def stop(self, key: RunKey) -> None:
        """Stop this run, if there is one."""
        if ending := self._find(key):
            ending.set()

    def stop_session(self, session: str) -> None:
        """Stop all runs of a tab."""
        with self._lock:
            endings = [ending for key, ending in self._endings.items() if key.session == session]
        for ending in endings:
            ending.set()

    def is_stopped(self, key: RunKey) -> bool:
        """Whether this run, expected or begun, was told to end."""
        ending = self._find(key)
        return ending is not None and ending.is_set()

    def abandon(self, key: RunKey) -> None:
        """Stop this run, in the queue too, and let it show nothing more."""
        if ending := self._find(key):
            ending.is_abandoned = True
            ending.set()

    @contextmanager
    def run(self, key: RunKey) -> Iterator[Ending]:
        """Hold the event of an expected run; forget it at the end."""
        with self._lock:
            ending = self._endings.setdefault(key, Ending())
        try:
            yield ending
        finally:
            ending.set()
            with self._lock:
                if self._endings.get(key) is ending:
                    del self._endings[key]

    def _find(self, key: RunKey) -> Ending | None:
        with self._lock:
            return self._endings.get(key)
