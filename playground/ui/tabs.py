"""The tabs of a page that are open, or were a while ago, and what each of them holds on to."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from playground.ui.session import Item, is_there

_MAX_TABS = 512
_MAX_BYTES = 64_000_000  # of the answers of all tabs


class AnyTab(Protocol):
    """What `Tabs` keeps of a tab, whatever its page is."""

    @property
    def item(self) -> Item:
        """The picture that is worked on."""

    @property
    def gesture(self) -> int:
        """What the user did to bring the picture, as the page counts it."""

    @property
    def files(self) -> frozenset[str]:
        """What must stay on the disk as long as the tab is open."""

    @property
    def num_bytes(self) -> int:
        """About how much memory the answers take."""

    def with_picture(self, item: Item, gesture: int) -> Self:
        """Return the tab with another picture; one that was given after this one, and was read sooner, stays."""

    def saying(self, line: dict[str, str] | None) -> Self:
        """Return the tab with the sentence in which its last run tells of itself."""

    def to_keep(self) -> Self:
        """Return what a reload brings back."""


_Tab = TypeVar("_Tab", bound=AnyTab)


@dataclass
class _Entry(Generic[_Tab]):
    tab: _Tab
    closed_at: float | None = None  # of a tab that is not open


class Tabs(Generic[_Tab]):
    """All tabs of a page: each is known by its session, and after a reload by a key that only its browser has.

    So many are kept and no more; of those that were closed, none longer than `keep_seconds`. `new` makes an empty one.
    """

    def __init__(self, new: Callable[[], _Tab], keep_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._new = new
        self._keep_seconds = keep_seconds
        self._now = now
        self._entries: OrderedDict[str, _Entry[_Tab]] = OrderedDict()  # by session, the one used last at the end
        self._sessions: dict[str, str] = {}  # by key
        self._lock = threading.RLock()

    def of(self, session: str) -> _Tab:
        """Return the tab of a session; a new one where there is none."""
        with self._lock:
            entry = self._entries.get(session)
            return entry.tab if entry else self._new()

    def change(self, session: str, change: Callable[[_Tab], _Tab]) -> _Tab:
        """Put in place of a tab what a function makes of it, in one step; returns it."""
        with self._lock:
            entry = self._entries.setdefault(session, _Entry(self._new()))
            entry.tab = change(entry.tab)
            entry.closed_at = None  # a page that lost its connection for a moment goes on
            self._entries.move_to_end(session)
            self._forget()
            return entry.tab

    def open(self, session: str, before: str, key: str) -> _Tab:
        """A page was loaded: bring back the tab that the key of before stands for, and know it by another from now on.

        A copy is brought back, for a tab that a browser duplicates has the key of the first one too. A page that has a
        picture already keeps that: its user was quicker.
        """
        with self._lock:
            self._forget()
            old = self._entries.get(self._sessions.get(before, "")) if before else None
            kept = old.tab.to_keep() if old else self._new()
            tab = self.change(session, lambda tab: tab if tab.item.path or not is_there(kept.item) else kept)
            if key:
                self._sessions[key] = session
            return tab

    def kept_by(self, key: str) -> _Tab:
        """Return the tab that a key stands for, whose page may have been left; a new one where there is none."""
        with self._lock:
            entry = self._entries.get(self._sessions.get(key, "")) if key else None
            return entry.tab if entry else self._new()

    def close(self, session: str) -> None:
        """The page was left: what it showed is kept for a while."""
        with self._lock:
            if entry := self._entries.get(session):
                entry.tab, entry.closed_at = entry.tab.to_keep(), self._now()

    def _forget(self) -> None:
        """Let go of what is too old, then of the closed ones and of the longest unused where there is too much."""
        latest = self._now() - self._keep_seconds
        for session, entry in list(self._entries.items()):
            if entry.closed_at is not None and entry.closed_at <= latest:
                del self._entries[session]
        num_bytes = sum(entry.tab.num_bytes for entry in self._entries.values())
        order = sorted(self._entries, key=lambda session: self._entries[session].closed_at is None)
        for session in order[:-1]:
            if len(self._entries) <= _MAX_TABS and num_bytes <= _MAX_BYTES:
                break
            num_bytes -= self._entries.pop(session).tab.num_bytes
        self._sessions = {key: session for key, session in self._sessions.items() if session in self._entries}


@dataclass(frozen=True, slots=True)
class Held:
    """What the page of a session holds on to, as the keeper of files asks for it."""

    tabs: Tabs[Any]
    session: str

    @property
    def files(self) -> frozenset[str]:
        """The files of its pictures."""
        files: frozenset[str] = self.tabs.of(self.session).files
        return files
