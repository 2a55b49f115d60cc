"""What a server lets go of, while other threads add to it."""

import threading
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from playground.ui.server.cleanup import files_in_use, forget_messages, forget_sessions
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
