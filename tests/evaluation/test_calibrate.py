"""The comparison of formulas for a region's score: what each makes of an answer, and one live run."""

import math

import pytest

from playground.evaluation.calibrate import (
    FORMULAS,
    AnswerTokens,
    blur_and_add_noise,
    collect_answers,
    main,
    print_formulas,
)
from playground.evaluation.on_scenes import FIRST_SEED
from playground.events import Token
from playground.regions import Region
from playground.scenes.scene import make_scene


def label(text: str, chance: float) -> Token:
    return Token(7, text, logprob=math.log(chance))


def location(bin_: int, chance: float, mass: float) -> Token:
    return Token(8, f"<loc_{bin_}>", logprob=math.log(chance), bin_probability=mass, is_special=True)


RED_CAR = AnswerTokens(
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


def test_the_table_tells_a_formula_that_orders_regions_from_one_that_does_not(capsys):
    wrong = AnswerTokens(
        task="<OD>",
        tokens=(label("red", 0.3), label(" car", 0.3), *(location(bin_, 0.9, 0.95) for bin_ in (500, 500, 600, 600))),
        resolution_wh=(1000, 1000),
        truth=(),
    )
    print_formulas([RED_CAR, wrong])
    *rows, summary = capsys.readouterr().out.splitlines()
    figures = {row[:50].strip(): row[50:].split() for row in rows}
    assert figures["label tokens, product"] == ["1.000", "1.000", "1.000", "0.365"]  # error (0.64 + 0.09) / 2
    assert figures["location mass within 5 bins, mean"] == ["0.000", "0.000", "0.500", "0.625"]  # (0.3 + 0.95) / 2
    assert summary == "2 regions of 2 answers; right: 0.500 at IoU 0.5, 0.500 at IoU 0.9"


def test_a_noisy_picture_is_the_same_each_time_and_of_the_same_size():
    scene = make_scene(FIRST_SEED)
    first, again, other = (blur_and_add_noise(scene, seed) for seed in (1, 1, 3))
    assert first.size == scene.resolution_wh
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_the_bundled_checkpoint_is_asked_about_held_out_scenes_and_the_table_has_a_row_a_formula(engine, capsys):
    answers = list(collect_answers(engine, 2))
    assert [one.task for one in answers] == ["<OD>", "<DENSE_REGION_CAPTION>"] * 2
    assert answers[0].resolution_wh == make_scene(FIRST_SEED).resolution_wh
    assert len(answers[0].truth) == 8
    assert all(len(one.tokens) > 1 for one in answers)

    print_formulas(answers)
    heading, *rows, summary = capsys.readouterr().out.splitlines()
    assert heading.split() == ["formula", "AUC", "0.50", "AUC", "0.90", "mAP@50", "ECE"]
    assert [row[:50].strip() for row in rows] == list(FORMULAS)
    for row in rows:
        *areas, precision, error = map(float, row[50:].split())
        assert 0 <= precision <= 1
        assert 0 <= error <= 1
        assert all(math.isnan(area) or 0 <= area <= 1 for area in areas)  # NaN: all are right, or none
    assert " regions of 4 answers; right: " in summary


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--count", "0"], "--count: must be a whole number of at least 1", id="no scenes"),
        pytest.param(["--checkpoint", "florence-2-large"], "is not on this machine", id="no checkpoint"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, sentence, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert sentence in capsys.readouterr().err
