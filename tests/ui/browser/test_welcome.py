"""The first ten seconds: an example that is really asked and answered, until a picture comes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.settings import Settings
from tests.live import running
from tests.ui.browser.actions import give_file, rows, run
from tests.ui.doubles import DirectedPredictor
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser
WELCOME = "An example, answered by this model."


@pytest.fixture(scope="module")
def welcoming(served: DirectedPredictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a first visit is welcomed."""
    with running(served, Settings(offline=True), tmp_path_factory.mktemp("cache"), welcome=True) as url:
        yield url


@pytest.fixture
def page(browser: Browser, welcoming: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(welcoming)
    yield page
    page.close()


def test_a_picture_that_comes_during_the_first_answer_takes_its_place(
    browser: Browser, welcoming: str, served: DirectedPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "seconds_a_step", 1.0)
    page = browser.new_page()
    page.goto(welcoming)
    expect(page.locator("#stop")).to_be_enabled()  # the example is being asked about
    page.locator("#examples button").first.click()
    expect(page.locator("#run")).to_be_enabled()
    monkeypatch.undo()
    run(page)
    assert rows(page) == ["rocket", "ball", "umbrella"]
    expect(page.locator("#notes")).to_be_hidden()
    page.close()


def test_a_first_visit_sees_an_answered_example_until_a_picture_comes(page: Page, welcoming: str) -> None:
    expect(page.locator("#notes")).to_contain_text(WELCOME)
    assert "cup" in rows(page)
    expect(page.get_by_text("Drop or paste a picture")).to_be_visible()  # the field is as large as for a first picture
    page.reload()
    expect(page.locator("#notes")).to_contain_text(WELCOME)
    give_file(page, str(MEADOW))
    expect(page.locator("#notes")).to_be_hidden()
    expect(page.locator("#regions")).to_contain_text("What the model finds is listed here")
    run(page)
    assert "kite" in rows(page)
    expect(page.locator("#notes")).not_to_contain_text(WELCOME)


def test_the_second_visitor_is_shown_what_the_first_one_was_answered(
    page: Page, browser: Browser, welcoming: str, served: DirectedPredictor
) -> None:
    expect(page.locator("#notes")).to_contain_text(WELCOME)
    asked = len(served.asked)
    other = browser.new_page()
    other.goto(welcoming)
    expect(other.locator("#notes")).to_contain_text(WELCOME)
    assert rows(other) == rows(page)
    assert len(served.asked) == asked
    other.close()
