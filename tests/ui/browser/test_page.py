"""The whole page in a real browser, on the bundled checkpoint: what a visitor does, with mouse and with finger."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from playground.checkpoints.catalog import BUNDLED
from playground.settings import Settings
from tests.ui.browser.actions import choose, give_file, rows, run, unfold, when_a_run_is_over
from tests.ui.doubles import DirectedPredictor
from tests.ui.examples import BOXES, MEADOW, TRUTH

pytestmark = pytest.mark.browser

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; requirements-scale.txt has it.")
MEADOW_LABELS = sorted(BOXES)
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Settings(offline=True), id="here"),
        pytest.param(
            Settings(offline=True, checkpoint=BUNDLED, engines="auto"),
            id="in a cluster",
            marks=[pytest.mark.long, needs_ray],
        ),
    ],
)
def settings(request: pytest.FixtureRequest) -> Settings:
    """The walk is the same whoever answers."""
    return request.param


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    yield from visit(browser, address, viewport={"width": 1280, "height": 800})


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    yield from visit(browser, address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)


def visit(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    context = browser.new_context(accept_downloads=True, **options)
    page = context.new_page()
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    foreign: list[str] = []
    own = (address, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    yield page
    context.close()
    assert not alerts
    assert not errors
    assert not foreign, "the page asked a foreign host"


def upload(page: Page, path: Path = MEADOW) -> None:
    give_file(page, str(path))
    expect(page.locator("#stage img")).to_be_visible()


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag on the picture; positions are shares of its sides."""
    page.locator("#stage .stage-frame").scroll_into_view_if_needed()
    box = page.locator("#stage .stage-frame").bounding_box()
    assert box is not None
    (x0, y0), (x1, y1) = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x1, y1, steps=6)
    page.mouse.up()


