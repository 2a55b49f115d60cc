"""Who holds how many places in the model's queue, asked over plain HTTP while an answer does not come."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import running

PICTURE = Path(__file__).resolve().parents[1] / "assets" / "examples" / "meadow.png"


@pytest.fixture
def held(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No run gives an answer while this lasts."""
    gone_on = threading.Event()
    answer = predictor.answer

    def wait(*arguments: Any) -> Any:
        gone_on.wait(20)
        yield from answer(*arguments)

    monkeypatch.setattr(predictor, "answer", wait)
    yield
    gone_on.set()


class Visitors:
    """Asks as many visitors do; gives the status of the answer to each question's being put."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/gradio_api", timeout=60)
        uploaded = self._http.post("/upload", files={"files": ("a.png", PICTURE.read_bytes())}).json()[0]
        self._data = [{"path": uploaded}, "<OD>", "", [], "", "greedy", 1024]
        config = httpx.get(f"{url}/config").json()
        self._run = next(row["id"] for row in config["dependencies"] if row["api_name"] == "run")

    def ask(self, session: str | None = None, **headers: str) -> int:
        body = {"data": self._data, "fn_index": self._run, "session_hash": session}
        return self._http.post("/queue/join", json=body, headers=headers).status_code

    def call(self, **headers: str) -> httpx.Response:
        return self._http.post("/call/run", json={"data": self._data}, headers=headers)


def visitors(predictor: Predictor, cache: Path, **settings: Any) -> Any:
    return running(predictor, Settings(checkpoint="tiny-florence2", offline=True, **settings), cache)


@pytest.mark.usefixtures("held")
def test_a_tab_holds_two_places_and_another_one_is_let_in(predictor: Predictor, tmp_path: Path) -> None:
    with visitors(predictor, tmp_path) as url:
        asking = Visitors(url)
        assert [asking.ask("one") for _ in range(4)] == [200, 200, 503, 503]
        assert asking.ask("two") == 200
        assert [asking.call().status_code for _ in range(3)] == [200, 200, 200]  # nobody is named


@pytest.mark.usefixtures("held")
def test_where_a_proxy_names_it_an_address_holds_two_places(predictor: Predictor, tmp_path: Path) -> None:
    with visitors(predictor, tmp_path, forwarded_header="X-Forwarded-For") as url:
        asking = Visitors(url)
        first = {"X-Forwarded-For": "203.0.113.9"}
        claimed = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}  # the first one is the visitor's own word
        assert asking.call(**first).status_code == 200
        assert asking.ask("one", **claimed) == 200
        refused = asking.call(**first)
        assert refused.status_code == 503
        assert refused.json()["detail"].startswith("You have 2 questions in the queue already.")
        assert asking.ask("two", **claimed) == 503
        assert asking.call(**{"X-Forwarded-For": "203.0.113.10"}).status_code == 200


def test_an_answer_gives_the_place_back(predictor: Predictor, tmp_path: Path) -> None:
    with visitors(predictor, tmp_path, places_per_visitor=1, forwarded_header="X-Forwarded-For") as url:
        asking = Visitors(url)
        address = {"X-Forwarded-For": "203.0.113.9"}
        for _ in range(3):
            event = asking.call(**address).json()["event_id"]
            assert "event: complete" in httpx.get(f"{url}/gradio_api/call/run/{event}", timeout=60).text
