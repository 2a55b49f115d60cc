"""What a person makes of an answer: read from the page, and put beside what the model had said."""

from dataclasses import replace
from typing import Any

import pytest

from playground.corrections import corrected, ids_of, read_corrections
from playground.errors import InputRejected
from playground.events import RunStage
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.ui.components import edits_from

CAR, TREE = Region("car", (4, 4, 20, 16), 0.9), Region("tree", (30, 5, 40, 35), 0.4)
MASK = Region("pond", (0, 0, 10, 10), 0.5, polygons=(((0, 0), (10, 0), (10, 10)),))
SAID = Prediction(
    Question("<OD>"), "tiny", (60, 40), text="car, tree, pond", regions=(CAR, TREE, MASK), stage=RunStage.DONE
)
VAN = {"id": 0, "label": " van ", "xyxy": [4, 4, 20, 16]}
SUN = {"id": 3, "label": "sun", "xyxy": [50, 0, 60, 10]}


def test_a_corrected_answer_holds_what_a_person_made_of_it_and_what_the_model_had_said() -> None:
    shape = {"id": 2, "label": "pond", "xyxy": [0, 0, 12, 10], "polygons": [[[0, 0], [12, 0], [10, 10]]]}
    corrections = read_corrections([SUN, VAN, {"id": 1, "gone": True}, shape], SAID)
    answer = corrected(SAID, corrections)
    outline = (((0, 0), (12, 0), (10, 10)),)
    assert answer.regions == (
        Region("van", (4, 4, 20, 16), 0.9, source="edited", original=CAR),
        Region("pond", (0, 0, 12, 10), 0.5, polygons=outline, source="edited", original=MASK),
        Region("sun", (50, 0, 60, 10), source="added"),
    )
    assert (answer.text, ids_of(SAID, corrections)) == ("van, pond, sun", (0, 2, 3))
    assert Prediction.from_dict(answer.to_dict()) == answer
    told = edits_from("a", 3, 1, corrections).changes
    assert read_corrections(told, SAID) == corrections, "what a page is told after a reload"


def test_a_region_that_is_again_as_the_model_said_is_the_models() -> None:
    assert corrected(SAID, read_corrections([{**VAN, "label": "car"}], SAID)).regions[0] == CAR
    named = read_corrections([{**VAN, "source": "model", "text": "A red van.", "xyxy": [4.04, 4, 20, 16]}], SAID)
    assert corrected(SAID, named).regions[0] == replace(CAR, label="van", text="A red van.", xyxy=(4.04, 4, 20, 16))
    sharper = {"id": 0, "label": "car", "xyxy": [5, 4, 20, 16], "polygons": [[[5, 4], [20, 4], [20, 16]]]}
    (region, *_) = corrected(SAID, read_corrections([{**sharper, "source": "model"}], SAID)).regions
    assert (region.source, region.score, region.original) == ("model", 0.9, CAR), "another model drew it"


def test_a_name_under_which_something_was_found_is_found_whatever_it_is_called_then() -> None:
    asked = replace(SAID, question=Question("<OPEN_VOCABULARY_DETECTION>", "car, boat"))
    assert corrected(asked, read_corrections([VAN], asked)).missing_names() == ("boat",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({**VAN, "xyxy": [4, 4, 61, 16]}, r"\(61.0, 4.0\) is outside of the picture", id="outside"),
        pytest.param({**VAN, "xyxy": [20, 4, 4, 16]}, "xyxy must be ordered", id="turned over"),
        pytest.param({**VAN, "xyxy": [4, 4, float("nan"), 16]}, "finite number", id="no number"),
        pytest.param({"id": 0, "label": "van"}, "xyxy is missing", id="no box"),
        pytest.param({**VAN, "id": -1}, "greater than or equal to 0", id="no id"),
        pytest.param({**VAN, "polygons": [[[1, 1]]]}, "at least 3 points", id="no outline"),
        pytest.param("van", "but got 'van'", id="no change at all"),
    ],
)
def test_corrections_that_are_none_are_refused_with_a_sentence(change: Any, reason: str) -> None:
    with pytest.raises(InputRejected, match=reason):
        read_corrections([change], SAID)
