"""What is right to answer to the questions of a person, on a scene made by hand."""

from collections.abc import Sequence

import pytest

from playground.errors import InputRejected
from playground.question import Question
from playground.regions import Box, Region
from playground.scenes.examples import Example, examples
from playground.scenes.scene import ScenePlan, Thing, plan_scene
from playground.scenes.truth import truth_of
from playground.tasks import TASKS, InputKind

CAR, TREE, BIG_TREE = (10.0, 60.0, 40.0, 80.0), (50.0, 20.0, 80.0, 80.0), (90.0, 10.0, 140.0, 80.0)
SIGN, WORD = (150.0, 20.0, 190.0, 50.0), (160.0, 28.0, 180.0, 40.0)
SHAPE = ((10.0, 60.0), (40.0, 60.0), (25.0, 80.0))


def thing(kind: str, color: str, xyxy: Box, size: str = "medium", writing: Region | None = None) -> Thing:
    return Thing(kind, color, size, Region(kind, xyxy, polygons=(SHAPE,) if kind == "car" else ()), writing)


SCENE = ScenePlan(
    7,
    "beach",
    (
        thing("tree", "blue", BIG_TREE, "large"),
        thing("tree", "green", TREE),
        thing("car", "red", CAR, "small"),
        thing("sign", "yellow", SIGN, writing=Region("OPEN", WORD, xyxyxyxy=(160, 28, 180, 28, 180, 40, 160, 40))),
    ),
    (200, 100),
)
EMPTY = ScenePlan(7, "beach", (), (200, 100))
GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>"

Found = list[tuple[str, Box]]


def truth_about(task: str, phrase: str = "", regions: Sequence[Box] = (), scene: ScenePlan = SCENE) -> Example | None:
    return truth_of(scene, Question(task, phrase, tuple(regions)))


def found(task: str, phrase: str = "", regions: Sequence[Box] = ()) -> Found | None:
    truth = truth_about(task, phrase, regions)
    return truth and [(region.label, region.xyxy) for region in truth.regions]


@pytest.mark.parametrize(
    ("task", "regions"),
    [
        ("<OD>", [("car", CAR), ("tree", TREE), ("tree", BIG_TREE), ("sign", SIGN)]),
        ("<DENSE_REGION_CAPTION>",
         [("small red car", CAR), ("green tree", TREE), ("large blue tree", BIG_TREE), ("yellow sign", SIGN)]),
        ("<OCR_WITH_REGION>", [("OPEN", WORD)]),
        (f"<CAPTION>+{GROUNDING}",
         [("a car", CAR), ("two trees", TREE), ("two trees", BIG_TREE), ("a sign", SIGN)]),
    ],
    ids=["objects", "descriptions", "text with its place", "a caption with its things"],
)  # fmt: skip
def test_what_is_to_be_found(task: str, regions: Found) -> None:
    truth = found(task)
    assert truth is not None
    assert sorted(truth) == sorted(regions)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("<CAPTION>", "A car, two trees and a sign on a beach."),
        (f"<CAPTION>+{GROUNDING}", "A car, two trees and a sign on a beach."),
        ("<OCR>", "OPEN"),
    ],
    ids=["caption", "a caption with its things", "text"],
)
def test_what_is_to_be_said(task: str, said: str) -> None:
    truth = truth_about(task)
    assert truth is not None
    assert truth.text.lower() == said.lower()


@pytest.mark.parametrize(
    ("phrase", "regions"),
    [
        pytest.param("car", [("car", CAR)], id="kind"),
        pytest.param("Trees", [("Trees", TREE), ("Trees", BIG_TREE)], id="plural, under the word that was typed"),
        pytest.param("green tree", [("green tree", TREE)], id="color"),
        pytest.param("large tree", [("large tree", BIG_TREE)], id="size"),
        pytest.param("the small red car , sign", [("the small red car", CAR), ("sign", SIGN)], id="a list"),
        pytest.param("cat", [], id="not there"),
        pytest.param("red tree", [], id="not in that color"),
        pytest.param("vehicle", None, id="a word that no scene uses"),
        pytest.param("car, plant", None, id="one of two unknown"),
        pytest.param("tree house", None, id="more than an expression"),
    ],
)
def test_things_by_name(phrase: str, regions: Found | None) -> None:
    assert found("<OPEN_VOCABULARY_DETECTION>", phrase) == regions


@pytest.mark.parametrize(
    ("phrase", "regions"),
    [
        pytest.param("the red car", [("the red car", CAR)], id="color"),
        pytest.param("the leftmost tree", [("the leftmost tree", TREE)], id="leftmost"),
        pytest.param("the rightmost tree", [("the rightmost tree", BIG_TREE)], id="rightmost"),
        pytest.param("the black cat", [], id="not there"),
        pytest.param("the tree", None, id="two that fit"),
        pytest.param("the tree by the car", None, id="an expression of another form"),
    ],
)
def test_a_thing_by_description(phrase: str, regions: Found | None) -> None:
    assert found("<REFERRING_EXPRESSION_SEGMENTATION>", phrase) == regions


