"""The tasks that a fine-tune brings along, in a real browser: they are listed while it is chosen, and answered."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.paths import EXAMPLES
from playground.pool import Pool
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import TASKS
from tests.checkpoints.tune import READ, TASK_ROWS, write_tune
from tests.live import running
from tests.ui.browser.actions import give_file, run

pytestmark = pytest.mark.browser
OPTIONS = "#task [role=option]"
TITLES = [row["title"] for row in TASK_ROWS]


@pytest.fixture
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("tunes")
    pool = Pool(Settings(checkpoint=str(write_tune(folder / "tune")), device="cpu", offline=True))
    pool.wait()
    with running(Predictor(pool), Settings(offline=True), folder / "cache") as url:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page
        page.close()
        assert not errors
    pool.close()


def choose_checkpoint(page: Page, title: str) -> None:
    page.click("#checkpoint input")
    page.click(f"#checkpoint [role=option]:has-text('{title}')")
    expect(page.locator("#status")).to_contain_text(f"{title} is ready")


def test_own_tasks_come_and_go_with_their_checkpoint_and_are_answered(page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("My tune is ready")
    give_file(page, str(EXAMPLES / "street.png"))
    page.click("#advanced button")
    choose_checkpoint(page, "Tiny demo model")
    page.click("#task input")
    expect(page.locator(OPTIONS)).to_have_count(len(TASKS))
    page.keyboard.press("Escape")
    choose_checkpoint(page, "My tune")
    page.click("#task input")
    expect(page.locator(OPTIONS)).to_have_count(len(TITLES) + len(TASKS))
    expect(page.locator(OPTIONS).first).to_be_in_viewport()  # although what is chosen stands further down
    headings = """options => options.map(option => getComputedStyle(option, "::before").content)"""
    assert page.locator(OPTIONS).evaluate_all(headings)[:4] == ['"This model\'s own"', "none", "none", '"Find"']
    page.keyboard.type("document")
    expect(page.locator(f"{OPTIONS}:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#phrase")).to_contain_text("Your question, or a sentence")
    page.fill("#phrase textarea", READ)
    run(page)
    expect(page.locator("#answer textarea")).not_to_have_value("")
    answer = page.input_value("#answer textarea")
    page.reload()
    expect(page.locator("#task input")).to_have_value("Ask the document a question")
    expect(page.locator("#answer textarea")).to_have_value(answer)
    page.click("#advanced button")
    choose_checkpoint(page, "Tiny demo model")
    expect(page.locator("#task input")).to_have_value("Find every object")
    expect(page.locator("#phrase")).to_have_count(0)
    expect(page.locator("#answer textarea")).to_have_value(answer)  # the answer to the question before stays
