"""The checkpoint that is chosen on the page: followed while it is loaded, and what the form takes from it."""

from dataclasses import dataclass, replace

import gradio as gr

from playground.engines import State
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui import text
from playground.ui.one_picture.examples import examples_for
from playground.ui.one_picture.offer import Offer
from playground.ui.one_picture.showing import Showing
from playground.ui.task_list import listing
from playground.ui.wiring import Updates


@dataclass(frozen=True, slots=True)
class Chosen:
    """The choice and what of the form depends on it, each field called after a component."""

    checkpoint: str
    is_wanted: bool
    max_new_tokens: float
    longest: int
    task: str
    listed: str


class Follower:
    """Says what the page shows of a checkpoint that may still be fetched or loaded."""

    def __init__(self, predictor: Predictor, settings: Settings, showing: Showing) -> None:
        self._predictor = predictor
        self._engines = predictor.engines
        self._offer = Offer(predictor.engines, settings)
        self._showing = showing

    def choose(self, chosen: Chosen) -> None:
        """Begin to load a checkpoint, in the background."""
        self._engines.request(chosen.checkpoint)

    def accept_offer(self) -> None:
        """Begin to get the checkpoint that is offered in place of the demo model."""
        self._offer.accept()

    def follow(self, chosen: Chosen, line: text.Line | None) -> Updates:
        """Say how far the checkpoint is, what it can be asked, how long its answers are, and whether to look again."""
        offer = self._offer.show(chosen.checkpoint, is_wanted=chosen.is_wanted)
        chosen = replace(chosen, checkpoint=offer.get("checkpoint", chosen.checkpoint))
        status = self._engines.status(chosen.checkpoint)
        is_settled = status.state in (State.READY, State.FAILED) and not self._offer.is_under_way()
        updates: Updates = {
            **offer,
            **listing(self._predictor.tasks(chosen.checkpoint), chosen.listed, chosen.task),
            "status": self._showing.status(chosen.checkpoint, line),
            "timer": gr.Timer(active=not is_settled),
        }
        if is_settled:  # each update draws them anew
            updates |= examples_for(status)
        if status.max_answer_tokens:
            end = status.max_answer_tokens
            value = end if chosen.max_new_tokens >= chosen.longest else min(int(chosen.max_new_tokens), end)
            limit = gr.update(maximum=end, value=value, interactive=True)
            updates |= {"max_new_tokens": limit, "longest": end}
        return updates
