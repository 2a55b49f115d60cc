"""Who holds how many places in the model's queue, asked over plain HTTP while an answer does not come."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from playground import paths
from playground.settings import Settings
from tests.live import Http, running
from tests.ui.doubles import ANSWER, ScriptedPredictor

PICTURE = paths.EXAMPLES / "meadow.png"
FIRST, SECOND = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.10"}
FIRST_CLAIMS = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}  # what stands in front is the visitor's own word


class HeldPredictor(ScriptedPredictor):
    """Gives no answer until it is let go on."""

    def __init__(self) -> None:
        super().__init__(ANSWER)
        self.may_go_on = threading.Event()

    def _say(self, *asked: Any) -> Any:
        self.may_go_on.wait()
        yield from super()._say(*asked)


class Visitors:
    """Asks as many visitors do."""

    def __init__(self, url: str) -> None:
        http = Http(url)
        self._run = next(row["id"] for row in http.functions() if row["name"] == "run")
        self._data = [{"path": http.uploaded(PICTURE)}, "<OD>", "", [], "", "greedy", None, None]
        self._http = httpx.Client(base_url=f"{url}/gradio_api", timeout=60)

    def ask(self, session: str, **headers: str) -> int:
        """Ask as a tab does; returns the status of the answer to the question's being put."""
        body = {"data": self._data, "fn_index": self._run, "session_hash": session}
        return self._http.post("/queue/join", json=body, headers=headers).status_code

    def call(self, **headers: str) -> httpx.Response:
        """Ask as a program does, with a new session each time."""
        return self._http.post("/call/run", json={"data": self._data}, headers=headers)

    def answer(self, called: httpx.Response) -> str:
        return self._http.get(f"/call/run/{called.json()['event_id']}").text


@contextmanager
def visitors(predictor: ScriptedPredictor, cache: Path, **settings: Any) -> Iterator[Visitors]:
    with running(predictor, Settings(offline=True, **settings), cache) as url:
        yield Visitors(url)


@contextmanager
def nobody_answered(cache: Path, **settings: Any) -> Iterator[Visitors]:
    """Visitors of a server whose answers do not come while this lasts."""
    predictor = HeldPredictor()
    with visitors(predictor, cache, **settings) as asking:
        try:
            yield asking
        finally:
            predictor.may_go_on.set()


def test_a_tab_holds_two_places_and_another_one_is_let_in(tmp_path: Path) -> None:
    with nobody_answered(tmp_path) as asking:
        assert [asking.ask("one") for _ in range(4)] == [200, 200, 429, 429]
        assert asking.ask("two") == 200
        assert [asking.call().status_code for _ in range(3)] == [200, 200, 200]  # nobody is named


def test_where_a_proxy_names_it_an_address_holds_two_places(tmp_path: Path) -> None:
    with nobody_answered(tmp_path, trusted_proxies="127.0.0.1") as asking:
        assert asking.call(**FIRST).status_code == 200
        assert asking.ask("one", **FIRST_CLAIMS) == 200
        refused = asking.call(**FIRST)
        assert refused.status_code == 429
        assert refused.json()["detail"].startswith("You have 2 questions in the queue already.")
        assert asking.ask("two", **FIRST_CLAIMS) == 429
        assert asking.call(**SECOND).status_code == 200


def test_an_answer_gives_the_place_back(tmp_path: Path) -> None:
    settings = {"places_per_visitor": 1, "trusted_proxies": "127.0.0.1"}
    with visitors(ScriptedPredictor(ANSWER), tmp_path, **settings) as asking:
        for _ in range(3):
            assert "event: complete" in asking.answer(asking.call(**FIRST))
