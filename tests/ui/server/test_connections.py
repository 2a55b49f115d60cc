"""Connections on which nothing is asked, at a server that waits for a second instead of fifteen."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from playground.settings import Settings
from playground.ui.server import connections
from tests.live import Http, running
from tests.ui.doubles import ScriptedPredictor

HALF_SENT = b"GET /config HTTP/1.1\r\nHost: localhost\r\nX-Half: "
WHOLE = b"GET /gradio_api/app_id HTTP/1.1\r\nHost: localhost\r\n\r\n"
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    settings = Settings(offline=True, host="0.0.0.0", trusted_proxies="127.0.0.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "SECONDS_TO_ASK", 1.0)
        patch.setattr(connections, "MAX_FROM_ONE", 5)
        patch.setattr(connections, "MAX_CONNECTIONS", 20)
        with running(ScriptedPredictor(), settings, tmp_path_factory.mktemp("cache")) as url:
            yield Http(url)


@contextmanager
def connected(http: Http, *, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    address = ("127.0.0.1", httpx.URL(http.url).port or 80)
    with socket.create_connection(address, 30, (source, 0)) as connection:
        yield connection


def all_that_comes(connection: socket.socket) -> bytes:
    """What the server says until it closes the connection, for which a test that fails waits half a minute."""
    return b"".join(iter(lambda: connection.recv(100_000), b""))


@pytest.mark.parametrize("begun", [b"", b"G", HALF_SENT], ids=["nothing", "a letter", "half a header"])
def test_a_connection_that_asks_nothing_is_closed(http: Http, begun: bytes) -> None:
    with connected(http) as connection:
        connection.sendall(begun)
        assert all_that_comes(connection) == b""


@pytest.mark.parametrize("more", [b"", HALF_SENT])
def test_it_is_closed_so_after_an_answer_too(http: Http, more: bytes) -> None:
    with connected(http) as connection:
        connection.sendall(WHOLE + more)
        assert all_that_comes(connection).startswith(b"HTTP/1.1 200 ")


def is_let_go(connection: socket.socket) -> bool:
    """Whether the server has closed it; one with a byte on its way that nobody will read is reset."""
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_header_that_comes_bit_by_bit_does_not_hold_it(http: Http) -> None:
    with connected(http) as connection:
        connection.sendall(HALF_SENT)
        connection.settimeout(0.2)
        for _ in range(150):
            if is_let_go(connection):
                return
            with suppress(ConnectionError):
                connection.sendall(b"x")
    pytest.fail("it was held for half a minute")


def test_a_stream_stays_open_while_nothing_is_asked(http: Http) -> None:
    with connected(http) as connection:
        connection.sendall(b"GET /gradio_api/heartbeat/one HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(3)
        with pytest.raises(TimeoutError):
            all_that_comes(connection)


def test_one_address_has_so_many_and_another_one_is_let_in(http: Http) -> None:
    with ExitStack() as held:
        mine = [held.enter_context(connected(http, source=ELSEWHERE)) for _ in range(7)]
        assert [all_that_comes(one).partition(b"\r\n")[0] for one in mine[5:]] == [
            b"HTTP/1.1 503 Service Unavailable"
        ] * 2
        assert httpx.get(f"{http.url}/gradio_api/app_id").status_code == 200


def test_there_are_so_many_in_all(http: Http) -> None:
    with ExitStack() as held:
        of_a_proxy = [held.enter_context(connected(http)) for _ in range(21)]
        assert b"too many connections" in all_that_comes(of_a_proxy[-1])
    with connected(http) as connection:
        connection.sendall(WHOLE)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_what_is_no_request_writes_no_line_of_the_log(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    for nonsense in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"):
        with connected(http) as connection:
            connection.sendall(nonsense)
            assert connection.recv(1000)
    assert caplog.text == ""


def test_a_space_starts_so_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/playground")
    monkeypatch.setattr(connections, "SECONDS_TO_ASK", 1.0)
    with running(ScriptedPredictor(), Settings(offline=True, trusted_proxies="*"), tmp_path) as url:
        assert httpx.get(f"{url}/gradio_api/app_id").status_code == 200
        with connected(Http(url)) as connection:
            assert all_that_comes(connection) == b""
