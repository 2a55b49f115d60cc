"""Record what a GPU does, and let it do that again: one call in place of hundreds, of which each takes Python longer
than the GPU. On a CPU nothing is recorded.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch

_T = TypeVar("_T")
_one_at_a_time = threading.Lock()  # all recordings of a process share a stream


def recorded(act: Callable[[], _T], device: torch.device, pool: Any = None) -> Callable[[], _T]:
    """Return what does again what `act` does, with the tensors at the same places: its results are overwritten.

    `act` is called twice: once for what is set up at a first call, which cannot be recorded, and once to be recorded
    into a pool of memory; see `new_pool`.
    """
    if device.type != "cuda":
        return act
    with _one_at_a_time, torch.cuda.device(device):
        beside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            act()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # "thread_local": another checkpoint may answer in another thread meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            result = act()

    def replay() -> _T:
        graph.replay()
        return result

    return replay


class RecordedPass:
    """A pass over a tensor, recorded for each of its shapes. Not for two threads at a time."""

    def __init__(self, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._act = act
        self._by_shape: dict[torch.Size, tuple[torch.Tensor, Callable[[], torch.Tensor]]] = {}
        self._pool: Any = None

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        """Return what the pass makes of a tensor."""
        if given.shape not in self._by_shape:
            self._pool = self._pool or new_pool(given.device)
            place = given.clone()
            self._by_shape[given.shape] = place, recorded(lambda: self._act(place), given.device, self._pool)
        place, replay = self._by_shape[given.shape]
        place.copy_(given)
        return replay().clone()


def new_pool(device: torch.device) -> Any:
    """Return memory that recordings which never run at the same time may share."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None
