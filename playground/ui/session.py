"""What the server remembers of one tab: its picture, its last answer, and the run that can be stopped.

Knows no component and no handler.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playground import drawing
from playground.regions import Region
from playground.results import Prediction
from playground.scenes.examples import Example
from playground.ui.components import RegionTableData


@dataclass(frozen=True, slots=True)
class Session:
    """What the server remembers of one tab: paths in Gradio's cache and the last answer, never pixels.

    `seed` is that of a drawn scene, and `truth` what was right to answer about it, where that is known.
    """

    path: str = ""
    display_path: str = ""
    resolution_wh: tuple[int, int] = (0, 0)
    prediction: Prediction | None = None
    seed: int | None = None
    truth: Example | None = None

    @property
    def name(self) -> str:
        return Path(self.path).stem or "picture"


@dataclass(frozen=True, slots=True)
class View:
    """What the user wants to see of an answer."""

    look: drawing.Look
    min_score: float
    labels: frozenset[str]
    hidden: frozenset[int]

    def shows(self, index: int, region: Region) -> bool:
        """Whether this region is drawn and saved."""
        return index not in self.hidden and self.lists(region)

    def lists(self, region: Region) -> bool:
        """Whether this region has a row in the table; a region without a score is not judged by one."""
        return region.label in self.labels and (region.score is None or region.score >= self.min_score)


def read_view(
    styles: list[str], has_labels: bool, opacity: float, min_score: float, labels: list[str], table: RegionTableData
) -> View:
    """Read the controls under the picture."""
    look = drawing.Look(styles=tuple(styles), labels=has_labels, opacity=opacity)
    return View(look, min_score, frozenset(labels), frozenset(table.hidden or ()))


class Ending(threading.Event):
    """Set when a run is to end; it is abandoned where nobody wants to see what it has."""

    is_abandoned = False


class Stops:
    """One event for each session's run, from the moment it is asked for: it can be stopped in the queue already."""

    def __init__(self) -> None:
        self._events: dict[str, Ending] = {}
        self._lock = threading.Lock()

    def expect(self, session_hash: str) -> None:
        """A run is about to be queued; one that is still going for this session is abandoned."""
        self.abandon(session_hash)
        with self._lock:
            self._events[session_hash] = Ending()

    def stop(self, session_hash: str) -> None:
        """Stop the run of this session, if there is one."""
        with self._lock:
            event = self._events.get(session_hash)
        if event is not None:
            event.set()

    def is_stopped(self, session_hash: str) -> bool:
        """Whether the run of this session, expected or begun, was told to end."""
        with self._lock:
            event = self._events.get(session_hash)
        return event is not None and event.is_set()

    def abandon(self, session_hash: str) -> None:
        """Stop the run of this session, in the queue too, and let it show nothing more."""
        with self._lock:
            event = self._events.get(session_hash)
        if event is not None:
            event.is_abandoned = True
            event.set()

    @contextmanager
    def run(self, session_hash: str) -> Iterator[Ending]:
        """Hold the event of the expected run; forget it at the end."""
        with self._lock:
            event = self._events.setdefault(session_hash, Ending())
        try:
            yield event
        finally:
            event.set()
            with self._lock:
                if self._events.get(session_hash) is event:
                    del self._events[session_hash]
