"""An answer is put right on the page, which draws each step itself, and everything that is saved holds it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import APIResponse, Browser, Page, Route, expect
from pypdfium2 import PdfDocument

from playground.regions import Region
from tests.ui.browser.actions import choose, controls, rows, run, take_example
from tests.ui.doubles import ANSWER, DirectedPredictor

pytestmark = pytest.mark.browser

# Milliseconds from the end of a gesture, which a test makes, until the frame that shows it has been painted.
WATCH = """
window.paints = [];
const painted = (start) => requestAnimationFrame(() => setTimeout(() => window.paints.push(performance.now() - start)));
addEventListener("pointerup", () => painted(performance.now()), true);
addEventListener("keydown", ({ key }) => key === "z" && painted(performance.now()), true);
"""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    wide = {"width": 1280, "height": 800}
    page = browser.new_page(viewport=wide, reduced_motion="reduce", accept_downloads=True, has_touch=True)
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    take_example(page)
    expect(page.locator("#stage img")).to_be_visible()
    yield page
    page.close()


def box_of(page: Page, index: int) -> tuple[float, float, float, float]:
    """Where a box is on the screen, as left, top, right and bottom."""
    path = page.locator(".stage-shapes .stage-shape").nth(index).get_attribute("d") or ""
    (x0, y0), *_, (x1, y1), _ = [map(float, point.split(",")) for point in path.strip("MZ").split("L")]
    return *on_screen(page, x0, y0), *on_screen(page, x1, y1)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture, which has 900 x 900, is in the window."""
    frame = page.locator(".stage-frame").bounding_box()
    assert frame is not None
    return frame["x"] + x / 900 * frame["width"], frame["y"] + y / 900 * frame["height"]


def finger_drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    session = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
        touches = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def save(page: Page, title: str) -> Path:
    page.click("#format input")
    page.locator(f'#format [role=option][aria-label="{title}"]').click()
    with page.expect_download() as download:
        page.click("#save")
    return Path(download.value.path())


def test_a_slide_picture_is_annotated_corrected_and_renamed_in_nine_actions(page: Page) -> None:
    run(page)  # the second action, after the example
    assert len(controls(page)) <= 18, controls(page)  # with a finger, which pastes by a button
    before = rows(page)
    page.click("[data-correct=toggle]")
    left, top, right, bottom = box_of(page, 0)
    middle = ((left + right) / 2, (top + bottom) / 2)
    drag(page, middle, (middle[0] + 20, middle[1] + 10))
    assert box_of(page, 0) == pytest.approx((left + 20, top + 10, right + 20, bottom + 10), abs=1)
    page.mouse.dblclick(middle[0] + 20, middle[1] + 10)
    page.keyboard.type("my thing\n")
    expect(page.locator("#answer textarea")).to_have_value(", ".join(["my thing", *before[1:]]))
    with Image.open(save(page, "Annotated picture (JPEG)")) as picture:
        assert picture.format == "JPEG"


def test_the_keys_are_the_pictures_while_it_is_corrected_and_paper_has_it_without_the_form(page: Page) -> None:
    run(page)
    toggle, labels = page.locator("[data-correct=toggle]"), rows(page)
    toggle.press("Enter")
    page.keyboard.press("PageDown")
    page.keyboard.press("Delete")
    assert rows(page) == labels[1:]
    page.keyboard.press("Escape")
    expect(toggle).to_be_focused()
    page.emulate_media(media="print")
    expect(page.locator("#form")).to_be_hidden()
    expect(page.locator("#regions")).to_be_visible()
    expect(page.locator(".stage-tag").first).to_have_css("print-color-adjust", "exact")
    assert len(PdfDocument(page.pdf(format="A4"))) == 1


