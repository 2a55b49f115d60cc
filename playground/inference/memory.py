"""What is freed goes back to the system. Left alone, glibc keeps it, in up to eight arenas for each core.

On systems with another C library both functions do nothing.
"""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # the parameter's number in glibc's malloc.h
_ARENAS = 2


def share_arenas() -> None:
    """Let all threads take their memory from two arenas. Threads that come and go leave holes in each that they use."""
    _call("mallopt", _M_ARENA_MAX, _ARENAS)


def return_memory() -> None:
    """Give what was freed back. Where weights are prepared one after another, glibc would keep 0.4 GB."""
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError):  # glibc's own, and musl has neither
            getattr(ctypes.CDLL(None), name)(*numbers)
