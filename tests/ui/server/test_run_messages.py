"""What an ended run still had to say, and its place in the queue, on a queue that remembers what it sent."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest
from gradio.context import LocalContext
from gradio.server_messages import LogMessage, ProcessCompletedMessage, ProcessGeneratingMessage

from playground.ui.server.run_messages import drop_silenced, leave_queue, silence

NOTHING = {"__type__": "update"}


class Queue:
    """Of Gradio's queue, what is used; empty, it counts as false, as that does."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.event_ids_to_events: dict[str, Any] = {}
        self.event_queue_per_concurrency_id = {"model": SimpleNamespace(queue=[])}

    def __len__(self) -> int:
        return len(self.event_queue_per_concurrency_id["model"].queue)

    def send_message(self, event: Any, message: Any) -> None:
        self.sent.append((event._id, message))

    def event(self, name: str, session: str, function: str = "run_on_page") -> Any:
        row = SimpleNamespace(api_name=function, outputs=["stage", "status"])
        event = SimpleNamespace(_id=name, session_hash=session, fn=row)
        self.event_ids_to_events[name] = event
        return event


@pytest.fixture
def queue() -> Queue:
    queue = Queue()
    drop_silenced(SimpleNamespace(_queue=queue))  # type: ignore[arg-type]  # of an app, only the queue is used
    return queue


@pytest.fixture
def called_for(queue: Queue) -> Iterator[Callable[[str], None]]:
    """Let what follows be called by Gradio, for an event."""
    tokens: list[tuple[Any, Any]] = []

    def call(name: str) -> None:
        for variable, value in ((LocalContext.blocks, SimpleNamespace(_queue=queue)), (LocalContext.event_id, name)):
            tokens.append((variable, variable.set(value)))  # type: ignore[attr-defined]

    yield call
    for variable, token in reversed(tokens):
        variable.reset(token)


def test_what_a_run_says_after_its_end_does_not_reach_the_page(queue: Queue, called_for: Callable[[str], None]) -> None:
    run, other = queue.event("run", "ann"), queue.event("other", "ann")
    called_for("run")
    ended: list[bool] = []
    silence(lambda: bool(ended))
    growing = ProcessGeneratingMessage(output={"data": ["old", "Writing"]}, success=True)
    queue.send_message(run, growing)
    ended.append(True)
    queue.send_message(run, growing)
    queue.send_message(other, growing)
    queue.send_message(run, ProcessCompletedMessage(output={"data": ["old", "Writing"], "duration": 1}, success=True))
    (first, _), (second, _), (last, end) = queue.sent
    assert (first, second, last) == ("run", "other", "run")
    assert (end.output, end.success) == ({"data": [NOTHING, NOTHING], "duration": 1}, True)


def test_the_failure_of_an_ended_run_is_nobodys(queue: Queue, called_for: Callable[[str], None]) -> None:
    run = queue.event("run", "ann")
    called_for("run")
    silence(lambda: True)
    queue.send_message(run, ProcessCompletedMessage(output={"error": "No memory."}, success=False))
    queue.send_message(run, LogMessage(log="a hint", title="", level="info"))
    (_, end), (_, hint) = queue.sent
    assert (end.output, end.success, hint.log) == ({"data": [NOTHING, NOTHING]}, True, "a hint")


def test_a_run_that_is_given_up_leaves_the_queue_and_no_other_does(
    queue: Queue, called_for: Callable[[str], None]
) -> None:
    line = queue.event_queue_per_concurrency_id["model"].queue
    line += [queue.event("anns", "ann"), queue.event("bobs", "bob"), queue.event("a call", "ann", "run")]
    called_for("a gesture")

    async def serve() -> None:
        await anyio.to_thread.run_sync(leave_queue, "ann", "run_on_page")

    anyio.run(serve)
    assert [event._id for event in line] == ["bobs", "a call"]
    ((name, end),) = queue.sent
    assert (name, end.output, end.success) == ("anns", {"data": [NOTHING, NOTHING]}, True)


def test_outside_of_gradio_nothing_happens() -> None:
    silence(lambda: True)
    leave_queue("ann", "run_on_page")
