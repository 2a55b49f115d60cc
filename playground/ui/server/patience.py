"""How long something may take, and for whom: it is broken off when its time is over, or when nobody waits for it.

Only what holds no lock and writes no file may be broken off. Knows Gradio's queue, no handler.
"""

import ctypes
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from playground.errors import ExportRejected
from playground.ui.server.calls import queue_and_event

_SECONDS_BETWEEN_LOOKS = 0.2


class _BrokenOff(BaseException):
    """Raised by another thread; no `except Exception` on the way keeps it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Break off what this thread does after so long, or when whoever called went away. Raises ExportRejected.

    Python's own way to interrupt a thread: between two of its steps, so not in the midst of one that Pillow takes.
    """
    _, event = queue_and_event()
    thread, over, lock = threading.get_ident(), threading.Event(), threading.Lock()
    deadline = time.monotonic() + seconds

    def watch() -> None:
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            is_unwanted = time.monotonic() > deadline or (event is not None and not event.alive)
            if is_unwanted and not _is_importing(thread):
                with lock:
                    if not over.is_set():
                        _raise_in(thread, _BrokenOff)
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            yield
        finally:
            with lock:
                over.set()
            _raise_in(thread, None)  # what was to be raised, and has not been yet
    except _BrokenOff:
        raise ExportRejected(
            f"This file takes longer than {seconds:.0f} seconds to write. Hide some regions, choose another format, or "
            "use a smaller picture."
        ) from None


def _is_importing(thread: int) -> bool:
    """Whether a thread is in the midst of an import: a library of which one half is loaded stays broken for all."""
    frame = sys._current_frames().get(thread)
    above = traceback.walk_stack(frame) if frame else ()
    return any(caller.f_code.co_filename.startswith("<frozen importlib") for caller, _ in above)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
