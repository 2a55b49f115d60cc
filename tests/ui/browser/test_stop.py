"""Stop, a closed tab and the queue in a real browser, on a checkpoint of the true size: its answers take a while."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import running
from tests.ui.browser.actions import give_file
from tests.ui.examples import MEADOW

pytestmark = [pytest.mark.browser, pytest.mark.skeleton]

LOOKING, WRITING = "Looking at the picture", "Writing"


@pytest.fixture(scope="module")
def slow(skeleton: Path) -> Predictor:
    return Predictor.load(str(skeleton), offline=True)


@pytest.fixture(scope="module")
def address(slow: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(slow, Settings(offline=True), tmp_path_factory.mktemp("cache")) as url:
        yield url


def visit(browser: Browser, address: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(address)
    give_file(page, str(MEADOW))
    expect(page.locator("#stage img")).to_be_visible()
    return page


def stop(page: Page) -> None:
    """Press Stop, and wait until the run has ended: by itself it would go on for a minute, and say that it is done."""
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("Stopped")


def test_stop_ends_a_run_and_the_next_one_goes_on(browser: Browser, address: str) -> None:
    page = visit(browser, address)
    for reached in (LOOKING, WRITING, WRITING):
        expect(page.locator("#run")).to_be_enabled()
        page.click("#run")
        expect(page.locator("#status")).to_contain_text(reached)
        if reached is WRITING:  # the text of the run before is gone
            expect(page.locator("#answer textarea")).not_to_have_value("")
        stop(page)
    expect(page.locator("#answer textarea")).not_to_have_value("")  # what was written is kept
    page.context.close()


def test_a_closed_tab_frees_the_model_for_the_next_in_line(browser: Browser, address: str) -> None:
    first, second = visit(browser, address), visit(browser, address)
    first.click("#run")
    expect(first.locator("#status")).to_contain_text(WRITING)
    second.click("#run")
    expect(second.locator("#status")).to_contain_text("queue")
    expect(second.locator("#answer textarea")).to_have_value("")
    first.context.close()
    expect(second.locator("#status")).to_contain_text(WRITING)
    second.click("#stop")
    expect(second.locator("#status")).to_contain_text("Stopped")
    second.context.close()


def test_a_run_in_the_queue_can_be_stopped_too(browser: Browser, address: str) -> None:
    first, second = visit(browser, address), visit(browser, address)
    first.click("#run")
    expect(first.locator("#status")).to_contain_text(WRITING)
    second.click("#run")
    expect(second.locator("#stop")).to_be_enabled()
    second.click("#stop")
    first.click("#stop")
    expect(second.locator("#status")).to_contain_text("Stopped")
    expect(second.locator("#answer textarea")).to_have_value("")
    first.context.close()
    second.context.close()
