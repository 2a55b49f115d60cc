"""The stage and the table as Python sees them; what they do on the page is in `browser/test_stage.py`."""

from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import FileData

from playground.paths import ASSETS
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.ui.components import (
    WORKSPACE,
    BoxData,
    RegionTable,
    RegionTableData,
    Stage,
    StageData,
    boxes_from,
    truth_from,
)

SCRIPTS = [
    pytest.param(Stage.script, id="stage"),
    pytest.param(RegionTable.script, id="table"),
]
FORGED = BoxData(id=0, label="x", color="#000000", ink="white", xyxy=[0, 0, 1, 1], area=1)


def prediction_of(*regions: Region) -> Prediction:
    return Prediction(Question("<OD>"), "tiny", (100, 80), regions=regions)


def wire(boxes: list[BoxData]) -> list[dict[str, Any]]:
    return [box.model_dump() for box in boxes]


def test_boxes_carry_what_the_page_draws_and_nothing_that_is_absent() -> None:
    prediction = prediction_of(
        Region("cat", (1.24, 2.0, 30.06, 40.0), score=0.87654),
        Region("sign", (0, 0, 9, 5), xyxyxyxy=(0, 1, 9, 0, 9, 4, 0, 5.55)),
        Region("tree", (5, 5, 9, 9), polygons=(((5, 5), (9, 5.04), (9, 9)),), source="added"),
    )
    colors = {"cat": "#101080", "sign": "#ffe000", "tree": "#0000aa"}
    assert wire(boxes_from(prediction, colors)) == [
        {
            "id": 0,
            "label": "cat",
            "color": "#101080",
            "ink": "white",
            "score": 0.877,
            "score_text": "88%",
            "xyxy": [1.2, 2.0, 30.1, 40.0],
            "area": 1095.2,
        },
        {
            "id": 1,
            "label": "sign",
            "color": "#ffe000",
            "ink": "black",
            "xyxy": [0, 0, 9, 5],
            "area": 38.5,
            "quad": [0, 1, 9, 0, 9, 4, 0, 5.5],
        },
        {
            "id": 2,
            "label": "tree",
            "color": "#0000aa",
            "ink": "white",
            "source": "added",
            "xyxy": [5, 5, 9, 9],
            "area": 7.9,
            "polygons": [[[5, 5], [9, 5.0], [9, 9]]],
        },
    ]


def test_a_score_of_zero_is_a_score() -> None:
    (box,) = wire(boxes_from(prediction_of(Region("cat", (0, 0, 9, 9), score=0.0)), {"cat": "#000000"}))
    assert (box["score"], box["score_text"]) == (0, "0%")


def test_boxes_survive_the_way_to_the_page_and_back() -> None:
    region = Region("cat", (0, 0, 9, 9), score=0.5, xyxyxyxy=(0, 0, 9, 0, 9, 9, 0, 9), source="edited")
    stage = StageData(w=100, h=80, boxes=boxes_from(prediction_of(region), {region.label: "#00ff00"}))
    assert StageData.from_json(stage.model_dump()) == stage


def test_a_prediction_without_regions_has_no_boxes() -> None:
    assert boxes_from(prediction_of(), {}) == []


def test_the_truth_is_words_and_white_boxes_with_black_text() -> None:
    truth = truth_from("a cat", [Region("cat", (0, 0, 9, 9))])
    assert truth.model_dump() == {
        "text": "a cat",
        "boxes": [{"id": 0, "label": "cat", "color": "#ffffff", "ink": "black", "xyxy": [0, 0, 9, 9], "area": 81}],
    }


def test_as_an_input_the_stage_is_the_drawn_regions_and_nothing_else_from_the_page() -> None:
    forged = StageData(
        image=FileData(path="/etc/passwd"), alt="forged", w=5, h=5, boxes=[FORGED], regions=[[1, 2, 3, 4]]
    )
    assert Stage().preprocess(forged) == StageData(regions=[[1, 2, 3, 4]])


def test_as_an_input_the_table_is_the_hidden_boxes_and_nothing_else_from_the_page() -> None:
    assert RegionTable().preprocess(RegionTableData(boxes=[FORGED], hidden=[3])) == RegionTableData(hidden=[3])


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


@pytest.mark.parametrize("name", ["stage.html", "table.html", "lines.html"])
def test_templates_are_static_so_no_value_is_compiled_into_html(name: str) -> None:
    template = (ASSETS / name).read_text(encoding="utf-8")
    assert "{{" not in template
    assert "${" not in template


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS.glob("*.js")))
def test_scripts_never_parse_html(name: str) -> None:
    script = (ASSETS / name).read_text(encoding="utf-8")
    forbidden = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function("]
    assert [word for word in forbidden if word in script] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_components_talk_through_their_workspace_and_never_through_the_document(script: str) -> None:
    forbidden = ["document.addEventListener", "document.dispatchEvent", "document.querySelector", "getElementById"]
    assert [word for word in forbidden if word in script] == []
    assert f'closest(".{WORKSPACE}")' in script
