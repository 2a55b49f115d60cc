"""The evaluation of a checkpoint: what it asks, what ideal and useless answerers get, and what is written down."""

import hashlib
import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from playground import grammar
from playground.evaluation.figures import AS_DRAWN, AS_JPEG, IN_OTHER_PROPORTIONS, TARGETS, Answered
from playground.evaluation.on_scenes import (
    FIRST_SEED,
    ask_about_scene,
    in_other_proportions,
    main,
    measure_on_scenes,
    saved,
    write_recipe,
)
from playground.pictures.reader import InputImage, read_image
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Region
from playground.results import Prediction, Timings
from playground.scenes.examples import EXAMPLE_TASKS, Example, examples
from playground.scenes.scene import Scene, make_scene, plan_scene
from playground.tasks import InputKind

COUNT = 8  # scenes: the first held-out ones, of which one is empty and two have words


@cache
def scenes_by_digest() -> dict[str, Scene]:
    """Return the scene of each picture that is asked about."""
    scenes = {}
    for seed in range(FIRST_SEED, FIRST_SEED + COUNT):
        scene, stretched = make_scene(seed), in_other_proportions(seed)
        for picture, drawn in ((scene.image, scene), (saved(scene), scene), (stretched.image, stretched)):
            scenes[read_image(picture).digest] = drawn
    return scenes