def test_each_step_is_drawn_at_once_and_taken_back_at_once_and_a_file_holds_what_was_drawn(page: Page) -> None:
    run(page)
    page.evaluate(WATCH)

    def hold(_route: Route) -> None:
        """Let no answer come."""

    page.route("**/run/predict", hold)
    page.click("[data-correct=toggle]")
    first, labels = box_of(page, 0), rows(page)
    left, top, right, bottom = first
    drag(page, (left + 5, top + 5), (left + 25, top + 25))
    drag(page, (right + 20, bottom + 20), (right + 30, bottom + 40))  # the corner of what is selected
    assert box_of(page, 0) == pytest.approx((left + 20, top + 20, right + 30, bottom + 40), abs=1)
    frame = page.locator(".stage-frame").bounding_box()
    assert frame is not None
    drag(page, (frame["x"] + 4, frame["y"] + 4), (frame["x"] + 64, frame["y"] + 44))
    page.keyboard.type("cloud\n")
    page.keyboard.press("PageUp")
    page.keyboard.press("Delete")
    assert rows(page) == [*labels[:-1], "cloud"]
    for _ in range(5):  # moved, resized, added, named, deleted
        page.keyboard.press("Control+z")
    assert (box_of(page, 0), rows(page)) == (first, labels)
    for _ in range(5):
        page.keyboard.press("Control+Shift+z")
    assert rows(page) == [*labels[:-1], "cloud"]
    page.wait_for_function("paints.length >= 13")
    assert min(page.evaluate("paints")) < 50, "milliseconds, without a word from the server"
    page.unroute("**/run/predict", hold)  # which lets them go
    content = json.loads(save(page, "Prediction (JSON)").read_bytes())
    assert [(region["label"], region["source"]) for region in content["regions"]] == [
        (labels[0], "edited"),
        *((label, "model") for label in labels[1:-1]),
        ("cloud", "added"),
    ]
    assert content["regions"][0]["original"]["label"] == labels[0]
    page.reload()
    expect(page.locator("#regions tbody tr")).to_have_count(len(labels))
    choose(page, "Short caption")
    run(page)
    page.click("#back")
    expect(page.locator("#regions .region-table-label").last).to_have_text("cloud")


# Moves a region by a pixel again and again, until the answer is gone that it is of.
NUDGE = """
const frame = document.querySelector(".stage-frame");
const nudge = () => {
  if (!frame.classList.contains("is-correcting")) return;
  const key = { key: "ArrowRight", bubbles: true };
  for (const type of ["keydown", "keyup"]) frame.dispatchEvent(new KeyboardEvent(type, key));
  window.last = document.querySelector(".stage-shape").getAttribute("d");
  setTimeout(nudge, 20);
};
nudge();
"""


def test_no_step_is_lost_that_is_made_while_the_next_answer_comes(page: Page) -> None:
    run(page)
    page.click("[data-correct=toggle]")
    page.keyboard.press("PageDown")
    page.evaluate(NUDGE)
    run(page)
    page.click("#back")
    expect(page.locator("[data-correct=toggle]")).to_be_enabled()
    first = page.locator(".stage-shape").first
    expect(first).to_have_attribute("d", str(page.evaluate("last")))
    page.click("[data-correct=toggle]")
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowDown")
    moved = str(first.get_attribute("d"))
    page.reload()  # before the server is told
    expect(first).to_have_attribute("d", moved)
    expect(page.locator("#regions .region-table-edited").first).to_be_visible()


def pinch(page: Page) -> None:
    """Put two fingers on the picture and draw them apart."""
    session = page.context.new_cdp_session(page)
    x, y = on_screen(page, 450, 450)
    for kind, apart in (("touchStart", 20), ("touchMove", 60), ("touchMove", 120), ("touchEnd", 0)):
        touches = [{"x": x + side * apart, "y": y, "id": side} for side in (-1, 1)] if apart else []
        for count in (1, 2) if kind == "touchStart" else (2,):
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches[:count]})


