"""The job: what is done is written down, whatever ends it; what follows is asked as if nothing had."""

import io
import json
import os
import shutil
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from playground.annotate.answers import Answers
from playground.annotate.findings import Findings, Sieve, select
from playground.annotate.job import PictureAnswered, PictureFailed, PictureSkipped, run_job
from playground.annotate.journal import Journal
from playground.annotate.reading import SourceReader
from playground.annotate.sources import JOURNAL, find_sources
from playground.errors import ImageRejected, InputRejected, JobRejected
from playground.pictures.reader import read_image
from playground.question import Question
from tests.annotate.doubles import QUESTION, GroupPredictor, run


@pytest.fixture
def predictor() -> GroupPredictor:
    return GroupPredictor()


def lines_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines()]


def test_each_picture_has_a_line_once_it_is_finished_and_is_read_in_natural_order(pictures, predictor, tmp_path):
    events = run(predictor, [pictures], tmp_path)
    names = [Path(line["source"]).stem for line in lines_of(tmp_path)]
    assert names[:9] == ["img3", "img8", "img7", "img6", "img5", "img4", "img2", "img1", "img11"]
    assert [event.source.stem for event in events] == names
    as_given = [f"img{number}" for number in range(1, 22)]
    assert [row.source.stem for row in Answers(tmp_path).rows()] == as_given
    assert [one.source.stem for one in select(Findings(Answers(tmp_path)).read(), Sieve())] == as_given
    assert [event.source.name for event in events if isinstance(event, PictureFailed)] == ["img3.png", "img11.png"]
    broken = lines_of(tmp_path)[0]
    assert "cut short" in broken["error"]
    assert "prediction" not in broken
    assert lines_of(tmp_path)[1]["prediction"]["question"] == QUESTION.to_dict()


def test_what_is_finished_is_written_down_while_those_before_it_are_not(pictures, predictor, tmp_path):
    with closing(Journal(tmp_path, QUESTION)) as journal:
        sources = find_sources([pictures])
        events = run_job(predictor, SourceReader(read_image), sources, QUESTION, journal=journal, in_order=True)
        assert next(events).source.name == "img1.png"
        assert len(lines_of(tmp_path)) == 8, "the others of its group were finished before it"
        events.close()


def test_a_journal_that_was_written_in_the_order_given_goes_on(pictures, predictor, tmp_path):
    run(predictor, [pictures], tmp_path)
    whole = lines_of(tmp_path)
    for line in whole:
        line["group"] = line["group"][:2]
    (tmp_path / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in whole[:11]), encoding="utf-8")
    assert [row.source.stem for row in Answers(tmp_path).rows()] == [Path(line["source"]).stem for line in whole[:11]]
    again = GroupPredictor()
    assert sum(not isinstance(event, PictureSkipped) for event in run(again, [pictures], tmp_path)) == 10


def test_cut_anywhere_and_started_again_it_ends_with_the_same_bytes(pictures, predictor, tmp_path):
    run(predictor, [pictures], tmp_path / "whole")
    whole = (tmp_path / "whole" / JOURNAL).read_bytes()
    ends = [place for place, byte in enumerate(whole, start=1) if byte == ord("\n")]
    cuts = sorted({0, 1, *ends, *(end - 1 for end in ends), *(end + 9 for end in ends[:-1])})
    for cut in cuts:
        folder = tmp_path / f"cut-{cut}"
        Journal(folder, QUESTION).close()
        (folder / JOURNAL).write_bytes(whole[:cut])
        Journal(folder, QUESTION).close()
        assert (folder / JOURNAL).read_bytes() == whole[: max((end for end in ends if end <= cut), default=0)], cut
        again = GroupPredictor()
        run(again, [pictures], folder)
        assert (folder / JOURNAL).read_bytes() == whole, cut
        assert again.num_asked <= 19 - sum(end <= cut for end in ends[:19]) + 8


def test_what_is_done_is_not_asked_again_and_what_is_new_is(pictures, predictor, tmp_path):
    run(predictor, [pictures / "img5.png", pictures / "img3.png"], tmp_path)
    before = (tmp_path / JOURNAL).read_bytes()
    again = GroupPredictor()
    events = run(again, [pictures], tmp_path)
    assert again.num_asked == 18
    assert [event.source.name for event in events if isinstance(event, PictureSkipped)] == ["img3.png", "img5.png"]
    assert (tmp_path / JOURNAL).read_bytes().startswith(before)


def test_a_picture_that_was_changed_is_asked_about_again(predictor, tmp_path):
    path, folder = tmp_path / "a.png", tmp_path / "out"
    for color in ("red", "green", "green"):
        Image.new("RGB", (9, 9), color).save(path)
        run(predictor, [path], folder)
    assert predictor.num_asked == 2


def test_a_picture_that_is_given_twice_is_asked_about_once(pictures, predictor, tmp_path):
    run(predictor, [pictures, pictures / "img1.png", pictures / "*.png"], tmp_path)
    assert predictor.num_asked == 19
    assert len(lines_of(tmp_path)) == 21


