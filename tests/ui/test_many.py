"""What the page of many pictures says and offers, without a browser."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playground.annotate.jobs import Jobs
from playground.annotate.outputs import WrittenFile
from playground.annotate.served import JobProgress, JobState
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import get_task
from playground.ui.many.components import WantedData
from playground.ui.many.form import ManyForm
from playground.ui.many.handlers import ManyHandlers
from playground.ui.many.showing import controls, job_line, saved_line
from playground.ui.many.sources import format_for
from tests.ui.examples import BEACH, MEADOW


@pytest.mark.parametrize(
    ("task", "format_id"),
    [("<OD>", "coco"), ("<CAPTION>", "coco"), ("<OCR>", "txt"), ("<OCR_WITH_REGION>", "pdf")],
)
def test_what_is_read_is_mostly_wanted_as_a_document(task: str, format_id: str) -> None:
    assert {format_for(get_task(task), before) for before in ("coco", "txt", "pdf")} == {format_id}
    assert format_for(get_task(task), "yolo") == "yolo"


@pytest.fixture
def jobs(predictor: Predictor, tmp_path: Path) -> Iterator[Jobs]:
    with closing(Jobs(predictor, Settings(offline=True), tmp_path)) as jobs:
        yield jobs


def test_a_job_that_another_tab_has_started_can_be_paused_from_this_one(
    predictor: Predictor, jobs: Jobs, tmp_path: Path
) -> None:
    key = jobs.create([str(BEACH)], tmp_path / "visitor")
    jobs.find(key)._state = JobState.WORKING
    told = ManyHandlers(predictor, jobs).run(ManyForm(), key, WantedData())
    assert "Pause it before" in told["status"][0]["text"]
    assert told["pause"]["interactive"]
    assert "timer" not in told, "the next look would write over the sentence"


def test_what_was_corrected_just_before_the_next_picture_is_kept(
    predictor: Predictor, jobs: Jobs, tmp_path: Path
) -> None:
    key = jobs.create([str(BEACH), str(MEADOW)], tmp_path / "visitor")
    job, handlers = jobs.find(key), ManyHandlers(predictor, jobs)
    jobs.start(job, ManyForm().question)
    job.wait()
    first, second = (row.answer_id for row in job.findings.read())
    stages = [handlers.pick(key, WantedData(picture=one))["stage"] for one in (first, second)]
    late = stages[0].edits.model_copy(update={"version": 1, "changes": [{"id": 0, "gone": True}]})
    told = handlers.correct(stages[1].model_copy(update={"late": [late]}), key, WantedData(), second)
    assert [row.is_corrected for row in job.findings.read()] == [True, False]
    assert "corrected" not in told["about"][0]["text"], "of the picture that is shown"
    jobs.start(job, ManyForm(task="<CAPTION>").question)
    job.wait()
    told = handlers.correct(stages[1], key, WantedData(), second)
    assert "not there any more" in told["status"][0]["text"]


def test_a_tab_to_which_somebody_comes_back_knows_what_others_have_done(
    predictor: Predictor, jobs: Jobs, tmp_path: Path
) -> None:
    key = jobs.create([str(BEACH)], tmp_path / "visitor")
    job, handlers = jobs.find(key), ManyHandlers(predictor, jobs)
    jobs.start(job, ManyForm().question)
    job.wait()
    seen = handlers.look(key, WantedData(), "")
    grid, opened = seen["grid"].wanted, job.findings.read()[0].answer_id
    stage = handlers.pick(key, grid.model_copy(update={"picture": opened}))["stage"]
    told = handlers.come_back(key, grid, opened, stage)
    assert not told.keys() & {"task", "stage"}, "what is chosen or drawn here stays, where nobody did anything"
    job.findings.review(0, changes=[{"id": 0, "gone": True}], version=1)
    told = handlers.come_back(key, grid, opened, stage)
    assert (len(told["stage"].boxes), told["stage"].edits.version) == (len(stage.boxes) - 1, 1)
    jobs.start(job, ManyForm(task="<CAPTION>").question)
    job.wait()
    told = handlers.come_back(key, grid, opened, stage)
    assert (told["task"], told["opened"], told["pause"]["interactive"]) == ("<CAPTION>", "", False)
    told = handlers.pause(key, grid)
    assert "done" in told["status"][0]["text"], "it does not wait for what has ended"
    jobs.delete(key)
    assert "no such job" in handlers.come_back(key, grid, opened, stage)["status"][0]["text"]


def test_of_one_picture_it_says_so() -> None:
    assert job_line(JobProgress(JobState.DONE, 1, 1, 1))["text"] == "It is done."
    assert job_line(JobProgress(JobState.DONE, 2, 2, 1, 1))["text"] == (
        "All 2 pictures are done; 1 could not be answered."
    )
    assert job_line(JobProgress(JobState.DONE, 1, 1, 0, 1))["tone"] == "warning"
    assert controls(JobProgress(JobState.DONE, 2, 2, 1, 1))["run"]["value"] == "Try the one again that failed"


def test_a_file_says_what_is_not_in_it() -> None:
    assert saved_line(WrittenFile(Path("a.zip"), 1)) == {"text": "Saved 1 picture.", "tone": "good"}
    cut = saved_line(WrittenFile(Path("a.mp4"), 2, ["b.png is gone."], num_failed=3, is_cut=True))
    assert cut["text"].startswith(
        "Saved 2 pictures. Left out: b.png is gone. Not in it: 3 that could not be answered. It ends early: "
    )
