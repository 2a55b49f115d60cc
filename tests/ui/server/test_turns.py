"""Who is let in when: pure turns, and a server of which one visitor wants more than there is."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from playground import paths
from playground.settings import Settings
from playground.ui.pages import build_app
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.server.turns import COSTLY, NoTurn, Turns
from tests.live import Http, running
from tests.ui.doubles import ANSWER, ScriptedPredictor

FIRST, SECOND = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.10"}
PICTURE = paths.EXAMPLES / "meadow.png"


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Calls that end when they are told to, in the order in which they are let in."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.let_in: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *callers: str) -> None:
        for caller in callers:
            self._ends[caller] = asyncio.Event()
            self._tasks[caller] = asyncio.create_task(self._call(caller))
        await let_others_run()

    async def _call(self, caller: str) -> None:
        async with self._turns.turn(caller[0]):
            self.let_in.append(caller)
            await self._ends[caller].wait()

    async def end(self, *callers: str) -> None:
        for caller in callers:
            self._ends[caller].set()
            await let_others_run()

    async def go_away(self, caller: str) -> None:
        self._tasks[caller].cancel()
        await let_others_run()


def test_turns_go_round_among_visitors() -> None:
    async def scene() -> list[str]:
        crowd = Crowd(Turns(of_one=2, in_all=3, waiting_of_one=9))
        await crowd.come("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        assert crowd.let_in == ["a1", "a2", "b1"]
        await crowd.end("a1", "a2", "b1", "a3", "b2")
        return crowd.let_in

    assert asyncio.run(scene()) == ["a1", "a2", "b1", "a3", "b2", "c1", "a4"]


def test_among_others_everybody_has_one_turn_at_a_time() -> None:
    async def scene() -> list[str]:
        crowd = Crowd(Turns(of_one=2, in_all=4, waiting_of_one=9, alone_seconds=0.3))
        await crowd.come("a1", "a2", "a3", "a4")
        assert crowd.let_in == ["a1", "a2"]
        await crowd.come("b1", "b2")
        assert crowd.let_in == ["a1", "a2", "b1"]
        await crowd.end("a1")
        assert crowd.let_in == ["a1", "a2", "b1"]
        await crowd.end("a2", "b1", "b2")
        assert crowd.let_in == ["a1", "a2", "b1", "a3", "b2"]
        await asyncio.sleep(0.4)
        await crowd.come("a5", "a6")
        return crowd.let_in

    assert asyncio.run(scene()) == ["a1", "a2", "b1", "a3", "b2", "a4"]


def test_who_goes_away_while_waiting_takes_no_turn() -> None:
    async def scene() -> list[str]:
        crowd = Crowd(Turns(of_one=1, in_all=1, waiting_of_one=9))
        await crowd.come("a1", "b1", "c1")
        await crowd.go_away("b1")
        await crowd.end("a1")
        await crowd.go_away("c1")
        await crowd.come("d1")
        return crowd.let_in

    assert asyncio.run(scene()) == ["a1", "c1", "d1"]


def test_only_so_many_of_one_wait() -> None:
    async def scene() -> None:
        turns = Turns(of_one=1, waiting_of_one=2)
        crowd = Crowd(turns)
        await crowd.come("a1", "a2", "a3", "b1")
        with pytest.raises(NoTurn):
            async with turns.turn("a"):
                pass

    asyncio.run(scene())


# What neither reads a picture nor draws one: whoever adds a function says here that it does not, or lets it take turns.
# A job reads in processes of its own, and takes turns for each of its batches.
CHEAP = {
    "accept_offer", "annotate", "ask_on", "ask_to_delete", "begin", "choose", "choose_checkpoint", "choose_drawing",
    "choose_task", "choose_format", "choose_source", "drop", "fail", "find", "halt", "job", "keep_job", "leave",
    "list_jobs", "pause", "poll", "preview", "rest", "stop", "take_found", "tasks", "teach", "turned_away", "wait",
}  # fmt: skip


def test_whatever_reads_or_draws_a_picture_takes_its_turn() -> None:
    functions = [one for one in build_app(ScriptedPredictor(), Settings(offline=True)).fns.values() if one.fn]
    waited_for = {queue["concurrency_id"] for queue in (COSTLY, MODEL_QUEUE)}
    in_turn = {one.name for one in functions if one.concurrency_id in waited_for}
    assert {one.name for one in functions} - in_turn == CHEAP
    assert not in_turn & CHEAP


class SlowReader(ScriptedPredictor):
    """Reads no picture until it is let go on."""

    def __init__(self) -> None:
        super().__init__(ANSWER)
        self.may_go_on = threading.Event()
        self.lock, self.now, self.most, self.begun = threading.Lock(), 0, 0, 0

    def read_image(self, source: Any, *, page: int = 0) -> Any:
        with self.lock:
            self.begun, self.now = self.begun + 1, self.now + 1
            self.most = max(self.most, self.now)
        self.may_go_on.wait(60)
        with self.lock:
            self.now -= 1
        return super().read_image(source, page=page)


@pytest.fixture
def reader() -> Iterator[SlowReader]:
    predictor = SlowReader()
    yield predictor
    predictor.may_go_on.set()


def until(condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it has not come so within 30 s")


def test_one_visitor_changes_two_pictures_at_once_and_another_one_is_let_in(reader: SlowReader, tmp_path: Path) -> None:
    settings = Settings(offline=True, trusted_proxies="127.0.0.1")
    with running(reader, settings, tmp_path) as url, ThreadPoolExecutor(20) as pool:
        http = Http(url)
        take = next(row for row in http.functions() if row["name"].startswith("take_picture"))
        picture = {"path": http.uploaded(PICTURE), "meta": {"_type": "gradio.FileData"}}
        data = [picture if part["type"] == "image" else part["props"].get("value") for part in take["inputs"]]

        def change(session: str, visitor: dict[str, str], seconds: float = 60) -> int:
            body = {"data": data, "fn_index": take["id"], "session_hash": session}
            call = f"{url}/gradio_api/run/predict"
            return httpx.post(call, json=body, headers=visitor, timeout=seconds).status_code

        with pytest.raises(httpx.TimeoutException):  # one that is taken, and gone
            change("gone", FIRST, 1)
        changes = [pool.submit(change, f"first{number}", FIRST) for number in range(6)]
        until(lambda: reader.begun == 2)
        with pytest.raises(httpx.TimeoutException):  # one that waits, and gone
            change("waiting", FIRST, 1)
        other = pool.submit(change, "second", SECOND)
        until(lambda: reader.begun == 3)
        reader.may_go_on.set()
        assert {one.result() for one in [*changes, other]} == {200}
        assert reader.begun == 8  # nobody read for who had gone away while waiting
        assert reader.most == 3
