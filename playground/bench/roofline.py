"""What this machine could do at best: its rate of matrix products, and its memory bandwidth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

_PRODUCT_SIDES = (2**10, 2**11, 2**12)
_READ_BYTES = 400_000_000  # far more than any cache holds
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Roofline:
    """Operations a second of products in the format of the model, and bytes a second that are read from memory."""

    flops: float
    bandwidth: float


def measure_roofline(dtype: torch.dtype, device: str) -> Roofline:
    """Measure the limits of the machine: the best of several runs of several sizes."""
    return Roofline(max(_product_rate(side, dtype, device) for side in _PRODUCT_SIDES), _bandwidth(device))


def _product_rate(side: int, dtype: torch.dtype, device: str) -> float:
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _best_seconds(lambda: left @ right, device)


def _bandwidth(device: str) -> float:
    # Written to, or the pages of a fresh array are all the same empty one.
    numbers = torch.ones(_READ_BYTES // 4, device=device)
    return _READ_BYTES / _best_seconds(numbers.sum, device)


def _best_seconds(act: Callable[[], Any], device: str) -> float:
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        act()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
