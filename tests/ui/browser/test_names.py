"""Names, a closer look and the lowest score of each name, as a person uses them."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.actions import choose, run, take_example, unfold

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    yield page
    page.close()


def test_things_are_named_looked_at_closer_and_held_against_their_own_scores(page: Page) -> None:
    take_example(page, 3)  # a room with two cats, a fish and more
    expect(page.locator("#stage img")).to_be_visible()
    choose(page, "Short caption")
    expect(page.locator("#names-fold")).to_be_hidden()
    choose(page, "Find the things I name")
    page.fill("#phrase textarea", "cat, chair")
    unfold(page, "Names")
    page.fill("#names textarea", "fish")
    page.click("#run")
    expect(page.locator("#names-fold")).to_contain_text("gives no name: write what is asked for")
    page.fill("#names textarea", "fish = swimmer")
    page.check("#one-by-one input")
    unfold(page, "Advanced")
    page.check("#look-closer input")
    run(page)
    expect(page.locator("#answer textarea")).to_have_value(re.compile("swimmer"))
    unfold(page, "How it is drawn")
    cat = page.locator("#limits .limits-row").filter(has_text="cat")
    expect(cat.locator(".limits-count")).to_have_text(re.compile(r"0\.20 · (\d)/\1"))
    cat.locator("input").press("End")
    expect(cat.locator(".limits-count")).to_have_text(
        re.compile(r"1\.00 · 0/\d")
    )  # at once, before the picture follows
    expect(page.locator("#regions")).not_to_contain_text("cat")
    expect(page.locator("#regions")).to_contain_text("swimmer")
    page.check("#merge-duplicates input")
    expect(page.locator("#regions")).to_contain_text("swimmer")
