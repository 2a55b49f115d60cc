"""The page of the camera, walked through once, before Chromium's own camera."""

import time

import pytest
from playwright.sync_api import Browser, expect

from playground.checkpoints.catalog import BUNDLED
from playground.events import RunStage
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.ui.browser.test_access import AXE, faults
from tests.ui.doubles import DirectedPredictor

pytestmark = pytest.mark.browser

_QUESTION = Question("<OD>", checkpoint=BUNDLED)


def test_frames_are_asked_about_one_at_a_time_until_it_is_stopped(
    browser: Browser, address: str, served: DirectedPredictor
) -> None:
    regions = (Region("car", (10.0, 10.0, 200.0, 150.0), 0.9), Region("car", (300.0, 60.0, 420.0, 200.0), 0.9))
    said = Prediction(_QUESTION, BUNDLED, (640, 480), text="car", regions=regions, stage=RunStage.DONE, is_final=True)
    served.script, served.seconds_a_step = (said,), 0.2
    page = browser.new_context(permissions=["camera"], reduced_motion="reduce").new_page()
    page.goto(f"{address}/live")
    expect(page.locator("#status")).to_contain_text("ready")
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")  # a color on its way is no color of the page
    assert faults(page) == [], "before it is started"
    page.get_by_role("button", name="Start the camera").press("Enter")
    expect(page.locator(".live-says")).to_contain_text("frames a second")
    expect(page.get_by_role("img", name="car #1, car #2")).to_be_visible()
    assert faults(page) == [], "while it looks"
    began, before = time.monotonic(), len(served.asked)
    page.wait_for_timeout(1500)
    assert 0 < len(served.asked) - before <= 1 + (time.monotonic() - began) / 0.25, "so many frames at most"
    page.keyboard.press("Enter")  # Stop has the focus
    expect(page.locator(".live-says")).to_have_text("Stopped.")
    expect(page.locator("video.live-now")).to_be_hidden()
    page.wait_for_timeout(500)
    after = len(served.asked)
    page.wait_for_timeout(1000)
    assert len(served.asked) == after, "nothing is asked once it is stopped"
    served.script, served.seconds_a_step = (), 0.0
