"""How many places in the queue one visitor may hold, so that nobody can keep the others waiting alone; and how much
may lie in it.

Places for the model are counted apart from all others. Gradio's queue has a length, but no such limits: its way in is
wrapped here. Knows no handler and no component.
"""

from http import HTTPStatus
from typing import Any

import gradio as gr
from starlette.exceptions import HTTPException

from playground.settings import Settings, is_this_machine
from playground.ui.server.bodies import BODY_BYTES, MAX_BYTES_AT_ONCE
from playground.ui.server.visitors import visitor_of

_MODEL = "model"
_OTHER_PLACES = 8  # of calls that ask no model: pictures to take, answers to draw anew, files to write
MODEL_QUEUE: dict[str, Any] = {"concurrency_id": _MODEL, "concurrency_limit": 1}  # shared by all that run the model


def limit_queue(app: gr.Blocks, settings: Settings) -> None:
    """Let nobody hold more than the settings' number of places; who asks for one more is told that it is busy.

    A visitor is a tab of the page, and an address: calls of the API come with a new session each.
    """
    queue: Any = app._queue
    enter = queue.push
    for function in app.fns.values():
        if function.concurrency_id == _MODEL:
            function.concurrency_limit = settings.num_answers_at_once

    async def enter_if_few(body: Any, request: Any, username: str | None) -> Any:
        function = app.fns.get(body.fn_index)
        if function:
            is_model = function.concurrency_id == _MODEL
            places = settings.places_per_visitor if is_model else _OTHER_PLACES
            visitor = _visitor(body.session_hash, request)
            everything = _events(queue)
            if sum(_num_bytes(event.request) for event in everything) + _num_bytes(request) > MAX_BYTES_AT_ONCE:
                return False, "The pictures in the queue take all the room there is. Try again soon.", "queue_full"
            events = [event for event in everything if (event.concurrency_id == _MODEL) == is_model]
            held = [_visitor(event.session_hash, event.request) for event in events]
            # By each of the names on its own: a new session is easily had.
            if any(sum(name in other for other in held) >= places for name in visitor):
                # Of a full queue, which is a 503, Gradio's clients say something of their own.
                said = _sentence(places, "questions" if is_model else "requests")
                raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, said)
        return await enter(body, request, username)

    queue.push = enter_if_few


def _visitor(session: str | None, request: Any) -> set[str]:
    """Return the names of a visitor: the session, and the address, but for those who come through this machine.

    These may be all visitors of a proxy that nobody has named.
    """
    address = visitor_of(request)
    named = "" if is_this_machine(address) else address
    return {f"{kind} {name}" for kind, name in (("session", session), ("address", named)) if name}


def _num_bytes(request: Any) -> int:
    """Return how much a call has brought with it, which lies in memory until it is answered."""
    num_bytes: int = request.scope.get(BODY_BYTES, 0)
    return num_bytes


def _events(queue: Any) -> list[Any]:
    """Return the calls that wait and the ones that are answered."""
    waiting = [event for one in queue.event_queue_per_concurrency_id.values() for event in one.queue]
    return waiting + [event for job in queue.active_jobs if job for event in job]


def _sentence(places: int, what: str) -> str:
    return f"You have {places} {what} in the queue already. Wait for an answer, or press Stop, and ask again."
