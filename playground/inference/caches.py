"""What was computed before and may be asked for again."""

import threading
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import torch
from cachetools import LRUCache

_V = TypeVar("_V", bound="torch.Tensor | tuple[Any, ...]")


class TensorCache(Generic[_V]):
    """The most recently used tensors, or tuples with some in them, up to so many bytes. Safe to call from threads."""

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[Hashable, _V] = LRUCache(max_bytes, getsizeof=_num_bytes)
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """How many bytes are held."""
        return int(self._kept.currsize)

    def get(self, key: Hashable) -> _V | None:
        """Return what is kept under a key, or None where it is to be computed."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: Hashable, value: _V) -> None:
        """Keep a value; one that is larger than the whole cache is not kept."""
        if _num_bytes(value) <= self._kept.maxsize:
            with self._lock:
                self._kept[key] = value


def _num_bytes(value: "torch.Tensor | tuple[Any, ...]") -> int:
    parts = value if isinstance(value, tuple) else (value,)
    return sum(part.nbytes for part in parts if isinstance(part, torch.Tensor))
