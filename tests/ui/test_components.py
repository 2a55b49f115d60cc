"""The stage and the table as Python sees them; what they do on the page is in `tests/browser/test_stage.py`."""

from pathlib import Path

import gradio as gr
import pytest
from gradio.data_classes import FileData

from playground.regions import Region
from playground.results import Prediction
from playground.ui.components import RegionTable, RegionTableData, Stage, StageData, boxes_from

_ASSETS = Path(__file__).resolve().parents[1] / "assets"


def test_boxes_carry_what_the_page_draws() -> None:
    prediction = Prediction(
        task="<OD>",
        checkpoint="tiny",
        resolution_wh=(100, 80),
        regions=(
            Region("cat", (1.24, 2.0, 30.06, 40.0), score=0.9),
            Region("sign", (0, 0, 9, 5), xyxyxyxy=(0, 1, 9, 0, 9, 4, 0, 5.55)),
            Region("tree", (5, 5, 9, 9), polygons=(((5, 5), (9, 5.04), (9, 9)),)),
        ),
    )
    color_of = {"cat": "#aa0000", "sign": "#00aa00", "tree": "#0000aa"}.__getitem__
    assert boxes_from(prediction, color_of) == [
        {"id": 0, "label": "cat", "color": "#aa0000", "score": 0.9, "xyxy": [1.2, 2.0, 30.1, 40.0]},
        {
            "id": 1,
            "label": "sign",
            "color": "#00aa00",
            "score": None,
            "xyxy": [0, 0, 9, 5],
            "quad": [0, 1, 9, 0, 9, 4, 0, 5.5],
        },
        {
            "id": 2,
            "label": "tree",
            "color": "#0000aa",
            "score": None,
            "xyxy": [5, 5, 9, 9],
            "polygons": [[[5, 5], [9, 5.0], [9, 9]]],
        },
    ]


def test_a_prediction_without_regions_has_no_boxes() -> None:
    assert boxes_from(Prediction("<OD>", "tiny", (10, 10)), lambda _: "#000000") == []


def test_as_an_input_the_stage_is_the_drawn_regions_and_nothing_else_from_the_page() -> None:
    forged = StageData(
        image=FileData(path="/etc/passwd"), alt="forged", w=5, h=5, boxes=[{"label": "x"}], regions=[[1, 2, 3, 4]]
    )
    assert Stage().preprocess(forged) == StageData(regions=[[1, 2, 3, 4]])


def test_as_an_input_the_table_is_the_hidden_boxes_and_nothing_else_from_the_page() -> None:
    assert RegionTable().preprocess(RegionTableData(boxes=[{"label": "x"}], hidden=[3])) == RegionTableData(hidden=[3])


@pytest.mark.parametrize("payload", [pytest.param(None, id="no value"), pytest.param(StageData(), id="nothing drawn")])
def test_a_stage_without_regions_gives_an_empty_list(payload: StageData | None) -> None:
    assert Stage().preprocess(payload).regions == []


def test_nothing_becomes_an_empty_stage_and_an_empty_table() -> None:
    assert Stage().postprocess(None) == StageData()
    assert RegionTable().postprocess(None) == RegionTableData()


def test_gestures_and_clicks_are_events() -> None:
    with gr.Blocks() as demo:
        stage, table = Stage(), RegionTable()
        stage.region(lambda _: None, stage)
        table.hide(lambda _: None, table)
    assert [function.targets[0][1] for function in demo.fns.values()] == ["region", "hide"]


@pytest.mark.parametrize("name", ["stage.html", "table.html"])
def test_templates_are_static_so_no_value_is_compiled_into_html(name: str) -> None:
    template = (_ASSETS / name).read_text(encoding="utf-8")
    assert "{{" not in template
    assert "${" not in template


@pytest.mark.parametrize("name", ["stage.js", "regions.js", "table.js"])
def test_scripts_never_parse_html(name: str) -> None:
    script = (_ASSETS / name).read_text(encoding="utf-8")
    forbidden = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function("]
    assert [word for word in forbidden if word in script] == []
