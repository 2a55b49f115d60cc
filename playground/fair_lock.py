"""A lock that is had in the order in which it was asked for, so that whoever takes it again and again waits as well."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN_CHECKS = 0.05


class FairLock:
    """To be held with `held`, by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: deque[threading.Event] = deque()  # whose turn it is stands first

    @contextmanager
    def held(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Wait for one's turn, and hold it. What `check` raises meanwhile ends the wait."""
        mine = threading.Event()
        with self._lock:
            self._line.append(mine)
            self._line[0].set()
        try:
            while not mine.wait(_SECONDS_BETWEEN_CHECKS):
                check()
            yield
        finally:
            with self._lock:
                self._line.remove(mine)
                if self._line:
                    self._line[0].set()
