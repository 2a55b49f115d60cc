"""What the page of many pictures says and offers, without a browser."""

from pathlib import Path

import pytest

from playground.annotate.outputs import WrittenFile
from playground.annotate.served import JobProgress, JobState
from playground.tasks import get_task
from playground.ui.many.showing import job_line, saved_line
from playground.ui.many.sources import format_for


@pytest.mark.parametrize(
    ("task", "format_id"),
    [("<OD>", "coco"), ("<CAPTION>", "coco"), ("<OCR>", "txt"), ("<OCR_WITH_REGION>", "pdf")],
)
def test_what_is_read_is_mostly_wanted_as_a_document(task: str, format_id: str) -> None:
    assert {format_for(get_task(task), before) for before in ("coco", "txt", "pdf")} == {format_id}
    assert format_for(get_task(task), "yolo") == "yolo"


def test_of_one_picture_it_says_so() -> None:
    assert job_line(JobProgress(JobState.DONE, 1, 1, 1))["text"] == "It is done."
    assert job_line(JobProgress(JobState.DONE, 2, 2, 1, 1))["text"] == "All 2 pictures are done."


def test_a_file_says_what_is_not_in_it() -> None:
    assert saved_line(WrittenFile(Path("a.zip"), 1)) == {"text": "Saved 1 picture.", "tone": "good"}
    cut = saved_line(WrittenFile(Path("a.mp4"), 2, ["b.png is gone."], num_failed=3, is_cut=True))
    assert cut["text"].startswith(
        "Saved 2 pictures. Left out: b.png is gone. Not in it: 3 that could not be answered. It ends early: "
    )
