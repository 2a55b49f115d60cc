"""What a server lets go of, while other threads add to it."""

import asyncio
import threading
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from playground.ui.server.cleanup import close, files_in_use, forget_at_once, forget_messages, forget_sessions
from playground.ui.server.tabs import OpenTabs
from playground.ui.session import Item, Workspace


def test_the_pages_own_files_and_those_of_open_tabs_are_in_use() -> None:
    def tab(name: str) -> Any:
        return SimpleNamespace(state_data={7: Workspace((Item(f"{name}.png", f"{name}.jpg"),)), 8: "no files"})

    app = SimpleNamespace(
        get_blocks=lambda: SimpleNamespace(blocks={1: SimpleNamespace(keep_in_cache={"own.png"}), 2: object()}),
        state_holder=SimpleNamespace(session_data={"open": tab("open"), "closed": tab("closed")}),
    )
    assert files_in_use(app, {"open", "just opened"}) == {"own.png", "open.png", "open.jpg"}


@pytest.mark.parametrize(
    ("idle_seconds", "state", "stays"),
    [(90, {}, False), (30, {}, True), (90, {7: "a picture"}, True)],
    ids=["a call that is over", "one that goes on", "a tab with a picture"],
)
def test_a_session_of_which_nothing_is_remembered_is_dropped(
    idle_seconds: float, state: dict[int, Any], stays: bool
) -> None:
    holder = SimpleNamespace(
        session_data={"one": SimpleNamespace(state_data=state)},
        time_last_used={"one": datetime.now() - timedelta(seconds=idle_seconds)},
        lock=threading.Lock(),
    )
    forget_sessions(holder, 60)
    assert ("one" in holder.session_data, "one" in holder.time_last_used) == (stays, stays)


class Sessions:
    """Gradio's books of sessions, and calls in their names."""

    def __init__(self) -> None:
        self.holder = SimpleNamespace(session_data=OrderedDict(), time_last_used={}, lock=threading.Lock())
        self.blocks = SimpleNamespace(process_api=self._process)
        self.tabs = OpenTabs()
        forget_at_once(SimpleNamespace(get_blocks=lambda: self.blocks, state_holder=self.holder), self.tabs)

    async def call(self, name: str, state: str = "", *, fails: bool = False, goes_on: bool = False) -> None:
        held = {7: state} if state else {}
        self.holder.session_data.setdefault(name, SimpleNamespace(state_data={})).state_data.update(held)
        with suppress(ValueError):
            await self.blocks.process_api(session_hash=name, outcome=None if fails else {"is_generating": goes_on})

    async def _process(self, *, outcome: dict[str, Any] | None, **_: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        if outcome is None:
            raise ValueError
        return outcome

    @property
    def names(self) -> list[str]:
        return [*self.holder.session_data]


def test_names_that_are_invented_leave_no_session() -> None:
    async def scene() -> None:
        sessions = Sessions()
        await asyncio.gather(*(sessions.call(f"{number}", fails=number % 2 == 0) for number in range(300)))
        assert sessions.names == []
        await sessions.call("streaming", goes_on=True)
        assert sessions.names == ["streaming"]

    asyncio.run(scene())


def test_of_pages_that_are_not_open_the_last_are_remembered() -> None:
    async def scene() -> None:
        sessions, is_closed = Sessions(), asyncio.Event()
        heard = asyncio.create_task(sessions.tabs.heard("open", is_closed.wait()))
        await sessions.call("open", "a picture")
        await sessions.call("being opened", "a picture")
        for number in range(300):
            await sessions.call(f"{number}", "a picture")
        assert "open" in sessions.names
        assert sessions.names[-1] == "299"
        assert len(sessions.names) <= 66
        await sessions.call("open")
        assert "open" in sessions.names
        is_closed.set()
        await heard
        assert len(sessions.names) <= 65

    asyncio.run(scene())


def test_the_books_of_those_who_went_away_are_dropped() -> None:
    told = dict.fromkeys(("tab", "asking", "not come for", "all read", "nothing asked"), "news")
    asked = {
        "tab": set(),
        "asking": {"a"},
        "not come for": {"done"},
        "all read": set(),
        "cut off": {"done"},
        "left": {"b"},
    }
    queue = SimpleNamespace(
        pending_messages_per_session=told, pending_event_ids_session=asked, event_ids_to_events={"a": "...", "b": "..."}
    )
    forget_messages(queue, SimpleNamespace(session_data={"tab": None}))
    assert [*told] == ["tab", "asking", "not come for"]
    assert [*asked] == ["tab", "asking", "not come for", "left"]


def test_streams_are_told_to_end_while_some_of_them_go() -> None:
    class Crowded(asyncio.Event):
        walks = 0

        def set(self) -> None:
            super().set()
            self.walks += 1
            if self.walks == 1:
                raise RuntimeError("deque mutated during iteration")

    app = SimpleNamespace(stop_event=Crowded())
    ends: list[bool] = []
    close(SimpleNamespace(app=app, close=lambda verbose: ends.append(app.stop_event.is_set())))
    assert (ends, app.stop_event.walks) == ([True], 2)
