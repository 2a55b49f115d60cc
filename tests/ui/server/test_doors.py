"""The way in: what is refused before Gradio sees it, tried with requests at a running server and on pure values."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from playground.errors import SettingsInvalid
from playground.settings import Settings
from playground.ui.pages import launch_options
from playground.ui.server.json_limits import (
    MAX_DEPTH,
    MAX_ITEMS,
    problem_of,
    with_relative_addresses,
    with_whole_characters,
)
from playground.ui.server.routes import route_of
from playground.ui.server.visitors import Proxies
from tests.live import Http, running
from tests.ui.doubles import ScriptedPredictor

FAR = "http://198.51.100.7/picture.png"  # TEST-NET-2: nobody is there
OWN = frozenset({"127.0.0.1:7860"})


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    with running(ScriptedPredictor(), Settings(offline=True), tmp_path_factory.mktemp("cache")) as url:
        yield Http(url)


@pytest.fixture
def contacted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whom this process looks up or connects to, besides itself."""
    seen: list[Any] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def connect_and_note(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            seen.append(address)
            raise OSError("nobody is contacted in this test")
        connect(self, address)

    def resolve_and_note(host: Any, *rest: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "::1", "localhost", None):
            seen.append(host)
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", connect_and_note)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_and_note)
    return seen


@pytest.mark.parametrize(
    "path",
    [
        f"/gradio_api/file={FAR}",
        "/gradio_api/file=HTTP://198.51.100.7/x",
        "/gradio_api/file=//198.51.100.7/x",
        f"/gradio_api/proxy={FAR}",
        "/gradio_api/deep_link",
        "/gradio_api/runs",
        "/gradio_api/vibe-code",
        "/gradio_api/dev/reload",
        "/monitoring",
        "/gradio_api/stream/a/1/2/playlist.m3u8",
        "/gradio_api/custom_component/1/client/component/../../x",
        "/docs",
        "/gradio_api/openapi.json",
        "/gradio_api/user",
        "/gradio_api/login_check",
        "/gradio_api/queue/status",
        "/gradio_api/api/run",
        "/gradio_api/component_server",
        "/gradio_api/mcp/sse",
        "/gradio_api/mcp/messages/",
    ],
)
def test_what_nobody_needs_is_not_served(http: Http, contacted: list[Any], path: str) -> None:
    answer = httpx.get(http.url + path)
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("There is nothing here.")
    assert contacted == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_route_answers_to_its_own_methods(http: Http, method: str) -> None:
    assert httpx.request(method, f"{http.url}/config").status_code == 405


FILES = [
    {"path": FAR, "meta": {"_type": "gradio.FileData"}},
    {"path": " HTTPS://198.51.100.7/x.png", "meta": {"_type": "gradio.FileData"}},
    {"path": "//198.51.100.7/x.png"},
    {"path": "ftp://198.51.100.7/x.png"},
    {"path": "file:///etc/passwd"},
    {"Path": FAR},
    {"path": "/a/x.png", "url": FAR},
    {"url": "http://198.51.100.7/gradio_api/file=x.png"},
]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_an_address_in_any_value_of_any_call_is_refused_before_anybody_is_contacted(
    http: Http, contacted: list[Any], file: dict[str, Any]
) -> None:
    data = [file, "<OD>", [{"deep": [file]}]]
    for path in ("/call/run", "/run/run", "/queue/join", "/call/v2/run", "/mcp/"):
        answer = http.post(path, {"data": data, "fn_index": 0, "session_hash": "one"})
        assert answer.status_code == 422, path
        assert answer.json()["detail"].startswith("No picture is fetched from an address.")
    assert contacted == []


@pytest.mark.parametrize(
    ("sent", "read"),
    [(r"\ud83d", "�"), (r"\ude00\ud83dx", "��x"), (r"\ud83d\ude00", "😀"), (r"\\ud83d", r"\ud83d")],
)
def test_half_a_character_can_be_written_with_what_quotes_it(http: Http, sent: str, read: str) -> None:
    body = with_whole_characters(b'"%s\xed\xa0\xbd"' % sent.encode())
    assert json.loads(body) == read + "�"
    labels = [(row, [part["props"].get("label") for part in row["inputs"]]) for row in http.functions()]
    run = next(row for row, named in labels if "What is asked?" in named)
    told = http.forge(run, "dropdown", json.loads(f'"{sent}"'))  # raises where the answer breaks off
    assert "Something is wrong" not in str(told)


@pytest.mark.parametrize("stream", ["call/run/nobody", "call/v2/run/nobody", "queue/data?session_hash=nobody"])
def test_who_asks_for_an_answer_that_nobody_writes_is_told_so_and_the_log_stays_quiet(
    http: Http, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = httpx.get(f"{http.url}/gradio_api/{stream}", timeout=20)  # an answer that breaks off would raise
    assert "404: Not Found" in answer.text
    assert not caplog.records


def test_a_call_of_nothing_and_no_call_at_all_are_answered_with_a_sentence(http: Http) -> None:
    for path, number in (("/call/nope", None), ("/call/v2/nope", None), ("/run/nope", None), ("/queue/join", 9999)):
        answer = http.post(path, {"data": [], "fn_index": number, "session_hash": "one"})
        assert (answer.status_code, answer.json()["detail"]) == (
            404, "There is no endpoint of this name or number. /gradio_api/info lists them."
        ), path  # fmt: skip
    for body in ({"x": 1}, {"data": "abc"}, [1]):
        answer = http.post("/call/run", body)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("A call is a JSON object with its values in a list"), body
    for named, said in (({"picture": 1}, "`picture` is not a valid key-word"), ({}, "required argument: image.")):
        answer = http.post("/call/v2/run", named)
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        pytest.param(
            b'{"data": [{"url": "http://127.0.0.1:7860/gradio_api/file=/a/b.png"}]}', True, id="a file of ours"
        ),
        pytest.param(b'{"data": [{"path": "C:\\\\pictures\\\\x.png"}]}', True, id="a drive"),
        pytest.param(b'{"data": ["see http://example.org, [[[["]}', True, id="words"),
        pytest.param(b'{"data": [{"url": "data:image/png;base64,AAAA"}]}', True, id="the picture itself"),
        pytest.param(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, True, id="deep"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), False, id="too deep"),
        pytest.param(b'["\\"", ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"]", False, id="too deep behind a quote"),
        pytest.param(b"[" + b"1," * MAX_ITEMS + b"1]", False, id="too many"),
        pytest.param(b"{", False, id="no JSON"),
        pytest.param(b'{"session_hash": "a b"}', False, id="a name with a space"),
        pytest.param(json.dumps({"session_hash": "x" * 65}).encode(), False, id="a long name"),
        pytest.param(b'{"session_hash": ["x"]}', False, id="a list as name"),
        pytest.param(b'{"data": [{"path": "\\u0068ttp://198.51.100.7/"}]}', False, id="an address with an escape"),
        pytest.param(b'{"data": [{"path": "http:\\/\\/198.51.100.7"}]}', False, id="escaped slashes"),
    ],
)
def test_what_a_body_may_be(body: bytes, is_fine: bool) -> None:
    assert (problem_of(body, OWN) == "") is is_fine


