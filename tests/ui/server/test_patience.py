"""What takes too long, or is wanted by nobody any more, is broken off, and nothing after it."""

import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from playground.errors import ExportRejected
from playground.ui.server import patience
from playground.ui.server.patience import within


def count_for(seconds: float) -> int:
    """Count for so long, as a loop over regions does."""
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        number += 1
    return number


def work_on(_: Any) -> None:
    try:
        count_for(60)
    except Exception:  # a library that keeps what it does not know
        count_for(60)


def test_what_takes_too_long_is_broken_off_with_a_sentence() -> None:
    began = time.monotonic()
    with pytest.raises(ExportRejected, match="takes longer than 1 seconds"), within(1):
        work_on(None)
    assert time.monotonic() - began < 30
    assert count_for(1)  # nothing comes after


def test_what_nobody_waits_for_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    event = SimpleNamespace(alive=False)
    monkeypatch.setattr(patience, "queue_and_event", lambda: (None, event))
    with pytest.raises(ExportRejected), within(600):
        work_on(None)


def test_what_is_imported_on_the_way_is_imported_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly = "import time\nfor _ in range(50):\n    time.sleep(0.01)\nis_whole = True\n"
    (tmp_path / "slow_to_import.py").write_text(slowly, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExportRejected), within(0):
        work_on(import_module("slow_to_import"))
    assert sys.modules.pop("slow_to_import").is_whole


def test_what_ends_in_time_is_left_alone() -> None:
    with within(600):
        assert count_for(0.5)
    for _ in range(12):  # about to be broken off in the moment in which it ends
        try:
            with within(0):
                count_for(0.2)
        except ExportRejected:
            pass
        count_for(0.02)
    with pytest.raises(KeyError), within(600):
        raise KeyError
