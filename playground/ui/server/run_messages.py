"""What a run still has to say after its end was decided: nothing of it may reach the page.

Gradio sends what a generator has yielded, and at its end all of it once more, whatever has happened to the page in
between; and a question that nobody wants answered keeps its place in the queue. Knows Gradio's queue, no handler.
"""

from collections.abc import Callable
from typing import Any

import anyio.from_thread
import gradio as gr
from gradio.server_messages import ProcessCompletedMessage, ProcessGeneratingMessage

from playground.ui.server.calls import queue_and_event

_NOTHING = {"__type__": "update"}  # to Gradio's page: leave the component as it is


def silence(is_over: Callable[[], bool]) -> None:
    """From within a handler: what this call of it writes, or has yielded, is thrown away as soon as `is_over`."""
    if event := queue_and_event()[1]:
        event.is_over = is_over


def drop_silenced(app: gr.Blocks) -> None:
    """Let the queue of an app look at each message in the moment in which it is sent."""
    queue: Any = app._queue
    send = queue.send_message

    def send_if_wanted(event: Any, message: Any) -> None:
        if getattr(event, "is_over", bool)():
            if isinstance(message, ProcessGeneratingMessage):
                return
            if isinstance(message, ProcessCompletedMessage):
                message = _empty(event, message.output if message.success else {})
        send(event, message)

    queue.send_message = send_if_wanted


def leave_queue(session: str, function: str) -> None:
    """From within a handler: complete, with nothing, what waits in the queue for a function of this session's page."""
    queue, _ = queue_and_event()
    if queue is None:
        return

    def leave() -> None:
        for waiting in queue.event_queue_per_concurrency_id.values():
            for event in [*waiting.queue]:
                if event.session_hash == session and event.fn.api_name == function:
                    waiting.queue.remove(event)
                    queue.send_message(event, _empty(event, {}))
                    queue.event_ids_to_events.pop(event._id, None)

    anyio.from_thread.run_sync(leave)


def _empty(event: Any, output: dict[str, Any]) -> ProcessCompletedMessage:
    return ProcessCompletedMessage(output={**output, "data": [_NOTHING] * len(event.fn.outputs)}, success=True)