def region_of(label: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """The box of a thing of the meadow, as shares of the picture's sides."""
    x0, y0, x1, y1 = BOXES[label]
    width, height = TRUTH["meadow.png"]["resolution_wh"]
    return (x0 / width, y0 / height), (x1 / width, y1 / height)


@pytest.fixture
def at_reading_pace(served: DirectedPredictor) -> Iterator[None]:
    """Let each token take as long as one of Florence-2-base does on a small machine: the demo is done in an instant."""
    served.seconds_a_step = 0.06
    yield
    served.seconds_a_step = 0.0


@pytest.mark.usefixtures("at_reading_pace")
def test_every_object_is_found_and_drawn_while_the_model_writes(page: Page) -> None:
    upload(page)
    page.evaluate(
        """() => {
            window.seen = new Set();
            const stage = document.querySelector('#stage');
            const count = () => window.seen.add(stage.querySelectorAll('.stage-tags .stage-tag').length);
            new MutationObserver(count).observe(stage, {childList: true, subtree: true});
        }"""
    )
    run(page)
    assert sorted(rows(page)) == MEADOW_LABELS
    counts = page.evaluate("[...window.seen]")
    assert any(0 < count < len(MEADOW_LABELS) for count in counts), f"boxes came all at once: {counts}"
    expect(page.locator("#answer textarea")).to_have_value(", ".join(rows(page)))
    assert page.locator("#stage img").get_attribute("alt").startswith("Found: 1 × ")
    expect(page.locator("#picture")).to_be_visible()
    assert page.locator("#picture").bounding_box()["height"] < 120, "the field did not become a strip"


def test_an_example_is_one_click_and_no_choice_runs_into_its_arrow_or_fades_under_the_mouse(page: Page) -> None:
    page.locator("#examples button").first.click()
    expect(page.locator("#stage img")).to_be_visible()
    run(page)
    assert rows(page)
    ends = "all => all.map((one) => getComputedStyle(one).paddingInlineEnd)"
    assert set(page.locator("input[role=combobox]").evaluate_all(ends)) == {"20px"}
    unfold(page, "Advanced")
    chosen = page.locator("#decoding input:checked")
    chosen.hover()
    assert chosen.evaluate("(one) => getComputedStyle(one).backgroundColor") != "rgb(255, 255, 255)"


def test_a_page_that_a_full_queue_turned_away_says_so_and_can_ask_again(page: Page, address: str) -> None:
    steps = page.request.get(f"{address}/config").json()["dependencies"]
    run_id = next(step["id"] for step in steps if step["api_name"] == "run_on_page")
    is_full = True

    def answer(route: Route) -> None:
        if is_full and route.request.post_data_json["fn_index"] == run_id:  # the second step: others were quicker
            route.fulfill(status=503, json={"detail": "Queue is full. Max size is 1 and size is 1."})
        else:
            route.continue_()

    page.route("**/queue/join*", answer)
    upload(page)
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Press Run again in a minute")
    expect(page.locator("#stop")).to_be_disabled()
    is_full = False
    run(page)
    assert sorted(rows(page)) == MEADOW_LABELS


def test_stop_ends_a_run_that_is_not_even_in_the_queue(page: Page) -> None:
    held: list[Route] = []
    page.route("**/queue/join*", lambda route: route.continue_() if held else held.append(route))
    upload(page)
    page.click("#run")
    expect(page.locator("#stop")).to_be_enabled()
    with page.expect_response("**/run/predict*"):
        page.click("#stop")
    held[0].continue_()
    expect(page.locator("#status")).to_contain_text("Stopped")
    assert rows(page) == []


def test_what_is_missing_is_said_at_its_field_and_nothing_runs(page: Page) -> None:
    page.click("#run")
    expect(page.locator("#picture .validation-error")).to_contain_text("Add a picture first")
    upload(page)
    choose(page, "Find the things I name")
    page.click("#run")
    expect(page.locator("#phrase div.validation-error")).to_contain_text("Type the names of the things to find")
    choose(page, "Name a region")
    page.click("#run")
    expect(page.locator("#draw .validation-error")).to_contain_text("Mark a region")
    expect(page.locator("#status")).not_to_contain_text("Done")
    expect(page.locator("#phrase")).to_have_count(0)


def test_things_are_found_by_name(page: Page) -> None:
    upload(page)
    choose(page, "Find the things I name")
    page.fill("#phrase textarea", "car")
    with when_a_run_is_over(page):
        page.press("#phrase textarea", "Enter")
    assert rows(page) == ["car"]


def test_regions_are_drawn_with_the_mouse_and_named(page: Page) -> None:
    upload(page)
    choose(page, "Name a region")
    drag(page, *region_of("car"))
    drag(page, *region_of("tree"))
    run(page)
    expect(page.locator("#answer textarea")).to_have_value("1. car\n2. tree")


def test_a_region_is_drawn_with_the_finger_on_a_phone(phone: Page) -> None:
    upload(phone)
    choose(phone, "Name a region")
    phone.locator("#stage .stage-frame").scroll_into_view_if_needed()
    box = phone.locator("#stage .stage-frame").bounding_box()
    assert box is not None
    (x0, y0), (x1, y1) = region_of("kite")
    touch = phone.context.new_cdp_session(phone)

    def finger(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
        phone.evaluate(FRAMES)  # a finger that jumps is no gesture to the browser

    finger("touchStart", (x0, y0))
    for step in range(1, 9):
        finger("touchMove", (x0 + (x1 - x0) * step / 8, y0 + (y1 - y0) * step / 8))
    finger("touchEnd")
    with when_a_run_is_over(phone):
        phone.tap("#run")
    expect(phone.locator("#answer textarea")).to_have_value("kite")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    assert phone.evaluate("getComputedStyle(document.documentElement).overflowAnchor") == "none"
    last, buttons = phone.locator("#advanced").bounding_box(), phone.locator("#actions").bounding_box()
    assert last
    assert buttons
    assert last["y"] + last["height"] <= buttons["y"]


def test_style_score_and_labels_redraw_without_the_model(page: Page, served: DirectedPredictor) -> None:
    upload(page)
    run(page)
    num_asked = len(served.asked)
    unfold(page, "How it is drawn")
    first = page.locator("#stage img").get_attribute("src")
    page.locator("#style label", has_text="Ellipse").click()
    expect(page.locator("#stage img")).not_to_have_attribute("src", first or "")
    second = page.locator("#stage img").get_attribute("src")
    page.locator("#labels label").first.click()
    expect(page.locator("#regions tbody tr")).to_have_count(len(MEADOW_LABELS) - 1)
    expect(page.locator("#stage img")).not_to_have_attribute("src", second or "")
    page.fill("#min-score input[type=number]", "1")
    page.press("#min-score input[type=number]", "Tab")
    expect(page.locator("#regions")).to_contain_text("Every region is filtered out.")
    expect(page.locator("#status")).to_contain_text("Done in")
    assert len(served.asked) == num_asked


def test_ten_pixels_of_forty_megapixels_can_be_seen_and_marked(page: Page, tmp_path: Path) -> None:
    width, height, (left, top) = 7600, 5200, (5000, 3000)
    picture = Image.new("RGB", (width, height), "gray")
    picture.paste((255, 0, 0), (left, top, left + 10, top + 10))
    picture.save(tmp_path / "large.png")
    upload(page, tmp_path / "large.png")
    choose(page, "Name a region")
    expect(page.locator("#stage .is-drawing")).to_be_visible()

    def on_screen(x: float, y: float) -> tuple[float, float]:
        box = page.locator("#stage .stage-frame").bounding_box()
        assert box is not None
        return box["x"] + x / width * box["width"], box["y"] + y / height * box["height"]

    page.mouse.move(*on_screen(left + 5, top + 5))
    for _ in range(12):
        page.mouse.wheel(0, -100)
    expect(page.locator("#stage .stage-closeup")).to_be_visible()
    x, y = on_screen(left + 5, top + 5)
    shot = page.screenshot(clip={"x": x - 40, "y": y - 40, "width": 80, "height": 80})
    with Image.open(BytesIO(shot)) as seen:
        colors = [seen.convert("RGB").getpixel(point) for point in ((40, 40), (40, 10), (10, 40), (70, 70))]
    assert [color[0] > 200 and color[1] < 60 for color in colors] == [True, False, False, False]
    page.mouse.move(*on_screen(left, top))
    page.mouse.down()
    page.mouse.move(*on_screen(left + 10, top + 10), steps=3)
    page.mouse.up()
    label = page.locator("#stage .stage-region").get_attribute("aria-label")
    assert label == f"Region 1: 10 by 10 pixels at {left}, {top}"


def test_the_longest_answer_is_what_the_checkpoint_can_write_and_less_cuts_it(
    page: Page, served: DirectedPredictor
) -> None:
    upload(page)
    page.click("#advanced button")
    slider = page.locator("#max-new-tokens")
    for kind in ("number", "range"):
        expect(slider.locator(f"input[type={kind}]")).to_have_attribute("max", "512")
        expect(slider.locator(f"input[type={kind}]")).to_have_value("512")
    run(page)
    assert served.asked[-1].max_new_tokens is None
    assert sorted(rows(page)) == MEADOW_LABELS
    slider.locator("input[type=number]").fill("16")
    page.press("#max-new-tokens input[type=number]", "Tab")
    run(page)
    assert served.asked[-1].max_new_tokens == 16
    expect(page.locator("#notes")).to_contain_text("The answer was cut after 16 tokens. Raise the limit")
    assert 0 < len(rows(page)) < len(MEADOW_LABELS)


def test_a_row_lights_its_box_and_hides_it(page: Page) -> None:
    upload(page)
    run(page)
    row = page.locator("#regions tbody tr").first
    row.hover()
    expect(page.locator("#stage .stage-lit-tag")).to_contain_text(rows(page)[0])
    before = page.locator("#stage img").get_attribute("src")
    row.click()
    expect(page.locator("#stage img")).not_to_have_attribute("src", before or "")
    with page.expect_download() as download:
        page.click("#save")
    saved = Image.open(download.value.path())
    assert saved.size == Image.open(MEADOW).size


def test_the_answer_is_saved_under_the_name_of_the_picture(page: Page, tmp_path: Path) -> None:
    upload(page, Path(shutil.copy(MEADOW, tmp_path / "名前 d'été #1.png")))
    run(page)
    endings = {
        "Annotated picture (PNG)": "-annotated.png",
        "(JPEG)": "-annotated.jpg",
        "COCO": "-coco.zip",
        "TXT": ".txt",
    }
    for title, ending in endings.items():
        page.click("#format input")
        page.locator("#format [role=option]", has_text=title).first.click()
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename == f"名前 d'été #1{ending}"


def test_a_bad_file_is_one_sentence_and_the_page_goes_on(page: Page, tmp_path: Path) -> None:
    bad = tmp_path / "holiday.png"
    bad.write_bytes(b"this is no picture")
    give_file(page, str(bad))
    expect(page.locator("#problem")).to_contain_text("Accepted are JPEG")
    upload(page)
    run(page)
    assert sorted(rows(page)) == MEADOW_LABELS


def test_a_task_that_the_demo_has_not_learned_says_so(page: Page) -> None:
    upload(page)
    choose(page, "A prompt of my own (for fine-tunes)")
    page.fill("#phrase textarea", "<DocVQA> What is the date?")
    run(page)
    expect(page.locator("#notes")).to_contain_text("has not learned “A prompt of my own (for fine-tunes)”")


def test_dark_mode_and_phone_width_hold_without_sideways_scrolling(browser: Browser, address: str) -> None:
    for theme in ("light", "dark"):
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        page.goto(f"{address}?__theme={theme}")
        expect(page.locator("#run")).to_be_visible()
        upload(page)
        run(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        context.close()


def test_a_second_visitor_sees_nothing_of_the_first(browser: Browser, address: str, page: Page) -> None:
    upload(page)
    run(page)
    context = browser.new_context()
    other = context.new_page()
    other.goto(address)
    expect(other.locator("#run")).to_be_visible()
    expect(other.locator("#stage img")).not_to_be_visible()
    expect(other.locator("#answer textarea")).to_have_value("")
    context.close()


def test_a_browser_that_forbids_storage_forgets_and_all_else_works(page: Page, address: str) -> None:
    page.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, {get() { throw new DOMException('forbidden', 'SecurityError') }})"
    )
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    upload(page)
    run(page)
    assert len(rows(page)) > 1


def test_looks_outlive_a_run_and_a_reload_until_they_are_reset(page: Page) -> None:
    def looks() -> dict[str, str]:
        return {name: page.locator(f"#{name} input[type=number]").input_value() for name in ("label-size", "min-score")}

    upload(page)
    run(page)
    unfold(page, "How it is drawn")
    first = looks()
    page.locator("#style label", has_text="Ellipse").click()
    for name, value in (("label-size", "2"), ("min-score", "0.5")):
        page.fill(f"#{name} input[type=number]", value)
        page.press(f"#{name} input[type=number]", "Tab")
    changed = {"label-size": "2", "min-score": "0.5"}
    page.wait_for_function("(localStorage.getItem('playground looks') ?? '').includes('0.5')")
    run(page)
    assert looks() == changed
    page.reload()
    unfold(page, "How it is drawn")
    expect(page.locator("#style label", has_text="Ellipse").locator("input")).to_be_checked()
    assert looks() == changed
    page.click("#reset-looks")
    expect(page.locator("#style label", has_text="Ellipse").locator("input")).not_to_be_checked()
    assert looks() == first
    page.wait_for_function("!localStorage.getItem('playground looks')")
