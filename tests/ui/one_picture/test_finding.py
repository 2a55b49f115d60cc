"""The search for checkpoints on the hub: what the page shows of it, and who may use it."""

import threading
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.datastructures import Headers

from playground.checkpoints.search import Found
from playground.errors import CheckpointUnavailable
from playground.pool import Pool, Steps
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui.one_picture.finding import Finder
from playground.ui.one_picture.handlers import Handlers
from tests.ui.one_picture.tab import Tab

GOOD = Found("me/tune", "<b>mit</b>", "2024-11-04", 540_000_000)
BAD = Found("me/pickle", why_not="me/pickle has pickles. Turn them into safetensors.")
REFUSED = "This playground loads nothing from the hub that it was not started with."
HERE = gr.Request(session_hash="ann", headers=Headers())


def finder_of(*rows: Found, **settings: Any) -> Finder:
    made = Settings(**settings)
    return Finder(Pool(made), made, find=lambda _name: rows)


def test_what_will_load_is_a_choice_and_of_the_rest_it_is_said_why_not() -> None:
    looking, shown = finder_of(GOOD, BAD).find("tune", HERE)
    assert looking["found_lines"] == [{"text": "Looking at the hub…", "tone": "busy"}]
    assert shown["found"]["choices"] == [("me/tune · 0.54 GB · <b>mit</b> · changed 2024-11-04", "me/tune")]
    assert shown["found_lines"] == [
        {"text": "me/pickle has pickles.", "tone": "warning", "details": "Turn them into safetensors."}
    ]
    *_, nothing = finder_of().find("tune", HERE)
    assert (nothing["found"]["visible"], nothing["found_lines"][0]["text"]) == (
        False, "The hub has no Florence-2 of the name tune.",
    )  # fmt: skip


def test_a_search_that_fails_is_a_sentence() -> None:
    def fail(_name: str) -> Any:
        raise CheckpointUnavailable("The hub does not answer.")

    *_, shown = Finder(Pool(Settings()), Settings(), find=fail).find("tune", HERE)
    assert shown["found_lines"] == [{"text": "The hub does not answer.", "tone": "error"}]


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        pytest.param({"host": "0.0.0.0"}, {}, id="others can connect"),
        pytest.param({"trusted_proxies": "10.0.0.1"}, {}, id="behind a proxy"),
        pytest.param({"space_host": "me.hf.space"}, {}, id="a Space"),
        pytest.param({"on_zero_gpu": True}, {}, id="ZeroGPU"),
        pytest.param({"offline": True}, {}, id="offline"),
        pytest.param({"hub_search": False}, {}, id="switched off"),
        pytest.param({}, {"x-forwarded-for": "192.0.2.1"}, id="passed on by a proxy"),
    ],
)
def test_only_the_one_user_of_a_page_may_search_and_take(settings: dict[str, Any], headers: dict[str, str]) -> None:
    finder, request = finder_of(GOOD, **settings), gr.Request(session_hash="ann", headers=Headers(headers))
    assert [update["found_lines"][0]["text"] for update in finder.find("tune", request)] == [REFUSED]
    with pytest.raises(CheckpointUnavailable, match=REFUSED):
        finder.take("me/tune", request)


def test_what_is_chosen_is_asked_for_and_listed() -> None:
    is_seen = threading.Event()

    def download(*_: Any) -> Path:
        is_seen.wait(60)
        raise CheckpointUnavailable("There is no hub.")

    pool = Pool(Settings(), steps=Steps(find_local=lambda _checkpoint: None, download=download))
    tab = Tab(Predictor(pool), Handlers(Predictor(pool), Settings()))
    shown = tab.call(tab.handlers.take_found, found="me/tune")
    assert shown["checkpoint"]["value"] == "me/tune"
    assert ("me/tune", "me/tune") in shown["checkpoint"]["choices"]
    assert "me/tune" in shown["status"][0]["text"]
    again = tab.beside("after a reload")
    assert ("me/tune", "me/tune") in again.call(again.handlers.open)["checkpoint"]["choices"]
    with pytest.raises(gr.Error, match="is not a checkpoint"):
        tab.call(tab.handlers.take_found, found="/etc")
    is_seen.set()
    pool.close()
