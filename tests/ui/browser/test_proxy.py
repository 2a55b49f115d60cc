"""The page behind a proxy that says nothing of itself, in a browser that reaches it by another name."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.proxy import proxy
from tests.ui.browser.actions import give_file, rows, run
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser

SHOWN = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
SEND = """(address) => fetch(address, {
  method: 'POST', headers: {'X-Gradio-User': 'app', 'Content-Type': 'application/json'}, body: '{"data": []}',
}).then((response) => response.status, () => 'blocked')"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    ("scheme", "path"),
    [
        pytest.param("http", "", id="its own name"),
        pytest.param("https", "/tools/florence", id="TLS and a sub-path"),
    ],
)
def test_the_page_works_behind_a_proxy_that_sends_no_header(page: Page, address: str, scheme: str, path: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    with proxy(address.removeprefix("http://"), path=path, is_secure=scheme == "https") as port:
        page.goto(f"{scheme}://demo.example.org:{port}{path}/")
        expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
        give_file(page, str(MEADOW))
        run(page)
        assert rows(page)
        page.wait_for_function(SHOWN)
        page.reload()
        expect(page.locator("#regions tbody tr")).not_to_have_count(0)
        assert not complaints


def test_a_page_of_another_site_cannot_pass_for_ours(page: Page, address: str) -> None:
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<p>Another site</p>")

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://another.example.org:{server.server_port}/")
        with proxy(address.removeprefix("http://")) as port:
            own = f"http://demo.example.org:{port}"
            assert page.evaluate(SEND, f"{own}/gradio_api/call/tasks") == "blocked"
            page.goto(own)
            assert page.evaluate(SEND, f"{own}/gradio_api/call/tasks") == 200
        server.shutdown()
