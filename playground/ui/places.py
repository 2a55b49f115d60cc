"""Who is let into the queue: as many as the settings say, and of one visitor only a few.

Gradio's queue has a length, but it knows no visitors, and it may turn a question of the page away at its second step,
when the first one, the wait for the checkpoint, was let in. Its way in is wrapped here. Knows no component.
"""

from collections import deque
from typing import Any

import gradio as gr

from playground.settings import Settings

MODEL = "model"  # the queue that all share who run the model
WAIT, RUN = "wait", "run_on_page"  # the names of the two steps of a question on the page

_MAX_TICKETS = 1000  # of pages that were let in, and have not asked yet


def limit_places(app: gr.Blocks, settings: Settings) -> None:
    """Let nobody hold more than the settings' number of places; who asks for one more is told that it is busy.

    A visitor is a tab of the page, and, where a proxy is trusted to name it, an address: calls of the API come with a
    new session each. Whose first step was let in is let in with the second.
    """
    queue: Any = app._queue
    enter = queue.push
    tickets: deque[str] = deque(maxlen=_MAX_TICKETS)

    async def enter_if_few(body: Any, request: Any, username: str | None) -> Any:
        function = app.fns.get(body.fn_index)
        name = function.api_name if function else None
        if name == RUN and body.session_hash in tickets:
            tickets.remove(body.session_hash)
            return await enter(body, request, username)
        if function and _takes_place(function):
            visitor = _visitor(body.session_hash, request, settings.forwarded_header)
            held = [_visitor(event.session_hash, event.request, settings.forwarded_header) for event in _events(queue)]
            # By each of the names on its own: a new session is easily had.
            if any(sum(name in names for names in held) >= settings.places_per_visitor for name in visitor):
                return False, _sentence(settings.places_per_visitor), "queue_full"
        if len(queue) >= settings.queue_size:
            return False, f"{len(queue)} questions wait already. Try again in a minute.", "queue_full"
        entered = await enter(body, request, username)
        if name == WAIT and entered[0]:
            tickets.append(body.session_hash)
        return entered

    queue.push = enter_if_few


def _takes_place(function: Any) -> bool:
    return bool(function.concurrency_id == MODEL or function.api_name == WAIT)


def _visitor(session: str | None, request: Any, header: str) -> set[str]:
    """Return the names of a visitor: the session, and the address that the nearest proxy saw."""
    forwarded = request.headers.get(header, "") if header else ""
    address = forwarded.rpartition(",")[2].strip()  # what stands before it, the visitor may have written
    return {f"{kind} {name}" for kind, name in (("session", session), ("address", address)) if name}


def _events(queue: Any) -> list[Any]:
    """Return the questions that wait and the ones that are answered."""
    waiting = [event for part in queue.event_queue_per_concurrency_id.values() for event in part.queue]
    active = [event for job in queue.active_jobs if job for event in job]
    return [event for event in (*waiting, *active) if _takes_place(event.fn)]


def _sentence(places: int) -> str:
    return f"You have {places} questions in the queue already. Wait for an answer, or press Stop, and ask again."
