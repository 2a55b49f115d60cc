"""The headers of what the server answers, over plain HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from playground.settings import Settings
from playground.ui.server.headers import headers
from tests.live import Http, running
from tests.ui.doubles import ScriptedPredictor


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    with running(ScriptedPredictor(), Settings(offline=True), tmp_path_factory.mktemp("cache")) as url:
        yield Http(url)


@pytest.mark.parametrize("path", ["/", "/config", "/theme.css", "/gradio_api/info", "/gradio_api/file=/etc/passwd"])
def test_every_answer_has_them(http: Http, path: str) -> None:
    answer = httpx.get(http.url + path)
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy["connect-src"].split()[0] == "'self'"
    assert "http" not in "".join(value for name, value in policy.items() if name != "frame-ancestors")
    assert policy["frame-ancestors"] == "'self' https://huggingface.co https://*.hf.space"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "microphone=()" in answer.headers["permissions-policy"]
    assert "x-frame-options" not in answer.headers  # it knows no list, and a Space is shown in a frame


def test_a_host_can_let_other_sites_show_the_page() -> None:
    assert "frame-ancestors 'self' https://example.org" in headers(Settings(frame_ancestors="https://example.org"))[
        "Content-Security-Policy"
    ]  # fmt: skip
    assert headers(Settings(frame_ancestors=""))["Content-Security-Policy"].endswith("frame-ancestors 'self'")
