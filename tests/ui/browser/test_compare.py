"""The comparing page in a browser: two answers about one picture, and what else happens meanwhile."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.actions import give_file, run, take_example
from tests.ui.browser.test_access import AXE, faults
from tests.ui.doubles import DirectedPredictor
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser

NIGHT = "Drawn scene: night"  # an umbrella, a robot, a house, a chair and a star
DONE = "Done: left"


@pytest.fixture
def page(browser: Browser, address: str, served: DirectedPredictor) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/compare")
    expect(page.locator("#title a[aria-current=page]")).to_have_text("Compare")
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    yield page
    served.seconds_a_step = 0.0
    context.close()
    assert not errors


def figures(page: Page) -> dict[str, str]:
    """What the agreement is in numbers."""
    names, values = (page.locator(f"#figures {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def colors(page: Page, side: str) -> dict[str, str]:
    """The color of each region of a side, by its label."""
    return page.evaluate(
        """(side) => Object.fromEntries([...document.querySelectorAll(`#${side} .stage-tags .stage-label`)]
          .map((label) => [label.firstChild.textContent, label.style.backgroundColor]))""",
        side,
    )


def choose(page: Page, field: str, title: str) -> None:
    page.click(f"#{field} input")
    page.click(f'#{field} [role=option][aria-label="{title}"]')


def test_two_questions_about_one_picture_are_compared(page: Page, served: DirectedPredictor) -> None:
    page.click("#run")
    expect(page.locator("#picture .validation-error")).to_be_visible()
    page.get_by_label(NIGHT).click()
    expect(page.locator("#right .stage-picture")).to_be_visible()
    choose(page, "right-task", "Find the things I name")
    page.click("#run")
    expect(page.locator("#right-phrase div.validation-error")).to_be_visible()
    page.fill("#right-phrase textarea", "robot, house")
    page.click("#run")
    expect(page.locator("#status")).to_contain_text(DONE)
    assert figures(page) | {"mean IoU": ""} == {
        "on both sides": "2",
        "only left": "3",
        "only right": "0",
        "mean IoU": "",
    }
    both, alone = colors(page, "right")["robot"], colors(page, "left")["star"]
    assert (colors(page, "left")["robot"], colors(page, "left")["chair"]) == (both, alone)
    assert both != alone

    # What one stage shows closer, the other does too; a thing that both have lights up on both.
    page.locator("#left [data-zoom=in]").click()
    expect(page.locator("#right .stage-view")).to_have_class("stage-view is-zoomed")
    page.keyboard.press("0")
    expect(page.locator("#right .stage-view")).to_have_class("stage-view")
    page.locator("#left .stage-frame").hover(position={"x": 300, "y": 160})
    expect(page.locator("#right .stage-lit-tag .stage-label")).to_contain_text("robot")

    page.click("#view >> text=One over the other")
    expect(page.locator(".over img").nth(1)).to_be_visible()
    page.focus(".over input")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("getComputedStyle(document.querySelector('.over')).getPropertyValue('--edge')") == "49%"
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")
    assert faults(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})

    page.reload()
    expect(page.locator("#figures dd")).to_have_count(4)
    expect(page.locator("#right-phrase textarea")).to_have_value("robot, house")

    # Stop, and a new picture, while the left side answers.
    served.seconds_a_step = 0.1
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Left: writing")
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("stopped")
    expect(page.locator("#figures dd")).to_have_count(0)
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Left: writing")
    give_file(page, str(MEADOW))
    expect(page.locator("#left .stage-tag")).to_have_count(0)
    expect(page.locator("#stop")).to_be_disabled()
    served.seconds_a_step = 0.0
    choose(page, "task", "Short caption")
    choose(page, "right-task", "Detailed caption")
    page.click("#run")
    expect(page.locator("#status")).to_contain_text(DONE)
    assert list(figures(page)) == ["words alike"]
    assert page.locator("#right-words mark").count() > 0


def test_what_was_asked_about_one_picture_is_on_the_left_of_a_first_comparison(page: Page, address: str) -> None:
    page.goto(address)
    take_example(page, 1)
    choose(page, "task", "Find the things I name")
    page.fill("#phrase textarea", "kite")
    run(page)
    page.click("#title summary")
    page.get_by_role("link", name="Compare").click()
    expect(page.locator("#left .stage-picture")).to_be_visible()
    expect(page.locator("#right .stage-picture")).to_be_visible()
    expect(page.locator("#phrase textarea")).to_have_value("kite")
    page.click("#run")
    expect(page.locator("#status")).to_contain_text(DONE)
    assert figures(page)["on both sides"] == "1"
