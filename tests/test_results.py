"""The values that travel: checked at birth, and read from whoever sends them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from playground.errors import PredictionInvalid
from playground.events import RunStage
from playground.question import Question
from playground.regions import MAX_REGIONS, Region
from playground.results import Prediction, Timings

NAN = float("nan")
QUAD = (1.0, 2.0, 9.0, 3.0, 8.0, 6.0, 1.0, 5.0)
TRIANGLE = ((0.0, 0.0), (4.0, 0.0), (2.0, 3.5))
WHOLE = Prediction(
    question=Question("<OD>", max_new_tokens=64),
    checkpoint="florence-2-base",
    resolution_wh=(640, 480),
    digest="5d41402a",
    text="2 × t-shirt, café",
    regions=(
        Region("t-shirt", (1.5, 2.5, 30.25, 40.0), score=0.5),
        Region("café <b>", (0.0, 0.0, 640.0, 480.0), score=None, xyxyxyxy=QUAD, source="added"),
        Region("t-shirt", (0.0, 0.0, 4.0, 3.5), score=1.0, polygons=(TRIANGLE, TRIANGLE)),
    ),
    raw_text="<s>t-shirt<loc_1></s>",
    stage=RunStage.DONE,
    is_final=True,
    is_draft=False,
    is_truncated=True,
    notices=("The answer was cut.",),
    confidence=0.75,
    picture_confidence=0.5,
    is_unsure=True,
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
        pytest.param({"source": "me"}, "source must be model, edited or added, but got 'me'", id="unknown source"),
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
    assert Region("", (0, 0, 4, 4), xyxyxyxy=(2, 0, 4, 2, 2, 4, 0, 2)).area == 8
    parts = (((0, 0), (4, 0), (0, 4)), ((10, 10), (10, 12), (12, 12), (12, 10)))
    assert Region("", (0, 0, 12, 12), xyxyxyxy=(2, 0, 4, 2, 2, 4, 0, 2), polygons=parts).area == 8 + 4


@pytest.mark.parametrize("resolution_wh", [(0, 5), (5, -1), (5,), (5, 5, 5)])
def test_a_prediction_about_a_picture_without_pixels_is_refused(resolution_wh: Any) -> None:
    with pytest.raises(ValueError, match="resolution_wh must be a width and a height of at least 1"):
        Prediction(Question("<OD>"), "tiny", resolution_wh)


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
    assert Prediction(Question("<OD>"), "tiny", (1, 1)).label_counts() == {}


# --- The wire


def test_the_wire_form_is_as_documented() -> None:
    assert WHOLE.to_dict() == {
        "task": "<OD>",
        "question": {
            "task": "<OD>", "phrase": "", "regions": [], "checkpoint": "", "decoding": "greedy", "max_new_tokens": 64,
        },
        "checkpoint": "florence-2-base",
        "resolution_wh": [640, 480],
        "digest": "5d41402a",
        "text": "2 × t-shirt, café",
        "regions": [
            {"label": "t-shirt", "score": 0.5, "xyxy": [1.5, 2.5, 30.25, 40.0], "source": "model"},
            {
                "label": "café <b>",
                "score": None,
                "xyxy": [0.0, 0.0, 640.0, 480.0],
                "xyxyxyxy": list(QUAD),
                "source": "added",
            },
            {
                "label": "t-shirt",
                "score": 1.0,
                "xyxy": [0.0, 0.0, 4.0, 3.5],
                "polygons": [[[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]], [[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]]],
                "source": "model",
            },
        ],
        "raw_text": "<s>t-shirt<loc_1></s>",
        "stage": "done",
        "is_final": True,
        "is_draft": False,
        "is_truncated": True,
        "notices": ["The answer was cut."],
        "confidence": 0.75,
        "picture_confidence": 0.5,
        "is_unsure": True,
        "timings_ms": {
            "encode_image": 1.5, "encode_prompt": 0.0, "first_token": 2.0, "first_region": None, "total": 9.0,
        },
    }  # fmt: skip


def test_a_prediction_comes_back_from_json_as_it_was() -> None:
    assert Prediction.from_dict(json.loads(json.dumps(WHOLE.to_dict(), allow_nan=False))) == WHOLE


def test_a_prediction_from_before_there_were_questions_is_read() -> None:
    old = wire()
    del old["question"], old["digest"]
    assert Prediction.from_dict(old) == replace(WHOLE, question=Question("<OD>"), digest="")


def test_a_wire_may_leave_out_what_has_a_default() -> None:
    read = Prediction.from_dict({"task": "", "checkpoint": "", "resolution_wh": [9, 8], "text": "", "regions": []})
    assert read == Prediction(Question(""), "", (9, 8), stage=RunStage.DONE, is_final=True)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param([], "it must be an object, but got list", id="a list"),
        pytest.param(None, "it must be an object, but got NoneType", id="nothing"),
        pytest.param({}, "'task' is missing", id="empty"),
        pytest.param(wire(question=None, task=None), "JSON object, but got None", id="no question"),
        pytest.param(wire(question={}), "task: field required", id="question without a task"),
        pytest.param({"task": 5}, "task: input should be a valid string, but got 5", id="task as a number"),
        pytest.param(wire(text=5), "text: input should be a valid string, but got 5", id="number as text"),
        pytest.param(wire(text="x" * 200_001), "text: string should have at most 200000 characters", id="long text"),
        pytest.param(wire(text="\ud800"), "text: input should be a valid string", id="half a character"),
        pytest.param(wire(stage="resting"), "stage: input should be 'waiting', .*got 'resting'", id="unknown stage"),
        pytest.param(wire(stage=[]), "stage: input should be .* but got list", id="stage of the wrong type"),
        pytest.param(wire(is_final="false"), "is_final: input should be a valid boolean, but", id="text as a flag"),
        pytest.param(wire(notices="abc"), "notices: input should be a list, but got 'abc'", id="text as notices"),
        pytest.param(wire(notices=[1]), r"notices\[0\]: input should be a valid string", id="number as notice"),
        pytest.param(wire(resolution_wh=[640]), r"resolution_wh\[1\]: field required", id="half a size"),
        pytest.param(wire(resolution_wh=[0, 5]), r"\[0\]: input should be greater than or equal to 1", id="no width"),
        pytest.param(wire(resolution_wh=[3.5, 5]), "should be a valid integer, .* but got 3.5", id="half a pixel"),
        pytest.param(wire(resolution_wh=["9", 5]), "must be a whole number, but got str", id="size as text"),
        pytest.param(wire(resolution_wh=[True, 5]), "must be a whole number, but got bool", id="size as a flag"),
        pytest.param(wire(resolution_wh=[NAN, 5]), "should be a finite number, but got nan", id="NaN as size"),
        pytest.param(wire(resolution_wh=[10**400, 5]), "should be less than or equal to", id="size beyond a float"),
        pytest.param(wire(timings_ms=[]), "timings_ms: input should be a JSON object, but", id="times as a list"),
        pytest.param(wire(timings_ms={"total": float("inf")}), "timings_ms.total: .* but got inf", id="endless time"),
        pytest.param(wire(regions={}), "regions: input should be a list, but got dict", id="regions as an object"),
        pytest.param(wire(regions=[5]), r"regions\[0\]: input should be a JSON object, but got 5", id="no region"),
        pytest.param(wire(regions=[{"xyxy": [1, 2, 3, 4]}]), r"\[0\].label: field required", id="no label"),
        pytest.param(wire(regions=[{"label": "car"}]), r"\[0\].xyxy: field required", id="no box"),
        pytest.param(region_wire(label=None), "label: input should be a valid string, but got None", id="null label"),
        pytest.param(region_wire(xyxy=[1, 2, 3]), r"xyxy\[3\]: field required", id="three numbers"),
        pytest.param(region_wire(xyxy=[1, 2, 0, 4]), "xyxy must be ordered", id="inverted box"),
        pytest.param(region_wire(xyxy=[1, 2, 3, NAN]), r"xyxy\[3\]: .* finite number, but got nan", id="NaN"),
        pytest.param(region_wire(xyxy=[1, 2, 3, True]), "should be a valid number, but got True", id="flag in a box"),
        pytest.param(region_wire(xyxy=[1, 2, 3, 10**5000]), "should be a valid number, but got", id="huge"),
        pytest.param(region_wire(score=2), r"score must be in 0\.\.1 or None, but got 2", id="score above 1"),
        pytest.param(region_wire(score="high"), "score: .* valid number, but got 'high'", id="score as text"),
        pytest.param(region_wire(source="me"), "source: input should be 'model', 'edited' or 'added'", id="a stranger"),
        pytest.param(region_wire(xyxyxyxy=[1, 2]), r"xyxyxyxy\[2\]: field required", id="quarter of a quad"),
        pytest.param(region_wire(polygons=[[[1, 2], [3, 4]]]), "at least 3 points", id="two points"),
        pytest.param(region_wire(polygons=[[[1, 2, 3]] * 3]), "should have at most 2 items", id="3-D point"),
        pytest.param(region_wire(polygons=[5]), r"polygons\[0\]: input should be a list", id="number as polygon"),
    ],
)  # fmt: skip
def test_a_malformed_wire_is_refused_with_the_reason(sent: Any, reason: str) -> None:
    with pytest.raises(PredictionInvalid, match=rf"^This is not a prediction of the playground: .*{reason}"):
        Prediction.from_dict(sent)


def test_a_refusal_says_what_to_send_instead() -> None:
    with pytest.raises(PredictionInvalid, match=r"missing\. Send one as `/run` returned it\.$"):
        Prediction.from_dict({})


def test_more_regions_than_a_prediction_may_have_are_refused() -> None:
    sent = wire(regions=[{"label": "car", "xyxy": [1, 2, 3, 4]}] * 1_000_000)
    with pytest.raises(PredictionInvalid, match=f"regions: list should have at most {MAX_REGIONS} items"):
        Prediction.from_dict(sent)
