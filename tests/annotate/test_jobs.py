"""Jobs of a server: in threads of their own, found by a key, in turn with each other, and kept for a while."""

import errno
import shutil
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playground.annotate.answers import Verdict
from playground.annotate.findings import Kind, Order, Sieve, select, tally
from playground.annotate.given import files_of_jobs
from playground.annotate.jobs import Jobs
from playground.annotate.options import SourceOptions
from playground.annotate.served import JobState, ServedJob
from playground.annotate.sources import JOURNAL
from playground.annotate.thumbnails import Thumbnails
from playground.annotate.turns import WatchedAnswers
from playground.errors import InputRejected, JobRejected, SourceRejected, UnknownTask
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings
from tests.annotate.doubles import QUESTION, GroupPredictor
from tests.annotate.test_outputs import document


class GatedPredictor(GroupPredictor):
    """Answers a group when it is let through, and knows how many are being answered."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.engines = predictor.engines
        self.gate = threading.Semaphore(0)
        self.groups: list[tuple[str, int]] = []
        self.at_once = 0

    def predict_each(
        self, images: Sequence[Any], question: Question, *, stop: threading.Event | None = None
    ) -> Generator[tuple[int, Prediction], None, None]:
        self.at_once += 1
        self.groups.append((question.task, len(images)))
        assert self.at_once == 1
        while not self.gate.acquire(timeout=0.02):
            if stop is not None and stop.is_set():
                break
        self.at_once -= 1
        yield from super().predict_each(images, question)


@pytest.fixture
def gated(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> GatedPredictor:
    monkeypatch.setattr("playground.inference.engine.Engine.max_asks", 8)
    return GatedPredictor(predictor)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def paths_of(pictures: Path) -> list[str]:
    return [str(pictures / f"img{number}.png") for number in range(1, 22)]


def ended(job: ServedJob) -> JobState:
    until(lambda: not job.is_working)
    return job.progress().state


def jobs_in(folder: Path, predictor: Predictor, **settings: Any) -> Jobs:
    return Jobs(predictor, Settings(**settings), folder)


def test_a_job_is_previewed_goes_on_is_stopped_at_once_and_goes_on_where_it_was(pictures, gated, tmp_path):
    jobs = jobs_in(tmp_path, gated)
    job = jobs.find(jobs.create(paths_of(pictures), tmp_path / "visitor"))
    gated.gate.release(100)
    jobs.start(job, QUESTION, limit=3)
    assert ended(job) is JobState.DONE
    done = job.progress()
    assert (done.num_pictures, done.num_wanted, done.num_answered, done.num_failed) == (21, 3, 2, 1)
    gated.gate = threading.Semaphore(1)
    jobs.start(job, QUESTION)
    with pytest.raises(JobRejected, match="is at work"):
        jobs.start(job, QUESTION)
    until(lambda: len(gated.groups) == 3)  # the second group of this run waits at the gate
    job.stop()
    assert ended(job) is JobState.STOPPED
    assert job.progress().num_done == 11  # of the group in work nothing was written
    gated.gate.release(100)
    jobs.start(job, QUESTION)
    assert ended(job) is JobState.DONE
    assert (job.progress().num_answered, job.progress().num_failed) == (19, 2)
    assert job.thumbnail(job.findings.read()[1].source)[:2] == b"\xff\xd8"


def test_another_question_begins_anew_and_one_that_cannot_be_asked_changes_nothing(pictures, gated, tmp_path):
    jobs = jobs_in(tmp_path, gated)
    job = jobs.find(jobs.create(paths_of(pictures)[:2], tmp_path / "visitor"))
    gated.gate.release(100)
    jobs.start(job, QUESTION)
    ended(job)
    with pytest.raises(InputRejected, match="asks about regions"):
        jobs.start(job, replace(QUESTION, task="<REGION_TO_OCR>"))
    jobs.start(job, replace(QUESTION, task="<CAPTION>"))
    assert ended(job) is JobState.DONE
    assert [row.prediction.task for row in map(job.findings.row, range(2))] == ["<CAPTION>"] * 2


def test_a_file_holds_what_was_answered_when_it_was_begun(pictures, gated, tmp_path):
    jobs = jobs_in(tmp_path, gated)
    job = jobs.find(jobs.create(paths_of(pictures)[:3], tmp_path / "visitor"))
    gated.gate.release(100)
    jobs.start(job, QUESTION)
    ended(job)
    answers = WatchedAnswers(job.folder, lambda size: None)
    rows = answers.rows()
    first = next(rows)
    journal = job.folder / "predictions.jsonl"
    journal.write_bytes(2 * journal.read_bytes())  # the job went on
    assert len([first, *rows]) == len(list(answers.rows())) == 3


def test_jobs_take_turns_a_group_at_a_time_and_a_visitor_has_so_many(pictures, gated, tmp_path):
    jobs = jobs_in(tmp_path, gated)
    first, second, third, other = (
        jobs.find(jobs.create(paths_of(pictures), tmp_path / visitor)) for visitor in ("a", "a", "a", "b")
    )
    jobs.start(first, QUESTION)
    until(lambda: len(gated.groups) == 1)
    jobs.start(second, replace(QUESTION, task="<CAPTION>"))
    with pytest.raises(JobRejected, match="2 jobs of yours"):
        jobs.start(third, QUESTION)
    until(lambda: len(jobs._turn._line) == 2)
    for count in range(2, 5):
        gated.gate.release()
        until(lambda: len(gated.groups) == count)  # noqa: B023  # called in this turn
        until(lambda: len(jobs._turn._line) == 2)
    assert [task for task, _ in gated.groups] == ["<OD>", "<CAPTION>"] * 2
    jobs.close()
    jobs.start(other, QUESTION)
    gated.gate.release(100)
    assert [ended(job) for job in (first, second, other)] == [JobState.STOPPED, JobState.STOPPED, JobState.DONE]


def test_a_job_is_found_by_its_key_alone_by_the_next_server_too_until_nobody_has_looked_for_a_while(
    pictures, gated, tmp_path
):
    files = paths_of(pictures)
    gated.gate.release(100)
    jobs = jobs_in(tmp_path, gated)
    key = jobs.create(files, tmp_path / "visitor")
    job = jobs.find(key)
    jobs.start(job, QUESTION, limit=9)
    ended(job)
    assert {*files, str(job.folder / "predictions.jsonl")} <= set(jobs.held_files())
    assert key not in str(job.folder)
    with pytest.raises(JobRejected, match="no such job"):
        jobs.find(job.folder.name)
    again = jobs_in(tmp_path, gated)
    found = again.find(key)
    assert (found.progress().state, found.progress().num_done, found.question) == (JobState.PAUSED, 9, job.question)
    again.start(found, QUESTION)
    assert ended(found) is JobState.DONE
    assert found.progress().num_done == 21
    old = jobs_in(tmp_path, gated, keep_jobs_seconds=0)
    with pytest.raises(JobRejected, match="no such job"):
        old.find(key) and old.find(key)
    assert not job.folder.exists()


def test_a_job_that_is_deleted_is_stopped_and_gone_with_what_it_alone_was_given(pictures, gated, tmp_path):
    visitor = tmp_path / "visitor"
    visitor.mkdir()
    own, shared = (document(visitor / name, [10, 20]) for name in ("own.tif", "shared.tif"))
    gone: list[str] = []
    jobs = Jobs(gated, Settings(), tmp_path, gone.extend)
    key = jobs.create([str(own), str(pictures / "img1.png")], visitor)
    other = jobs.create([str(shared)], visitor)
    job = jobs.find(key)
    jobs.start(job, QUESTION)
    until(lambda: bool(gated.groups))
    assert jobs.titles([other, key, "nobody's"]) == {other: "shared.tif", key: "own.tif and 1 more"}
    assert jobs.delete(key)
    assert not job.is_working
    assert not job.folder.exists()
    assert gone == [str(own)]  # what lies elsewhere is not the visitor's
    for server in (jobs, jobs_in(tmp_path, gated)):
        with pytest.raises(JobRejected, match="no such job"):
            server.find(key)
        assert server.titles([other, key]) == {other: "shared.tif"}
    with pytest.raises(JobRejected, match="deleted"):  # by who had found it before
        job.start(QUESTION)


def test_no_job_goes_to_make_room_for_another(pictures, gated, tmp_path):
    jobs = jobs_in(tmp_path, gated, kept_jobs_per_visitor=2)
    files = paths_of(pictures)
    first, second = (jobs.create(files[at:3], tmp_path / "visitor") for at in (0, 2))
    with pytest.raises(JobRejected, match=r"2 jobs .* such as “img1.png and 2 more”\. Delete one") as refused:
        jobs.create(files, tmp_path / "visitor", known=[first, "nobody's"])
    assert "img3" not in str(refused.value)
    jobs.create(files, tmp_path / "other")
    assert jobs.delete(first)
    third = jobs.create(files, tmp_path / "visitor")
    assert {jobs.find(key).progress().state for key in (second, third)} == {JobState.NEW}


def test_a_job_whose_question_is_refused_leaves_nothing(pictures, gated, tmp_path):
    jobs, files, visitor = jobs_in(tmp_path, gated, kept_jobs_per_visitor=1), paths_of(pictures), tmp_path / "visitor"
    for _ in range(2):
        with pytest.raises(UnknownTask):
            jobs.create(files, visitor, begins_with=(Question("<NOTHING>"), SourceOptions()))
    assert not list(visitor.glob("jobs/*"))
    assert all(Path(path).exists() for path in files)
    assert jobs.create(files, visitor)


def test_other_pages_begin_anew_a_password_stays_in_memory_and_what_is_kept_is_all_that_the_next_server_needs(
    gated, tmp_path
):
    visitor = tmp_path / "visitor"
    visitor.mkdir()
    scan, stray = document(visitor / "scan.tif", [10, 20, 30, 40]), visitor / "stray.txt"
    stray.write_text("of nobody")
    jobs = jobs_in(tmp_path, gated)
    key = jobs.create([str(scan)], visitor)
    job = jobs.find(key)
    gated.gate.release(100)
    for pages, number in (("2-3", 2), ("2-3", 2), ("1-3", 3)):
        jobs.start(job, QUESTION, SourceOptions(pages, password="secret"))
        assert ended(job) is JobState.DONE
        assert job.progress().num_answered == number
    assert [len(group) for group in (gated.groups[:1], gated.groups)] == [1, 2]
    with pytest.raises(SourceRejected, match="names no pages"):
        jobs.start(job, QUESTION, SourceOptions("none"))
    kept = files_of_jobs(tmp_path, keep_seconds=60)
    assert {str(scan), str(job.folder / JOURNAL)} <= kept
    assert str(stray) not in kept
    assert not any(b"secret" in Path(path).read_bytes() for path in kept)
    assert files_of_jobs(tmp_path, keep_seconds=0) == set()
    jobs.close()
    again = jobs_in(tmp_path, gated)
    assert str(scan) in again.held_files()
    assert again.find(key).options == SourceOptions("1-3")


def test_what_is_too_much_or_no_picture_is_refused_with_a_sentence(pictures, gated, tmp_path):
    listed = tmp_path / "list.TXT"
    listed.write_text(str(pictures / "img1.png"))
    small = jobs_in(tmp_path, gated, job_pictures=5, job_megabytes=0)
    for given, said in (([], "no file"), ([str(listed)], "no file of pictures"), (paths_of(pictures), "0 MB are")):
        with pytest.raises(SourceRejected, match=said):
            small.create(given, tmp_path / "visitor")
    jobs = jobs_in(tmp_path, gated, job_pictures=5)
    job = jobs.find(jobs.create(paths_of(pictures), tmp_path / "visitor"))
    jobs.start(job, QUESTION)
    assert ended(job) is JobState.FAILED
    assert "more than 5 pictures" in job.progress().message
    two = str(document(tmp_path / "two.pdf", (1, 2)))
    job = jobs.find(jobs.create([two, two], tmp_path / "visitor"))
    jobs.start(job, QUESTION, SourceOptions(pages="40-", start="5"))
    assert ended(job) is JobState.FAILED
    assert "of documents only the pages 40- and of videos only what is from 5." in job.progress().message
    assert job.progress().num_done == 0
    gated.gate.release()
    job = jobs.find(jobs.create([two, *paths_of(pictures)[:1]], tmp_path / "visitor"))
    jobs.start(job, QUESTION, SourceOptions(pages="40-"))
    assert ended(job) is JobState.DONE
    assert [row.error[:24] for row in job.findings.read()] == ["This document has 2 page", ""]


def test_a_job_without_room_on_the_disk_says_so_and_goes_on_later(pictures, gated, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    jobs = jobs_in(tmp_path, gated)
    job = jobs.find(jobs.create(paths_of(pictures)[:1], tmp_path / "visitor"))
    gated.gate.release(100)
    with monkeypatch.context() as patch:
        patch.setattr(Thumbnails, "put", full)
        jobs.start(job, QUESTION)
        assert ended(job) is JobState.FAILED
    assert "trouble with its files (No space left on device)" in job.progress().message
    jobs.start(job, QUESTION)
    assert ended(job) is JobState.DONE


def test_an_answer_is_found_again_when_the_journal_is_written_anew(pictures, gated, tmp_path):
    gated.gate.release(100)
    jobs = jobs_in(tmp_path, gated)
    paths = [shutil.copy(path, tmp_path) for path in paths_of(pictures)[:5]]
    job = jobs.find(jobs.create(paths, tmp_path / "visitor"))
    jobs.start(job, QUESTION)
    ended(job)
    before = select(job.findings.read(), Sieve())
    assert dict(job.findings.tally().kinds)[Kind.ERRORS] == 1
    shutil.copy(paths[0], paths[2])  # what could not be read is there now
    jobs.start(job, QUESTION, retry_errors=True)
    ended(job)
    assert dict(job.findings.tally().kinds)[Kind.ERRORS] == 0
    for row in before:
        if row.error:
            with pytest.raises(JobRejected, match="not there any more"):
                job.findings.number_of(row.answer_id)
        else:
            assert job.findings.row(job.findings.number_of(row.answer_id)).source == row.source
    jobs.start(job, replace(QUESTION, task="<CAPTION>", phrase=""))
    ended(job)
    with pytest.raises(JobRejected, match="not there any more"):
        job.findings.number_of(before[0].answer_id)


def test_what_people_say_and_correct_is_in_the_findings_and_the_files_and_not_in_the_journal(pictures, gated, tmp_path):
    gated.gate.release(100)
    jobs = jobs_in(tmp_path, gated)
    job = jobs.find(jobs.create(paths_of(pictures)[:5], tmp_path / "visitor"))
    jobs.start(job, QUESTION)
    ended(job)
    first, second, broken, fourth, fifth = (row.number for row in select(job.findings.read(), Sieve()))
    journal = (job.folder / "predictions.jsonl").read_bytes()
    said = job.findings.row(first).prediction
    changes = [{"id": 0, "gone": True}, {"id": 1, "label": "bus", "xyxy": [0.0, 0.0, 4.0, 4.0]}]
    job.findings.review(first, changes=changes, version=2)
    job.findings.review(first, changes=[], version=1)  # an older version that comes later
    corrected = replace(said, regions=(Region("bus", (0.0, 0.0, 4.0, 4.0), source="added"),))
    job.findings.review(first, Verdict.APPROVED)
    job.findings.review(second, Verdict.SKIPPED)
    job.findings.review(fourth, Verdict.APPROVED)
    with pytest.raises(JobRejected, match="no answer"):
        job.findings.review(broken, Verdict.APPROVED)
    with (job.folder / "reviews.jsonl").open("ab") as file:
        file.write(b'{"source": "cut sho')
    assert (job.folder / "predictions.jsonl").read_bytes() == journal
    job.want(replace(QUESTION, names=(("car", "auto"),)))
    assert dict(tally(job.findings.read()).kinds)[Kind.APPROVED] == 2
    assert tally(job.findings.read()).labels[0] == ("auto", 3, 3)
    job.want(QUESTION)
    with pytest.raises(JobRejected, match="another question"):
        job.want(replace(QUESTION, task="<CAPTION>"))
    for findings in (job.findings, jobs_in(tmp_path, gated)._job(job.folder, job._given).findings):
        rows = findings.read()
        assert (rows[first].verdict, rows[first].is_corrected) == (Verdict.APPROVED, True)
        assert (rows[second].verdict, rows[second].is_corrected) == (Verdict.SKIPPED, False)
        assert findings.row(first).prediction.regions == corrected.regions
        assert findings.row(first).said == said
        counted = tally(rows)
        assert counted.labels == (("car", 3, 3), ("bus", 1, 1))
        assert dict(counted.kinds)[Kind.APPROVED] == 2
        assert counted.histogram[10] == 3  # each car has 0.5
        for sieve, numbers in (
            (Sieve(Kind.ERRORS), [broken]),
            (Sieve(label="car", max_score=0.5), [second, fourth, fifth]),
            (Sieve(order=Order.LEAST_SURE), [second, fourth, fifth, first, broken]),
        ):
            assert [row.number for row in select(rows, sieve)] == numbers
        findings.choose(replace(QUESTION, min_scores=(("", 0.6),)), 0.0)
        assert [row.number for row in select(findings.read(), Sieve(Kind.NOTHING))] == [second, fourth, fifth]
        findings.choose(None, 0.0)
    taken: list[int] = []
    written = job.write("csv", only_approved=True, take_room=taken.append)
    assert written is not None
    assert written.num_pictures == 2
    table = written.path.read_text(encoding="utf-8-sig")
    assert ("bus" in table, table.count("car")) == (True, 1)
