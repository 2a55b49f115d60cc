"""What is named is covered, in a few actions, and what is taken off is not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.actions import choose, rows, run, take_example
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser

KITE, CAR = (240, 260), (470, 600)  # pixels inside them, x and y


def saved(page: Page) -> np.ndarray:
    with page.expect_download() as download:
        page.click("#save")
    with Image.open(Path(download.value.path())) as picture:
        assert "exif" not in picture.info
        return np.asarray(picture.convert("RGB"))


def test_what_is_named_is_covered_and_can_be_taken_off_one_by_one(browser: Browser, address: str) -> None:
    page = browser.new_page(accept_downloads=True)
    page.goto(address)
    take_example(page, 1)
    page.click("#task input")
    page.keyboard.type("redact")
    page.keyboard.press("Enter")
    expect(page.locator("#task input")).to_have_value("Cover the things I name")
    page.fill("#phrase textarea", "kite, car")
    run(page)
    assert rows(page) == ["kite", "car"]
    expect(page.locator("#notes")).to_contain_text("What is not found is not covered.")
    with Image.open(MEADOW) as before:
        assert all(max(before.convert("RGB").getpixel(place)) > 40 for place in (KITE, CAR))
    picture = saved(page)
    assert [int(picture[y, x].max()) for x, y in (KITE, CAR)] == [0, 0]
    kite = page.locator("#regions .region-table-toggle", has_text="kite")
    kite.click()
    expect(kite).to_have_attribute("aria-pressed", "true")
    picture = saved(page)
    assert picture[KITE[1], KITE[0]].max() > 40
    assert picture[CAR[1], CAR[0]].max() == 0

    # One region of any answer, from its menu: at once on the page, and taken back by a step.
    choose(page, "Find every object")
    run(page)
    car = page.locator("#regions tbody tr", has_text="car")
    car.locator(".region-table-menu").click()
    page.get_by_role("menuitem", name="Cover").click()
    expect(page.locator("#stage .stage-covers .is-cover")).to_have_count(1)
    expect(car).to_contain_text("covered")
    assert saved(page)[CAR[1], CAR[0]].max() == 0
    page.keyboard.press("Control+z")
    expect(page.locator("#stage .stage-covers div")).to_have_count(0)
    assert saved(page)[CAR[1], CAR[0]].max() > 40
    car.locator(".region-table-menu").click()
    expect(page.get_by_role("menuitem", name="Show it again")).to_be_hidden()
    page.get_by_role("menuitem", name="Blur").click()
    expect(car).to_contain_text("blurred")
    expect(page.locator("#stage .stage.is-annotated")).to_be_visible()
    page.reload()
    expect(car).to_contain_text("blurred")
    page.close()
