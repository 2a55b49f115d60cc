"""What is said of a data set before anything runs; and of a command that cannot be."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from playground.annotate.answers import Row, Verdict
from playground.annotate.journal import Journal
from playground.annotate.sources import PictureSource
from playground.datasets.formats import ALL
from playground.datasets.reading import LabeledData, read_dataset
from playground.evaluation.asking_data import choose_questions
from playground.finetune.checks import LessonReport, check_lessons, lessons_of_data, with_rehearsals
from playground.finetune.command import main
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction

BOX = "<loc_10><loc_20><loc_300><loc_400>"
QUAD = "<loc_10><loc_20><loc_300><loc_20><loc_300><loc_400><loc_10><loc_400>"


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Six pictures, of which one is missing, one has a box outside, and one alone shows a tree."""
    names = [f"{number}.png" for number in range(7)]
    for name in names[1:]:
        Image.new("RGB", (100, 80), "navy").save(tmp_path / name)
    annotations = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [10, 10, 20, 20]} for number in range(7)
    ]
    annotations.append({"id": 7, "image_id": 1, "category_id": 1, "bbox": [300, 10, 20, 20]})
    annotations.append({"id": 8, "image_id": 3, "category_id": 2, "bbox": [30, 30, 20, 20]})
    content = {
        "images": [{"id": n, "file_name": name, "width": 100, "height": 80} for n, name in enumerate(names)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "tree"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_what_is_left_out_is_said(coco: Path) -> None:
    report = lessons_of_data(read_dataset(coco), Question("<OD>"), held_out_share=0.2, seed=0)
    assert (len(report.lessons), len(report.held_out)) == (5, 1)
    assert [sentence.partition(":")[0] for sentence in report.left_out] == ["0.png"]
    assert any("lies outside the picture of 100 x 80" in sentence for sentence in report.notices)
    unseen = [sentence for sentence in report.notices if "“tree”" in sentence]
    assert len(unseen) == 1
    assert unseen[0].endswith(("how well it is learned is not measured.", "it cannot be learned."))
    assert "5 lessons about 5 pictures" in report.summary
    again = lessons_of_data(read_dataset(coco), Question("<OD>"), held_out_share=0.2, seed=0)
    assert [lesson.name for lesson in again.held_out] == [lesson.name for lesson in report.held_out]
    short = check_lessons(report, len, max_prompt_tokens=400, max_answer_tokens=40)
    assert [lesson.name for lesson in (*short.lessons, *short.held_out)] != []
    assert [sentence for sentence in short.left_out if "this checkpoint can take 40. Divide it." in sentence]
    text = "\n".join(short.lines())
    assert "Left out:\n  0.png: " in text


def jobs_pictures(folder: Path, *changes: dict[str, Any]) -> tuple[LabeledData, LabeledData]:
    """Write the journal of a job over four pictures, and return what a person has seen, and the others.

    Of the first a person has said something; the second shows a tree, too; of the last the model had no idea.
    """
    question = Question("<OD>", checkpoint="m")
    journal = Journal(folder, question)
    box = {"xyxy": (10.0, 10.0, 40.0, 40.0), "score": 0.5}
    for name, labels in {"a": ["car", "bus"], "b": ["car", "tree"], "c": ["bus"], "d": []}.items():
        path = folder.parent / f"{name}.png"
        Image.new("RGB", (100, 80), "navy").save(path)
        regions = tuple(Region(label, **box) for label in labels)
        said = Prediction(question, "m", (100, 80), regions=regions, is_unsure=name == "d")
        row = Row(PictureSource(str(path)), name, said)
        journal.append(row)
        if name == "a":
            journal.review(row.reviewed(Verdict.APPROVED, changes, len(changes)))
    journal.close()
    return read_dataset(folder, reviewed=True), read_dataset(folder, reviewed=False)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        pytest.param([], ["b.png", "c.png"], id="approved"),
        pytest.param([{"id": 0, "label": "owl", "xyxy": (10, 10, 40, 40)}], ["c.png"], id="cars are something else"),
        pytest.param([{"id": 1, "gone": True}], ["b.png"], id="buses are none"),
        pytest.param([{"id": 2, "label": "bus", "xyxy": (50, 10, 70, 40)}], ["b.png", "c.png"], id="a bus was missed"),
        pytest.param([{"id": 2, "label": "owl", "xyxy": (50, 10, 70, 40)}], [], id="what it does not know was missed"),
    ],
)
def test_what_a_job_has_answered_about_its_other_pictures_is_rehearsed_where_that_is_likely_right(
    tmp_path: Path, changes: list[dict[str, Any]], kept: list[str]
) -> None:
    seen, others = jobs_pictures(tmp_path / "job", *changes)
    report = lessons_of_data(seen, None, held_out_share=0.2, seed=0)
    both = with_rehearsals(report, others, 5)
    assert both.lessons[:1] == report.lessons
    assert [lesson.name for lesson in both.lessons[1:] if lesson.is_rehearsed] == kept
    assert {region.score for lesson in both.lessons[1:] for region in lesson.regions} <= {None}
    assert both.summary.startswith("1 lesson about 1 picture: ")
    assert both.summary.endswith("so that it is kept.") is bool(kept)
    assert any("“owl”: new" in notice for notice in both.notices) is not bool(kept)
    assert with_rehearsals(report, others, 0).lessons == report.lessons