def test_the_model_is_asked_on_about_a_region_and_about_all_of_them(page: Page) -> None:
    run(page)
    labels = rows(page)
    left, top, *_ = box_of(page, 1)
    page.mouse.click(left + 5, top + 5)
    menu = page.get_by_role("menu", name=labels[1])
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Described 1 region in")
    described = page.locator("#regions .region-table-text").nth(1)
    expect(described).to_contain_text(labels[1])
    page.click("text=Ask about all…")
    page.get_by_role("menu", name=f"All {len(labels)} regions").get_by_role("menuitem", name="Outline").click()
    expect(page.locator("#status")).to_contain_text(f"Outlined {len(labels)} regions in")
    regions = json.loads(save(page, "Prediction (JSON)").read_bytes())["regions"]
    assert [region["source"] for region in regions] == ["model"] * len(labels)
    assert all(region["polygons"] for region in regions)
    assert regions[1]["text"] == described.inner_text()
    page.locator("#regions .region-table-toggle").first.press("ArrowRight")
    on_their_way: list[tuple[Route, APIResponse]] = []
    page.route("**/run/predict", lambda route: on_their_way.append((route, route.fetch())))
    page.keyboard.press("Control+z")
    while not on_their_way:  # the server offers the styles of a box by then, and the page has those of an outline
        page.wait_for_timeout(20)
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Cut out").click()
    assert download.value.suggested_filename.endswith(f"-{labels[0]}.png")
    for route, response in on_their_way:
        route.fulfill(response=response)
    regions = json.loads(save(page, "Prediction (JSON)").read_bytes())["regions"]
    assert [("text" in region, "polygons" in region) for region in regions[:2]] == [(False, False), (True, False)]


def test_more_like_a_region_are_found_and_the_slider_is_the_likeness(page: Page) -> None:
    take_example(page, 3)  # a brown cat, a white one, and other things
    run(page)
    first = rows(page).index("cat")
    left, top, *_ = box_of(page, first)
    page.mouse.click(left + 5, top + 5)
    page.get_by_role("menuitem", name="Find more like this").click()
    expect(page.locator("#notes")).to_contain_text("how alike")
    assert set(rows(page)) == {"cat"}
    expect(page.locator("#past")).to_contain_text("Asked before (2)")
    alike = json.loads(save(page, "Prediction (JSON)").read_bytes())["regions"]
    assert len(alike) == len(rows(page))
    assert min(region["score"] for region in alike) >= 0.8


@pytest.fixture
def shapes(served: DirectedPredictor) -> Iterator[None]:
    """The answer is a box, a quad and an outline."""
    quad = (200, 420, 440, 460, 420, 640, 200, 600)
    outline = ((500, 500), (800, 500), (800, 800), (500, 800))
    regions = (
        Region("box", (100, 100, 200, 200)),
        Region("quad", (200, 420, 440, 640), xyxyxyxy=quad),
        Region("outline", (500, 500, 800, 800), polygons=(outline,)),
    )
    served.script = (replace(ANSWER, resolution_wh=(900, 900), regions=regions),)
    yield
    served.script = ()


@pytest.mark.usefixtures("shapes")
def test_each_point_of_each_shape_is_moved_by_mouse_finger_and_key_at_any_zoom(page: Page) -> None:
    run(page)
    page.click("[data-correct=toggle]")
    page.touchscreen.tap(*on_screen(page, 650, 650))
    finger_drag(page, on_screen(page, 506, 506), on_screen(page, 486, 496))  # near its corner is near enough
    pinch(page)  # which zooms, and moves nothing
    expect(page.locator(".stage-overview")).to_be_visible()
    page.keyboard.press("0")
    page.mouse.dblclick(*on_screen(page, 800, 650))
    page.mouse.move(*on_screen(page, 800, 650))
    for _ in range(4):
        page.mouse.wheel(0, -100)
    expect(page.locator(".stage-overview")).to_be_visible()
    drag(page, on_screen(page, 800, 650), on_screen(page, 833, 650))
    page.keyboard.press("0")
    page.keyboard.press("p")
    page.keyboard.press("Delete")  # the point after that one
    page.keyboard.press("PageUp")
    page.keyboard.press("p")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("PageUp")
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("Control+a")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("F2")
    page.keyboard.type("all of them\n")
    box, quad, outline = json.loads(save(page, "Prediction (JSON)").read_bytes())["regions"]
    assert [region["label"] for region in (box, quad, outline)] == ["all of them"] * 3
    assert box["xyxy"] == [100, 101, 201, 201]
    assert quad["xyxyxyxy"] == [190, 421, 440, 461, 420, 641, 200, 601]
    near = [pytest.approx(point, abs=1) for point in ([480, 491], [800, 501], [833, 651], [500, 801])]
    assert outline["polygons"] == [near]
    assert outline["original"]["polygons"] == [[[500, 500], [800, 500], [800, 800], [500, 800]]]
