"""The metrics, on cases small enough to work out by hand."""

import math

import numpy as np
import pytest

from playground.evaluation.metrics import (
    area_under_roc,
    average_precision_by_phrase,
    calibration_error,
    edit_distance,
    error_rate,
    mask_iou,
    match_quads,
    matches,
    mean,
    mean_average_precision,
    reliability,
    token_f1,
)
from playground.regions import Region

CAR = Region("car", (0.0, 0.0, 100.0, 100.0))
HALF_A_CAR = Region("car", (0.0, 0.0, 100.0, 50.0))  # IoU 0.5 with CAR
MOST_OF_A_CAR = Region("car", (0.0, 0.0, 100.0, 80.0))  # IoU 0.8 with CAR
THIRD_OF_A_CAR = Region("car", (0.0, 0.0, 100.0, 30.0))  # IoU 0.3 with CAR, 0.6 with HALF_A_CAR
FAR_CAR = Region("car", (200.0, 200.0, 300.0, 300.0))
TREE = Region("tree", (0.0, 0.0, 100.0, 100.0))


def scored(region: Region, score: float) -> Region:
    return Region(region.label, region.xyxy, score)


@pytest.mark.parametrize(
    ("found", "truth", "iou_bound", "expected"),
    [
        pytest.param([], [CAR], 0.5, [], id="nothing found"),
        pytest.param([CAR, TREE], [], 0.5, [False, False], id="nothing there"),
        pytest.param([CAR], [CAR], 0.9, [True], id="the same"),
        pytest.param([TREE], [CAR], 0.5, [False], id="another label at the place"),
        pytest.param([FAR_CAR], [CAR], 0.5, [False], id="the label elsewhere"),
        pytest.param([HALF_A_CAR], [CAR], 0.5, [True], id="exactly the bound"),
        pytest.param([MOST_OF_A_CAR], [CAR], 0.9, [False], id="below the bound"),
        pytest.param([CAR, CAR], [CAR], 0.5, [True, False], id="a duplicate"),
        pytest.param([CAR, CAR], [CAR, CAR], 0.5, [True, True], id="two of them"),
        pytest.param([FAR_CAR, TREE, CAR], [CAR, TREE, FAR_CAR], 0.9, [True, True, True], id="another order"),
        pytest.param([CAR, THIRD_OF_A_CAR], [HALF_A_CAR, CAR], 0.5, [True, True], id="the better fit is taken"),
        pytest.param([MOST_OF_A_CAR, CAR], [CAR, HALF_A_CAR], 0.8, [True, False], id="taken by an earlier one"),
    ],
)
def test_a_match_has_the_label_and_the_place_of_a_true_region_that_is_not_taken(found, truth, iou_bound, expected):
    assert matches(found, truth, iou_bound).tolist() == expected


@pytest.mark.parametrize(
    ("found", "truths", "at_50", "at_50_95"),
    [
        pytest.param([[scored(CAR, 0.9)]], [[CAR]], 1.0, 1.0, id="found"),
        pytest.param([[]], [[CAR]], 0.0, 0.0, id="nothing found"),
        pytest.param([[scored(MOST_OF_A_CAR, 0.9)]], [[CAR]], 1.0, 0.7, id="roughly: right at 7 of 10 bounds"),
        pytest.param([[scored(CAR, 0.9)]], [[CAR, TREE]], 0.5, 0.5, id="one class of two"),
        pytest.param([[scored(CAR, 0.9)], []], [[CAR], [FAR_CAR]], 0.505, 0.505, id="one car of two"),
        pytest.param([[scored(CAR, 0.9), scored(FAR_CAR, 0.1)]], [[CAR]], 1.0, 1.0, id="a wrong one after the right"),
        pytest.param([[scored(CAR, 0.1), scored(FAR_CAR, 0.9)]], [[CAR]], 0.5, 0.5, id="a wrong one before the right"),
        pytest.param([[scored(CAR, 0.9)]], [[TREE]], 0.0, 0.0, id="another label"),
        pytest.param([[scored(CAR, 0.9)]], [[]], math.nan, math.nan, id="nothing there"),
        pytest.param([], [], math.nan, math.nan, id="no picture"),
    ],
)
def test_mean_average_precision(found, truths, at_50, at_50_95):
    precision = mean_average_precision(found, truths)
    assert precision.at_50 == pytest.approx(at_50, abs=1e-3, nan_ok=True)
    assert precision.at_50_95 == pytest.approx(at_50_95, abs=1e-3, nan_ok=True)


