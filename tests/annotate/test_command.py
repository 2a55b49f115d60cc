"""The command from end to end, on the bundled model: what is typed, what comes out, what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from playground.annotate import annotate, command
from playground.annotate.journal import Journal
from playground.annotate.sources import JOURNAL
from playground.checkpoints.catalog import BUNDLED
from playground.errors import ExportRejected, InputRejected, JobRejected, SourceRejected, UnknownTask
from playground.inference.engine import Engine
from playground.one_engine import OneEngine
from playground.paths import EXAMPLES
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.dataset import write_scenes
from tests.annotate.test_outputs import document
from tests.export.samples import READERS, labels_of

ROOT = Path(__file__).resolve().parents[2]
OD = ["--task", "<OD>", "--checkpoint", BUNDLED, "--offline"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, count=20, first_seed=500_000, resolution_wh=(128, 128))
    return folder


@pytest.fixture
def typed(loaded, prepared, monkeypatch: pytest.MonkeyPatch):
    """Run a command line as a new process would, on the model that is loaded; returns whether it came to its end."""

    def predictor(*_: object) -> tuple[Predictor, str, int]:
        engine = Engine(loaded, prepared, image_cache_bytes=1 << 23, prompt_cache_bytes=1 << 23)
        return Predictor(OneEngine(engine)), BUNDLED, engine.max_asks

    monkeypatch.setattr(command, "_predictor", predictor)

    def run(*arguments: str | Path) -> bool:
        return command.carry_out(command.read_job_command(list(map(str, arguments)), {}))

    return run


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_a_data_set_is_read_back_with_the_classes_in_the_order_asked(typed, scenes, tmp_path):
    out = tmp_path / "site"
    assert typed(scenes, "--task", "<OPEN_VOCABULARY_DETECTION>", "--phrase", "zebra, car, tree", "--out", out,
                 "--format", "coco,yolo,voc,jsonl,csv,txt", "--limit", "6", "--min-score", "0")  # fmt: skip
    assert sorted(content_of(out)) == ["job.json", JOURNAL, "site-coco.zip", "site-txt.zip", "site-voc.zip",
                                       "site-yolo.zip", "site.csv", "site.jsonl"]  # fmt: skip
    lines = [json.loads(line) for line in (out / JOURNAL).read_text(encoding="utf-8").splitlines()]
    expected = {f"scene_{500_000 + line['group'][2] - 1:06d}.png":
                [region["label"] for region in line["prediction"]["regions"]] for line in lines}  # fmt: skip
    assert sum(map(len, expected.values())) > 0
    for format_id, read in READERS.items():
        dataset = read((out / f"site-{format_id}.zip").read_bytes(), tmp_path / format_id)
        assert dataset.classes[:3] == ["zebra", "car", "tree"] or format_id == "voc"
        assert labels_of(dataset) == expected


def test_one_picture_is_a_data_set_too(typed, scenes, tmp_path):
    assert typed(scenes / "scene_500000.png", *OD, "--out", tmp_path / "one", "--format", "txt,jsonl")
    with zipfile.ZipFile(tmp_path / "one" / "one-txt.zip") as archive:
        assert archive.namelist() == ["scene_500000.txt"]
    assert len((tmp_path / "one" / "one.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_other_choices_ask_nobody_again(typed, scenes, tmp_path, monkeypatch):
    arguments = (scenes, *OD, "--out", tmp_path / "a", "--format", "csv", "--limit", "5")
    assert typed(*arguments)
    monkeypatch.setattr(Predictor, "predict_each", None)
    assert typed(*arguments, "--min-score", "0.99", "--merge-duplicates")


def test_a_picture_that_has_gone_is_left_out_of_the_data_set_and_said(typed, tmp_path, capsys):
    write_scenes(tmp_path / "in", count=2, resolution_wh=(96, 96))
    arguments = (tmp_path / "in", *OD, "--out", tmp_path / "a")
    assert typed(*arguments)
    (tmp_path / "in" / "scene_000000.png").unlink()
    (tmp_path / "in" / "scene_000002.png").write_bytes(b"no picture")
    assert typed(*arguments)
    assert "of those done before" not in capsys.readouterr().out
    assert typed(*arguments, "--format", "coco,csv")
    said = capsys.readouterr().out
    assert "a-coco.zip: 1 pictures\n  left out: " in said
    assert "a.csv: 2 pictures" in said
    assert "of those done before 1 could not be answered. --retry-errors tries them again." in said


def test_a_document_that_opens_at_last_is_not_said_to_have_failed(typed, scenes, tmp_path, capsys):
    picture, broken = scenes / "scene_500000.png", tmp_path / "broken.pdf"
    scan = document(tmp_path / "scan.pdf", (1, 2))
    broken.write_bytes(b"%PDF")
    arguments = (picture, broken, scan, *OD, "--out", tmp_path / "a", "--format", "txt")
    assert typed(*arguments, "--pages", "3-")
    assert "Pictures: 1 answered, 2 not answered" in capsys.readouterr().out
    assert typed(*arguments, "--pages", "2-")
    said = capsys.readouterr().out
    assert "Pictures: 1 answered, 2 done before" in said
    assert "of those done before 1 could not be answered" in said
    assert "broken.pdf" in said
    assert "scan.pdf" not in said


def test_killed_and_started_again_it_ends_with_the_same_bytes(typed, scenes, tmp_path):
    """A real kill of a real process, while a group is answered or written."""
    folders = {name: tmp_path / name / "job" for name in ("whole", "killed")}
    options = ["--format", "coco,csv"]
    assert typed(scenes, *OD, "--out", folders["whole"], *options)
    program = [sys.executable, "-m", "playground.annotate", str(scenes), *OD, "--out", str(folders["killed"]), *options]
    process = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal, deadline = folders["killed"] / JOURNAL, time.monotonic() + 240
    while not (journal.exists() and journal.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    with pytest.raises(JobRejected, match="Another process is at work"):
        Journal(folders["killed"], Question("<OD>", checkpoint=BUNDLED))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folders["killed"] / "job-csv.csv").exists()
    assert typed(scenes, *OD, "--out", folders["killed"], *options)
    assert content_of(folders["killed"]) == content_of(folders["whole"])


def test_ctrl_c_ends_it_after_the_pictures_in_work_and_says_how_to_go_on(typed, scenes, tmp_path, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT)
    answer = Predictor.predict_each

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return answer(*arguments, **options)

    arguments = (scenes, *OD, "--out", tmp_path / "a", "--format", "csv", "--limit", "17")
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict_each", interrupted)
        assert not typed(*arguments)
    said = capsys.readouterr()
    assert "Ending after the pictures in work. Ctrl+C again ends at once." in said.err
    assert "Pictures: 16 answered" in said.out
    assert said.out.endswith("Start the same command again to go on.\n")
    assert "a.csv" not in content_of(tmp_path / "a")
    assert signal.getsignal(signal.SIGINT) is before
    assert typed(*arguments)
    assert "Pictures: 1 answered, 16 done before" in capsys.readouterr().out


def test_from_python_each_picture_comes_with_its_answer(predictor, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    failed = []
    found = list(
        annotate([EXAMPLES / "meadow.png", broken, EXAMPLES / "beach.png"], Question("<OD>"), predictor=predictor,
                 failed=lambda source, error: failed.append((source.name, error)))
    )  # fmt: skip
    assert [picture.name for picture in found] == ["meadow", "beach"]
    assert {region.label for region in found[0].prediction.regions} >= {"car", "tree"}
    assert [name for name, _ in failed] == ["broken.png"]
    with pytest.raises(SourceRejected):
        annotate(tmp_path / "nothing.png", Question("<OD>"), predictor=predictor)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        pytest.param(["--task", "<OF>"], UnknownTask, "<OF>", id="task"),
        pytest.param(["--task", "<OPEN_VOCABULARY_DETECTION>"], InputRejected, "names of the things", id="phrase"),
        pytest.param(["--task", "<REGION_TO_OCR>"], InputRejected, "none are drawn here", id="regions"),
        pytest.param(["--task", "<OD>", "--format", "coco,yolo5"], ExportRejected, "'yolo5' is not", id="format"),
        pytest.param(["--task", "<OD>", "--min-score", "high"], InputRejected, "no lowest score", id="score"),
        pytest.param(["--task", "<OD>", "--name", "car"], InputRejected, "gives no name", id="name"),
        pytest.param(["--task", "<OD>", "--out", "."], JobRejected, "holds the pictures themselves", id="out"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_a_sentence_before_anything_begins(options, error, said, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    out = [] if "--out" in options else ["--out", "runs/never"]
    with pytest.raises(error, match=said):
        command.read_job_command(["meadow.png", *options, *out], {})
    assert not os.path.exists("runs")


@pytest.mark.parametrize("options", [["--bogus"], ["--overwrite", "--skip-done"], ["--form", "coco"], ["--limit", "0"]])
def test_options_that_are_unknown_or_exclude_each_other_are_refused(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.read_job_command(["a.png", "--task", "<OD>", "--out", "x", *options], {})
    assert "usage" in capsys.readouterr().err
