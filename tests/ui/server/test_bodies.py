"""How much may be sent: by route, in parts, by one visitor and by all, asked of a server behind a proxy."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from playground.settings import Settings
from playground.ui.server.bodies import MAX_BYTES_AT_ONCE, MAX_BYTES_OF_ONE, MAX_CALL_BYTES, Bodies, Refused
from playground.ui.server.multipart_limits import MAX_FIELDS, MAX_FILES, NotAnUpload, PartsGuard
from tests.live import Http, running
from tests.ui.doubles import ScriptedPredictor

FIRST, SECOND = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.10"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    settings = Settings(offline=True, trusted_proxies="127.0.0.1")
    with running(ScriptedPredictor(), settings, tmp_path_factory.mktemp("cache")) as url:
        yield Http(url)


def parts(name: str, content: bytes, count: int) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.replace("'", '"').encode()
    return (head + content + b"\r\n") * count + b"--x--\r\n"


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        pytest.param(parts("t", b"a" * 60_000, 900), "A field that is no file takes at most", id="large fields"),
        pytest.param(parts("t", b"a", 900), f"An upload takes at most {MAX_FIELDS} fields", id="many fields"),
        pytest.param(parts("files'; filename='a.png", b".", 990), f"at most {MAX_FILES} files", id="many files"),
        pytest.param(parts("files", b"cat.jpg", 1), "Send curl -F files=@FILE.", id="the name of a file"),
        pytest.param(parts("f'; filename='a.png", b".", 1), "Send curl -F files=@FILE.", id="another name"),
        pytest.param(b"no form at all", "The upload is not valid multipart/form-data", id="no form"),
    ],
)
def test_an_upload_is_a_few_files(http: Http, form: bytes, sentence: str) -> None:
    answer = httpx.post(f"{http.url}/gradio_api/upload", content=form, headers=FORM, timeout=60)
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    few = httpx.post(f"{http.url}/gradio_api/upload", content=parts("files'; filename='a.png", b".", 3), headers=FORM)
    assert (few.status_code, len(few.json())) == (200, 3)


def test_what_is_no_form_is_no_upload(http: Http) -> None:
    answer = httpx.post(f"{http.url}/gradio_api/upload", content=b"{}", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"][:33]) == (415, "An upload must be multipart/form-")


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_parts_are_counted_however_the_form_comes_in_pieces(size: int) -> None:
    form = parts("files'; filename='a.png", b"." * 50, MAX_FILES + 1)
    guard = PartsGuard(FORM["Content-Type"])

    def read_all() -> None:
        for start in range(0, len(form), size):
            guard.read(form[start : start + size])

    with pytest.raises(NotAnUpload, match="Send the others in another one"):
        read_all()


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/call/tasks", MAX_CALL_BYTES - 1000, 200),
        ("/call/tasks", MAX_CALL_BYTES + 1000, 413),
        ("/queue/join", MAX_CALL_BYTES + 1000, 413),
        ("/run/tasks", MAX_CALL_BYTES + 1000, 413),
        ("/cancel", 11_000, 413),
        ("/reset", 11_000, 413),
    ],
)
def test_json_is_as_long_as_its_route_needs(http: Http, path: str, size: int, status: int) -> None:
    content = json.dumps({"data": [], "more": "x" * size}).encode()
    headers = {"Content-Type": "application/json", **FIRST}
    answer = httpx.post(f"{http.url}/gradio_api{path}", content=content, headers=headers, timeout=60)
    assert answer.status_code == status
    assert status == 200 or "bytes; " in answer.json()["detail"]


def test_bodies_share_the_memory_of_all_and_of_one_visitor() -> None:
    bodies = Bodies(Settings())
    with ExitStack() as held:
        for visitor in ("203.0.113.9", "203.0.113.10"):
            take = held.enter_context(bodies.of(visitor))
            take(MAX_BYTES_OF_ONE)
            with pytest.raises(Refused, match="has no room"):
                take(1)
        assert 2 * MAX_BYTES_OF_ONE == MAX_BYTES_AT_ONCE
        with pytest.raises(Refused, match="has no room"):
            held.enter_context(bodies.of("203.0.113.11"))(1)
    with bodies.of("203.0.113.9") as take:  # what ended has given it back
        take(MAX_BYTES_OF_ONE)


def test_large_bodies_of_one_visitor_keep_no_small_one_out(http: Http) -> None:
    address = (httpx.URL(http.url).host, httpx.URL(http.url).port or 80)
    large = b'{"data": [], "more": "' + b"x" * 23_000_000
    head = f"POST /gradio_api/call/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(large) + 2}\r\n"
    with ExitStack() as held:
        connections = [held.enter_context(socket.create_connection(address, 30)) for _ in range(3)]
        for connection in connections:  # each stays two bytes short of its end
            connection.sendall(f"{head}X-Forwarded-For: 203.0.113.9\r\n\r\n".encode() + large)
        answered, _, _ = select.select(connections, [], [], 20)
        assert [connection.recv(15) for connection in answered] == [b"HTTP/1.1 503 Se"]
        for visitor in (FIRST, SECOND):
            answer = httpx.post(f"{http.url}/gradio_api/call/tasks", json={"data": []}, headers=visitor, timeout=60)
            assert answer.status_code == 200
        large_one = {"data": [], "more": "x" * 20_000_000}
        answer = httpx.post(f"{http.url}/gradio_api/call/tasks", json=large_one, headers=SECOND, timeout=60)
        assert answer.status_code == 200
