"""How many places in the model's queue one visitor may hold, so that nobody can keep the others waiting alone.

Gradio's queue has a length, but no such limit: its way in is wrapped here. Knows no handler and no component.
"""

from typing import Any

import gradio as gr

from playground.settings import Settings

_MODEL = "model"
MODEL_QUEUE: dict[str, Any] = {"concurrency_id": _MODEL, "concurrency_limit": 1}  # shared by all that run the model


def limit_queue(app: gr.Blocks, settings: Settings) -> None:
    """Let nobody hold more than the settings' number of places; who asks for one more is told that it is busy.

    A visitor is a tab of the page, and, where a proxy is trusted to name it, an address: calls of the API come with a
    new session each.
    """
    queue: Any = app._queue
    enter = queue.push

    async def enter_if_few(body: Any, request: Any, username: str | None) -> Any:
        function = app.fns.get(body.fn_index)
        if function and function.concurrency_id == _MODEL:
            visitor = _visitor(body.session_hash, request, settings.forwarded_header)
            held = [_visitor(event.session_hash, event.request, settings.forwarded_header) for event in _events(queue)]
            # By each of the names on its own: a new session is easily had.
            if any(sum(name in other for other in held) >= settings.places_per_visitor for name in visitor):
                return False, _sentence(settings.places_per_visitor), "queue_full"
        return await enter(body, request, username)

    queue.push = enter_if_few


def _visitor(session: str | None, request: Any, header: str) -> set[str]:
    """Return the names of a visitor: the session, and the address that the nearest proxy saw."""
    forwarded = request.headers.get(header, "") if header else ""
    address = forwarded.rpartition(",")[2].strip()  # what stands before it, the visitor may have written
    return {f"{kind} {name}" for kind, name in (("session", session), ("address", address)) if name}


def _events(queue: Any) -> list[Any]:
    """Return the runs that wait and the ones that are answered."""
    waiting = queue.event_queue_per_concurrency_id.get(_MODEL)
    active = [event for job in queue.active_jobs if job for event in job if event.concurrency_id == _MODEL]
    return [*(waiting.queue if waiting else ()), *active]


def _sentence(places: int) -> str:
    return f"You have {places} questions in the queue already. Wait for an answer, or press Stop, and ask again."
