"""The events that every page wires alike: a picture that is given, and a run from its button to its end.

Knows the names of components that such pages have, and of the handlers behind them; knows no page.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from playground.ui import text
from playground.ui.server.failures import sentence_of
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.server.turns import COSTLY
from playground.ui.wiring import Updates, Wiring

PLUMBING: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: dict[str, Any] = {"queue": False, **PLUMBING}
IN_TURN: dict[str, Any] = {**AT_ONCE, **COSTLY}


def told_in_the_status(handler: Callable[..., Updates]) -> Callable[..., Updates]:
    """Let an error be a sentence in the status, and leave everything else as it is."""

    @functools.wraps(handler)
    def told(*arguments: Any, **values: Any) -> Updates:
        try:
            return handler(*arguments, **values)
        except Exception as error:
            return {"status": [text.line(sentence_of(error), "error")]}

    return told


def wire_pictures(wiring: Wiring, sources: Sequence[tuple[Any, Callable[..., Any]]], *, writes: Sequence[str]) -> None:
    """Let each event bring a picture; the page counts them, and waits with a run for one that is on its way."""
    for trigger, handler in sources:
        taken = wiring.on(trigger, handler, writes=writes, js="playground.taking", trigger_mode="multiple", **IN_TURN)
        taken.then(None, js="playground.taken", **PLUMBING)


def wire_run(
    wiring: Wiring,
    on: Mapping[str, Any],
    handlers: Any,
    triggers: Sequence[Any],
    *,
    api_name: str,
    shows: Sequence[str],
    settles: Sequence[str],
    begins: Sequence[str] = ("run", "stop"),
    refuses_at: Sequence[str] = ("picture",),
) -> None:
    """Let a press begin a run, which can be stopped from then on, in the queue too, and show what holds at its end.

    `handlers` has `check`, `begin`, `wait`, `run`, `rest`, `turned_away` and `stop`. A run `shows` its answer in these
    components; `settles` names all that can be different after it.
    """
    # A picture that is on its way is waited for: the question is about that one.
    pressed = gr.on(list(triggers), None, outputs=on["status"], js="playground.sayIfTaking", **PLUMBING)
    ready = pressed.success(None, js="playground.whenTaken", **PLUMBING)
    wiring.on(ready.failure, handlers.rest, writes=settles, **AT_ONCE)
    begun = wiring.on(ready.success, handlers.begin, writes=begins, **AT_ONCE)
    waited = wiring.on(
        begun.success,  # not on the click itself: Stop must find the run that `begin` expects
        handlers.wait,
        writes=("status",),
        check=handlers.check,
        refuses_at=refuses_at,
        trigger_mode="multiple",  # the run before may not have ended yet
        concurrency_limit=None,
        **PLUMBING,
    )
    wiring.on(waited.failure, handlers.rest, writes=settles, **AT_ONCE)
    run = wiring.on(
        waited.success,
        handlers.run,
        writes=shows,
        api_name=api_name,
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=on["status"],
        trigger_mode="multiple",
        **MODEL_QUEUE,
    )
    wiring.on(run.then, handlers.rest, writes=settles, **AT_ONCE)
    wiring.on(run.failure, handlers.turned_away, writes=settles, **AT_ONCE)
    wiring.on(on["stop"].click, handlers.stop, writes=settles, **AT_ONCE)
