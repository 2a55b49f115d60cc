"""The page for those who use a keyboard, a screen reader or a finger: axe-core's rules, focus, targets, no jumps."""

from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.actions import choose, run

pytestmark = pytest.mark.browser

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
VIEWPORTS = ((1280, 800), (390, 844))
SMALL_TARGETS = """() => [...document.querySelectorAll('button, a, input, summary, textarea, [role=option]')]
  .filter((node) => node.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  .map((node) => (node.closest('label') ?? node))
  .filter((node) => { const {width, height} = node.getBoundingClientRect(); return width < 24 || height < 24; })
  .map((node) => node.outerHTML.slice(0, 120))"""
COUNT_SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: 'layout-shift', buffered: true});"""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")  # a color on its way is no color of the page
    yield page
    context.close()


def faults(page: Page) -> list[str]:
    """What axe finds, and targets below 24 px, in both themes and at both sizes."""
    found = []
    for width, height in VIEWPORTS:
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
            result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            found += [
                f"{theme} {width}: {fault['id']} at {node['target']}: {node['failureSummary']}"
                for fault in result["violations"]
                for node in fault["nodes"]
            ]
        found += [f"small at {width}: {target}" for target in page.evaluate(SMALL_TARGETS)]
    return found


def test_nothing_on_the_page_shuts_anybody_out(page: Page) -> None:
    assert faults(page) == [], "at the first visit"
    page.click("#run")
    expect(page.locator("#picture .validation-error")).to_be_visible()
    assert faults(page) == [], "with an error"
    page.locator("#examples button").first.click()
    expect(page.locator("#stage img")).to_be_visible()
    run(page)
    assert faults(page) == [], "with an answer"
    page.click("[data-correct=toggle]")
    page.locator("#stage .is-correcting").press("Control+a")
    page.keyboard.press("F2")
    assert faults(page) == [], "with a name that is put right"
    page.keyboard.press("Escape")
    page.click("[data-correct=toggle]")
    page.locator("#regions .region-table-toggle").first.press("ContextMenu")
    assert faults(page) == [], "with a menu"
    page.keyboard.press("Escape")
    choose(page, "Name a region")
    page.locator("#stage .stage-frame.is-drawing").press("Enter")
    expect(page.locator("#stage .stage-region")).to_be_visible()
    assert faults(page) == [], "with a region"


def test_the_focus_stays_where_it_was_through_a_run(page: Page) -> None:
    page.locator("#examples button").first.click()
    expect(page.locator("#stage img")).to_be_visible()
    page.focus("#run")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator("#run")).to_be_focused()


@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_nothing_jumps_while_the_page_is_built(browser: Browser, address: str, viewport: tuple[int, int]) -> None:
    page = browser.new_page(viewport={"width": viewport[0], "height": viewport[1]})
    page.add_init_script(COUNT_SHIFTS)
    page.goto(address)
    expect(page.locator("#banner .line")).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("window.shift") < 0.1
    page.close()
