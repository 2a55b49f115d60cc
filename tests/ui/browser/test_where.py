"""Where the model looked, on the stage of a browser: by mouse and by key, and gone with its answer."""

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.browser.actions import run, take_example, unfold

pytestmark = pytest.mark.browser


def test_a_word_shows_on_the_picture_where_the_model_looked(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    take_example(page)
    run(page)
    unfold(page, "What the model wrote")
    page.click("#where-it-looked")
    heat, umbrella = page.locator("#stage .stage-heat"), page.locator(".glance", has_text="umbrella")
    umbrella.hover()
    expect(heat).to_have_count(1)
    page.mouse.move(2, 2)
    expect(heat).to_have_count(0)
    umbrella.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".glance.is-shown")).to_contain_text("<loc_")
    page.keyboard.press("Escape")
    expect(heat).to_have_count(0)
    run(page)
    expect(page.locator(".glance")).to_have_count(0)
    page.close()
    assert not errors
