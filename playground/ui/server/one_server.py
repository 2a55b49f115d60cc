"""Keep Gradio from making a server and a description of everything at the end of each page: `launch` makes both.

Eight in vain were a seventh of the processor time until the page was there. Knows Gradio's internals, no page.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import gradio as gr
from gradio.routes import App

_is_building: ContextVar[bool] = ContextVar("is_building", default=False)


@contextmanager
def without_servers() -> Iterator[None]:
    """Let pages be built that are launched later; whatever another thread builds or launches goes on as ever."""
    _make_skippable()
    token = _is_building.set(True)
    try:
        yield
    finally:
        _is_building.reset(token)


@cache
def _make_skippable() -> None:
    App.create_app = _unless_building(App.create_app)  # type: ignore[method-assign]
    gr.Blocks.get_config_file = _unless_building(gr.Blocks.get_config_file)  # type: ignore[method-assign]


def _unless_building(act: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments, **options: None if _is_building.get() else act(*arguments, **options)
