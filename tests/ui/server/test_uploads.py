"""Uploads at a server with little room: what is kept of them, and the sentence where they do not fit."""

import errno
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from playground.settings import Settings
from playground.ui.server.disk import DISK_FULL
from tests.live import Http, running
from tests.ui.doubles import ANSWER, ScriptedPredictor
from tests.ui.examples import BEACH

HALF_A_MEGABYTE = 500_000


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="module")
def http(room: Path) -> Iterator[Http]:
    """A server with two megabytes, of which a visitor may have the half."""
    settings = Settings(offline=True, disk_megabytes=2, visitor_disk_share=0.5)
    with running(ScriptedPredictor(ANSWER), settings, room) as url:
        yield Http(url)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def send(http: Http, **files: Any) -> httpx.Response:
    return httpx.post(f"{http.url}/gradio_api/upload", files=files, timeout=60)


def test_what_is_no_file_of_the_page_or_is_broken_off_leaves_nothing(http: Http, room: Path) -> None:
    kept = names(room)  # the page's own
    assert send(http, other=("other.png", b"stray")).status_code == 422
    host, _, port = http.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf of it'
        )
        time.sleep(0.5)
    deadline = time.monotonic() + 30
    while names(room) != kept and time.monotonic() < deadline:
        time.sleep(0.1)
    assert names(room) == kept


def test_a_full_disk_is_a_sentence_and_leaves_nothing(http: Http, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = names(room)
    for step in ("write", "seek"):  # on the way, and with the last bytes
        with monkeypatch.context() as patch:
            patch.setattr(f"gradio.route_utils.GradioUploadFile.{step}", fail)
            answer = http.upload("a.png", b"a" * HALF_A_MEGABYTE)
            assert (answer.status_code, answer.text, names(room)) == (507, DISK_FULL, kept)
    picture = http.uploaded(BEACH)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    answer = http.upload("a.png", b"a" * 1000)
    assert (answer.status_code, answer.text) == (507, DISK_FULL)
    event, said = http.call("run", {"path": picture}, "<OD>")
    assert (event, said["error"]) == ("error", DISK_FULL)
    event, said = http.call("export", {"path": picture}, ANSWER.to_dict() | {"resolution_wh": [900, 900]}, "json")
    assert (event, said["error"]) == ("error", DISK_FULL)


def test_a_visitor_who_takes_too_much_is_told_so(http: Http) -> None:
    for _ in range(3):
        answer = http.upload("a.png", b"a" * HALF_A_MEGABYTE)
    assert answer.status_code == 507
    assert answer.text.startswith("Your pictures and files take all the room that one visitor may have here.")
