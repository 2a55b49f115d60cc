"""The offer of a real Florence-2 to whom the demo model answers: a button, its progress, and how it ends.

The demo model goes on answering until the other one is loaded; then the page of whoever asked for it takes it.
"""

from typing import Any

import gradio as gr

from playground.checkpoints.catalog import BUNDLED, OFFERED
from playground.engines import Engines, State
from playground.settings import Settings
from playground.ui import text
from playground.ui.wiring import Updates


class Offer:
    """What is shown of the offer, for a server that may fetch checkpoints or may not."""

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self._engines = engines
        self._may_fetch = not settings.offline

    def accept(self) -> None:
        """Begin to fetch and load what is offered."""
        if self._is_possible:
            self._engines.request(OFFERED)

    def show(self, checkpoint: str, *, is_wanted: bool) -> Updates:
        """Say why this checkpoint answers, and offer the other one; one that is wanted is taken once it is there."""
        status = self._engines.status(checkpoint)
        banner = text.banner_lines(status)
        if status.checkpoint.name != BUNDLED or not self._is_possible:
            return {"banner": banner, "get": gr.update(visible=False), "is_wanted": False}
        offered = self._engines.status(OFFERED)
        is_here = offered.state is State.READY
        if is_wanted and is_here:
            return {"checkpoint": OFFERED, **self.show(OFFERED, is_wanted=False)}
        if offered.is_busy or (is_wanted and offered.state is State.FAILED):
            banner.append(text.checkpoint_line(offered))
        label = text.offer_label(offered.checkpoint, is_here=is_here)
        button: Any = gr.update(value=label, visible=True, interactive=not offered.is_busy)
        return {"banner": banner, "get": button, "is_wanted": is_wanted and offered.is_busy}

    def is_under_way(self) -> bool:
        """Whether what is offered is being fetched or loaded."""
        return self._is_possible and self._engines.status(OFFERED).is_busy

    @property
    def _is_possible(self) -> bool:
        return self._may_fetch and OFFERED in [name for _, name in self._engines.names()]
