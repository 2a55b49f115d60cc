"""What the teaching page shows of what was answered, without a page."""

from pathlib import Path

from PIL import Image

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.files import ADAPTER_WEIGHTS
from playground.finetune.checks import LessonReport
from playground.finetune.lessons import Lesson
from playground.finetune.teaching import HeldOutAnswer, MeasuredPoint, TeachingProgress, TeachingStage
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.teachings import ServedTeaching, TeachingState
from playground.ui.teach.showing import board_of, teaching_line


def test_each_of_several_lessons_about_one_picture_is_shown_with_its_own_answer() -> None:
    image = read_image(Image.new("RGB", (40, 30), "navy"))
    question = Question("<REGION_TO_CATEGORY>", regions=((1, 1, 20, 20),))
    lessons = tuple(Lesson("a.png", lambda: image, question, text=text) for text in ("car", "bus", "tree"))
    teaching = ServedTeaching(resolve(BUNDLED), LessonReport(lessons, lessons), Path("nowhere"))
    assert [(row.right.text, row.before, row.now) for row in board_of(teaching).pictures] == [
        ("car", None, None), ("bus", None, None), ("tree", None, None),
    ]  # fmt: skip
    *_, last = board_of(teaching).pictures
    assert (last.name, [list(box.xyxy) for box in last.right.boxes]) == ("a.png", [[1, 1, 20, 20]]), (
        "what is asked about"
    )
    answers = [HeldOutAnswer("a.png", Prediction(question, BUNDLED, (40, 30), text=text)) for text in ("cat", "bus")]
    teaching.before, teaching.now = tuple(answers), tuple(answers[:1])
    shown = board_of(teaching).pictures
    assert [row.before and row.before.text for row in shown] == ["cat", "bus", None]
    assert [row.now and row.now.text for row in shown] == ["cat", None, None]


def test_lessons_that_ask_something_else_say_what_and_no_token_is_shown() -> None:
    image = read_image(Image.new("RGB", (40, 30), "navy"))
    lessons = (
        Lesson(
            "a.png", lambda: image, Question("<OD>"), (Region("car", (1, 1, 9, 9)),), "car<loc_1><loc_1><loc_9><loc_9>"
        ),
        Lesson("a.png", lambda: image, Question("<CUSTOM>", "<DocVQA>What is it?"), text="a car"),
    )
    teaching = ServedTeaching(resolve(BUNDLED), LessonReport(lessons, lessons), Path("nowhere"))
    assert [(row.name, row.right.text) for row in board_of(teaching).pictures] == [
        ("a.png: Find every object", ""), ("a.png: <DocVQA>What is it?", "a car"),
    ]  # fmt: skip


def test_where_nothing_became_better_it_says_what_would_be_kept_and_stop_is_the_last_that_is_said(
    tmp_path: Path,
) -> None:
    teaching = ServedTeaching(resolve(BUNDLED), LessonReport((), ()), tmp_path)
    points = tuple(MeasuredPoint(step, 0.5, held_out_loss=1.0 + step, quality=0.5) for step in (0, 20))
    teaching.progress = TeachingProgress(TeachingStage.DONE, step=20, steps=40, points=points)
    (tmp_path / ADAPTER_WEIGHTS).touch()
    as_before = "It became no better: what may be kept answers as before."
    teaching.state = TeachingState.TAUGHT
    assert teaching_line(teaching)["text"] == f"{as_before} Give it more minutes, or more pictures."
    teaching.state = TeachingState.STOPPED
    assert teaching_line(teaching)["text"] == f"Stopped. Teach goes on from there. {as_before}"
    teaching.state = TeachingState.WORKING
    assert teaching_line(teaching)["text"].endswith(": step 20 of 40…")
    teaching.stop()
    assert teaching_line(teaching)["text"] == "Ending after this step…", "until it has"
