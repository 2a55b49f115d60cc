"""The benchmark on the bundled checkpoint, and what it counts on the true-size one."""

import json
from pathlib import Path

import pytest
import torch
from transformers import Florence2Config, Florence2ForConditionalGeneration, Florence2Processor

from playground.bench import __main__ as bench
from playground.bench import parts, paths, pictures, roofline
from playground.checkpoints import catalog
from playground.engines import State
from playground.inference.engine import Engine
from playground.one_engine import OneEngine
from playground.predictor import Predictor
from playground.scenes.scene import Scene

TINY = Path(catalog.resolve("tiny-florence2").source)


@pytest.mark.long
def test_both_paths_answer_in_turn_and_the_last_line_is_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "_PRODUCT_SIDES", (256,))
    monkeypatch.setattr(roofline, "_READ_BYTES", 10_000_000)
    file = tmp_path / "bench.json"
    bench.main(["--checkpoint", "tiny-florence2", "--rounds", "1", "--json", str(file)])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads(file.read_text(encoding="utf-8")) == report
    assert set(report) == {
        "placement", "rounds", "ours", "plain", "plain, greedy", "ours, careful", "start_to_ready_ms", "peak_memory_mb",
        "token_ms_at_the_start_and_end_of_1024", "ratios", "limit_share",
    }  # fmt: skip
    assert set(report["ratios"]) == {
        "first_task", "second_task", "first_region", "greedy_first_task", "decode_ms_per_token", "peak_memory",
    }  # fmt: skip
    assert set(report["limit_share"]) == {"vision", "decoding"}
    for column in ("ours", "plain", "plain, greedy", "ours, careful"):
        times = report[column]
        assert 0 < times["encode_image"] < times["first_token"] < times["total"]
        assert times["first_token"] < times["first_region"] <= times["total"]
        assert times["second_total"] > 0
    early, late = report["token_ms_at_the_start_and_end_of_1024"]
    assert 0 < late < 10 * early


def test_ours_looks_at_a_picture_once_and_the_plain_pipeline_each_time() -> None:
    picture = paths.picture(1)
    looked = [
        [path.ask(picture, task, 1)["encode_image"] > 0 for task in (paths.FIRST_TASK, paths.SECOND_TASK)]
        for path in (paths.Ours(TINY), paths.Plain(TINY))
    ]
    assert looked == [[True, False], [True, True]]


@pytest.mark.long
def test_users_of_the_live_app_are_all_answered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_QUESTIONS_PER_USER", 2)
    bench.main(["--checkpoint", "tiny-florence2", "--concurrency", "2"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["users"] == 2
    assert report["answers a minute"] > 0
    assert 0 < report["median seconds"] <= report["slowest in 20 seconds"]


@pytest.mark.parametrize(
    "arguments", [["--rounds", "0"], ["--concurrency", "0"], ["--task", "<NO>"], ["--checkpoint", "no/such"]]
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert "error: " in capsys.readouterr().err


def test_both_paths_write_the_published_answer() -> None:
    tokenizer = Florence2Processor.from_pretrained(TINY, backend="pil").tokenizer
    ids = paths.answer_ids(tokenizer)
    assert tokenizer.decode(ids).startswith("<s><loc_0><loc_0><loc_998><loc_711>")
    assert len(ids) == len(paths.ANSWER_BINS) + 2


def test_a_predictor_may_have_one_engine_for_every_name(engine: Engine, scene: Scene, caption: str) -> None:
    engines = OneEngine(engine)
    assert engines.names() == [("Tiny demo model", "tiny-florence2")]
    for status in (engines.status(), engines.request("any")):
        assert (status.state, status.checkpoint, status.max_answer_tokens) == (State.READY, engine.checkpoint, 512)
    prediction = Predictor(engines).predict(scene.image, "<CAPTION>", checkpoint="any")
    assert (prediction.text, prediction.checkpoint) == (caption, engines.current_name)


# --- The true size


@pytest.mark.skeleton
def test_the_work_of_an_answer_is_counted(skeleton: Path) -> None:
    with torch.device("meta"):
        model = Florence2ForConditionalGeneration(Florence2Config.from_pretrained(skeleton)).bfloat16()
    of_picture, of_token = parts.work_of_picture(model, 768, 577), parts.work_of_token(model, 0, 1, 2)
    # Measured with PyTorch's own counter on the published model; and 89 million weights are read for a token.
    tower = {part: work for part, work in of_picture.items() if part != parts.ENCODER}
    assert sum(work.operations for work in tower.values()) == pytest.approx(381e9, rel=0.03)
    assert sum(work.num_bytes for work in of_token.values()) == pytest.approx(89e6, rel=0.02)
    # A norm reads and writes what it norms, two in each of two blocks, and one at each embedding.
    norms = 2 * 2 * (9.44 + 4.72 + 9 * 2.36 + 1.18) + (9.44 + 9.44 + 4.72 + 2.36)
    assert of_picture["norms"].num_bytes == pytest.approx(2 * norms * 1e6, rel=0.01)
    assert of_picture["MLP"].operations > of_picture["other convolutions"].operations > 0


def test_each_moment_of_an_answer_belongs_to_a_part() -> None:
    ours = paths.Ours(TINY)
    times = ours.part_times(paths.picture(0))
    assert set(times) == {*parts.PARTS}
    assert min(times.values()) > 0


def test_a_job_and_a_loop_answer_about_the_same_files(tmp_path: Path) -> None:
    files = pictures._write(tmp_path, 0, 3)
    ours = paths.Ours(TINY)
    for answer in (ours.job_seconds, ours.loop_seconds, paths.Plain(TINY).loop_seconds):
        seconds = answer(paths.picture(0), files)
        assert seconds.wall > 0
        assert seconds.processor > 0
