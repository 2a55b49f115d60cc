"""The runs of all tabs that can be stopped, from the moment that they are asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_MAX_EXPECTED = 512  # runs that have not begun


class RunKey(NamedTuple):
    """Which run of which tab: a page may have several at the same time."""

    session: str
    run: str


class Ending(threading.Event):
    """Set when a run is to end; it is abandoned where nobody wants to see what it has, or more of it."""

    is_abandoned = False
    has_begun = False


class Runs:
    """One event for each run, from the moment it is asked for: it can be stopped in the queue already.

    A page has one run at a time. What comes in the name of another one, late, has no event here and is nobody's.
    """

    def __init__(self) -> None:
        self._endings: dict[RunKey, Ending] = {}
        self._lock = threading.Lock()

    def expect(self, key: RunKey) -> None:
        """A run is about to be queued; one of this key that is still going is abandoned."""
        self.abandon(key)
        with self._lock:
            self._endings[key] = Ending()
            # Those of pages that were never there are as many as names that somebody invents.
            for old in [old for old, ending in self._endings.items() if not ending.has_begun][:-_MAX_EXPECTED]:
                del self._endings[old]

    def find(self, key: RunKey) -> Ending | None:
        """Return the event of the run that is expected or going on, if there is one."""
        with self._lock:
            return self._endings.get(key)

    def stop(self, key: RunKey) -> bool:
        """Stop this run, if there is one; returns whether it ends before it has begun."""
        with self._lock:
            ending = self._endings.get(key)
            if ending is None:
                return False
            ending.set()
            if ending.has_begun:
                return False
            ending.is_abandoned = True
            del self._endings[key]
            return True

    def abandon(self, key: RunKey) -> bool:
        """Stop this run, in the queue too, and let it show nothing more; returns whether there was one."""
        with self._lock:
            ending = self._endings.pop(key, None)
            if ending is None:
                return False
            ending.is_abandoned = True
            ending.set()
            return True

    def abandon_session(self, session: str) -> None:
        """Abandon all runs of a tab."""
        with self._lock:
            keys = [key for key in self._endings if key.session == session]
        for key in keys:
            self.abandon(key)

    @contextmanager
    def run(self, key: RunKey) -> Iterator[Ending]:
        """Hold the event of the run that is expected, and forget it at the end. Without one, it is abandoned."""
        with self._lock:
            ending = self._endings.get(key)
            if ending is None or ending.has_begun:
                ending = Ending()
                ending.is_abandoned = True
            ending.has_begun = True
        try:
            yield ending
        finally:
            ending.set()
            with self._lock:
                if self._endings.get(key) is ending:
                    del self._endings[key]
