"""A scene drawn on demand, in a real browser: the seed, the picture, and the truth beside the answer."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from playground.ui import scene
from tests.ui.browser.actions import give_file, run
from tests.ui.examples import BEACH

pytestmark = pytest.mark.browser

SEED = 5
THINGS = scene.draw_scene(SEED).things


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desk", "phone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 720)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    expect(page.locator("#seed input")).to_have_value("")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert not errors


def draw(page: Page, seed: str) -> None:
    page.fill("#seed input", seed)
    page.press("#seed input", "Enter")


def picture(page: Page) -> Locator:
    return page.locator("#stage img")


def reveal(page: Page) -> Locator:
    return page.locator("#stage summary", has_text="What is really there")


def test_a_new_scene_is_one_click_and_its_seed_gives_it_again(page: Page) -> None:
    page.click("#new-scene")
    expect(picture(page)).to_be_visible()
    expect(picture(page)).to_be_in_viewport(ratio=0.95)  # also on a phone, where it is below the form
    seed, source = page.input_value("#seed input"), picture(page).get_attribute("src") or ""
    page.click("#new-scene")
    expect(picture(page)).not_to_have_attribute("src", source)
    expect(page.locator("#seed input")).not_to_have_value(seed)
    draw(page, seed)
    expect(picture(page)).to_have_attribute("src", source)


def test_a_bad_seed_is_one_sentence_and_the_picture_stays(page: Page) -> None:
    draw(page, str(SEED))
    expect(picture(page)).to_be_visible()
    source = picture(page).get_attribute("src") or ""
    for seed, came in {"-3": "got -3", "2.5": "got 2.5", "": "the field is empty"}.items():
        draw(page, seed)
        expect(page.locator("#problem")).to_contain_text(f"whole number from 0 to 999,999,999, but {came}.")
        expect(picture(page)).to_have_attribute("src", source)
        expect(page.locator("#seed input")).to_have_value(seed)
    draw(page, str(SEED + 1))
    expect(page.locator("#problem .line")).to_have_count(0)
    expect(picture(page)).not_to_have_attribute("src", source)


def test_what_is_really_there_is_shown_when_it_is_asked_for(page: Page) -> None:
    draw(page, str(SEED))
    expect(picture(page)).to_be_visible()
    expect(reveal(page)).not_to_be_visible()
    run(page)
    truth = page.locator("#stage .stage-truth-tags")
    expect(truth).not_to_be_visible()
    reveal(page).click()
    expect(truth).to_be_visible()
    assert sorted(truth.locator(".stage-label").all_inner_texts()) == sorted(thing.kind for thing in THINGS)
    expect(page.locator("#stage .stage-reveal p")).to_contain_text(THINGS[0].kind)
    assert (page.locator("svg.stage-truth path").first.get_attribute("d") or "").count("M") == len(THINGS)
    reveal(page).click()
    expect(truth).not_to_be_visible()


def test_a_picture_from_elsewhere_has_no_truth(page: Page) -> None:
    draw(page, str(SEED))
    expect(picture(page)).to_be_visible()
    run(page)
    expect(reveal(page)).to_be_visible()
    source = picture(page).get_attribute("src") or ""
    give_file(page, str(BEACH))
    expect(picture(page)).not_to_have_attribute("src", source)
    expect(reveal(page)).not_to_be_visible()
    run(page)
    expect(reveal(page)).not_to_be_visible()
