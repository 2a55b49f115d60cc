"""From answers to figures: what belongs to which, what is left out, and what only many answers can tell."""

import pytest

from playground.evaluation.figures import (
    AS_DRAWN,
    AS_JPEG,
    METRICS,
    TARGETS,
    Answered,
    Target,
    compute,
    detection_reliability,
)
from playground.question import Question
from playground.regions import Region
from playground.scenes.examples import EXAMPLE_TASKS, Example

CAR = Region("car", (0.0, 0.0, 100.0, 100.0), 0.9)
TREE = Region("tree", (200.0, 0.0, 300.0, 100.0), 0.6)
PHANTOM = Region("car", (300.0, 300.0, 400.0, 400.0), 0.3)


def answered(
    task: str,
    *regions: Region,
    truth: tuple[Region, ...] | str = (),
    text: str = "",
    seed: int = 1,
    condition: str = AS_DRAWN,
) -> Answered:
    question = Question(task)
    example = Example(question, text=truth) if isinstance(truth, str) else Example(question, truth)
    return Answered(seed, condition, example, (512, 512), text, regions, seconds=0.5)


def detected(*regions: Region, truth: tuple[Region, ...], condition: str = AS_DRAWN) -> Answered:
    return answered("<OD>", *regions, truth=truth, condition=condition)


def test_a_figure_that_nothing_was_asked_for_is_missing():
    assert compute([answered("<CAPTION>", truth="A car.", text="A car.")]) == {
        "caption exact": 1.0,
        "caption F1": 1.0,
        "seconds per answer": 0.5,
    }


def test_a_figure_that_only_other_scenes_could_give_is_missing():
    measured = compute([answered("<OCR>", truth="")])
    assert measured == {"OCR wordless answered empty": 1.0, "seconds per answer": 0.5}


def test_the_loss_is_between_the_pictures_as_drawn_and_as_jpeg():
    drawn = detected(CAR, TREE, truth=(CAR, TREE))
    as_jpeg = detected(CAR, truth=(CAR, TREE), condition=AS_JPEG)
    measured = compute([drawn, as_jpeg])
    assert measured["detection mAP@50"] == pytest.approx(1.0)
    assert measured["JPEG detection mAP@50"] == pytest.approx(0.5)
    assert measured["JPEG detection loss of mAP@50"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        pytest.param([answered("<OD>"), answered("<OCR>", truth="")], 1.0, id="nothing said"),
        pytest.param([answered("<OD>"), answered("<OCR>", truth="", text="ZOO")], 0.0, id="a word read"),
        pytest.param([answered("<OD>"), answered("<DENSE_REGION_CAPTION>", CAR)], 0.0, id="a region described"),
        pytest.param([answered("<OD>", text="car")], 0.0, id="a label without a box"),
        pytest.param([answered("<OD>"), answered("<CAPTION>", truth="Nothing.", text="A car.")], 1.0, id="a caption"),
        pytest.param([answered("<OD>"), answered("<OD>", CAR, seed=2)], 0.5, id="one scene of two"),
        pytest.param([answered("<OD>", CAR, truth=(CAR,)), answered("<OD>", seed=2)], 1.0, id="only empty ones count"),
        pytest.param([answered("<OD>"), answered("<OD>", CAR, condition=AS_JPEG)], 1.0, id="only as drawn"),
    ],
)
def test_an_empty_scene_is_answered_empty_when_no_task_finds_anything(answers, share):
    assert compute(answers)["empty scenes answered empty"] == share


def test_absent_things_are_those_of_searches_and_expressions():
    answers = [
        answered("<OPEN_VOCABULARY_DETECTION>"),
        answered("<REFERRING_EXPRESSION_SEGMENTATION>", CAR),
        answered("<OPEN_VOCABULARY_DETECTION>", CAR, truth=(CAR,)),
        answered("<OCR>", truth=""),
    ]
    assert compute(answers)["absent things answered empty"] == 0.5


def test_scores_that_know_better_are_worth_more_than_constant_ones():
    measured = compute([detected(PHANTOM, CAR, truth=(CAR,))])
    assert measured["detection mAP@50"] == pytest.approx(1.0)
    assert measured["detection mAP@50 with constant scores"] == pytest.approx(0.5)
    assert measured["detection calibration error"] == pytest.approx((0.1 + 0.3) / 2)


def test_reliability_is_of_detection_in_pictures_as_drawn():
    answers = [
        detected(CAR, PHANTOM, truth=(CAR,)),
        detected(CAR, truth=(CAR,), condition=AS_JPEG),
        answered("<DENSE_REGION_CAPTION>", CAR),
    ]
    bins = detection_reliability(answers)
    assert [(one.low, one.count, one.share_right) for one in bins] == [(0.3, 1, 0.0), (0.9, 1, 1.0)]


@pytest.mark.parametrize(
    ("target", "figure", "is_reached"),
    [
        (Target(0.97), 0.98, True), (Target(0.97), 0.97, True), (Target(0.97), 0.96, False),
        (Target(0.05, at_most=True), 0.04, True), (Target(0.05, at_most=True), 0.06, False),
    ],
)  # fmt: skip
def test_a_target_is_reached_from_its_own_side(target, figure, is_reached):
    assert target.is_reached(figure) is is_reached


def test_every_task_of_the_scenes_is_measured():
    assert {metric.task for metric in METRICS} == set(EXAMPLE_TASKS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len(TARGETS) == 15