class Oracle:
    """Answers with the truth, as exactly as location tokens can say it."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def read_image(self, source: Any) -> InputImage:
        return read_image(source)

    def predict(self, image: InputImage, question: Question) -> Prediction:
        self.asked.append(question)
        scene = scenes_by_digest()[image.digest]
        text, regions = self.answer(examples(scene)[question.task], scene, image)
        return Prediction(
            question, "oracle", image.resolution_wh, image.digest, text, regions, timings=Timings(total=20.0)
        )

    def answer(self, truth: Example, scene: Scene, image: InputImage) -> tuple[str, tuple[Region, ...]]:
        answer = grammar.parse(truth.answer(scene.resolution_wh), truth.task, image.resolution_wh)
        return answer.text, tuple(replace(region, score=1.0) for region in answer.regions)


class Silent(Oracle):
    def answer(self, truth: Example, scene: Scene, image: InputImage) -> tuple[str, tuple[Region, ...]]:
        return "", ()


class Hallucinating(Oracle):
    def answer(self, truth: Example, scene: Scene, image: InputImage) -> tuple[str, tuple[Region, ...]]:
        width, height = image.resolution_wh
        return "GHOST", (Region("ghost", (0.0, 0.0, width / 2, height / 2), 1.0),)


class Shaken(Oracle):
    """Knows nothing of a picture that was resized."""

    def answer(self, truth: Example, scene: Scene, image: InputImage) -> tuple[str, tuple[Region, ...]]:
        return super().answer(truth, scene, image) if image.resolution_wh == scene.resolution_wh else ("", ())


@pytest.fixture(scope="module")
def perfect() -> dict[str, float]:
    return measure_on_scenes(Oracle(), COUNT)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_can_be_reached(perfect, name):
    assert TARGETS[name].is_reached(perfect[name])


def test_the_truth_gets_full_marks(perfect):
    mistakes = {name: figure for name, figure in perfect.items() if "error" in name or "loss" in name}
    assert set(mistakes.values()) == {0.0}
    assert perfect.pop("seconds per answer") == pytest.approx(0.02)
    marks = {name: figure for name, figure in perfect.items() if name not in mistakes}
    assert {name: figure for name, figure in marks.items() if figure < 0.9999} == {
        "referring mask IoU": pytest.approx(0.99, abs=0.01),  # as exactly as location tokens can say it
        "region mask IoU": pytest.approx(0.99, abs=0.01),
        "OCR with region quad IoU": pytest.approx(0.99, abs=0.01),
    }


def test_silence_is_right_only_where_nothing_is():
    measured = measure_on_scenes(Silent(), COUNT)
    assert measured["detection mAP@50"] == measured["JPEG detection mAP@50"] == measured["grounding mAP@50"] == 0.0
    assert measured["region mask IoU"] == measured["OCR with region quad IoU"] == measured["caption F1"] == 0.0
    assert measured["OCR error rate"] == 1.0
    assert "OCR with region error rate" not in measured  # no word was found whose characters could be compared
    assert measured["empty scenes answered empty"] == measured["absent things answered empty"] == 1.0
    assert measured["OCR wordless answered empty"] == 1.0


def test_whoever_always_finds_something_is_wrong_where_nothing_is():
    measured = measure_on_scenes(Hallucinating(), COUNT)
    assert measured["empty scenes answered empty"] == measured["absent things answered empty"] == 0.0
    assert measured["OCR wordless answered empty"] == measured["region OCR wordless answered empty"] == 0.0
    assert measured["OCR error rate"] > 1.0


def test_what_resizing_costs_is_told():
    measured = measure_on_scenes(Shaken(), COUNT, tasks=("<OD>",))
    assert measured["detection mAP@50"] == measured["JPEG detection loss of mAP@50"] == pytest.approx(1.0)
    assert measured["other proportions detection mAP@50"] == pytest.approx(1.0)


def test_each_scene_is_asked_all_tasks_and_detection_in_two_more_conditions():
    oracle = Oracle()
    answers = list(ask_about_scene(oracle, FIRST_SEED))
    assert [(a.truth.task, a.condition) for a in answers] == [
        *((task, AS_DRAWN) for task in EXAMPLE_TASKS), ("<OD>", AS_JPEG), ("<OD>", IN_OTHER_PROPORTIONS)
    ]  # fmt: skip
    assert oracle.asked == [replace(a.truth.question, max_new_tokens=256) for a in answers]
    assert [a.truth for a in answers[: len(EXAMPLE_TASKS)]] == list(examples(plan_scene(FIRST_SEED)).values())


def test_only_the_chosen_tasks_are_asked():
    oracle = Oracle()
    answers = ask_about_scene(oracle, FIRST_SEED, ("<CAPTION>", "<OCR>"))
    assert {a.truth.task for a in answers} == {"<CAPTION>", "<OCR>"}
    assert len(oracle.asked) == 2


def test_no_question_about_a_held_out_scene_is_refused():
    for seed in range(FIRST_SEED, FIRST_SEED + 40):
        scene = plan_scene(seed)
        for example in examples(scene).values():
            checked = check_question(example.question, scene.resolution_wh)
            assert len(checked.phrases) + len(checked.regions) == (checked.task.input_kind is not InputKind.NONE)


def test_saved_pictures_are_of_half_to_three_times_the_size():
    scenes = [make_scene(seed, resolution_wh=(64, 32)) for seed in range(FIRST_SEED, FIRST_SEED + 60)]
    factors = [saved(scene).width / 64 for scene in scenes]
    assert 0.5 <= min(factors) < 0.6
    assert 2.5 < max(factors) <= 3.0
    assert saved(make_scene(FIRST_SEED)).tobytes() == saved(make_scene(FIRST_SEED)).tobytes()


def test_other_proportions_are_tall_and_wide_and_of_the_same_area():
    sizes = [in_other_proportions(seed).resolution_wh for seed in range(FIRST_SEED, FIRST_SEED + 20)]
    aspects = [width / height for width, height in sizes]
    assert 0.49 < min(aspects) < 0.7
    assert 1.5 < max(aspects) < 2.01
    assert all(width * height == pytest.approx(512 * 512, rel=0.01) for width, height in sizes)


# The recipe


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    trained = {"seed": 1, "steps": 6000, "versions": {"torch": "of the training"}, "metrics": {"detection mAP@50": 0.1}}
    (tmp_path / "RECIPE.json").write_text(json.dumps(trained), encoding="utf-8")
    return tmp_path


def test_the_figures_go_beside_what_the_training_wrote(checkpoint):
    write_recipe(checkpoint, {"caption exact": 0.87654321}, 12)
    recipe = json.loads((checkpoint / "RECIPE.json").read_text(encoding="utf-8"))
    assert (recipe["seed"], recipe["steps"], recipe["versions"]) == (1, 6000, {"torch": "of the training"})
    assert recipe["metrics"] == {"caption exact": 0.8765}  # those of other weights are gone
    assert recipe["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert (recipe["evaluation"]["scenes"], recipe["evaluation"]["first_seed"]) == (12, 1_000_000)
    assert list(recipe["evaluation"]["versions"]) == ["torch", "transformers", "supervision"]


def test_writing_twice_is_writing_once(checkpoint):
    write_recipe(checkpoint, {"caption exact": 0.5}, 12)
    once = (checkpoint / "RECIPE.json").read_bytes()
    write_recipe(checkpoint, {"caption exact": 0.5}, 12)
    assert (checkpoint / "RECIPE.json").read_bytes() == once


def test_a_checkpoint_without_a_recipe_gets_one(checkpoint):
    (checkpoint / "RECIPE.json").unlink()
    write_recipe(checkpoint, {"caption exact": 0.5}, 12)
    assert json.loads((checkpoint / "RECIPE.json").read_text(encoding="utf-8"))["metrics"] == {"caption exact": 0.5}


# The command


@pytest.fixture
def oracle_is_loaded(monkeypatch) -> Oracle:
    oracle = Oracle()
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: oracle)
    return oracle


def test_the_command_prints_a_table_and_one_line_of_json(oracle_is_loaded, checkpoint, capsys):
    file = checkpoint / "figures.json"
    main(["--checkpoint", str(checkpoint), "--count", "4", "--json", str(file), "--write"])
    *table, line = capsys.readouterr().out.splitlines()
    report = json.loads(line)
    assert (report["scenes"], report["metrics"]["detection mAP@50"]) == (4, 1.0)
    assert report["reliability"] == [{"low": 0.9, "count": 18, "mean_score": 1.0, "share_right": 1.0}]
    assert json.loads(file.read_text(encoding="utf-8")) == report
    rows = {row[:40].strip(): row[40:].split() for row in table}
    assert rows["detection mAP@50"] == ["1.0000", ">=", "0.97", "ok"]
    assert rows["OCR error rate"] == ["0.0000", "<=", "0.05", "ok"]
    assert rows["caption F1"] == ["1.0000"]
    assert table[-2].split() == ["0.9", "to", "1.0", "18", "1.000", "1.000"]
    assert json.loads((checkpoint / "RECIPE.json").read_text(encoding="utf-8"))["metrics"] == report["metrics"]


def test_a_figure_below_its_target_is_called_short(oracle_is_loaded, monkeypatch, capsys):
    monkeypatch.setattr(oracle_is_loaded, "answer", lambda *_: ("", ()))
    main(["--count", "1", "--tasks", "<CAPTION>"])
    rows = capsys.readouterr().out.splitlines()
    assert "caption exact                              0.0000  >= 0.85  short" in rows


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--count", "0"], "--count: must be a whole number of at least 1, but got '0'", id="no scene"),
        pytest.param(["--write", "--tasks", "<OD>"], "--write needs the figures of all tasks", id="half a recipe"),
        pytest.param(["--write", "--checkpoint", "a/b"], "--write needs a checkpoint in a folder", id="on the hub"),
        pytest.param(["--checkpoint", "no such"], "'no such' is not a checkpoint.", id="no checkpoint"),
        pytest.param(["--tasks", "<SING>"], "invalid choice: '<SING>'", id="no task"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_asked(oracle_is_loaded, arguments, sentence, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2
    assert sentence in capsys.readouterr().err
    assert oracle_is_loaded.asked == []


def test_the_bundled_checkpoint_answers_about_held_out_scenes(predictor):
    tasks = ("<OD>", "<REGION_TO_CATEGORY>", "<CAPTION>")
    answers: list[Answered] = list(ask_about_scene(predictor, FIRST_SEED, tasks))
    assert [a.truth.task for a in answers] == ["<OD>", "<CAPTION>", "<REGION_TO_CATEGORY>", "<OD>", "<OD>"]
    assert all(a.text and a.seconds > 0 for a in answers)
    jpeg = next(a for a in answers if a.condition == AS_JPEG)
    assert jpeg.resolution_wh == (512, 512)
    assert all(0 <= side <= 512 for region in jpeg.regions for side in region.xyxy)
    assert all(math.isfinite(region.score) for a in answers for region in a.regions)
