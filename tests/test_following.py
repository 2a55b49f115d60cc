"""What is asked about regions of an answer, and which of them gets which part of what comes back."""

from dataclasses import replace
from typing import Any

import pytest

from playground.errors import InputRejected
from playground.following import FOLLOW_UPS, find_follow_up, findings
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Region
from playground.results import Prediction
from playground.tasks import InputKind, get_task

ASKED = ((0, 0, 10, 10), (50, 50, 90, 90), (20, 20, 30, 30))
OUTLINE = (((51, 52), (88, 52), (70, 88)),)
ANSWER = Prediction(Question("<REGION_TO_OCR>"), "tiny", (100, 100))


@pytest.mark.parametrize(
    ("name", "regions", "found"),
    [
        pytest.param("read", [Region("STOP", (20, 20, 30, 30))], {2: "STOP"}, id="only one has something to read"),
        pytest.param(
            "describe",
            [Region("a car", (0.5, 0.5, 10.5, 9.5)), Region("a tree", (50.2, 49.9, 90, 90))],
            {0: "a car", 1: "a tree"},
            id="a box comes back through bins",
        ),
        pytest.param(
            "outline", [Region("region 2", (51, 52, 88, 88), polygons=OUTLINE)], {1: OUTLINE}, id="an outline"
        ),
        pytest.param("outline", [Region("region 2", (51, 52, 88, 88))], {}, id="no outline where there is none"),
        pytest.param("read", [Region("", (20, 20, 30, 30))], {}, id="no words"),
    ],
)
def test_each_region_gets_what_was_said_where_it_was_asked(name: str, regions: list[Region], found: Any) -> None:
    assert findings(find_follow_up(name), ASKED, replace(ANSWER, regions=tuple(regions))) == found


def test_two_regions_at_one_place_get_an_answer_each() -> None:
    same = (ASKED[0], ASKED[0])
    answer = replace(ANSWER, regions=(Region("one", ASKED[0]), Region("two", ASKED[0])))
    assert findings(find_follow_up("read"), same, answer) == {0: "one", 1: "two"}


def test_whatever_is_asked_is_asked_about_regions() -> None:
    assert {get_task(row.task).input_kind for row in FOLLOW_UPS} == {InputKind.REGIONS}
    with pytest.raises(InputRejected, match="Ask one of: name, describe, read, outline"):
        find_follow_up("paint")


@pytest.mark.parametrize("then", ["<REGION_TO_DESCRIPTION>", "<REGION_TO_CATEGORY>", "<REGION_TO_SEGMENTATION>"])
def test_a_task_that_follows_says_of_each_region_what_it_says_when_it_is_asked_alone(
    predictor: Predictor, image: InputImage, then: str
) -> None:
    found = predictor.predict(image, "<REGION_PROPOSAL>")
    alone = predictor.predict(image, then, regions=[region.xyxy for region in found.regions])
    *_, followed = predictor.run(image, Question("<REGION_PROPOSAL>", then=then))
    assert [region.xyxy for region in followed.regions] == [region.xyxy for region in found.regions]
    assert len(followed.regions) == 4
    told = [
        {"<REGION_TO_DESCRIPTION>": region.text, "<REGION_TO_CATEGORY>": region.label}.get(then, region.polygons)
        for region in followed.regions
    ]
    assert told == [region.polygons or region.label for region in alone.regions]
    if then == "<REGION_TO_CATEGORY>":
        assert all(region.label in followed.text for region in followed.regions)
    both = predictor.predict_together([image, image], Question("<REGION_PROPOSAL>", then=then))
    said = [[(region.label, region.text, region.polygons) for region in answer.regions] for answer in both]
    assert said == [[(region.label, region.text, region.polygons) for region in followed.regions]] * 2


def test_a_caption_that_is_grounded_is_the_task_that_does_both() -> None:
    asked = Question("<CAPTION>", then="<CAPTION_TO_PHRASE_GROUNDING>")
    assert check_question(asked, (9, 9)).question == Question("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>")
    described = Question("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>", then="<REGION_TO_DESCRIPTION>")
    assert check_question(described, (9, 9)).question == Question.from_dict(described.to_dict()) == described


@pytest.mark.parametrize(
    ("task", "then"),
    [
        ("<CAPTION>", "<REGION_TO_DESCRIPTION>"),
        ("<OD>", "<CAPTION>"),
        ("<OD>", "<CAPTION_TO_PHRASE_GROUNDING>"),
        ("<OCR>", "<CAPTION_TO_PHRASE_GROUNDING>"),
        ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>"),
    ],
)
def test_what_cannot_follow_is_refused(task: str, then: str) -> None:
    with pytest.raises(InputRejected, match=r"cannot follow .* after a task that finds regions comes one about"):
        check_question(Question(task, regions=((1, 1, 5, 5),), then=then), (9, 9))
