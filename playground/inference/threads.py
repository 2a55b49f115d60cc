"""How many threads a model computes with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

ALL_THREADS = torch.get_num_threads()  # asked once: what PyTorch says later depends on who asks


@contextmanager
def computing_with(num_threads: int) -> Iterator[None]:
    """Let this thread compute with so many threads until the end of the block."""
    torch.get_num_threads()  # PyTorch gives a new thread its number at the first call, and would do so later
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(ALL_THREADS)
