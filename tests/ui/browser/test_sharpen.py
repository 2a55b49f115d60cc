"""An outline becomes sharper on the page, points say more of it, and what is saved holds it.

What makes the masks has real classes and weights at random: that an outline comes is tested, not that it is a good one.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.masks.sharpener import Sharpener
from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import running
from tests.masks.tiny import write_tiny_masks
from tests.ui.browser.actions import controls, run, take_example
from tests.ui.browser.test_access import AXE, faults

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = write_tiny_masks(tmp_path_factory.mktemp("masks") / "tiny-sam")
    settings = Settings(offline=True, masks=str(folder))
    sharpening = Predictor(predictor.engines, sharpener=Sharpener(settings))
    with running(sharpening, settings, tmp_path_factory.mktemp("cache")) as url:
        yield url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce", accept_downloads=True)
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    take_example(page)
    expect(page.locator("#stage img")).to_be_visible()
    run(page)
    yield page
    page.close()


def saved(page: Page) -> list[dict]:
    page.click("#format input")
    page.locator('#format [role=option][aria-label="Prediction (JSON)"]').click()
    with page.expect_download() as download:
        page.click("#save")
    return json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["regions"]


def test_an_outline_is_sharpened_pointed_at_undone_and_saved(page: Page) -> None:
    first = page.locator(".stage-shape").first
    box = first.get_attribute("d") or ""
    page.locator(".region-table-menu").first.click()
    page.locator("[data-ask=sharpen]").click()
    expect(page.locator("#status")).to_contain_text("Sharpened 1 region")
    expect(page.locator("#status")).to_contain_text("Predicted IoU 0.")
    expect(page.locator(".stage-points-bar")).to_be_visible()
    assert len(controls(page)) <= 20, controls(page)
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")  # a color on its way is no color of the page
    assert faults(page) == []
    page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size({"width": 1280, "height": 800})
    sharp = first.get_attribute("d") or ""
    assert sharp.count("L") > 3 == box.count("L")

    points, frame = page.locator(".stage-points span"), page.locator(".stage-frame")
    page.get_by_role("button", name="Take away").click()
    frame.click(position={"x": 60, "y": 60})
    expect(page.locator(".stage-points .is-minus")).to_have_count(1)
    expect(first).not_to_have_attribute("d", sharp)
    pointed = first.get_attribute("d") or ""
    frame.press("ArrowRight")  # brings the cross
    frame.press("Alt+Enter")
    expect(page.locator(".stage-points .is-plus")).to_have_count(1)
    expect(first).not_to_have_attribute("d", pointed)
    page.keyboard.press("Control+z")
    expect(first).to_have_attribute("d", pointed)
    expect(page.locator(".stage-points .is-plus")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(first).to_have_attribute("d", sharp)
    expect(points).to_have_count(1)  # the cross
    frame.press("Escape")
    expect(page.locator(".stage-points-bar")).to_be_hidden()
    expect(page.locator("[data-correct=toggle]")).to_be_enabled()

    region, *others = saved(page)
    assert sum(map(len, region["polygons"])) == sharp.count("L") + sharp.count("M")
    assert (region["source"], "polygons" in region["original"]) == ("model", False)
    assert not any("polygons" in other for other in others)
    page.keyboard.press("Control+z")
    expect(first).to_have_attribute("d", box)
    page.click(".region-table-all")
    page.get_by_role("menuitem", name="Sharpen all outlines").click()
    expect(page.locator("#status")).to_contain_text(f"Sharpened {len(others) + 1} regions")
    expect(page.locator(".stage-points-bar")).to_be_hidden()
    assert all("polygons" in region for region in saved(page))