def test_what_the_page_sends_back_has_no_host() -> None:
    seen = b'[{"path": "/a/b.png", "url": "https://demo.example.org/sub/gradio_api/file=/a/b.png"}]'
    assert with_relative_addresses(seen) == b'[{"path": "/a/b.png", "url": "./gradio_api/file=/a/b.png"}]'
    for other in (b'[{"url": "https://demo.example.org/b.png"}]', b'["\\"url\\": \\"http://x/gradio_api/file=/a\\""]'):
        assert with_relative_addresses(other) == other


def test_a_flood_of_brackets_costs_no_time(http: Http) -> None:
    flood = b'{"data": [' + b"[]," * 6_000_000 + b"[]]}"
    began = time.monotonic()
    answer = httpx.post(f"{http.url}/gradio_api/call/run", content=flood, timeout=60)
    assert answer.status_code == 422
    assert "too many items" in answer.text
    assert time.monotonic() - began < 10


def test_lengths_are_bounded(http: Http) -> None:
    assert httpx.get(f"{http.url}/config", headers={"X-Long": "x" * 20_000}).status_code == 431
    assert httpx.get(f"{http.url}/config?x={'x' * 3000}").status_code == 414
    assert httpx.get(f"{http.url}/gradio_api/queue/data?session_hash={'x' * 65}").status_code == 400
    assert httpx.get(f"{http.url}/gradio_api/heartbeat/{'x' * 65}").status_code == 404
    with socket.create_connection(httpx.URL(http.url).netloc.decode().split(":")) as claiming:  # type: ignore[arg-type]
        claiming.sendall(b"POST /gradio_api/call/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
        assert b" 413 " in claiming.recv(100)


def test_a_name_given_by_a_visitor_poisons_nothing(http: Http) -> None:
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Gradio-Server": "http://evil.example",
    }
    for path in ("/", "/config", "/gradio_api/info"):
        assert "evil.example" not in httpx.get(http.url + path, headers=forged).text
        assert "evil.example" not in httpx.get(http.url + path).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost:1"}, 200),
    ],
)
def test_a_foreign_name_of_this_server_is_refused(http: Http, headers: dict[str, str], status: int) -> None:
    assert httpx.get(f"{http.url}/config", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        pytest.param({}, True, id="a program"),
        pytest.param({"Origin": "https://evil.example"}, False, id="another site"),
        pytest.param({"Origin": "null"}, False, id="a site without a name"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, False, id="another port"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, False, id="another site, as the browser says"),
        pytest.param({"Sec-Fetch-Site": "same-site", "Origin": "https://x.evil.example"}, False, id="a neighbour"),
        pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": "https://public.example"}, True, id="behind a proxy"),
    ],
)
def test_pages_of_other_sites_send_nothing(http: Http, headers: dict[str, str], is_let_in: bool) -> None:
    for path, content in (("/upload", {"files": {"files": ("x.txt", b"x")}}), ("/call/tasks", {"json": {"data": []}})):
        answer = httpx.post(f"{http.url}/gradio_api{path}", headers=headers, **content)  # type: ignore[arg-type]
        assert (answer.status_code == 200) is is_let_in, answer.text


