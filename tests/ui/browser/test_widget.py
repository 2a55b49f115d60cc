"""The widget in a frame of another site: one that the settings allow, and one that they do not."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import running
from tests.ui.browser.actions import choose, run, take_example, unfold
from tests.ui.browser.test_access import AXE

pytestmark = pytest.mark.browser

ALLOWED, OTHER = "blog.example.org", "other.example.org"


class Site(http.server.ThreadingHTTPServer):
    """A page of somebody, with whatever its author has pasted into it."""

    pasted = ""


class Answer(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(f"<!doctype html><h1>My blog</h1>{self.server.pasted}<p>The end</p>".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def address(predictor: Predictor, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(offline=True, welcome=False, frame_ancestors=f"http://{ALLOWED}:{site.server_port}")
    with running(predictor, settings, tmp_path_factory.mktemp("cache")) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def test_the_code_of_the_page_puts_its_question_into_a_page_that_may_show_it(
    page: Page, address: str, site: Site
) -> None:
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    choose(page, "Find the things I name")
    page.fill("#phrase textarea", "robot, house, star")
    take_example(page)
    run(page)
    unfold(page, "Copy")
    unfold(page, "Embed this")
    code = page.locator("#embed-code textarea")
    expect(code).not_to_have_value("")
    site.pasted = code.input_value()

    page.goto(f"http://{ALLOWED}:{site.server_port}/")
    widget = page.frame_locator("iframe")
    expect(widget.locator("#status")).to_contain_text("Tiny demo model is ready")
    assert widget.locator("#phrase").count() == 0  # the address says what to find
    widget.get_by_label("Drawn scene: night").click()
    expect(widget.locator(".stage-picture")).to_be_visible()
    widget.locator("#run").click()
    expect(widget.locator("#status")).to_contain_text("Done in")
    labels = widget.locator(".stage-tags .stage-label").all_inner_texts()
    assert sorted(labels) == ["house", "robot", "star"]

    # It is as high as its frame, also when what it shows becomes lower or higher.
    frame = page.frames[1]
    fits = (
        "document.documentElement.scrollHeight === innerHeight && document.documentElement.scrollWidth === innerWidth"
    )
    frame.wait_for_function(fits)
    high = page.locator("iframe").evaluate("(frame) => frame.clientHeight")
    frame.evaluate("document.querySelector('#answer').style.display = 'none'")
    page.wait_for_function("(high) => document.querySelector('iframe').clientHeight < high - 50", arg=high)
    frame.wait_for_function(fits)

    # It follows the theme of the page around it.
    message = json.dumps({"type": "florence2-playground:theme", "theme": "dark"})
    page.evaluate(f"document.querySelector('iframe').contentWindow.postMessage({message}, '*')")
    expect(widget.locator("body")).to_have_class("dark")

    frame.evaluate(AXE)
    frame.add_style_tag(content="* { transition: none !important; }")  # from one theme to the other
    found = frame.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found] == []

    page.goto(f"http://{OTHER}:{site.server_port}/")
    expect(page.locator("p", has_text="The end")).to_be_visible()
    page.wait_for_function("frames.length === 1")
    page.frames[1].wait_for_load_state()
    assert page.frames[1].url.startswith("chrome-error:")


def test_an_address_that_makes_no_sense_is_told_in_a_sentence_and_the_widget_works(page: Page, address: str) -> None:
    page.goto(f"{address}/widget?task=<NONSENSE>&opacity=much&style=rainbow&checkpoint=other&example=room&__theme=dark")
    problem = page.locator("#problem")
    for what in ("task", "opacity", "style", "checkpoint"):
        expect(problem).to_contain_text(f"The address of this widget has a wrong {what}.")
    expect(page.locator("body")).to_have_class("dark")
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator("#answer textarea")).to_have_value("fish, 2 × cat, cup, hat, sign, chair")
    page.reload()
    expect(page.locator(".stage-tags .stage-label")).to_have_count(7)
