"""Give freed memory back to the system: left alone, glibc keeps it, in up to eight arenas for each core.

With another C library both functions do nothing.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # the numbers of parameters in glibc's malloc.h
_LARGE, _LARGEST_IN_HEAP = 2**18, 2**24  # bytes; more than the second is rare, and would tear the heaps


def share_arena() -> None:
    """Let all threads allocate from one arena: threads that come and go leave holes in each arena that they use."""
    _call("mallopt", _M_ARENA_MAX, 1)


def return_memory() -> None:
    """Give back what was freed. Where weights are prepared layer by layer, glibc would keep as much as they take."""
    _call("malloc_trim", 0)


@contextmanager
def each_apart() -> Iterator[None]:
    """Let the weights that are allocated in the block, and stay, lie each by itself; what comes and goes later not.

    In the heaps of an arena, of 64 MB each, they would leave gaps into which nothing fits.
    """
    _call("mallopt", _M_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        _call("mallopt", _M_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        _call("mallopt", _M_TRIM_THRESHOLD, 4 * _LARGEST_IN_HEAP)


def _call(name: str, *numbers: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError):  # glibc's own, and musl has neither
            getattr(ctypes.CDLL(None), name)(*numbers)
