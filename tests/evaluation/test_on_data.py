"""Measuring on people's data sets: the figures by hand and by pycocotools, and the command from files to a report."""

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from playground.annotate.sources import PictureSource
from playground.checkpoints.catalog import BUNDLED, from_folder
from playground.datasets.formats import ALL
from playground.datasets.labeled import Labeled
from playground.datasets.reading import read_dataset
from playground.errors import CheckpointUnavailable, InputRejected
from playground.evaluation import on_data
from playground.evaluation.asking_data import DataQuestions, Outcome, ask_in_groups, choose_pictures, choose_questions
from playground.evaluation.data_figures import measure_outcomes, to_dict
from playground.evaluation.data_report import make_report
from playground.evaluation.detection import FoundPicture, measure_found, trust_in
from playground.evaluation.temperature import keep_temperature
from playground.evaluation.what_next import what_next
from playground.evaluation.wording import WrittenText, measure_texts
from playground.finetune.checks import lessons_of_data
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.scenes.dataset import write_scenes
from tests.judges.environment import judges_python

HERE = Path(__file__).parent


# The figures


def some_coco(count: int = 60) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A data set with crowds and things of all sizes, and results that are mostly near."""
    rng = random.Random(5)
    categories = [{"id": number, "name": name} for number, name in enumerate(("car", "tree", "kite"), start=1)]
    images = [{"id": n, "file_name": f"{n}.png", "width": 640, "height": 480} for n in range(1, count + 1)]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in images:
        for _ in range(rng.randint(0, 9)):
            w, h = rng.choice((12, 25, 60, 150)) * rng.uniform(0.7, 1.3), rng.choice((12, 40, 180))
            box = [rng.uniform(0, 640 - w), rng.uniform(0, 480 - h), w, h]
            category, is_crowd = rng.randint(1, 3), rng.random() < 0.08
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image["id"], "category_id": category, "bbox": box,
                 "area": w * h, "iscrowd": int(is_crowd)}
            )  # fmt: skip
            for _ in range(rng.choice((0, 1, 1, 1, 2))):
                x, y = (value + side * rng.gauss(0, 0.08) for value, side in zip(box[:2], box[2:], strict=True))
                called = category if rng.random() < 0.9 else rng.randint(1, 3)
                near = [max(0.0, x), max(0.0, y), w * rng.uniform(0.8, 1.2), h]
                results.append({"image_id": image["id"], "category_id": called, "bbox": near, "score": rng.random()})
    return {"images": images, "annotations": annotations, "categories": categories}, results


def test_average_precision_is_that_of_pycocotools(tmp_path: Path) -> None:
    coco, results = some_coco()
    for name, content in (("coco.json", coco), ("results.json", results)):
        (tmp_path / name).write_text(json.dumps(content))
    command = [judges_python(), HERE / "judge_coco.py", tmp_path / "coco.json", tmp_path / "results.json"]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)

    found: dict[str, list[Region]] = {}
    names = {row["id"]: row["name"] for row in coco["categories"]}
    for row in results:
        x, y, w, h = row["bbox"]
        region = Region(names[row["category_id"]], (x, y, x + w, y + h), row["score"])
        found.setdefault(f"{row['image_id']}.png", []).append(region)
    pictures = [
        FoundPicture(tuple(found.get(one.name, ())), one.regions, one.ignored)
        for one in read_dataset(tmp_path / "coco.json").labeled()
    ]
    figures = measure_found(pictures)
    ours = [figures.all_sizes.at_50_95, figures.all_sizes.at_50]
    ours += [figures.by_size[size].at_50_95 for size in ("small", "medium", "large")]
    assert ours == pytest.approx([said["all"][place] for place in (0, 1, 3, 4, 5)], abs=0.001)
    assert {one.name: one.precisions.at_50_95 for one in figures.by_class} == pytest.approx(said["by_class"], abs=0.001)


def box(label: str, x: float, score: float | None = None) -> Region:
    return Region(label, (x, 0.0, x + 10, 10.0), score)


def test_threshold_confusion_and_classes_by_hand() -> None:
    pictures = [
        FoundPicture((box("car", 0, 0.9), box("tree", 20, 0.6), box("car", 40, 0.2)), (box("car", 0), box("car", 20))),
        FoundPicture((box("tree", 0, 0.8), box("car", 60, 0.7)), (box("tree", 0),), (box("car", 61),)),
    ]
    figures = measure_found(pictures)
    assert (figures.num_true, figures.num_found) == (3, 4)  # what lies on an ignored region counts neither way
    assert (figures.best.threshold, figures.best.precision, figures.best.f1) == (0.8, 1.0, 0.8)
    assert figures.best.recall == pytest.approx(2 / 3)
    at_half = figures.curve[50]
    assert (at_half.precision, at_half.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert figures.class_names == ("car", "tree")
    assert figures.confusion.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    car, tree = figures.by_class
    assert (car.name, car.precision, car.recall, tree.recall) == ("car", 1.0, 0.5, 1.0)
    nothing = measure_found([FoundPicture((), ())])
    assert (nothing.by_class, nothing.trust, nothing.best.f1) == ((), None, 0.0)
    assert np.isnan(nothing.all_sizes.at_50)


def test_the_temperature_makes_scores_honest() -> None:
    rng = np.random.default_rng(3)
    chances = rng.uniform(0.05, 0.95, 4000)
    hits = rng.random(4000) < chances
    too_sure = 1 / (1 + (1 / chances - 1) ** 2)  # logits twice as far from 0
    trust = trust_in(too_sure, hits)
    assert trust.temperature == pytest.approx(2, rel=0.08)
    assert trust.error_after < 0.03 < trust.error
    assert trust_in(np.array([0.5]), np.array([True])).temperature == 1.0


def test_a_kept_temperature_is_that_of_the_scores_that_are_given(tmp_path: Path) -> None:
    (tmp_path / "playground.json").write_text('{"title": "Mine", "min_score": 0.2}')
    checkpoint = from_folder("mine", tmp_path)
    trust = replace(trust_in(np.array([0.9, 0.8]), np.array([True, False])), temperature=2.0)
    assert "2.0" in keep_temperature(checkpoint, trust)
    kept = from_folder("mine", tmp_path)
    assert (kept.title, kept.score_temperature, kept.fault) == ("Mine", 2.0, "")
    assert kept.scored(0.2) == pytest.approx(1 / 3)
    assert kept.min_score == pytest.approx(1 / 3, abs=0.001)  # so that the same regions are shown
    keep_temperature(kept, trust)
    assert from_folder("mine", tmp_path).score_temperature == 4.0
    (tmp_path / "playground.json").write_text('{"score_temperature": 0}')
    assert "score_temperature must be a number from 0.1 to 10" in from_folder("mine", tmp_path).fault


def test_answers_are_held_against_the_nearest_of_the_right_texts() -> None:
    figures = measure_texts(
        [WrittenText("a red car", ("a blue car", "A  red car")), WrittenText("STOP 7", ("STOP 17",))], as_captions=True
    )
    assert figures.exact == 0.0
    assert figures.character_errors == pytest.approx(2 / 16)
    assert figures.word_errors == pytest.approx(2 / 5)
    assert figures.chrf is not None
    assert 0.5 < figures.chrf < 1
    assert measure_texts([WrittenText("a", ("a",))], as_captions=False).exact == 1.0


# The command


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn scenes, of which one is broken, and labels of a fourth picture that is not there."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, count=4, first_seed=1_100_000)
    first, *_, last = sorted(folder.glob("*.png"))
    first.write_bytes(first.read_bytes()[:400])
    last.unlink()
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> None:
    """The model that is loaded already, whichever is named."""
    monkeypatch.setattr(Predictor, "load", lambda *args, **options: predictor)


@pytest.mark.usefixtures("quick")
def test_the_command_goes_from_files_to_a_report(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    out = tmp_path / "report"
    command = ["--data", str(scenes), "--task", "<OPEN_VOCABULARY_DETECTION>", "--out", str(out)]
    assert on_data.main([*command, "--against", str(twin)]) == 0
    wire = json.loads((out / "report.json").read_text())
    first, second = wire["checkpoints"]
    assert first["pictures"] == 4
    assert first["detection"]["ap_50"] > 0.9
    assert first["detection"] == second["detection"]
    assert {row["picture"]: row["why"][:40] for row in first["broken"]} == {
        "scene_1100000.png": "The file is cut short. Fetch or save it ",
        "scene_1100003.png": "There is no such picture in the data set",
    }
    page = (out / "report.html").read_text()
    assert "scene_1100003.png" in page
    assert 'src="http' not in page
    assert "AP@50:95" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        on_data.main(command)
    assert "holds a report already" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_ctrl_c_says_how_far_it_came_and_reports_on_that(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = on_data.ask_about_data

    def interrupted(*args: Any, **options: Any) -> Iterator[Any]:
        yield next(iter(ask(*args, **options)))
        raise KeyboardInterrupt

    monkeypatch.setattr(on_data, "ask_about_data", interrupted)
    assert on_data.main(["--data", str(scenes), "--out", str(tmp_path)]) == 130
    assert "Stopped after 1 of 4 pictures." in capsys.readouterr().err
    assert "stopped after 1 of 4 pictures" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("ends_with", "code"), [(KeyboardInterrupt(), 130), (CheckpointUnavailable("Gone."), 1)])
def test_what_was_measured_is_reported_whatever_becomes_of_the_next_checkpoint(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predictor: Predictor, ends_with: BaseException,
    code: int,
) -> None:  # fmt: skip
    loaded: list[str] = []

    def load(name: str, **_: Any) -> Predictor:
        loaded.append(name)
        if len(loaded) == 3:
            raise ends_with
        return predictor

    monkeypatch.setattr(Predictor, "load", load)
    twin = tmp_path / "twin"
    twin.mkdir()
    out = tmp_path / "out"
    assert on_data.main(["--data", str(scenes), "--against", str(twin), "--out", str(out), "--limit", "2"]) == code
    assert loaded == [str(twin), BUNDLED, str(twin)]  # one that cannot be had is told before anything is asked
    [one] = json.loads((out / "report.json").read_text())["checkpoints"]
    assert one["pictures"] == 2


@pytest.mark.parametrize(
    ("row", "task", "sentence"),
    [
        pytest.param({"caption": "A car."}, "", "such as “Short caption” (<CAPTION>)", id="no prompt"),
        pytest.param({"prefix": "<CAPTION>", "suffix": "A"}, "<OCR>", "It asks “Short caption” (<CAPTION>)", id="more"),
        pytest.param({"prefix": "<OCR>", "suffix": "A", "image": "b.png"}, "<OCR>", "no such picture", id="no picture"),
    ],
)  # fmt: skip
def test_what_the_data_set_cannot_answer_is_refused_with_what_it_can(
    tmp_path: Path, row: dict[str, str], task: str, sentence: str
) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "lines.jsonl").write_text(json.dumps({"image": "a.png", **row}))
    data = read_dataset(tmp_path)
    with pytest.raises(InputRejected, match=re.escape(sentence)):
        choose_pictures(data, ALL, choose_questions(data, ALL, task), None)


def test_what_cannot_be_had_takes_no_place_of_what_can(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    rows = [{"image": name, "prefix": "<CAPTION>", "suffix": "A car."} for name in ("gone", "lost", "a.png", "a.png")]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = read_dataset(tmp_path)
    chosen = choose_pictures(data, ALL, choose_questions(data, ALL, ""), 1)
    assert [one.name for one in chosen] == ["gone", "a.png"]


def test_the_report_says_what_to_do_and_shows_all_where_nothing_is_right() -> None:
    kite, tree = Region("kite", (0, 0, 10, 10), 0.3), Region("tree", (50, 50, 90, 90), 0.6)
    truth = (replace(kite, xyxy=(20, 20, 30, 30)), Region("sled", (0, 0, 5, 5)))
    labeled = Labeled("a.png", PictureSource("a.png"), truth)
    prediction = Prediction(Question("<OD>"), "mine", (100, 100), regions=(kite, tree), notices=("It was cut.",))
    outcome = Outcome(labeled, (Question("<OD>"),), (prediction,))
    measured = measure_outcomes("mine", [outcome], ("kite", "sled"))
    assert measured.detection is not None
    assert (measured.detection.best.threshold, measured.detection.by_class[0].num_found) == (0.0, 1)
    assert measured.notices == {"It was cut.": 1}
    steps = " ".join(what_next(measured, DataQuestions(None, ("kite", "sled"))))
    assert "Label more: of 2 things" in steps
    assert "Ask for the classes by name" in steps
    assert "Set Lowest score" not in steps


@pytest.mark.usefixtures("quick")
def test_own_answers_are_told_to_be_no_truth_before_a_person_has_seen_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    wire = Prediction(Question("<OD>"), "mine", (64, 64), is_final=True).to_dict()
    (tmp_path / "lines.jsonl").write_text(json.dumps({"picture": "a", **wire}))
    command = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--overwrite"]
    for more in ([], ["--reviewed-only"]):  # of what Save wrote nobody knows who has seen it
        assert on_data.main([*command, *more]) == 0
        assert "whoever gave one agrees with it" in capsys.readouterr().err
    taught = lessons_of_data(read_dataset(tmp_path), None, held_out_share=0, seed=0)
    assert "whoever gave one agrees with it" in taught.notices[0]


def test_groups_come_whole_so_that_the_time_left_can_be_told_and_what_was_stopped_wins_nothing(
    scenes: Path, predictor: Predictor
) -> None:
    data = read_dataset(scenes)
    asks = choose_questions(data, ALL, "<OD>")
    pictures = list(data.labeled())
    groups = list(ask_in_groups(predictor, data, pictures, asks, group_size=4))
    assert [[bool(one.error) for one in some] for some in groups] == [[True], [False, False, True]]
    measured = [measure_outcomes(name, some, asks.classes) for name, some in zip("ab", groups[::-1], strict=True)]
    report = make_report(data, "scenes", ALL, asks, pictures, measured)
    assert "a was stopped after 3 of 4" in report.page
    assert 'class="better"' not in report.page


@pytest.mark.usefixtures("quick")
def test_answers_to_prompts_are_measured_as_text_and_what_cannot_be_asked_is_a_row(
    scenes: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(scenes / "scene_1100001.png", data / "<b>.png")
    rows = [
        {"image": "<b>.png", "prefix": "<CAPTION>", "suffix": "A picture of something."},
        {"image": "<b>.png", "prefix": "<OCR>", "suffix": "STOP"},
        {"image": "<b>.png", "prefix": "<REGION_TO_CATEGORY>", "suffix": "car"},
        {"image": "<b>.png", "prefix": "<NO_TASK> of ours", "suffix": "car"},
    ]
    (data / "val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert on_data.main(["--data", str(data), "--out", str(tmp_path / "out")]) == 0
    [one] = json.loads((tmp_path / "out" / "report.json").read_text())["checkpoints"]
    assert one["text"]["num_answers"] == 3
    assert one["text"]["character_errors"] > 0
    assert [row["why"][:20] for row in one["broken"]] == ["Mark a region: drag "]
    assert "<b>.png" not in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        pytest.param(["--task", "<FLY>"], "is not a task", id="no task"),
        pytest.param(["--task", "<CAPTION>"], "has no texts", id="no captions"),
        pytest.param(["--subset", "val"], "has no part 'val'", id="no such part"),
        pytest.param(["--task", "<CAPTION_TO_PHRASE_GROUNDING>"], "needs a sentence for each", id="no sentences"),
        pytest.param(["--limit", "0"], "--limit: must be a whole number of at least 1", id="nothing asked"),
        pytest.param(["--against", "tiny-florence2"], "another checkpoint", id="against itself"),
        pytest.param(["--keep-temperature", "--checkpoint", "florence-2-base"], "on the hub", id="nowhere to keep it"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_told_before_anything_is_asked(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit):
        on_data.main(["--data", str(scenes), "--out", str(tmp_path), *more])
    assert sentence in capsys.readouterr().err


def test_what_was_not_measured_is_null_in_json() -> None:
    assert json.dumps(to_dict(measure_outcomes("mine", (), ("car",))), allow_nan=False)