def test_what_is_described_comes_with_its_outline() -> None:
    truth = truth_about("<REFERRING_EXPRESSION_SEGMENTATION>", "the car")
    assert truth is not None
    assert [region.polygons for region in truth.regions] == [(SHAPE,)]


@pytest.mark.parametrize(
    ("sentence", "regions"),
    [
        pytest.param("A car and a sign.", [("a car", CAR), ("a sign", SIGN)], id="a list"),
        pytest.param("A tree on a beach.", [("a tree", TREE), ("a tree", BIG_TREE)], id="all that fit, and the place"),
        pytest.param("two trees", [("two trees", TREE), ("two trees", BIG_TREE)], id="counted"),
        pytest.param("A red car left of a large tree", [("a red car", CAR), ("a large tree", BIG_TREE)], id="relation"),
        pytest.param("a car, and a cat", [("a car", CAR)], id="one not there"),
        pytest.param("three trees", None, id="counted wrongly"),
        pytest.param("A tree and two boats on a beach.", None, id="counted, but not there"),
        pytest.param("A car that is parked.", None, id="a sentence of another form"),
    ],
)
def test_the_phrases_of_a_sentence(sentence: str, regions: Found | None) -> None:
    assert found(GROUNDING, sentence) == regions


@pytest.mark.parametrize("task", ["<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"])
def test_a_caption_of_the_scene_is_grounded_as_its_cascade_is(task: str) -> None:
    truth = truth_about(task)
    assert truth is not None
    assert found(GROUNDING, truth.text) == found(f"{task}+{GROUNDING}")


NEAR_CAR, NEAR_SIGN, NOWHERE = (12.0, 58.0, 42.0, 81.0), (150.0, 15.0, 195.0, 50.0), (0.0, 0.0, 200.0, 12.0)


@pytest.mark.parametrize(
    ("task", "boxes", "said", "regions"),
    [
        pytest.param("<REGION_TO_CATEGORY>", [NEAR_CAR], "car", [("car", CAR)], id="name"),
        pytest.param(
            "<REGION_TO_DESCRIPTION>", [NEAR_CAR, NEAR_SIGN], "1. small red car\n2. yellow sign",
            [("small red car", CAR), ("yellow sign", SIGN)], id="two descriptions",
        ),
        pytest.param("<REGION_TO_SEGMENTATION>", [NEAR_CAR], "", [("region 1", CAR)], id="outline"),
        pytest.param(
            "<REGION_TO_SEGMENTATION>", [NEAR_SIGN, NEAR_CAR], "region 1, region 2",
            [("region 1", SIGN), ("region 2", CAR)], id="two outlines, counted as the predictor counts them",
        ),
        pytest.param("<REGION_TO_OCR>", [NEAR_SIGN], "OPEN", [], id="text"),
        pytest.param("<REGION_TO_OCR>", [WORD], "OPEN", [], id="a region around the word alone"),
        pytest.param("<REGION_TO_OCR>", [NEAR_CAR], "", [], id="nothing is written there"),
        pytest.param("<OCR>+<CROP>", [NEAR_SIGN], "OPEN", [], id="text, cut out"),
    ],
)  # fmt: skip
def test_regions_mean_the_things_that_they_were_drawn_around(
    task: str, boxes: list[Box], said: str, regions: Found
) -> None:
    truth = truth_about(task, regions=boxes)
    assert truth is not None
    assert (truth.text, found(task, regions=boxes)) == (said, regions)


@pytest.mark.parametrize(
    "boxes", [[NOWHERE], [NEAR_CAR, NOWHERE], [(0, 0, 200, 100)]], ids=["nowhere", "one of two", "everything"]
)
def test_a_region_around_no_thing_has_no_truth(boxes: list[Box]) -> None:
    assert truth_about("<REGION_TO_CATEGORY>", regions=boxes) is None


def test_a_region_of_an_empty_scene_has_no_truth() -> None:
    assert truth_about("<REGION_TO_CATEGORY>", regions=[CAR], scene=EMPTY) is None


def test_a_prompt_of_ones_own_has_no_truth() -> None:
    assert truth_about("<CUSTOM>", "<DocVQA> What is the date?") is None


def test_what_cannot_be_asked_has_no_truth_either() -> None:
    with pytest.raises(InputRejected):
        truth_about("<OPEN_VOCABULARY_DETECTION>", " , ")


@pytest.mark.parametrize("task", [task.id for task in TASKS if task.input_kind is InputKind.NONE])
def test_every_task_without_input_has_a_truth(task: str) -> None:
    assert truth_about(task) is not None
    assert truth_about(task, scene=EMPTY) is not None


def test_the_questions_of_the_training_are_answered_as_the_training_teaches() -> None:
    for seed in range(100):
        scene = plan_scene(seed, resolution_wh=(64, 64))
        for example in examples(scene).values():
            truth = truth_of(scene, example.question)
            assert truth is not None, (seed, example)
            assert truth.text == example.text
            known, taught = (sorted((r.xyxy, r.polygons) for r in one.regions) for one in (truth, example))
            assert known == taught, (seed, example)
