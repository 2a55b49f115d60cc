"""What was read, as lines in reading order beside the picture: lit, copied, hidden, saved."""

from collections.abc import Iterator
from dataclasses import replace

import pypdfium2
import pytest
from playwright.sync_api import Browser, Page, expect

from playground.events import RunStage
from tests.test_reading_order import IN_ORDER, PROSE, text
from tests.ui.browser.actions import choose, give_file, run
from tests.ui.browser.test_access import AXE, faults
from tests.ui.doubles import WRITING, DirectedPredictor
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser

MARGIN = "by the side"


@pytest.fixture
def page(browser: Browser, address: str, served: DirectedPredictor) -> Iterator[Page]:
    """The page, on which a model reads two columns and, in the margin, a line that stands sideways."""
    read = [replace(region, score=0.9) for region in (*PROSE, text(MARGIN, 240, 90, angle=-90))]
    said = replace(WRITING, resolution_wh=(720, 720), regions=tuple(read))
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    give_file(page, str(MEADOW))
    expect(page.locator("#stage img")).to_be_visible()
    served.script = (said, replace(said, stage=RunStage.DONE, is_final=True))
    yield page
    served.script = ()
    context.close()


def copied(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def offered(page: Page) -> list[str]:
    """Open the list of the kinds of file to save; returns what is in it."""
    page.click("#format input")
    expect(page.locator("#format [role=option]").first).to_be_visible()
    titles = page.locator("#format [role=option]").all_inner_texts()
    return [title.strip("✓\n ") for title in titles]


def test_what_was_read_is_lit_copied_hidden_and_saved_line_by_line(page: Page, served: DirectedPredictor) -> None:
    choose(page, "Read the text and mark its place")
    run(page)
    lines = page.locator("#reading .reading-line")
    expect(lines).to_have_count(11)
    assert page.locator("#reading .reading-text").all_inner_texts() == [*IN_ORDER, MARGIN]
    assert lines.last.locator(".reading-turn").inner_text() == "sideways, read upwards"
    expect(page.locator("#answer")).to_be_hidden()

    lines.nth(1).click()
    expect(page.locator("#reading .reading-said")).to_have_text("Copied the line.")
    assert copied(page) == "left line number 0"
    expect(page.locator("#stage .stage-lit-tag")).to_contain_text("left line number 0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(lines.nth(2)).to_be_focused()
    assert copied(page) == "left line number 1"

    page.locator("#regions .region-table-toggle", has_text="left line number 1").click()
    expect(page.locator("#reading li.is-hidden")).to_have_text("left line number 1")
    page.locator("#reading .reading-copy").click()
    expect(page.locator("#reading .reading-said")).to_have_text("Copied 10 lines.")
    assert copied(page).splitlines()[:5] == [IN_ORDER[0], "", IN_ORDER[1], IN_ORDER[3], IN_ORDER[4]]

    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")
    assert faults(page) == []

    assert "PDF that can be searched" in offered(page)
    page.locator("#format [role=option]", has_text="PDF").click()
    with page.expect_download() as download:
        page.click("#save")
    words = pypdfium2.PdfDocument(download.value.path())[0].get_textpage().get_text_bounded().split()
    assert words[:6] == IN_ORDER[0].split()[:6]
    assert "1" not in words[8:24], "a hidden line is in no file"

    served.script = (replace(WRITING, text="A street.", stage=RunStage.DONE, is_final=True),)
    choose(page, "Short caption")
    run(page)
    expect(page.locator("#reading")).to_be_hidden()
    titles = offered(page)
    assert ("PDF that can be searched" in titles, "Markdown (MD)" in titles, "YOLO (ZIP)" in titles) == (
        False,
        True,
        False,
    )
    expect(page.locator("#format input")).to_have_value("Annotated picture (PNG)")
