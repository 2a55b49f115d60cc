"""How well a checkpoint knows what it is not: what is counted, and one live run over few pictures."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from defusedxml import ElementTree

from playground.checkpoints import catalog
from playground.checkpoints.catalog import BUNDLED, Checkpoint, Probe
from playground.evaluation.claims import Asked, Claim, ask_about_others, ask_about_scenes, claims_of, questions_about
from playground.evaluation.confidence import MEASURES, areas, choose_bounds, count, curves, main, tables, write_docs
from playground.evaluation.curves import draw_curves, shares_below
from playground.evaluation.on_scenes import FIRST_SEED
from playground.events import Token
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Region
from playground.scenes.examples import Example
from playground.tasks import get_task
from tests.noise import noise

TINY = catalog.resolve(BUNDLED)
BOUNDED = Checkpoint(
    "bounded", "Bounded", "b", min_score=0.3, min_confidence={"<OD>": 0.5}, probe=Probe("<CAPTION>", 6, 0.9)
)


def asked(picture: str, confidence: float, *claims: Claim, task: str = "<OD>", of_picture: float = 1.0) -> Asked:
    tokens = tuple(Token(7, "a", math.log(confidence)) for _ in range(8))
    scores = tuple(claim.score for claim in claims if claim.score is not None)
    return Asked(picture, task, tokens, scores, confidence, of_picture, claims)


RIGHT, WRONG, RIGHT_BUT_LOW = Claim(0.9, True), Claim(0.9, False), Claim(0.2, True)
SCENES = [
    asked("1", 0.9, RIGHT, RIGHT_BUT_LOW),
    asked("2", 0.4, RIGHT),
    asked("3", 0.8, RIGHT, WRONG, of_picture=0.5),
    asked("3", 0.7, Claim(None, True), task="<CAPTION>"),
]
OTHERS = [
    asked("a.png", 0.6, WRONG),
    asked("b.png", 0.1, WRONG),
    asked("b.png", 0.2, Claim(None, False), task="<CAPTION>", of_picture=0.1),
    asked("c.png", 0.9),
]


# --- What is claimed


@pytest.mark.parametrize(
    ("question", "text", "regions", "truth", "rights"),
    [
        pytest.param("<CAPTION>", "A car.", [], Example(Question("<CAPTION>"), text="A car."), [True], id="text"),
        pytest.param("<CAPTION>", "A cat.", [], Example(Question("<CAPTION>"), text="A car."), [False], id="wrong"),
        pytest.param("<OCR>", "", [], Example(Question("<OCR>")), [], id="no text"),
        pytest.param("<CAPTION>", "A car.", [], None, [False], id="text about another picture"),
        pytest.param(
            "<OD>", "", [Region("car", (0, 0, 9, 9)), Region("car", (50, 50, 59, 59))],
            Example(Question("<OD>"), (Region("car", (0, 0, 9, 8)),)), [True, False], id="boxes",
        ),
        pytest.param("<OD>", "", [Region("car", (0, 0, 9, 9))], None, [False], id="boxes on another picture"),
    ],
)  # fmt: skip
def test_what_an_answer_claims_is_right_or_wrong(
    question: str, text: str, regions: list[Region], truth: Example | None, rights: list[bool]
) -> None:
    claims = claims_of(Question(question), text, regions, truth, (100, 100))
    assert [claim.is_right for claim in claims] == rights


def test_outlines_are_right_together() -> None:
    task = "<REGION_TO_SEGMENTATION>"
    square = Region("", (0, 0, 40, 40), 0.5, polygons=(((0, 0), (40, 0), (40, 40), (0, 40)),))
    half = Region("", (0, 0, 40, 10), 0.5, polygons=(((0, 0), (40, 0), (40, 10), (0, 10)),))
    truth = Example(Question(task), (square,))
    assert claims_of(Question(task), "", [square], truth, (100, 100)) == [Claim(0.5, True)]
    assert claims_of(Question(task), "", [half], truth, (100, 100)) == [Claim(0.5, False)]


def test_every_known_task_is_asked_about_other_pictures() -> None:
    questions = list(questions_about((60, 40), TINY))
    assert {question.task for question in questions} == TINY.known_tasks
    for question in questions:
        assert check_question(question, (60, 40)).task is get_task(question.task)


# --- What is counted


def test_what_is_below_a_bound_is_not_shown() -> None:
    assert [one.shown(BOUNDED) for one in SCENES] == [[RIGHT], [], [], [Claim(None, True)]]
    counted = count(SCENES, OTHERS, BOUNDED)
    assert (counted.right, counted.right_hidden) == (5, 3)
    assert (counted.answers, counted.answers_shown) == (3, 1)
    assert (counted.pictures, counted.pictures_shown) == (3, 1)


def test_without_bounds_everything_is_shown() -> None:
    counted = count(SCENES, OTHERS, Checkpoint("free", "Free", "f"))
    assert (counted.right_hidden, counted.answers_shown, counted.pictures_shown) == (0, 3, 2)


def test_bounds_hide_the_chosen_share_of_each_task() -> None:
    scenes = [asked(str(i), 0.5 + i / 250, RIGHT) for i in range(100)]
    assert choose_bounds(scenes, 0.0) == {"<OD>": 0.5}
    assert choose_bounds(scenes, 0.1) == {"<OD>": 0.54}
    assert choose_bounds([asked("1", 0.9, WRONG)], 0.1) == {"<OD>": 0.0}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_tells_sure_from_unsure(name: str) -> None:
    sure = [asked("1", 0.9, RIGHT), asked("2", 0.8, RIGHT)]
    unsure = [asked("a", 0.3, Claim(0.3, False), of_picture=0.2)]
    assert areas(sure, unsure, MEASURES[name]) == (1.0, 1.0)
    assert math.isnan(areas(sure, [replace(unsure[0], claims=())], MEASURES[name])[1])


def test_an_area_is_taken_within_each_task_and_over_all() -> None:
    scenes = [asked("1", 0.9, RIGHT), asked("1", 0.4, Claim(None, True), task="<CAPTION>")]
    others = [asked("a", 0.5, WRONG), asked("a", 0.3, Claim(None, False), task="<CAPTION>")]
    assert areas(scenes, others, lambda one: one.confidence or 0.0) == (1.0, 0.75)


# --- What is written


def test_the_tables_have_a_row_a_task_and_name_the_pictures_that_are_shown() -> None:
    written = tables(SCENES, OTHERS, BOUNDED)
    assert "| `<OD>` | 0.50 | 4 | 3 (75.0 %) | 2 | 1 | 1 of 3 |" in written
    assert "| **all** |  | 5 | 3 (60.0 %) | 3 | 1 | 1 of 3 |" in written
    assert "* a.png: `<OD>`" in written
    assert all(f"| {name} |" in written for name in MEASURES)


def test_curves_are_pictures_with_both_sides_and_the_bound() -> None:
    pictures = curves(SCENES, OTHERS, BOUNDED)
    assert list(pictures) == ["confidence-scores.svg", "confidence-pictures.svg"]
    for picture in pictures.values():
        drawn = ElementTree.fromstring(picture)
        lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
        assert [len(line.get("points").split()) for line in lines] == [101, 101]


def test_a_curve_begins_at_nothing_and_ends_at_everything_below() -> None:
    assert shares_below([0.25, 0.5, 1.0], [0.0, 0.25, 0.3, 0.6, 1.0]) == pytest.approx([0, 0, 1 / 3, 2 / 3, 2 / 3])
    assert "&lt;b&gt;" in draw_curves("<b>", "x", {"one": [0.5]}, bound=0.5)


def test_figures_go_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "confidence.md"
    page.write_text("Before\n<!-- measured -->\nold\n<!-- end of what is measured -->\nafter\n", encoding="utf-8")
    for _ in range(2):
        write_docs(tmp_path, "new", {"a.svg": "<svg/>"})
    assert page.read_text(encoding="utf-8") == (
        "Before\n<!-- measured -->\nnew\n<!-- end of what is measured -->\nafter\n"
    )
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == "<svg/>"


# --- The command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param([], "Give a folder of photographs", id="no folder"),
        pytest.param(["no such folder"], "Give a folder of photographs", id="a folder that is not there"),
        pytest.param([".", "--count", "0"], "--count: must be a whole number of at least 1", id="no scene"),
        pytest.param([".", "--first-seed", "5"], "--first-seed: must be", id="scenes of the training"),
        pytest.param([".", "--checkpoint", "no such"], "'no such' is not a checkpoint", id="no checkpoint"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert sentence in capsys.readouterr().err


def test_answers_are_those_of_the_predictor(predictor: Predictor, tmp_path: Path) -> None:
    noise((80, 60)).save(tmp_path / "noise.png")
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with predictor.engines.acquire(BUNDLED) as engine:
        scenes = list(ask_about_scenes(engine, [FIRST_SEED]))
        others = list(ask_about_others(engine, sorted(tmp_path.iterdir())))
    assert {one.task for one in scenes} == TINY.known_tasks
    assert {one.picture for one in others} == {"noise.png"}
    for task in ("<OD>", "<CAPTION>", "<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>"):
        (one,) = (other for other in others if other.task == task)
        prediction = predictor.predict(tmp_path / "noise.png", task, max_new_tokens=256)
        assert prediction.confidence == pytest.approx(one.confidence, rel=1e-3)
        assert prediction.picture_confidence == pytest.approx(one.picture_confidence, rel=1e-3)
    assert not any(one.shown(TINY) for one in others)
    right = [claim for one in scenes for claim in one.claims if claim.is_right]
    assert len([claim for one in scenes for claim in one.shown(TINY) if claim.is_right]) >= 0.9 * len(right)


def test_the_command_prints_the_tables_or_the_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise((80, 60)).save(tmp_path / "noise.png")
    main([str(tmp_path), "--count", "1"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"1 scenes from seed {FIRST_SEED}, 1 other pictures.")
    assert "| **all** |" in printed
    main(["--count", "1", "--choose", "0"])
    assert json.loads(capsys.readouterr().out).keys() <= (TINY.known_tasks or set())
