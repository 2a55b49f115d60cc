"""What a server lets go of, while other threads add to it."""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from playground.ui.server.cleanup import delete_files, forget_messages, forget_sessions


def make(folder: Path, count: int) -> set[str]:
    files = [folder / f"{number}.png" for number in range(count)]
    for file in files:
        file.write_bytes(b"")
    return {str(file) for file in files}


def test_files_are_deleted_but_for_the_pages_own_and_the_new_ones(tmp_path: Path) -> None:
    own, gone, made = tmp_path / "own.png", str(tmp_path / "gone.png"), make(tmp_path, 3)
    own.write_bytes(b"")
    blocks = SimpleNamespace(
        blocks={1: SimpleNamespace(keep_in_cache={str(own)}), 2: SimpleNamespace()},
        temp_file_sets=[{*made, str(own)}, {gone}],
    )
    delete_files(blocks, 60)
    assert {path.name for path in tmp_path.iterdir()} == {"0.png", "1.png", "2.png", "own.png"}
    delete_files(blocks, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["own.png"]
    assert blocks.temp_file_sets == [{str(own)}, set()]


def test_files_are_deleted_while_others_are_made(tmp_path: Path) -> None:
    known = make(tmp_path, 300)
    blocks = SimpleNamespace(blocks={}, temp_file_sets=[known])
    is_over = threading.Event()

    def add() -> None:
        for number in range(200_000):
            known.add(f"{tmp_path}/not-there-{number}")
            if is_over.is_set():
                return

    adding = threading.Thread(target=add)
    adding.start()
    try:
        for _ in range(5):
            delete_files(blocks, 0)
    finally:
        is_over.set()
        adding.join()
    assert list(tmp_path.iterdir()) == []


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
