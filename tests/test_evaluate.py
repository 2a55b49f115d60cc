"""The measurement of region scores: what counts as right, the two figures, and one live run."""

import math

import numpy as np
import pytest

from playground.results import Region, Token
from playground.tiny.evaluate import (
    FIRST_SEED,
    FORMULAS,
    Answered,
    answer,
    area_under_roc,
    calibration_error,
    compare,
    mean_average_precision,
    right,
)
from playground.tiny.scenes import make_scene

CAR = Region("car", (0.0, 0.0, 100.0, 100.0))
HALF_A_CAR = Region("car", (0.0, 0.0, 100.0, 50.0))  # IoU 0.5 with CAR
MOST_OF_A_CAR = Region("car", (0.0, 0.0, 100.0, 80.0))  # IoU 0.8 with CAR
THIRD_OF_A_CAR = Region("car", (0.0, 0.0, 100.0, 30.0))  # IoU 0.3 with CAR, 0.6 with HALF_A_CAR
FAR_CAR = Region("car", (200.0, 200.0, 300.0, 300.0))
TREE = Region("tree", (0.0, 0.0, 100.0, 100.0))


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
def test_right_is_a_region_with_the_label_and_the_place_of_a_free_true_one(found, truth, iou_bound, expected):
    assert right(found, truth, iou_bound).tolist() == expected


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
    ],
)
def test_the_calibration_error_is_how_far_scores_are_from_the_share_of_right_ones(scores, hits, error):
    assert calibration_error(np.array(scores), np.array(hits, dtype=bool)) == pytest.approx(error)


def label(text: str, chance: float) -> Token:
    return Token(7, text, logprob=math.log(chance))


def location(bin_: int, chance: float, mass: float) -> Token:
    return Token(8, f"<loc_{bin_}>", logprob=math.log(chance), bin_probability=mass, is_special=True)


RED_CAR = Answered(
    task="<OD>",
    tokens=(
        Token(0, "<s>", logprob=0.0, is_special=True),
        label("red", 0.9), label(" car", 0.4),
        location(0, 0.5, 1.0), location(0, 0.5, 0.8), location(499, 0.2, 0.6), location(999, 0.2, 0.4),
        Token(2, "</s>", logprob=0.0, is_special=True),
    ),
    resolution_wh=(1000, 1000),
    truth=(Region("red car", (0.0, 0.0, 500.0, 1000.0)),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "score"),
    [
        ("all tokens, geometric mean", 0.391487),  # (0.36 * 0.01) ** (1 / 6)
        ("label tokens, product", 0.36),
        ("label tokens, geometric mean", 0.6),
        ("label product x location tokens, geometric mean", 0.113842),  # 0.36 * 0.01 ** (1 / 4)
        ("location mass within 5 bins, mean", 0.7),
        ("label geometric mean x location mass, mean", 0.42),
        ("label product x location mass, mean", 0.252),
        ("label product x location mass, geometric mean", 0.238301),  # 0.36 * 0.192 ** (1 / 4)
        ("label product x location mass, least", 0.144),
    ],
)
def test_a_formula_scores_the_region_of_an_answer(formula, score):
    (region,) = RED_CAR.regions(FORMULAS[formula])
    assert region.label == "red car"
    assert region.xyxy == (0.5, 0.5, 499.5, 999.5)
    assert region.score == pytest.approx(score, rel=1e-4)


def test_every_formula_has_an_expected_score():
    (rows,) = (mark.args[1] for mark in test_a_formula_scores_the_region_of_an_answer.pytestmark)
    assert [formula for formula, _ in rows] == list(FORMULAS)


def test_mean_average_precision_falls_when_a_wrong_region_is_scored_above_a_right_one():
    def scored(right_score: float, wrong_score: float) -> float:
        found = [Region("car", CAR.xyxy, right_score), Region("car", FAR_CAR.xyxy, wrong_score)]
        return mean_average_precision([found], [[CAR]])

    assert scored(0.9, 0.1) == pytest.approx(1.0, abs=0.01)
    assert scored(0.1, 0.9) == pytest.approx(0.5, abs=0.01)


def test_the_bundled_checkpoint_is_right_about_a_clear_scene_and_the_table_has_a_row_a_formula(engine, capsys):
    answers = list(answer(engine, 2))
    assert [one.task for one in answers] == ["<OD>", "<DENSE_REGION_CAPTION>"] * 2
    objects = answers[0]
    assert objects.resolution_wh == make_scene(FIRST_SEED).resolution_wh
    found = objects.regions(FORMULAS["label geometric mean x location mass, mean"])
    assert len(found) == len(objects.truth) > 0
    assert right(found, objects.truth, 0.5).all()
    assert all(0.2 < region.score <= 1 for region in found)

    compare(answers)
    heading, *rows, summary = capsys.readouterr().out.splitlines()
    assert heading.split() == ["formula", "AUC", "0.50", "AUC", "0.90", "mAP@50", "ECE"]
    assert [row[:50].strip() for row in rows] == list(FORMULAS)
    assert " regions of 4 answers; right: " in summary
