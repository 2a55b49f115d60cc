"""The values that travel: checked at birth, and read from whoever sends them."""

import json
import time
from typing import Any

import pytest

from playground.errors import PredictionInvalid
from playground.events import RunStage
from playground.regions import MAX_REGIONS, Region
from playground.results import Prediction, Timings

NAN = float("nan")
QUAD = (1.0, 2.0, 9.0, 3.0, 8.0, 6.0, 1.0, 5.0)
TRIANGLE = ((0.0, 0.0), (4.0, 0.0), (2.0, 3.5))
WHOLE = Prediction(
    task="<OD>",
    checkpoint="florence-2-base",
    resolution_wh=(640, 480),
    text="2 × t-shirt, café",
    regions=(
        Region("t-shirt", (1.5, 2.5, 30.25, 40.0), score=0.5),
        Region("café <b>", (0.0, 0.0, 640.0, 480.0), score=None, xyxyxyxy=QUAD),
        Region("t-shirt", (0.0, 0.0, 4.0, 3.5), score=1.0, polygons=(TRIANGLE, TRIANGLE)),
    ),
    raw_text="<s>t-shirt<loc_1></s>",
    stage=RunStage.DONE,
    is_final=True,
    is_draft=False,
    is_truncated=True,
    notices=("The answer was cut.",),
    timings=Timings(encode_image=1.5, encode_prompt=0.0, first_token=2.0, first_region=None, total=9.0),
)


def wire(**changes: Any) -> dict[str, Any]:
    return {**WHOLE.to_dict(), **changes}


def region_wire(**changes: Any) -> dict[str, Any]:
    return wire(regions=[{"label": "car", "score": 0.5, "xyxy": [1, 2, 3, 4], **changes}])


# --- Checked at birth


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param({"xyxy": (1, 2, 3)}, "xyxy must have 4 numbers, but got 3", id="three numbers"),
        pytest.param({"xyxy": (5, 2, 3, 4)}, "xyxy must be ordered as x_min, y_min, x_max, y_max", id="left of itself"),
        pytest.param({"xyxy": (1, 9, 3, 4)}, "xyxy must be ordered as x_min, y_min, x_max, y_max", id="above itself"),
        pytest.param({"xyxy": (1, 2, 3, float("nan"))}, "must be finite", id="not a number"),
        pytest.param({"xyxy": (1, 2, float("inf"), 4)}, "must be finite", id="infinite"),
        pytest.param({"xyxyxyxy": (1, 2, 3, 4)}, "xyxyxyxy must have 8 numbers, but got 4", id="half a quad"),
        pytest.param({"xyxyxyxy": (float("nan"),) * 8}, "must be finite", id="quad not a number"),
        pytest.param({"polygons": (((0, 0), (1, 1)),)}, "at least 3 points", id="two points"),
        pytest.param({"polygons": (((0, 0), (1, 1), (1, float("inf"))),)}, "must be finite", id="infinite point"),
        pytest.param({"score": 1.01}, r"score must be in 0\.\.1 or None, but got 1\.01", id="score above 1"),
        pytest.param({"score": -0.1}, r"score must be in 0\.\.1 or None, but got -0\.1", id="negative score"),
        pytest.param({"score": float("nan")}, r"score must be in 0\.\.1 or None, but got nan", id="score not a number"),
    ],
)
def test_a_region_that_cannot_be_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Region(**{"label": "car", "xyxy": (1, 2, 3, 4), **fields})


def test_a_region_may_be_a_point_and_have_no_label() -> None:
    assert Region("", (3, 4, 3, 4)).area == 0
    assert Region("", (1, 2, 4, 12)).area == 30


@pytest.mark.parametrize("resolution_wh", [(0, 5), (5, -1), (5,), (5, 5, 5)])
def test_a_prediction_about_a_picture_without_pixels_is_refused(resolution_wh: Any) -> None:
    with pytest.raises(ValueError, match="resolution_wh must be a width and a height of at least 1"):
        Prediction("<OD>", "tiny", resolution_wh)


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        WHOLE.text = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        WHOLE.regions[0].label = "other"  # type: ignore[misc]


# --- Picking and counting


def test_keep_leaves_the_wanted_regions_and_everything_else() -> None:
    kept = WHOLE.keep(lambda index, region: index == 0 or region.score is None)
    assert kept.regions == WHOLE.regions[:2]
    assert kept.text == WHOLE.text
    assert len(WHOLE.regions) == 3


def test_labels_are_counted_in_the_order_of_first_appearance() -> None:
    assert list(WHOLE.label_counts().items()) == [("t-shirt", 2), ("café <b>", 1)]
    assert Prediction("<OD>", "tiny", (1, 1)).label_counts() == {}


# --- The wire


def test_the_wire_form_is_as_documented() -> None:
    assert WHOLE.to_dict() == {
        "task": "<OD>",
        "checkpoint": "florence-2-base",
        "resolution_wh": [640, 480],
        "text": "2 × t-shirt, café",
        "regions": [
            {"label": "t-shirt", "score": 0.5, "xyxy": [1.5, 2.5, 30.25, 40.0]},
            {"label": "café <b>", "score": None, "xyxy": [0.0, 0.0, 640.0, 480.0], "xyxyxyxy": list(QUAD)},
            {
                "label": "t-shirt",
                "score": 1.0,
                "xyxy": [0.0, 0.0, 4.0, 3.5],
                "polygons": [[[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]], [[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]]],
            },
        ],
        "raw_text": "<s>t-shirt<loc_1></s>",
        "stage": "done",
        "is_final": True,
        "is_draft": False,
        "is_truncated": True,
        "notices": ["The answer was cut."],
        "timings_ms": {
            "encode_image": 1.5, "encode_prompt": 0.0, "first_token": 2.0, "first_region": None, "total": 9.0,
        },
    }  # fmt: skip