def test_labels_do_not_count_where_classes_do_not():
    assert mean_average_precision([[scored(CAR, 0.9)]], [[TREE]], class_agnostic=True).at_50 == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("found", "truths", "at_50"),
    [
        pytest.param([[scored(CAR, 0.9), scored(TREE, 0.8)]], [[TREE, CAR]], 1.0, id="both at one place"),
        pytest.param([[scored(CAR, 0.9)]], [[TREE]], 0.0, id="for another phrase"),
        pytest.param([[scored(TREE, 0.9)], [scored(CAR, 0.8)]], [[], [CAR]], 0.5, id="a phrase nowhere true"),
        pytest.param([[scored(CAR, 0.9)], []], [[CAR], [FAR_CAR]], 0.505, id="in one picture of two"),
        pytest.param([[scored(CAR, 0.9)]], [[]], math.nan, id="nothing there"),
    ],
)
def test_phrases_are_pooled_and_a_region_for_an_absent_one_costs(found, truths, at_50):
    assert average_precision_by_phrase(found, truths).at_50 == pytest.approx(at_50, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize(
    ("scores", "hits", "area"),
    [
        pytest.param([0.9, 0.8, 0.1], [1, 1, 0], 1.0, id="told apart"),
        pytest.param([0.1, 0.9], [1, 0], 0.0, id="the wrong way round"),
        pytest.param([0.5, 0.5], [1, 0], 0.5, id="a tie"),
        pytest.param([0.9, 0.4, 0.6, 0.2], [1, 1, 0, 0], 0.75, id="three of four pairs"),
        pytest.param([0.9, 0.8], [1, 1], math.nan, id="nothing wrong"),
        pytest.param([0.9, 0.8], [0, 0], math.nan, id="nothing right"),
    ],
)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(scores, hits, area):
    assert area_under_roc(np.array(scores), np.array(hits, dtype=bool)) == pytest.approx(area, nan_ok=True)


@pytest.mark.parametrize(
    ("scores", "hits", "error"),
    [
        pytest.param([1.0, 1.0, 0.0], [1, 1, 0], 0.0, id="sure and right"),
        pytest.param([1.0, 1.0], [0, 0], 1.0, id="sure and wrong"),
        pytest.param([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0], 0.0, id="as sure as right"),
        pytest.param([0.72, 0.78], [1, 0], 0.25, id="one bin: 0.75 for a half"),
        pytest.param([0.95, 0.95, 0.15, 0.15], [1, 1, 1, 0], 0.2, id="two bins: 0.05 and 0.35"),
        pytest.param([0.45, 0.55], [1, 0], 0.55, id="errors of two bins do not cancel"),
        pytest.param([], [], math.nan, id="nothing found"),
    ],
)
def test_the_calibration_error_is_how_far_scores_are_from_the_share_of_right_ones(scores, hits, error):
    measured = calibration_error(np.array(scores), np.array(hits, dtype=bool))
    assert measured == pytest.approx(error, nan_ok=True)


def test_reliability_lists_the_steps_that_have_regions():
    bins = reliability(np.array([1.0, 0.92, 0.0, 0.35, 0.3]), np.array([True, False, False, True, True]))
    assert [(one.low, one.count, one.share_right) for one in bins] == [(0.0, 1, 0.0), (0.3, 2, 1.0), (0.9, 2, 0.5)]
    assert [one.mean_score for one in bins] == pytest.approx([0.0, 0.325, 0.96])


def outline(*polygons: tuple[tuple[float, float], ...]) -> Region:
    points = [point for polygon in polygons for point in polygon]
    xs, ys = zip(*points, strict=True)
    return Region("", (min(xs), min(ys), max(xs), max(ys)), polygons=polygons)


def rectangle(left: float, top: float, right_: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return (left, top), (right_, top), (right_, bottom), (left, bottom)


LEFT, RIGHT = rectangle(0, 0, 100, 100), rectangle(100, 0, 200, 100)  # of a picture of 200 x 100


@pytest.mark.parametrize(
    ("found", "truth", "iou"),
    [
        pytest.param([outline(LEFT)], [outline(LEFT)], 1.0, id="the same"),
        pytest.param([outline(LEFT)], [outline(RIGHT)], 0.0, id="beside it"),
        pytest.param([outline(LEFT)], [outline(LEFT, RIGHT)], 0.5, id="one part of two"),
        pytest.param([outline(LEFT), outline(RIGHT)], [outline(LEFT, RIGHT)], 1.0, id="two regions for two parts"),
        pytest.param([outline(rectangle(50, 0, 150, 100))], [outline(LEFT)], 1 / 3, id="half of each"),
        pytest.param([outline(((0, 0), (100, 0), (0, 100)))], [outline(LEFT)], 0.5, id="a triangle of a square"),
        pytest.param([], [outline(LEFT)], 0.0, id="nothing found"),
        pytest.param([outline(LEFT)], [], 0.0, id="nothing there"),
        pytest.param([], [], 1.0, id="nothing found where nothing is"),
        pytest.param([Region("", (0, 0, 100, 100))], [outline(LEFT)], 0.0, id="a box is no mask"),
    ],
)
def test_mask_iou_is_of_all_outlines_together(found, truth, iou):
    assert mask_iou(found, truth, (200, 100)) == pytest.approx(iou, abs=0.01)


def word(text: str, *corners: float) -> Region:
    xs, ys = corners[0::2], corners[1::2]
    return Region(text, (min(xs), min(ys), max(xs), max(ys)), xyxyxyxy=corners)


CAFE = word("CAFE", 0, 0, 100, 0, 100, 50, 0, 50)
TAXI = word("TAXI", 200, 0, 300, 0, 300, 50, 200, 50)
SLANTED = word("ZOO", 50, 0, 100, 50, 50, 100, 0, 50)  # a square on its corner
AROUND_SLANTED = word("ZOO", 0, 0, 100, 0, 100, 100, 0, 100)
CROSSED = word("CAFE", 0, 0, 100, 50, 100, 0, 0, 50)


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        pytest.param([TAXI, CAFE], [CAFE, TAXI], [(1.0, CAFE), (1.0, TAXI)], id="in another order"),
        pytest.param([], [CAFE], [(0.0, None)], id="missed"),
        pytest.param([CAFE], [], [], id="nothing there"),
        pytest.param([CAFE], [TAXI], [(0.0, None)], id="elsewhere"),
        pytest.param([AROUND_SLANTED], [SLANTED], [(0.5, AROUND_SLANTED)], id="slanted, found upright"),
        pytest.param([CAFE, CAFE], [CAFE], [(1.0, CAFE)], id="found twice"),
        pytest.param([CAFE], [CAFE, CAFE], [(1.0, CAFE), (0.0, None)], id="one for two"),
        pytest.param([CROSSED], [CAFE], [(0.0, None)], id="sides that cross"),
        pytest.param([Region("CAFE", (0, 0, 100, 50))], [CAFE], [(0.0, None)], id="a box is no quad"),
    ],
)
def test_a_true_quad_is_matched_to_the_found_one_that_fits_best(found, truth, expected):
    matched = match_quads(found, truth)
    assert [iou for iou, _ in matched] == pytest.approx([iou for iou, _ in expected])
    assert [quad for _, quad in matched] == [quad for _, quad in expected]


