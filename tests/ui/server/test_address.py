"""Where to listen: the next free port, and one sentence for what cannot be."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from playground.errors import SettingsInvalid
from playground.settings import Settings, is_this_machine
from playground.ui import pages
from playground.ui.server.address import address_to_listen_on, url_of
from tests.ui.doubles import ScriptedPredictor


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_is_taken_is_refused_or_passed_over(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match=f"Port {taken} is taken by another program. Name another with --port"):
        address_to_listen_on("", taken)
    monkeypatch.setattr("playground.ui.server.address.FIRST_PORT", taken)
    host, port = address_to_listen_on("", 0)
    assert (host, port > taken) == ("127.0.0.1", True)
    monkeypatch.setattr("playground.ui.server.address._NUM_PORTS", 1)
    with pytest.raises(SettingsInvalid, match="are all taken"):
        address_to_listen_on("", 0)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        pytest.param("", 80000, "--port must be at most 65535, but got 80000", id="port"),
        pytest.param("no.such.host.invalid", 0, "--host no.such.host.invalid is not known", id="unknown host"),
        pytest.param("a" * 70 + ".b", 0, "is not known on this machine", id="no host name"),
        pytest.param("192.0.2.1", 0, "--host 192.0.2.1 is no address of this machine", id="another machine's"),
    ],
)
def test_what_cannot_be_listened_on_is_one_sentence(host: str, port: int, sentence: str) -> None:
    with pytest.raises(SettingsInvalid, match=sentence):
        address_to_listen_on(host, port)


@pytest.mark.parametrize(
    ("host", "listens", "opens", "is_own"),
    [
        pytest.param("", "127.0.0.1", "http://127.0.0.1:", True, id="nothing said"),
        pytest.param("localhost", "localhost", "http://localhost:", True, id="localhost"),
        pytest.param("0.0.0.0", "0.0.0.0", "http://127.0.0.1:", False, id="everywhere"),
        pytest.param("::", "[::]", "http://[::1]:", False, id="everywhere, version 6"),
        pytest.param("[::1]", "[::1]", "http://[::1]:", True, id="this machine, version 6"),
    ],
)
def test_a_host_is_listened_on_and_opened(host: str, listens: str, opens: str, is_own: bool) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("This machine has no IPv6.")
    found, port = address_to_listen_on(host, 0)
    assert (found, url_of(found, port), is_this_machine(host)) == (listens, f"{opens}{port}", is_own)


def test_a_port_that_is_taken_while_the_program_starts_gives_way_unless_it_was_named(
    taken: int, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "keep_the_log_quiet", lambda: None)  # for the whole process, as the next one
    monkeypatch.setattr(sys, "setswitchinterval", lambda _: None)
    settings = Settings(host="127.0.0.1", port=taken, offline=True)
    app = pages.build_app(ScriptedPredictor(), settings)
    with pytest.raises(SettingsInvalid, match=r"could not be served at .* Try another --port"):
        pages.serving(app, settings).__enter__()
    with pages.serving(app, settings, is_port_named=False) as url:
        assert not url.endswith(f":{taken}")
        assert httpx.get(url).status_code == 200
