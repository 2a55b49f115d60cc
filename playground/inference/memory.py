"""Give freed memory back to the system: left alone, glibc keeps it, in up to eight arenas for each core.

With another C library both functions do nothing.
"""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # the parameter's number in glibc's malloc.h
_ARENAS = 2


def share_arenas() -> None:
    """Let all threads allocate from two arenas: threads that come and go leave holes in each arena that they use."""
    _call("mallopt", _M_ARENA_MAX, _ARENAS)


def return_memory() -> None:
    """Give back what was freed. Where weights are prepared layer by layer, glibc would keep as much as they take."""
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError):  # glibc's own, and musl has neither
            getattr(ctypes.CDLL(None), name)(*numbers)
