"""What the tests of the engine share: how to ask, what to read of the events, and how to watch the model's parts."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from playground.engines import Ask
from playground.events import Decoding, Event, Token
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.pictures.reader import InputImage

OD = "Locate the objects with category name in the image."
CAPTION = "What does the image describe?"
REGION = "What does the region <loc_{}><loc_{}><loc_{}><loc_{}> describe?"
GREEDY, BEAMS = Decoding(num_beams=1), Decoding(num_beams=3)
BOTH_DECODINGS = [pytest.param(GREEDY, id="greedy"), pytest.param(BEAMS, id="three beams")]
PATIENCE = 20.0  # seconds, far more than any wait takes


def ask(
    engine: Engine,
    image: InputImage,
    prompt: str = OD,
    decoding: Decoding = GREEDY,
    *,
    stop: threading.Event | None = None,
) -> list[Event]:
    return list(engine.generate([Ask(image, prompt)], decoding, stop=stop))


def tokens_of(events: Sequence[Event], answer: int | None = None) -> list[Token]:
    """The tokens of all answers, or of one."""
    tokens = [event for event in events if isinstance(event, Token)]
    return [token for token in tokens if answer is None or token.answer == answer]


def ids_of(events: Sequence[Event], answer: int | None = None) -> list[int]:
    return [token.id for token in tokens_of(events, answer)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(token.text for token in tokens_of(events))


def part(model: PreparedModel, name: str) -> Any:
    """What has become of a module of transformers' class, or of the one that it is in."""
    owner, made = next((owner, made) for (*_, owner), made in model.made.items() if f"{name}.".startswith(f"{owner}."))
    inside = name.removeprefix(owner).removeprefix(".")
    return made.get_submodule(inside) if inside else made


@contextmanager
def before(module: torch.nn.Module, act: Callable[[], object]) -> Iterator[None]:
    """Do something each time the module is about to run."""

    def hook(*_: object) -> None:  # the module would be called with what a hook returns
        act()

    handle = module.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class Counter:
    """Counts calls; does something at one of them."""

    def __init__(self, at: int = 0, act: Callable[[], object] = lambda: None) -> None:
        self.calls = 0
        self._at, self._act = at, act

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            self._act()


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


def raiser(error: Exception) -> Callable[..., None]:
    def act(*_: object) -> None:
        raise error

    return act