def test_lines_of_prompts_and_answers_teach_what_each_asks(tmp_path: Path) -> None:
    Image.new("RGB", (100, 80), "navy").save(tmp_path / "a.png")
    rows = [
        {"image": "a.png", "prefix": "<OD>", "suffix": "car<loc_100><loc_100><loc_300><loc_400>"},
        {"image": "a.png", "prefix": "<DocVQA>What is the date?", "suffix": "12 May"},
        {"image": "a.png", "prefix": "<REGION_TO_CATEGORY><loc_1><loc_1><loc_300><loc_400>", "suffix": "car"},
        {"image": "a.png", "prefix": "<CAPTION>", "suffix": "A car</s> and more"},
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    report = lessons_of_data(read_dataset(tmp_path), None, held_out_share=0.0, seed=0)
    report = check_lessons(report, len, max_prompt_tokens=999, max_answer_tokens=999)
    answers = [lesson.answer((100, 80)) for lesson in report.lessons]
    assert answers[0] == "car<loc_100><loc_100><loc_300><loc_400>"
    assert answers[1] == "12 May"
    assert answers[2].startswith("car<loc_")
    assert len(answers) == 3
    assert "must not hold </s>" in report.left_out[0]


def test_with_a_task_what_answers_another_question_teaches_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (100, 80), "navy").save(tmp_path / "a.png")
    rows = [
        {"image": "a.png", "prefix": "<OD>", "suffix": "car<loc_100><loc_100><loc_300><loc_400>"},
        {"image": "a.png", "prefix": "<CAPTION>", "suffix": "a car"},
        {"image": "a.png", "suffix": "a car"},
        {"image": "a.png", "prefix": "<OD>", "suffix": "car<loc_1><loc_1><loc_3><loc_1000>"},
        {"image": "a.png", "prefix": "<OD>", "suffix": "a car"},
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for task, count, told in (
        ("<OD>", 1, "It holds nothing that could be an answer to <OD>. It answers <CAPTION>."),
        ("<CAPTION>", 2, "It holds nothing that could be an answer to <CAPTION>. It answers <OD>."),
        (None, 2, "It does not say what is asked about it. Choose the task that it is to answer (--task)."),
    ):
        question = Question(task) if task else None
        report = lessons_of_data(read_dataset(tmp_path), question, held_out_share=0.0, seed=0)
        assert (len(report.lessons), f"a.png: {told}" in report.left_out) == (count, True)
        unread = [sentence for sentence in report.left_out if "of them of whole regions" in sentence]
        assert [sentence.partition(":")[0] for sentence in unread] == ["train.jsonl, line 4", "train.jsonl, line 5"]


@pytest.mark.parametrize(
    ("prefix", "suffix", "task"),
    [
        pytest.param("<OCR_WITH_REGION>", "STOP" + QUAD, "<OD>", id="what was read is no thing"),
        pytest.param("<OD>", "car" + BOX, "<REGION_TO_OCR>", id="a name is not what can be read"),
        pytest.param("<REGION_TO_CATEGORY>" + BOX, "car" + BOX, "<OD>", id="one region is not all of a picture"),
        pytest.param("<REGION_PROPOSAL>", BOX, "<OD>", id="without names"),
    ],
)
def test_regions_teach_and_measure_only_what_they_can_answer(
    tmp_path: Path, prefix: str, suffix: str, task: str
) -> None:
    Image.new("RGB", (100, 80), "navy").save(tmp_path / "a.png")
    (tmp_path / "train.jsonl").write_text(json.dumps({"image": "a.png", "prefix": prefix, "suffix": suffix}))
    data = read_dataset(tmp_path)
    report = lessons_of_data(data, Question(task), held_out_share=0.0, seed=0)
    assert report.lessons == ()
    own = prefix.removesuffix(BOX)
    assert report.left_out == (f"a.png: It holds nothing that could be an answer to {task}. It answers {own}.",)
    assert not any(map(choose_questions(data, ALL, task).is_about, data.labeled()))


def test_crowds_are_not_taught_as_nothing_and_a_picture_on_both_sides_is_told(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        Image.new("RGB", (100, 80), "navy").save(tmp_path / name)
    crowd = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 1}
    annotations = [crowd, {**crowd, "id": 2, "image_id": 2}, {**crowd, "id": 3, "image_id": 2, "iscrowd": 0}]
    content = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in (1, 2)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "car"}],
    }
    for part in ("train", "val"):
        (tmp_path / f"instances_{part}.json").write_text(json.dumps(content), encoding="utf-8")
    report = lessons_of_data(read_dataset(tmp_path), Question("<OD>"), held_out_share=0.0, seed=0)
    assert [lesson.name for lesson in (*report.lessons, *report.held_out)] == ["2.png", "2.png"]
    assert report.left_out == ("1.png: All that is labeled in it is marked as a crowd or as difficult.",) * 2
    assert report.notices[1:] == (
        "2.png: 1 region marked as a crowd or as difficult: not taught.",
        "“2.png”: taught, and held out as well, so that the figures are too good.",
    )


