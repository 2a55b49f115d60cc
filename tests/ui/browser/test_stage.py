"""The stage and the table in a real browser, on a page that holds nothing else, with made-up data."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.ui.components import WORKSPACE, RegionTable, RegionTableData, Stage, StageData, boxes_from
from tests.ui.browser.small_page import flat_picture, serving

pytestmark = pytest.mark.browser
W, H = 640, 480
HOSTILE = "<img src=x onerror=\"document.title='owned'\">${document.title='owned'}{{constructor}}"
BOXES = boxes_from(
    Prediction(
        Question("<OD>"),
        "tiny",
        (W, H),
        regions=(
            Region("room", (64, 48, 512, 432), score=0.91),
            Region("cat", (320, 240, 480, 360)),
            Region(HOSTILE, (600, 4, 639, 60), score=0.5),
            Region("filtered out", (0, 0, 9, 9)),
            Region("filtered out", (0, 0, 9, 9)),
            Region("sign", (10, 450, 60, 470), score=0.4, xyxyxyxy=(10, 455, 60, 450, 60, 465, 10, 470)),
        ),
    ),
    {"room": "#101080", "cat": "#ffe000", HOSTILE: "#ff0000", "sign": "#00ff00", "filtered out": "#000000"},
)
del BOXES[3:5]
MANY = boxes_from(
    Prediction(
        Question("<OD>"),
        "tiny",
        (W, H),
        regions=tuple(Region(f"thing {i}", (i, i, i + 40, i + 30), score=i / 400) for i in range(350)),
    ),
    {f"thing {i}": "#3060c0" for i in range(350)},
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page; each button pushes what its name says."""
    cache = str(tmp_path_factory.mktemp("cache"))
    gray, white = (flat_picture(color, (W, H), cache) for color in ("#777777", "#ffffff"))

    def shows(**options: Any) -> StageData:
        return StageData(image=gray, w=W, h=H, alt="A gray wall", **options)

    def streams() -> Iterator[StageData]:
        for count in range(1, 5):
            yield shows(boxes=BOXES[:count], busy=True, draw=True)

    pushes: dict[str, Callable[[], Any]] = {
        "nothing": StageData,
        "boxes": lambda: shows(boxes=BOXES, hidden=[]),
        "stream": streams,
        "many": lambda: shows(boxes=MANY, hidden=[]),
        "draw": lambda: shows(draw=True, regions=[]),
        "look": lambda: StageData(draw=False, keep=True),
        "suggest": lambda: shows(draw=True, regions=[[10, 20, 110, 120]]),
        "annotated": lambda: shows(boxes=BOXES, annotated=white),
    }
    with gr.Blocks(analytics_enabled=False, delete_cache=None) as demo:
        with gr.Column(elem_classes=WORKSPACE):
            stage = Stage(elem_id="stage")
            table = RegionTable(RegionTableData(empty="Run a task first."), elem_id="regions")
        heard, hidden = gr.Textbox(elem_id="heard"), gr.Textbox(elem_id="hidden")
        said = gr.State([])
        for name, push in pushes.items():
            has_rows = name in ("nothing", "boxes", "many")
            gr.Button(name, elem_id=name).click(
                partial(_with_rows, push) if has_rows else push,
                outputs=[stage, table] if has_rows else stage,
                show_progress="hidden",
                queue=not has_rows,
            )
        gr.Button("forget", elem_id="forget").click(lambda: ([], ""), outputs=[said, heard])
        gr.Button("ask", elem_id="ask").click(_note, [stage, said], [heard, said], show_progress="hidden")
        stage.region(_note, [stage, said], [heard, said], show_progress="hidden", trigger_mode="multiple")
        table.hide(
            lambda data: json.dumps(data.hidden), table, hidden, show_progress="hidden", trigger_mode="always_last"
        )
    with serving(demo, allowed_paths=[cache]) as address:
        yield address


def _with_rows(push: Callable[[], StageData]) -> tuple[StageData, RegionTableData]:
    shown = push()
    return shown, RegionTableData(boxes=shown.boxes, hidden=[], empty="Nothing found.")


