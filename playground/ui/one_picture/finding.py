"""The search for a checkpoint on the hub, on the page of the one user that may load what is found.

What the hub says of a model is somebody's text; it is shown as text.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from playground.checkpoints.search import Found, search
from playground.engines import Engines
from playground.errors import CheckpointUnavailable, PlaygroundError
from playground.settings import Settings
from playground.ui import text
from playground.ui.parts import checkpoint_choices
from playground.ui.server.visitors import is_forwarded
from playground.ui.wiring import Updates


class Finder:
    """Finds checkpoints, and lets one that was found be asked for."""

    def __init__(
        self, engines: Engines, settings: Settings, *, find: Callable[[str], Sequence[Found]] = search
    ) -> None:
        self._engines = engines
        self._settings = settings
        self._find = find

    def find(self, hub_name: str, request: gr.Request) -> Iterator[Updates]:
        """Show what the hub has under a name: what will load to choose from, of the rest why not."""
        hidden = gr.update(choices=[], value=None, visible=False)
        try:
            self._check_allowed(request)
            yield {"found": hidden, "found_lines": [text.line("Looking at the hub…", "busy")]}
            rows = self._find(hub_name)
        except PlaygroundError as error:
            yield {"found": hidden, "found_lines": [text.line(str(error), "error")]}
            return
        good = [(str(row), row.repository) for row in rows if not row.why_not]
        lines = [_refused(row.why_not) for row in rows if row.why_not]
        if not rows:
            lines = [text.line(f"The hub has no Florence-2 of the name {hub_name.strip()[:100]}.", "warning")]
        yield {"found": gr.update(choices=good, value=None, visible=bool(good)), "found_lines": lines}

    def take(self, found: str, request: gr.Request) -> tuple[str, Updates]:
        """Let what was found be asked for; returns its name, and the form with it chosen and the search put away."""
        self._check_allowed(request)
        name = self._engines.admit(found)
        updates: dict[str, Any] = {
            "checkpoint": gr.update(choices=checkpoint_choices(self._engines), value=name),
            "found": gr.update(choices=[], value=None, visible=False),
            "found_lines": [],
            "hub_name": "",
        }
        return name, updates

    def _check_allowed(self, request: gr.Request) -> None:
        if not self._settings.may_search_hub or is_forwarded(request):
            raise CheckpointUnavailable("This playground loads nothing from the hub that it was not started with.")


def _refused(why_not: str) -> text.Line:
    """Say why one will not load; what can be done about it is told on demand."""
    first, end, rest = why_not.partition(". ")
    return text.line(f"{first}." if end else first, "warning", rest)