def test_the_best_fitting_pair_is_matched_before_the_first():
    wide = word("WIDE", 0, 0, 200, 0, 200, 50, 0, 50)
    assert match_quads([CAFE], [wide, CAFE]) == [(0.0, None), (pytest.approx(1.0), CAFE)]


@pytest.mark.parametrize(
    ("answer", "truth", "f1"),
    [
        pytest.param("A red car.", "a red car", 1.0, id="case and full stop"),
        pytest.param("the red car", "a red car", 1.0, id="articles"),
        pytest.param("car red", "red car", 1.0, id="order"),
        pytest.param("red car", "red car left of tree", 4 / 7, id="two of two, two of five"),
        pytest.param("car car", "car", 2 / 3, id="each word counts once for each time"),
        pytest.param("blue fish", "red car", 0.0, id="no word shared"),
        pytest.param("", "red car", 0.0, id="nothing said"),
        pytest.param("", "", 1.0, id="nothing to say"),
    ],
)
def test_token_f1_compares_bags_of_words(answer, truth, f1):
    assert token_f1(answer, truth) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0), ("", "CAFE", 4), ("CAFE", "", 4), ("CAFE", "CAFE", 0), ("CAFE", "CAKE", 1), ("CAFE", "CAFES", 1),
        ("CAFE", "AFE", 1), ("CAFE", "FACE", 2), ("STOP", "7", 4), ("KITTEN", "SITTING", 3),
    ],
)  # fmt: skip
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == distance


@pytest.mark.parametrize(
    ("pairs", "rate"),
    [
        pytest.param([("CAFE", "CAFE")], 0.0, id="right"),
        pytest.param([("CAKE", "CAFE"), ("12", "12")], 1 / 6, id="one of six characters, not the mean of 0.25 and 0"),
        pytest.param([("", "ZOO")], 1.0, id="nothing read"),
        pytest.param([("ZOOZOOZOO", "ZOO")], 2.0, id="more than there is"),
        pytest.param([("ZOO", "")], math.nan, id="nothing to read"),
        pytest.param([], math.nan, id="nothing asked"),
    ],
)
def test_the_error_rate_is_of_all_characters_together(pairs, rate):
    assert error_rate(pairs) == pytest.approx(rate, nan_ok=True)


def test_the_mean_of_nothing_is_not_a_number():
    assert mean([True, False, False, False]) == 0.25
    assert math.isnan(mean([]))
