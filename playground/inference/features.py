"""The features of pictures that were encoded before, which engines that see alike may share."""

import threading

import torch
from cachetools import LRUCache


class FeatureCache:
    """The most recently used features, positions x width, by the digest of their picture. Safe to call from threads."""

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[str, torch.Tensor] = LRUCache(max_bytes, getsizeof=lambda tensor: tensor.nbytes)
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """How many bytes are held."""
        return int(self._kept.currsize)

    def get(self, digest: str) -> torch.Tensor | None:
        """Return the features of a picture, or None where it is to be encoded."""
        with self._lock:
            return self._kept.get(digest)

    def keep(self, digest: str, features: torch.Tensor) -> None:
        """Keep features; those that are larger than the whole cache are not kept."""
        if features.nbytes <= self._kept.maxsize:
            with self._lock:
                self._kept[digest] = features