def test_errors_are_tried_again_when_that_is_wanted(pictures, predictor, tmp_path):
    run(predictor, [pictures], tmp_path)
    journal = Journal(tmp_path, QUESTION)
    assert journal.forget_errors() == 2
    assert [row.source.stem for row in journal.rows()][:8] == [f"img{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)]
    journal.close()
    events = run(predictor, [pictures], tmp_path)
    assert [event.source.name for event in events if isinstance(event, PictureFailed)] == ["img3.png", "img11.png"]
    assert len(lines_of(tmp_path)) == 21
    assert predictor.num_asked == 19


def test_a_picture_on_which_the_model_fails_is_one_row(pictures, predictor, tmp_path):
    predictor.fails_with = read_image(pictures / "img2.png").digest
    events = run(predictor, [pictures], tmp_path)
    failed = [event.source.name for event in events if isinstance(event, PictureFailed)]
    assert failed == ["img3.png", "img2.png", "img11.png"]


def test_regions_that_a_picture_does_not_have_are_its_row_and_a_bad_question_ends_all(pictures, predictor, tmp_path):
    question = replace(QUESTION, task="<REGION_TO_CATEGORY>", regions=((20, 20, 30, 30),))
    assert all(isinstance(event, PictureFailed) for event in run(predictor, [pictures], tmp_path / "a", question))
    with pytest.raises(InputRejected, match="names of the things"):
        run(predictor, [pictures], tmp_path / "b", replace(QUESTION, task="<OPEN_VOCABULARY_DETECTION>"))


def test_a_stop_ends_it_between_two_groups(pictures, predictor, tmp_path):
    run(predictor, [pictures], tmp_path, is_stopped=lambda: predictor.num_asked > 0)
    assert len(lines_of(tmp_path)) == 8


def test_another_question_is_refused_unless_the_answers_are_given_up(pictures, predictor, tmp_path):
    run(predictor, [pictures / "img1.png"], tmp_path)
    other = Question("<CAPTION>", checkpoint=QUESTION.checkpoint)
    with pytest.raises(JobRejected, match=r"answers to another question: <OD> to tiny-florence2, and not <CAPTION>"):
        Journal(tmp_path, other)
    journal = Journal(tmp_path, other, overwrite=True)
    assert list(journal.rows()) == []
    journal.close()
    Journal(tmp_path, QUESTION).close()  # of which nothing was answered


def test_a_second_process_on_a_folder_is_told(tmp_path):
    journal = Journal(tmp_path, QUESTION)
    with pytest.raises(JobRejected, match="Another process is at work in"):
        Journal(tmp_path, QUESTION)
    journal.close()
    Journal(tmp_path, QUESTION).close()


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open.")
def test_a_folder_that_is_deleted_at_work_ends_it_and_loses_no_answer_without_a_word(pictures, predictor, tmp_path):
    journal = Journal(tmp_path / "out", QUESTION)
    events = run_job(predictor, SourceReader(read_image), find_sources([pictures]), QUESTION, journal=journal)
    next(events)
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(JobRejected, match="was deleted or replaced while this was at work"):
        list(events)
    journal.close()
    run(predictor, [pictures], tmp_path / "out")
    assert len(lines_of(tmp_path / "out")) == 21


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="This system has no disk that is always full.")
def test_a_full_disk_is_a_sentence_and_the_folder_is_free_again(pictures, predictor, tmp_path):
    journal = Journal(tmp_path, QUESTION)
    journal._file.close()
    journal._file = io.BufferedWriter(io.FileIO("/dev/full", "w"))
    with pytest.raises(JobRejected, match="Make room, and start it again"):
        [*run_job(predictor, SourceReader(read_image), find_sources([pictures]), QUESTION, journal=journal)]
    journal.close()
    run(predictor, [pictures], tmp_path)
    assert len(lines_of(tmp_path)) == 21


@pytest.mark.parametrize("change", [lambda line: b"{}\n", lambda line: b"hello\n", lambda line: b"[1]\n"])
def test_a_journal_that_somebody_changed_is_refused_and_kept(pictures, predictor, tmp_path, change):
    run(predictor, [pictures], tmp_path)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    changed = b"".join([*lines[:4], change(lines[4]), *lines[5:]])
    (tmp_path / JOURNAL).write_bytes(changed)
    with pytest.raises(JobRejected, match=r"^Line 5 of .* was changed and cannot be read"):
        Journal(tmp_path, QUESTION)
    assert (tmp_path / JOURNAL).read_bytes() == changed


def held_by_the_house() -> int:
    """Return the bytes that lines of ours have allocated and that are still held; pytest's are not ours."""
    house = tracemalloc.Filter(True, "*/playground/*")
    return sum(row.size for row in tracemalloc.take_snapshot().filter_traces([house]).statistics("filename"))


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{number}.png\n" for number in range(10_000)), encoding="utf-8")
    image = read_image(Image.new("RGB", (4, 4)))

    def read(path: Path, **_: object) -> object:
        if path.stem.endswith("9"):
            raise ImageRejected("It cannot be read.")
        return image

    journal, traced = Journal(tmp_path / "out", QUESTION), []
    events = run_job(GroupPredictor(), SourceReader(read), find_sources([names]), QUESTION, journal=journal)
    tracemalloc.start()
    try:
        for number, event in enumerate(events):
            assert isinstance(event, PictureAnswered | PictureFailed)
            if number % 3000 == 999:
                traced.append(held_by_the_house())
    finally:
        tracemalloc.stop()
        journal.close()
    assert len(traced) == 4
    assert traced[-1] - traced[0] < 2_000_000  # the journal's keys: a hundred bytes a picture