@pytest.mark.parametrize(
    ("trusted", "peer", "lines", "visitor"),
    [
        pytest.param("", "203.0.113.9", ["1.1.1.1"], "203.0.113.9", id="no proxy is named"),
        pytest.param("10.0.0.0/8", "203.0.113.9", ["1.1.1.1"], "203.0.113.9", id="not that one"),
        pytest.param("10.0.0.0/8", "10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1", id="what it wrote is last"),
        pytest.param("10.0.0.0/8", "10.0.0.1", ["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1", id="two of them"),
        pytest.param("10.0.0.0/8", "10.0.0.1", ["6.6.6.6", "1.1.1.1:80 , "], "1.1.1.1", id="lines, port, nothing"),
        pytest.param("10.0.0.0/8", "10.0.0.1", [], "10.0.0.1", id="it wrote nothing"),
        pytest.param("*", "10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1", id="whoever it is"),
        pytest.param("::1", "::1", ["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::", id="the part that is one's own"),
        pytest.param("", "::ffff:203.0.113.9", [], "203.0.113.9", id="one address, two ways to write it"),
    ],
)
def test_who_a_visitor_is(trusted: str, peer: str, lines: list[str], visitor: str) -> None:
    assert Proxies(Settings(trusted_proxies=trusted)).visitor(peer, lines) == visitor


def test_a_trusted_proxy_names_the_public_address(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(offline=True, trusted_proxies="127.0.0.1", allowed_hosts="demo.example.org")
    with running(ScriptedPredictor(), settings, tmp_path_factory.mktemp("cache")) as url:
        headers = {"X-Forwarded-Host": "demo.example.org", "X-Forwarded-Proto": "https"}
        assert "https://demo.example.org" in httpx.get(f"{url}/config", headers=headers).text
        assert httpx.get(f"{url}/config", headers={"X-Forwarded-Host": "evil.example"}).status_code == 421
        page = httpx.get(url, headers=headers).text
        assert '"root":"."' in page
        assert "demo.example.org" not in page


def test_a_name_of_this_server_counts_in_any_case(http: Http) -> None:
    own = {"url": "http://LOCALHOST:1/gradio_api/file=/a.png"}
    answer = httpx.post(
        f"{http.url}/gradio_api/call/tasks", headers={"Host": "LocalHost:1"}, json={"data": [], "x": own}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("proxies", ["nginx", "10.0.0.0/33", "127.0.0.1 10.0.0.1"])
def test_a_proxy_that_cannot_be_is_said_at_the_start(proxies: str) -> None:
    with pytest.raises(SettingsInvalid, match="PLAYGROUND_TRUSTED_PROXIES must be addresses or networks"):
        launch_options(Settings(trusted_proxies=proxies))


@pytest.mark.parametrize("host", ["https://demo.example.org", "demo.example.org/app", "demo.example.org:443", "a b"])
def test_a_name_of_the_server_that_is_none_is_said_at_the_start(host: str) -> None:
    with pytest.raises(SettingsInvalid, match="PLAYGROUND_ALLOWED_HOSTS must be names alone"):
        launch_options(Settings(allowed_hosts=f"localhost, {host}"))


def test_a_proxy_that_nobody_named_is_told_of_once(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(ScriptedPredictor(), Settings(offline=True), tmp_path_factory.mktemp("cache")) as url:
        for _ in range(2):
            httpx.get(f"{url}/config", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=30)
    assert capsys.readouterr().out.count("a proxy at 127.0.0.1 names its visitors") == 1


def test_no_address_is_taken_from_a_header_of_whoever_is_on_this_machine(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers: list[str] = []
    monkeypatch.setattr(Proxies, "are_trusted", lambda self, peer: bool(peers.append(peer)))
    httpx.get(f"{http.url}/config", headers={"X-Forwarded-For": "203.0.113.9"})
    assert set(peers) == {"127.0.0.1"}


def test_every_route_of_the_page_is_one(http: Http) -> None:
    page = httpx.get(http.url).text
    sources = {part.split('"')[0] for mark in ('src="', 'href="') for part in page.split(mark)[1:]}
    local = [source.removeprefix(".") for source in sources if source.startswith("./")]
    assert local
    assert all(route_of(path.split("?")[0]) for path in local)


def test_every_page_is_let_in_with_addresses_relative_to_its_own(http: Http) -> None:
    paths = [path for path, *_ in httpx.get(f"{http.url}/config").json()["pages"]]
    assert paths == ["", "compare", "many", "measure", "live", "widget", "teach"]
    for path in paths:
        page = httpx.get(f"{http.url}/{path}", headers={"X-Gradio-Server": "http://elsewhere.example.org"}).text
        config = json.loads(page.partition("window.gradio_config = ")[2].partition(";</script>")[0])
        assert (config["root"], config["current_page"]) == (".", path)
        assert len(config["components"]) < 150  # its own only