def test_a_prediction_comes_back_from_json_as_it_was() -> None:
    assert Prediction.from_dict(json.loads(json.dumps(WHOLE.to_dict(), allow_nan=False))) == WHOLE


def test_a_wire_may_leave_out_what_has_a_default() -> None:
    read = Prediction.from_dict({"task": "", "checkpoint": "", "resolution_wh": [9, 8], "text": "", "regions": []})
    assert read == Prediction("", "", (9, 8), stage=RunStage.DONE, is_final=True)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param([], "it must be an object, but got list", id="a list"),
        pytest.param(None, "it must be an object, but got NoneType", id="nothing"),
        pytest.param({}, "'regions' is missing", id="empty"),
        pytest.param({key: value for key, value in wire().items() if key != "task"}, "'task' is missing", id="no task"),
        pytest.param(wire(task=None), "task must be text, but got NoneType", id="task of no type"),
        pytest.param(wire(text=5), "text must be text, but got int", id="number as text"),
        pytest.param(wire(text="x" * 200_001), "text may have at most 200000 letters, but got 200001", id="long text"),
        pytest.param(wire(text="\ud800"), "text must hold whole letters", id="half a letter"),
        pytest.param(wire(stage="resting"), "'resting' is not a valid Stage", id="unknown stage"),
        pytest.param(wire(stage=[]), "is not a valid Stage", id="stage of the wrong type"),
        pytest.param(wire(is_final="false"), "is_final must be true or false, but got str", id="text as a flag"),
        pytest.param(wire(notices="abc"), "notices must be a list, but got str", id="text as notices"),
        pytest.param(wire(notices=[1]), "a notice must be text, but got int", id="number as notice"),
        pytest.param(wire(resolution_wh=[640]), "resolution_wh must have 2 numbers, but got 1", id="half a size"),
        pytest.param(wire(resolution_wh=[0, 5]), "a width and a height of at least 1", id="no width"),
        pytest.param(wire(resolution_wh=[3.5, 5]), "resolution_wh must be whole numbers", id="half a pixel"),
        pytest.param(wire(resolution_wh=["9", 5]), "resolution_wh must hold finite numbers", id="size as text"),
        pytest.param(wire(resolution_wh=[NAN, 5]), "resolution_wh must hold finite numbers", id="NaN as size"),
        pytest.param(wire(resolution_wh=[10**400, 5]), "too large", id="size beyond a float"),
        pytest.param(wire(timings_ms=[]), "timings_ms must be an object, but got list", id="times as a list"),
        pytest.param(wire(timings_ms={"total": float("inf")}), "total must hold finite numbers", id="endless time"),
        pytest.param(wire(regions={}), "regions must be a list, but got dict", id="regions as an object"),
        pytest.param(wire(regions=[5]), "a region must be an object, but got int", id="number as region"),
        pytest.param(wire(regions=[{"xyxy": [1, 2, 3, 4]}]), "'label' is missing", id="no label"),
        pytest.param(wire(regions=[{"label": "car"}]), "'xyxy' is missing", id="no box"),
        pytest.param(region_wire(label=None), "label must be text, but got NoneType", id="label of no type"),
        pytest.param(region_wire(xyxy=[1, 2, 3]), "xyxy must have 4 numbers, but got 3", id="three numbers"),
        pytest.param(region_wire(xyxy=[1, 2, 0, 4]), "xyxy must be ordered", id="inverted box"),
        pytest.param(region_wire(xyxy=[1, 2, 3, NAN]), "xyxy must hold finite numbers, but got 'nan'", id="NaN"),
        pytest.param(region_wire(xyxy=[1, 2, 3, True]), "must hold finite numbers, but got 'True'", id="flag in a box"),
        pytest.param(region_wire(xyxy=[1, 2, 3, 10**5000]), "too large", id="beyond a float"),
        pytest.param(region_wire(score=2), r"score must be in 0\.\.1 or None, but got 2", id="score above 1"),
        pytest.param(region_wire(score="high"), "score must hold finite numbers", id="score as text"),
        pytest.param(region_wire(xyxyxyxy=[1, 2]), "xyxyxyxy must have 8 numbers, but got 2", id="quarter of a quad"),
        pytest.param(region_wire(polygons=[[[1, 2], [3, 4]]]), "at least 3 points", id="two points"),
        pytest.param(region_wire(polygons=[[[1, 2, 3]] * 3]), "a point may have at most 2", id="3-D point"),
        pytest.param(region_wire(polygons=[5]), "a polygon must be a list, but got int", id="number as polygon"),
    ],
)  # fmt: skip
def test_a_malformed_wire_is_refused_with_the_reason(sent: Any, reason: str) -> None:
    with pytest.raises(PredictionInvalid, match=rf"^This is not a prediction of the playground: .*{reason}"):
        Prediction.from_dict(sent)


def test_a_refusal_says_what_to_send_instead() -> None:
    with pytest.raises(PredictionInvalid, match=r"missing\. Send one as `/run` returned it\.$"):
        Prediction.from_dict({})


def test_a_million_regions_are_refused_before_any_is_read() -> None:
    sent = wire(regions=[{"label": "car", "xyxy": [1, 2, 3, 4]}] * 1_000_000)
    started = time.perf_counter()
    with pytest.raises(PredictionInvalid, match=f"regions may have at most {MAX_REGIONS} entries, but got 1000000"):
        Prediction.from_dict(sent)
    assert time.perf_counter() - started < 0.5