def _note(stage: StageData, said: list[Any]) -> tuple[str, list[Any]]:
    said = [*said, stage.regions]
    return json.dumps(said), said


def open_page(browser: Browser, url: str, **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(20_000)
    page.goto(url)
    for element_id in ("stage", "regions", "ask"):
        expect(page.locator(f"#{element_id}")).to_be_visible(timeout=20_000)
    return page


@pytest.fixture(scope="module")
def desk(browser: Browser, url: str) -> Iterator[Page]:
    page = open_page(browser, url, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, url: str) -> Iterator[Page]:
    page = open_page(browser, url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    yield page
    page.context.close()


def push(page: Page, name: str) -> None:
    """Have Python send its value; a click through the DOM leaves mouse and focus where they are."""
    page.evaluate("name => document.getElementById(name).click()", name)


def clear(page: Page) -> None:
    """Show nothing; what is pushed next comes after that, even where nothing was shown before."""
    with page.expect_response("**/run/predict"):
        push(page, "nothing")
    expect(page.locator(".stage.is-empty")).to_be_visible()


def show_boxes(page: Page) -> None:
    clear(page)
    expect(page.locator("#regions tbody tr")).to_have_count(0)
    push(page, "boxes")
    expect(page.locator(".stage-shapes .stage-shape")).to_have_count(len(BOXES))
    expect(page.locator("#regions tbody tr")).to_have_count(len(BOXES))


def start_drawing(page: Page) -> None:
    clear(page)
    push(page, "forget")
    expect(page.locator("#heard textarea")).to_have_value("")
    push(page, "draw")
    expect(page.locator(".stage-frame.is-drawing")).to_be_visible()
    page.locator(".stage-frame").scroll_into_view_if_needed()


def look(page: Page) -> None:
    """Draw no more."""
    push(page, "look")
    expect(page.locator(".stage-frame.is-drawing")).to_have_count(0)


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture is in the window."""
    box = page.locator(".stage-frame").bounding_box()
    assert box is not None
    return box["x"] + x / W * box["width"], box["y"] + y / H * box["height"]


def mouse_drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*on_screen(page, *start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, *end), steps=3)
    page.mouse.up()


def heard(page: Page, count: int) -> list[list[float]]:
    """The regions that Python got with the event `count`, which has to be the last."""
    page.wait_for_function(
        "count => JSON.parse(document.querySelector('#heard textarea').value || '[]').length >= count", arg=count
    )
    said = json.loads(page.locator("#heard textarea").input_value())
    assert len(said) == count
    return list(said[-1])


def near(*numbers: float) -> Any:
    return pytest.approx(list(numbers), abs=1.0)  # half a screen pixel and the rounding


def test_without_a_picture_the_stage_says_where_it_will_be(desk: Page) -> None:
    push(desk, "nothing")
    expect(desk.get_by_text("Your picture appears here")).to_be_visible()
    expect(desk.locator("#regions")).to_contain_text("Nothing found.")


def test_boxes_lie_where_the_model_saw_them(desk: Page) -> None:
    show_boxes(desk)
    expect(desk.get_by_role("img", name="A gray wall")).to_be_visible()
    for index, xyxy in enumerate([(64, 48, 512, 432), (320, 240, 480, 360), (600, 4, 639, 60), (10, 450, 60, 470)]):
        box = desk.evaluate(
            """index => {
              const rect = (selector, index) => document.querySelectorAll(selector)[index].getBoundingClientRect();
              const [frame, box] = [rect(".stage-frame", 0), rect(".stage-shapes .stage-shape", index)];
              const [x, y] = [640 / frame.width, 480 / frame.height];
              return [(box.left - frame.left) * x, (box.top - frame.top) * y,
                      (box.right - frame.left) * x, (box.bottom - frame.top) * y];
            }""",
            index,
        )
        assert box == pytest.approx(xyxy, abs=3), f"box {index}"


def test_text_from_the_model_is_shown_and_never_run(desk: Page) -> None:
    show_boxes(desk)
    expect(desk.locator(".stage-tags .stage-label").nth(2)).to_contain_text(HOSTILE)
    expect(desk.locator("#regions .region-table-label").nth(2)).to_have_text(HOSTILE)
    assert desk.locator("#stage .stage-tags img, #regions img").count() == 0
    assert desk.title() != "owned"


def test_the_area_of_a_tilted_box_is_its_own(desk: Page) -> None:
    show_boxes(desk)
    expect(desk.locator("#regions tbody .region-table-area")).to_have_text(["172,032", "19,200", "2,184", "750"])


def test_labels_stay_inside_the_picture_in_a_readable_color(desk: Page) -> None:
    show_boxes(desk)
    labels = desk.locator(".stage-tags .stage-label")
    frame = desk.locator(".stage-frame").bounding_box()
    assert frame is not None
    for box in (label.bounding_box() for label in labels.all()):
        assert box is not None
        assert frame["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1
        assert frame["y"] - 1 <= box["y"]
    expect(labels.nth(0)).to_have_css("color", "rgb(255, 255, 255)")  # on dark blue
    expect(labels.nth(1)).to_have_css("color", "rgb(0, 0, 0)")  # on yellow


def test_a_row_lights_its_box_and_a_box_its_row(desk: Page) -> None:
    show_boxes(desk)
    lit_label, lit_row = desk.locator(".stage-lit-tag .stage-label"), desk.locator("#regions tr.is-lit")
    desk.locator("#regions tbody tr").nth(3).hover()
    expect(lit_label).to_contain_text("sign")
    desk.mouse.move(*on_screen(desk, 400, 300))  # in the cat, which is in the room
    expect(lit_row).to_contain_text("cat")
    desk.mouse.move(*on_screen(desk, 100, 100))
    expect(lit_row).to_contain_text("room")
    expect(lit_label).to_have_text("room91%")
    desk.mouse.move(2, 2)
    expect(lit_row).to_have_count(0)
    expect(lit_label).to_have_count(0)


def test_a_click_on_a_row_hides_its_box_and_tells_python(desk: Page) -> None:
    show_boxes(desk)
    rows, shapes = desk.locator("#regions tbody tr"), desk.locator(".stage-shapes .stage-shape")
    rows.nth(3).click()
    expect(shapes.nth(3)).to_be_hidden()
    expect(desk.locator("#hidden textarea")).to_have_value("[5]")  # its id, not its place in the list
    rows.nth(3).get_by_role("button").press("ArrowUp")
    desk.keyboard.press("Enter")
    expect(desk.locator("#hidden textarea")).to_have_value("[5, 2]")
    rows.nth(3).click()
    expect(shapes.nth(3)).to_be_visible()
    expect(shapes.nth(2)).to_be_hidden()


def test_many_boxes_show_labels_on_hover_only_and_at_most_300_rows(desk: Page) -> None:
    push(desk, "many")
    expect(desk.locator(".stage-shapes .stage-shape")).to_have_count(350)
    expect(desk.locator("#regions tbody tr")).to_have_count(300)
    expect(desk.get_by_text("and 50 more")).to_be_visible()
    expect(desk.locator(".stage-tags .stage-label:visible")).to_have_count(0)
    desk.mouse.move(*on_screen(desk, 2, 2))
    expect(desk.locator(".stage-lit-tag .stage-label")).to_contain_text("thing 0")


def test_on_an_annotated_picture_a_box_shows_on_hover_only(desk: Page) -> None:
    push(desk, "annotated")
    expect(desk.locator(".stage.is-annotated")).to_be_visible()
    expect(desk.locator(".stage-shapes")).to_be_hidden()
    desk.mouse.move(*on_screen(desk, 400, 300))
    expect(desk.locator(".stage-lit-tag .stage-label")).to_contain_text("cat")


def test_a_region_is_drawn_moved_resized_and_removed_with_the_mouse(desk: Page) -> None:
    start_drawing(desk)
    mouse_drag(desk, (100, 80), (300, 200))
    assert heard(desk, 1) == [near(100, 80, 300, 200)]
    mouse_drag(desk, (200, 150), (240, 130))
    assert heard(desk, 2) == [near(140, 60, 340, 180)]
    mouse_drag(desk, (340, 180), (400, 300))
    assert heard(desk, 3) == [near(140, 60, 400, 300)]
    mouse_drag(desk, (500, 400), (900, 900))
    assert heard(desk, 4) == [near(140, 60, 400, 300), near(500, 400, 640, 480)]
    expect(desk.get_by_role("status").first).to_have_text("Region 2 drawn")
    desk.get_by_role("button", name="Remove region 1").click()
    assert heard(desk, 5) == [near(500, 400, 640, 480)]
    desk.get_by_role("button", name="Clear regions").click()
    assert heard(desk, 6) == []


def test_a_click_draws_no_region(desk: Page) -> None:
    start_drawing(desk)
    mouse_drag(desk, (100, 80), (102, 81))
    mouse_drag(desk, (200, 200), (260, 260))
    assert heard(desk, 1) == [near(200, 200, 260, 260)]


def test_regions_need_no_pointer(desk: Page) -> None:
    start_drawing(desk)
    desk.locator(".stage-frame").focus()
    desk.keyboard.press("Enter")
    assert heard(desk, 1) == [[224, 168, 416, 312]]
    desk.keyboard.press("ArrowRight")
    assert heard(desk, 2) == [[226.4, 168, 418.4, 312]]
    desk.keyboard.press("Shift+ArrowUp")
    assert heard(desk, 3) == [[226.4, 144, 418.4, 288]]
    desk.keyboard.press("Alt+ArrowDown")
    assert heard(desk, 4) == [[226.4, 144, 418.4, 290.4]]
    desk.keyboard.press("n")
    assert len(heard(desk, 5)) == 2
    desk.keyboard.press("Escape")
    expect(desk.locator(".stage-region.is-selected")).to_have_count(0)
    desk.keyboard.press("Delete")
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("group", name="Region 1")).to_be_focused()
    desk.keyboard.press("Delete")
    assert heard(desk, 6) == [[224, 168, 416, 312]]


def test_an_update_in_the_middle_of_a_drag_disturbs_neither(desk: Page) -> None:
    start_drawing(desk)
    desk.mouse.move(*on_screen(desk, 50, 50))
    desk.mouse.down()
    desk.mouse.move(*on_screen(desk, 90, 90))
    push(desk, "stream")
    expect(desk.locator(".stage-shapes .stage-shape")).to_have_count(4)
    desk.mouse.move(*on_screen(desk, 150, 170))
    desk.mouse.up()
    assert heard(desk, 1) == [near(50, 50, 150, 170)]
    expect(desk.locator(".stage-shapes .stage-shape")).to_have_count(4)
    expect(desk.locator(".stage-frame")).to_have_attribute("aria-busy", "true")


def test_regions_outlive_a_streaming_answer_and_are_the_input_of_the_next_event(desk: Page) -> None:
    start_drawing(desk)
    mouse_drag(desk, (300, 300), (400, 400))
    heard(desk, 1)
    push(desk, "stream")
    expect(desk.locator(".stage-shapes .stage-shape")).to_have_count(4)
    expect(desk.locator(".stage-region")).to_have_count(1)
    push(desk, "ask")
    assert heard(desk, 2) == [near(300, 300, 400, 400)]


def test_escape_in_the_middle_of_a_drag_undoes_it(desk: Page) -> None:
    start_drawing(desk)
    desk.mouse.move(*on_screen(desk, 50, 50))
    desk.mouse.down()
    desk.mouse.move(*on_screen(desk, 150, 150))
    expect(desk.locator(".stage-region")).to_have_count(1)
    desk.keyboard.press("Escape")
    desk.mouse.up()
    expect(desk.locator(".stage-region")).to_have_count(0)


def test_regions_from_python_replace_those_on_the_page(desk: Page) -> None:
    start_drawing(desk)
    mouse_drag(desk, (300, 300), (400, 400))
    heard(desk, 1)
    push(desk, "suggest")
    expect(desk.get_by_role("group", name="Region 1: 100 by 100 pixels at 10, 20")).to_be_visible()
    mouse_drag(desk, (500, 300), (600, 400))
    assert heard(desk, 2) == [[10, 20, 110, 120], near(500, 300, 600, 400)]


def zoom_to(page: Page, x: float, y: float, *, turns: int = 8) -> None:
    """Turn the wheel over a pixel of the picture."""
    page.mouse.move(*on_screen(page, x, y))
    for _ in range(turns):
        page.mouse.wheel(0, -100)
    expect(page.locator(".stage-overview")).to_be_visible()


def view_of(page: Page) -> tuple[float, float, float]:
    """How many pixels of the picture the view is wide, and the pixel in its middle."""
    view, frame = (page.locator(f".stage-{name}").bounding_box() for name in ("view", "frame"))
    assert view is not None
    assert frame is not None
    pixel = W / frame["width"]
    middle = [(view[axis] - frame[axis] + view[side] / 2) * pixel for axis, side in (("x", "width"), ("y", "height"))]
    return view["width"] * pixel, middle[0], middle[1]


def test_a_region_drawn_close_up_is_exact_to_the_pixel_and_stays_where_it_is(desk: Page) -> None:
    start_drawing(desk)
    zoom_to(desk, 300, 200)
    assert view_of(desk)[0] < W / 2.5
    mouse_drag(desk, (300, 200), (310, 207))
    assert heard(desk, 1) == [pytest.approx([300, 200, 310, 207], abs=0.4)]
    mouse_drag(desk, (310, 207), (312, 209))
    assert heard(desk, 2) == [pytest.approx([300, 200, 312, 209], abs=0.4)]
    desk.keyboard.press("0")
    assert view_of(desk) == pytest.approx((W, W / 2, H / 2), abs=0.01)
    where = desk.locator(".stage-region").bounding_box()
    assert where is not None
    assert (where["x"], where["y"]) == pytest.approx(on_screen(desk, 300, 200), abs=1)


def test_the_wheel_zooms_at_the_pointer_and_scrolls_the_page_where_it_cannot(desk: Page) -> None:
    show_boxes(desk)
    desk.mouse.move(*on_screen(desk, 160, 120))
    before = on_screen(desk, 160, 120)
    desk.mouse.wheel(0, -100)
    expect(desk.locator(".stage-overview")).to_be_visible()
    assert on_screen(desk, 160, 120) == pytest.approx(before, abs=1)
    for _ in range(3):
        desk.mouse.wheel(0, 100)
    expect(desk.locator(".stage-overview")).to_be_hidden()
    scrolled = desk.evaluate("scrollY")
    desk.mouse.wheel(0, 60)
    desk.wait_for_function("before => scrollY > before", arg=scrolled)
    desk.evaluate("scrollTo(0, 0)")


def test_a_press_that_is_let_go_outside_moves_nothing_later(desk: Page) -> None:
    show_boxes(desk)
    look(desk)
    desk.mouse.move(*on_screen(desk, 320, 240))
    desk.mouse.down()
    desk.mouse.move(2, 2)
    desk.mouse.up()
    zoom_to(desk, 320, 240)
    before = view_of(desk)
    desk.mouse.move(*on_screen(desk, 330, 250), steps=3)
    assert view_of(desk) == before


def test_a_picture_is_zoomed_and_moved_by_drag_button_key_and_overview(desk: Page) -> None:
    show_boxes(desk)
    look(desk)
    zoom_to(desk, 320, 240)
    width, x, y = view_of(desk)
    mouse_drag(desk, (320, 240), (340, 240))
    assert view_of(desk) == pytest.approx((width, x - 20, y), abs=0.5)
    overview = desk.locator(".stage-overview").bounding_box()
    assert overview is not None
    desk.mouse.click(overview["x"] + 0.7 * overview["width"], overview["y"] + 0.6 * overview["height"])
    assert view_of(desk) == pytest.approx((width, 0.7 * W, 0.6 * H), abs=W / overview["width"])
    desk.click("[data-zoom=fit]")
    assert view_of(desk)[0] == W
    desk.keyboard.press("Enter")  # the focus is on the button that is left
    desk.keyboard.press("+")
    assert view_of(desk)[0] == pytest.approx(W / 2.25, abs=1)
    desk.keyboard.press("ArrowRight")
    assert view_of(desk)[1] == pytest.approx(W / 2 + W / 2.25 / 4, abs=1)
    view = desk.locator(".stage-view").bounding_box()
    assert view is not None
    desk.mouse.dblclick(view["x"] + view["width"] / 2, view["y"] + view["height"] / 2)
    assert view_of(desk)[0] == pytest.approx(W / 4, abs=1)  # as close as it gets
    push(desk, "nothing")
    push(desk, "boxes")
    expect(desk.locator(".stage-overview")).to_be_hidden()


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})


def finger_drag(page: Page, start: tuple[float, float], end: tuple[float, float], *, last: str = "touchEnd") -> None:
    session = page.context.new_cdp_session(page)
    (x0, y0), (x1, y1) = on_screen(page, *start), on_screen(page, *end)
    touch(session, "touchStart", (x0, y0))
    for step in range(1, 6):
        touch(session, "touchMove", (x0 + (x1 - x0) * step / 5, y0 + (y1 - y0) * step / 5))
    touch(session, last)


def test_a_finger_draws_and_moves_a_region_without_scrolling_the_page(phone: Page) -> None:
    start_drawing(phone)
    scrolled = phone.evaluate("scrollY")
    finger_drag(phone, (100, 80), (400, 380))
    assert heard(phone, 1) == [pytest.approx([100, 80, 400, 380], abs=2)]
    finger_drag(phone, (250, 230), (300, 230))
    assert heard(phone, 2) == [pytest.approx([150, 80, 450, 380], abs=3)]
    assert phone.evaluate("scrollY") == scrolled


def test_a_cancelled_touch_leaves_no_region(phone: Page) -> None:
    start_drawing(phone)
    finger_drag(phone, (100, 80), (300, 300), last="touchCancel")
    expect(phone.locator(".stage-region")).to_have_count(0)


def test_a_second_finger_changes_nothing(phone: Page) -> None:
    start_drawing(phone)
    session = phone.context.new_cdp_session(phone)
    first, moved, second = (on_screen(phone, *point) for point in ((100, 100), (300, 300), (500, 50)))
    touch(session, "touchStart", first)
    touch(session, "touchMove", moved)
    touch(session, "touchStart", moved, second)
    touch(session, "touchMove", moved, first)
    touch(session, "touchEnd")
    assert heard(phone, 1) == [pytest.approx([100, 100, 300, 300], abs=2)]


def test_two_fingers_zoom_and_one_then_moves_the_picture(phone: Page) -> None:
    show_boxes(phone)
    look(phone)
    phone.locator(".stage-frame").scroll_into_view_if_needed()
    scrolled = phone.evaluate("scrollY")
    session = phone.context.new_cdp_session(phone)
    left, right, out_left, out_right = (on_screen(phone, x, 240) for x in (280, 360, 200, 440))
    touch(session, "touchStart", left, right)
    touch(session, "touchMove", out_left, out_right)
    touch(session, "touchEnd")
    width, x, y = view_of(phone)
    assert width == pytest.approx(W / 3, rel=0.1)
    finger_drag(phone, (x, y), (x + 30, y))
    assert view_of(phone) == pytest.approx((width, x - 30, y), abs=2)
    assert phone.evaluate("scrollY") == scrolled


def test_new_boxes_fade_in_unless_motion_is_unwelcome(phone: Page, desk: Page) -> None:
    for page, animation in ((phone, "stage-appear"), (desk, "none")):
        show_boxes(page)
        expect(page.locator(".stage-shapes .stage-shape").first).to_have_css("animation-name", animation)


def test_the_page_fits_a_phone(phone: Page) -> None:
    for name in ("boxes", "many", "draw"):
        push(phone, name)
        expect(phone.locator("#stage .stage-picture")).to_be_visible()
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_dark_page_has_readable_tools(browser: Browser, url: str) -> None:
    page = open_page(browser, f"{url}?__theme=dark", viewport={"width": 1280, "height": 800})
    push(page, "draw")
    hint = page.locator(".stage-hint")
    expect(hint).to_be_visible()
    color = page.evaluate("getComputedStyle(document.querySelector('.stage-clear')).color")
    assert color == "rgb(255, 255, 255)"
    page.context.close()
