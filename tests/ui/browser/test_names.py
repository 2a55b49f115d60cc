"""Names, a closer look and the lowest score of each name, as a person uses them."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.actions import choose, run, take_example, unfold
from tests.ui.browser.test_access import AXE, faults

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    yield page
    page.close()
    assert not errors


def open_names(page: Page) -> None:
    """Unfold the table with the keyboard, once the server has said that the task takes names."""
    expect(page.locator("#names summary")).to_be_visible()
    page.locator("#names summary").press("Enter")


def test_things_are_named_looked_at_closer_and_held_against_their_own_scores(page: Page) -> None:
    take_example(page, 3)  # a room with two cats, a fish and more
    expect(page.locator("#stage img")).to_be_visible()
    choose(page, "Short caption")
    expect(page.locator("#names")).to_be_hidden()
    choose(page, "Find the things I name")
    open_names(page)
    expect(page.locator("#names")).to_contain_text("gets a row here")
    page.fill("#phrase textarea", "cat, chair, fish")
    table = page.locator("#names .names-row")
    expect(table).to_have_count(3)
    page.get_by_label("What “fish” is called").fill("swimmer")
    page.check("#names input[type=checkbox]")
    unfold(page, "Advanced")
    page.check("#look-closer input")
    run(page)
    expect(page.locator("#answer textarea")).to_have_value(re.compile("swimmer"))
    counts = table.locator(".names-count")
    expect(counts.first).to_have_text(re.compile(r"0\.20 · (\d)/\1"))
    page.get_by_label("Lowest score of “cat”").press("End")
    expect(counts.first).to_have_text(re.compile(r"1\.00 · 0/\d"))  # at once, before the picture follows
    expect(page.locator("#regions")).not_to_contain_text("cat")
    expect(page.locator("#regions")).to_contain_text("swimmer")
    unfold(page, "How it is drawn")
    expect(page.locator("#limits .limits-row")).to_have_count(0)
    page.check("#merge-duplicates input")
    expect(page.locator("#regions")).to_contain_text("swimmer")
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")
    assert faults(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})

    page.reload()
    expect(page.locator("#regions")).to_contain_text("swimmer")
    expect(page.locator("#regions")).not_to_contain_text("cat")
    open_names(page)
    expect(page.get_by_label("What “fish” is called")).to_have_value("swimmer")
    expect(counts.first).to_have_text(re.compile(r"1\.00 · 0/\d"))
    expect(page.locator("#names input[type=checkbox]")).to_be_checked()
    unfold(page, "Advanced")
    expect(page.locator("#look-closer input")).to_be_checked()
    unfold(page, "How it is drawn")
    expect(page.locator("#merge-duplicates input")).to_be_checked()
