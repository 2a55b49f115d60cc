"""A fine-tune that is found on the hub, in a real browser: it is fetched when chosen, brings its tasks, answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from playwright.sync_api import Browser, Page, expect

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.paths import EXAMPLES
from playground.pool import Pool
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import TASKS
from tests.checkpoints.fake_hub import serving_hub
from tests.checkpoints.original import write_tiny
from tests.checkpoints.tune import READ, TASK_ROWS, write_tune
from tests.live import running
from tests.ui.browser.actions import give_file, run

pytestmark = pytest.mark.browser
OPTIONS = "#task [role=option]"
PATIENCE = 60_000  # milliseconds, where a model is fetched and loaded


@pytest.fixture
def page(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    with serving_hub(tmp_path / "tiny") as hub:
        hub.others = {
            "anna/shelf": write_tune(tmp_path / "tune"),
            "bob/shelf-pickle": write_tiny(Path(resolve(BUNDLED).source), tmp_path / "pickle"),
        }
        (tmp_path / "pickle" / "model.safetensors").rename(tmp_path / "pickle" / "pytorch_model.bin")
        hub.tags = {"anna/shelf": ["license:<img src=x onerror=isRun=1>"]}
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = f"{hub.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        settings = Settings(checkpoint=BUNDLED, device="cpu")
        pool = Pool(settings)
        pool.wait()
        with running(Predictor(pool), settings, tmp_path / "uploads") as url:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(url)
            expect(page.locator("#status")).to_contain_text("is ready")
            yield page
            assert not page.evaluate("window.isRun")
            page.close()
            assert not errors
        pool.close()


def test_a_fine_tune_is_found_chosen_and_asked_what_only_it_knows(page: Page) -> None:
    give_file(page, str(EXAMPLES / "street.png"))
    page.click("#task input")
    expect(page.locator(OPTIONS)).to_have_count(len(TASKS))
    page.keyboard.press("Escape")
    page.click("#advanced button")
    page.fill("#hub-name input", "shelf")
    page.press("#hub-name input", "Enter")
    expect(page.locator("#found-lines")).to_contain_text("bob/shelf-pickle has its weights only as", timeout=PATIENCE)
    expect(page.locator("#found label")).to_have_count(1)
    expect(page.locator("#found label")).to_contain_text("GB · <img src=x onerror=isRun=1> · changed 2024-11-04")
    page.click("#found label")
    expect(page.locator("#status")).to_contain_text("anna/shelf is ready", timeout=PATIENCE)
    expect(page.locator("#checkpoint input")).to_have_value("anna/shelf")
    expect(page.locator("#found label")).to_have_count(0)

    page.click("#task input")
    expect(page.locator(OPTIONS)).to_have_count(len(TASK_ROWS) + len(TASKS))
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

    page.reload()  # which begins with the checkpoint of the start
    expect(page.locator("#task input")).to_have_value("Find every object")
    expect(page.locator("#answer textarea")).to_have_value(answer)
    page.click("#advanced button")
    page.click("#checkpoint input")
    page.click("#checkpoint [role=option]:has-text('anna/shelf')")
    expect(page.locator("#status")).to_contain_text("anna/shelf is ready")
    page.click("#task input")
    expect(page.locator(OPTIONS)).to_have_count(len(TASK_ROWS) + len(TASKS))
