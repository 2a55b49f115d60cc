"""Two stages on one page, each with its table: what is done in one workspace never shows in the other."""

import json
from collections.abc import Iterator

import gradio as gr
import pytest
from gradio.data_classes import FileData
from playwright.sync_api import Browser, Locator, Page, expect

from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.ui.components import WORKSPACE, RegionTable, RegionTableData, Stage, StageData, boxes_from
from tests.ui.browser.small_page import flat_picture, serving

pytestmark = pytest.mark.browser
W, H = 320, 240
REGIONS = (
    Region("house", (20, 40, 140, 200), score=0.873),
    Region("tree", (180, 20, 300, 220), score=0.342),
)
COLORS = {"house": "#101080", "tree": "#ffe000"}
BOXES = boxes_from(Prediction(Question("<OD>"), "tiny", (W, H), regions=REGIONS), COLORS)
LEFT, RIGHT, ALONE, LATE = "left", "right", "alone", "late"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page. The ids of the boxes are the same everywhere, the pictures differ in their color."""
    cache = str(tmp_path_factory.mktemp("cache"))
    pictures = [flat_picture(color, (W, H), cache) for color in ("#777777", "#dddddd", "#335533", "#553333")]
    with gr.Blocks(analytics_enabled=False, delete_cache=None) as demo:
        with gr.Row():
            for name, picture in zip((LEFT, RIGHT), pictures, strict=False):
                with gr.Column(elem_classes=WORKSPACE, elem_id=name):
                    _workspace(name, picture)
        with gr.Row():
            Stage(_stage(pictures[2]), elem_id=ALONE)  # in no workspace
            with gr.Column(elem_classes=WORKSPACE, elem_id=LATE, visible=False) as late:
                _workspace(LATE, pictures[3])
        gr.Button("show", elem_id="show").click(lambda: gr.Column(visible=True), None, late, show_progress="hidden")
        gr.Button("remove", elem_id="remove").click(lambda: gr.Column(visible=False), None, late)
    with serving(demo, allowed_paths=[cache]) as address:
        yield address


def _stage(picture: FileData) -> StageData:
    return StageData(image=picture, w=W, h=H, boxes=BOXES, draw=True)


def _workspace(name: str, picture: FileData) -> None:
    stage = Stage(_stage(picture), elem_id=f"{name}-stage")
    table = RegionTable(RegionTableData(boxes=BOXES), elem_id=f"{name}-table")
    drawn, hidden = gr.Textbox(elem_id=f"{name}-drawn"), gr.Textbox(elem_id=f"{name}-hidden")
    stage.region(lambda value: json.dumps(value.regions), stage, drawn, show_progress="hidden")
    table.hide(lambda value: json.dumps(value.hidden), table, hidden, show_progress="hidden")


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    for name in (LEFT, RIGHT, ALONE):
        expect(page.locator(f"#{name} .stage-shapes .stage-shape")).to_have_count(2, timeout=20_000)
    yield page
    context.close()
    assert not errors


def rows(page: Page, workspace: str) -> Locator:
    return page.locator(f"#{workspace} tbody tr")


def lit(page: Page, element_id: str) -> list[str]:
    """The labels that are lit on a stage and in a table."""
    lit_ones = ".stage-lit-tag .stage-label, tr.is-lit .region-table-label"
    return page.locator(f"#{element_id} :is({lit_ones})").all_inner_texts()


def point(page: Page, element_id: str, x: float, y: float) -> None:
    """Move the mouse to a pixel of a picture."""
    frame = page.locator(f"#{element_id} .stage-frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x / W * box["width"], box["y"] + y / H * box["height"])


def test_a_row_lights_the_box_of_its_own_stage_only(page: Page) -> None:
    rows(page, LEFT).nth(1).hover()
    expect(page.locator(f"#{LEFT} .stage-lit-tag .stage-label")).to_have_text("tree34%")
    assert (lit(page, LEFT), lit(page, RIGHT), lit(page, ALONE)) == (["tree34%", "tree"], [], [])


def test_a_box_lights_the_row_of_its_own_table_only(page: Page) -> None:
    point(page, RIGHT, 80, 100)
    expect(rows(page, RIGHT).nth(0)).to_have_class("is-lit")
    assert (lit(page, LEFT), lit(page, RIGHT), lit(page, ALONE)) == ([], ["house87%", "house"], [])


def test_a_stage_in_no_workspace_lights_its_own_box_and_hears_nobody(page: Page) -> None:
    point(page, ALONE, 80, 100)
    expect(page.locator(f"#{ALONE} .stage-lit-tag .stage-label")).to_contain_text("house")
    assert (lit(page, LEFT), lit(page, RIGHT)) == ([], [])


def test_hiding_in_one_workspace_leaves_the_boxes_of_the_other(page: Page) -> None:
    rows(page, LEFT).nth(0).click()
    expect(page.locator(f"#{LEFT} .stage-shapes .stage-shape").nth(0)).to_be_hidden()
    expect(page.locator(f"#{LEFT}-hidden textarea")).to_have_value("[0]")
    for name in (RIGHT, ALONE):
        expect(page.locator(f"#{name} .stage-shapes .stage-shape:visible")).to_have_count(2)
    expect(page.locator(f"#{RIGHT} tr.is-hidden")).to_have_count(0)
    rows(page, RIGHT).nth(1).click()
    expect(page.locator(f"#{RIGHT}-hidden textarea")).to_have_value("[1]")
    expect(page.locator(f"#{LEFT}-hidden textarea")).to_have_value("[0]")
    expect(page.locator(f"#{LEFT} .stage-shapes .stage-shape").nth(1)).to_be_visible()


def test_drawing_and_clearing_in_one_workspace_leaves_the_regions_of_the_other(page: Page) -> None:
    for name, (x0, y0, x1, y1) in ((LEFT, (40, 40, 120, 160)), (RIGHT, (60, 60, 260, 200))):
        point(page, name, x0, y0)
        page.mouse.down()
        point(page, name, x1, y1)
        page.mouse.up()
        expect(page.locator(f"#{name} .stage-region")).to_have_count(1)
        expect(page.locator(f"#{name}-drawn textarea")).not_to_be_empty()
    expect(page.locator(f"#{ALONE} .stage-region")).to_have_count(0)
    page.locator(f"#{LEFT} .stage-clear").click()
    expect(page.locator(f"#{LEFT}-drawn textarea")).to_have_value("[]")
    expect(page.locator(f"#{LEFT} .stage-region")).to_have_count(0)
    expect(page.locator(f"#{RIGHT} .stage-region")).to_have_count(1)
    (region,) = json.loads(page.locator(f"#{RIGHT}-drawn textarea").input_value())
    assert region == pytest.approx([60, 60, 260, 200], abs=2)


def test_keys_move_the_region_of_the_stage_in_focus_only(page: Page) -> None:
    for name in (LEFT, RIGHT):
        page.locator(f"#{name} .stage-frame").press("Enter")
        expect(page.locator(f"#{name}-drawn textarea")).to_have_value("[[112.0, 84.0, 208.0, 156.0]]")
    page.keyboard.press("Delete")  # in the right one, where the focus is
    expect(page.locator(f"#{RIGHT}-drawn textarea")).to_have_value("[]")
    expect(page.locator(f"#{LEFT}-drawn textarea")).to_have_value("[[112.0, 84.0, 208.0, 156.0]]")
    expect(page.locator(f"#{LEFT} .stage-region")).to_have_count(1)


def test_a_workspace_that_comes_and_goes_stays_together(page: Page) -> None:
    for _ in range(2):
        page.click("#show")
        rows(page, LATE).nth(1).hover()
        expect(page.locator(f"#{LATE} .stage-lit-tag .stage-label")).to_have_text("tree34%")
        point(page, LATE, 80, 100)
        expect(rows(page, LATE).nth(0)).to_have_class("is-lit")
        assert (lit(page, LEFT), lit(page, RIGHT), lit(page, ALONE)) == ([], [], [])
        page.click("#remove")
        expect(page.locator(f"#{LATE}")).to_be_hidden()


def test_a_score_reads_the_same_on_the_stage_and_in_the_table(page: Page) -> None:
    for index, score in enumerate(["87%", "34%"]):
        rows(page, LEFT).nth(index).hover()
        expect(page.locator(f"#{LEFT} .stage-lit-tag small")).to_have_text(score)
        expect(rows(page, LEFT).nth(index).locator(".region-table-score")).to_have_text(score)
