"""A job whose pictures are read and answered by workers of a Ray: what they do, and that it comes to the same."""

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from playground.annotate.answers import Answers
from playground.annotate.job import PictureAnsweredElsewhere, PictureFailed, PictureSkipped, run_job
from playground.annotate.journal import Journal
from playground.annotate.on_ray import _connected, _Engines, _Intake, _Share, _written, free_resources, write_parquet
from playground.annotate.reading import SourceReader
from playground.annotate.sources import Wanted, find_sources
from playground.errors import SettingsInvalid
from playground.pictures.reader import read_image
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.scene import make_scene
from playground.settings import Settings
from tests.serving.over_http import until

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed; requirements-scale.txt has it."
)
QUESTION = Question("<OD>", checkpoint="tiny-florence2")
SETTINGS = asdict(Settings(checkpoint="tiny-florence2", device="cpu", offline=True))


def make_scenes(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        make_scene(7_000_000 + number).image.save(folder / f"{number:03}.png")
    return folder


@needs_ray
def test_the_workers_come_to_what_one_process_does(tmp_path: Path, predictor: Predictor) -> None:
    folder = make_scenes(tmp_path / "scenes", 5)
    (folder / "broken.png").write_bytes((folder / "000.png").read_bytes()[:3000])
    sources = list(find_sources([str(folder)], Wanted()))
    journal = Journal(tmp_path / "ray", QUESTION)
    engines = _Engines(SETTINGS, json.dumps(QUESTION.to_dict()), False)

    def answered() -> list[Any]:
        intake = _Intake(SETTINGS, "", journal.done_keys())
        wires = [json.dumps({**source.to_dict(), "problem": ""}) for source in sources]
        rows = [intake({"wire": [wire]}) for wire in wires]
        batch = {name: [row[name][0] for row in rows] for name in rows[0]}
        outcomes = engines(batch)
        told = [dict(zip(outcomes, values, strict=True)) for values in zip(*outcomes.values(), strict=True)]
        return [_written(row, journal) for row in told]

    first = answered()
    assert [type(event) for event in first].count(PictureAnsweredElsewhere) == 5
    assert [event.error for event in first if isinstance(event, PictureFailed)] == [
        "The file is cut short. Fetch or save it again, and try that."
    ]
    assert {type(event) for event in answered()} == {PictureSkipped}, "what is done is not asked again"
    local = Journal(tmp_path / "local", QUESTION)
    list(run_job(predictor, SourceReader(read_image), sources, QUESTION, journal=local))
    assert said_in(tmp_path / "ray") == said_in(tmp_path / "local")
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(write_parquet(journal)).to_pylist()
    assert len(table) == 6
    assert {row["source"]: row["error"] == "" for row in table} == {
        str(source): source.name != "broken.png" for source in sources
    }
    journal.close()
    local.close()


def said_in(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Return what is said of each picture; the last digits of scores depend on what is answered together."""
    rows = list(Answers(folder).rows())
    assert len({row.key for row in rows}) == len(rows), "each picture once"
    return {
        str(row.source): (row.prediction.raw_text if row.prediction else row.error, _boxes(row.prediction))
        for row in rows
    }


def _boxes(prediction: Any) -> list[str]:
    return [f"{region.label} {region.xyxy}" for region in prediction.regions] if prediction else []


def test_some_processors_are_left_to_whoever_reads() -> None:
    assert _Share.of({"CPU": 2.0}, "auto") == _Share(1, 1, 1)
    assert _Share.of({"CPU": 16.0}, "auto") == _Share(2, 3, 4)
    assert _Share.of({"CPU": 16.0, "GPU": 2.0}, "auto") == _Share(8, 2, 1, 1)
    assert _Share.of({"CPU": 16.0, "GPU": 2.0}, "cpu") == _Share(2, 3, 4)


def test_a_job_takes_what_is_free_once_a_killed_one_has_given_it_back() -> None:
    looks = ({"CPU": cpus, "memory": 1e9 + place} for place, cpus in enumerate([1.0, 3.0, 8.0, 8.0, 2.0]))
    assert free_resources(lambda: next(looks), pause=0) == {"CPU": 8.0, "GPU": 0}


@pytest.mark.parametrize("free", [{}, {"CPU": 1.0, "GPU": 1.0}])
def test_a_ray_whose_processors_others_have_is_a_sentence(free: dict[str, float]) -> None:
    with pytest.raises(SettingsInvalid, match=f"has {free.get('CPU', 0):g} free processors, but a job needs 2"):
        free_resources(lambda: free, pause=0)


@needs_ray
def test_where_no_ray_answers_is_told_at_once() -> None:
    with pytest.raises(SettingsInvalid, match="No Ray answers at"), _connected("127.0.0.1:9"):
        pass


@needs_ray
@pytest.mark.long
@pytest.mark.timeout(900)
def test_300_scenes_give_the_same_after_a_kill(tmp_path: Path) -> None:
    folder = make_scenes(tmp_path / "scenes", 300)

    def command(out: str, more: Sequence[str] = ()) -> list[str]:
        return [
            sys.executable, "-m", "playground.annotate", str(folder), "--task", "<OD>", "--checkpoint",
            "tiny-florence2", "--device", "cpu", "--offline", "--out", str(tmp_path / out), *more,
        ]  # fmt: skip

    subprocess.run(command("local"), check=True, capture_output=True)
    begun = subprocess.Popen(command("ray", ["--ray", "local"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "ray" / "predictions.jsonl"
    until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 20, 300)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    num_done = journal.read_bytes().count(b"\n")
    assert num_done < 300
    again = subprocess.run(command("ray", ["--ray", "local"]), check=True, capture_output=True, text=True)
    assert "done before" in again.stdout
    assert said_in(tmp_path / "ray") == said_in(tmp_path / "local")