def test_pictures_without_labels_and_boxes_where_outlines_are_asked_for_are_told(coco: Path) -> None:
    def checked(task: str) -> LessonReport:
        report = lessons_of_data(read_dataset(coco), Question(task), held_out_share=0.0, seed=0)
        return check_lessons(report, len, max_prompt_tokens=999, max_answer_tokens=999)

    outlines = checked("<REFERRING_EXPRESSION_SEGMENTATION>").left_out[-1]
    assert outlines.endswith("has a box alone, but <REFERRING_EXPRESSION_SEGMENTATION> is answered by outlines. "
                             "Choose another task.")  # fmt: skip
    assert "answered by text with its four corners" in checked("<OCR_WITH_REGION>").left_out[-1]
    file = coco / "annotations.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["annotations"] = content["annotations"][3:]
    content["categories"][0]["name"] = " car "
    file.write_text(json.dumps(content), encoding="utf-8")
    report = checked("<OD>")
    assert {region.label for lesson in report.lessons for region in lesson.regions} == {"car", "tree"}
    assert any("In 2 pictures nothing is labeled (1.png, 2.png)" in sentence for sentence in report.notices)
    file.write_text(json.dumps({**content, "annotations": []}), encoding="utf-8")
    report = checked("<OD>")
    assert (report.lessons, report.left_out[-1].endswith("Give the labels.")) == ((), True)


def test_an_empty_report_says_so() -> None:
    assert LessonReport((), ()).summary.startswith("0 lessons about 0 pictures; 0 lessons")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--data", "nowhere", "--out", "x"], "Accepted: the folder or the ZIP of COCO", id="no data"),
        pytest.param(["--out", "x"], "--data must be given, or --demo", id="nothing"),
        pytest.param(["--data", ".", "--out", "x", "--rank", "0"], "rank must be at least 1", id="rank"),
        pytest.param(["--check"], "--data must be given", id="nothing to check"),
        pytest.param(["--data", ".", "--out", "x", "--patience", "-1"], "patience must be at least 0", id="patience"),
        pytest.param(["--data", ".", "--out", "x", "--location-blur", "nan"], "must be at least 0", id="blur"),
        pytest.param(["--data", ".", "--out", "x", "--location-weight", "0"], "must be above 0", id="weight"),
        pytest.param(["--data", ".", "--out", "x", "--held-out", "2"], "is not a share", id="share"),
        pytest.param(["--data", ".", "--out", "x", "--task", "<DETECT>"], "is not a task", id="task"),
        pytest.param(
            ["--data", ".", "--out", "x", "--rehearse", "y"], "say with --task what", id="nothing to rehearse"
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_where_peft_is_missing_the_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else find(name))
    with pytest.raises(SystemExit):
        main(["--data", ".", "--out", "x"])
    assert "pip install -r requirements-train.txt" in capsys.readouterr().err
