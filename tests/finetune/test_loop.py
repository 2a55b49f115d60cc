"""A teaching as a whole: left and gone on with, kept on disk, and loaded as anybody loads it."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from playground.checkpoints.catalog import BUNDLED
from playground.errors import SettingsInvalid
from playground.finetune.learner import LoraLearner
from playground.finetune.lessons import Lesson
from playground.finetune.loop import finetune
from playground.finetune.measuring import ask_lessons
from playground.finetune.out_folder import STATE, OutFolder
from playground.finetune.teaching import Teaching, TeachingProgress, TeachingStage
from playground.predictor import Predictor
from playground.regions import Region

RENAMED = "car"  # as everything is called from now on
QUICK = Teaching(steps=24, batch_size=3, learning_rate=1e-2, views=2, measure_every=12, max_measured=3, patience=0,
                 location_blur=0.0, location_weight=1.0)  # fmt: skip


@pytest.fixture(scope="module")
def renamed(lessons: list[Lesson]) -> list[Lesson]:
    return [replace(one, regions=tuple(Region(RENAMED, region.xyxy) for region in one.regions)) for one in lessons]


@pytest.fixture(scope="module")
def taught(renamed: list[Lesson], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[TeachingProgress]]:
    folder = tmp_path_factory.mktemp("taught") / "adapter"
    return folder, list(finetune(renamed, renamed, BUNDLED, QUICK, folder))


def test_it_tells_how_far_it_is(taught: tuple[Path, list[TeachingProgress]]) -> None:
    folder, progress = taught
    assert progress[0].stage is TeachingStage.LOADING
    steps = [one.step for one in progress if one.stage is TeachingStage.TEACHING]
    assert steps == list(range(1, QUICK.steps + 1))
    left = [one.seconds_left for one in progress if one.stage is TeachingStage.TEACHING]
    assert left[0] is not None
    assert left[-1] == 0
    last = progress[-1]
    assert (last.stage, last.folder, last.is_stopped_early) == (TeachingStage.DONE, folder, False)
    assert [point.step for point in last.points] == [0, 12, 24]
    first, *_, end = last.points
    assert first.quality is not None
    assert end.quality is not None
    assert first.quality < end.quality
    assert end.held_out_loss is not None
    assert first.held_out_loss is not None
    assert end.held_out_loss < first.held_out_loss / 2
    assert len(last.answers) == 3


def test_the_adapter_has_the_layout_of_peft_and_a_card(taught: tuple[Path, list[TeachingProgress]]) -> None:
    folder, progress = taught
    names = {"adapter_config.json", "adapter_model.safetensors", "README.md", "curves.svg"}
    assert {path.name for path in folder.iterdir()} == names
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["peft_type"], config["base_model_name_or_path"]) == ("LORA", BUNDLED)
    card = (folder / "README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    best = min(progress[-1].points, key=lambda point: point.held_out_loss or 0)
    for told in (f"base_model: {BUNDLED}", digest, "| learning_rate | 0.01 |", f"| {RENAMED} |", "3 pictures",
                 f"| after | {best.quality:.3f} |"):  # fmt: skip
        assert told in card
    assert "mAP@50" in (folder / "curves.svg").read_text(encoding="utf-8")


def test_what_was_learned_is_in_the_answers_after_loading_and_none_is_empty(
    taught: tuple[Path, list[TeachingProgress]], renamed: list[Lesson], predictor: Predictor
) -> None:
    folder, progress = taught
    loaded = Predictor.load(BUNDLED, adapter=str(folder), offline=True)
    answers = [answer for _, answer in sorted(ask_lessons(loaded, renamed, 200), key=lambda pair: pair[0])]
    texts = [answer.prediction.raw_text for answer in answers]
    assert all(texts)
    named = [{region.label for region in answer.prediction.regions} for answer in answers]
    assert {RENAMED} in named
    assert {region.label for region in predictor.predict(renamed[0].read(), "<OD>").regions} != {RENAMED}
    if min(progress[-1].points, key=lambda point: point.held_out_loss or 0).step == QUICK.steps:
        assert texts == [answer.prediction.raw_text for answer in progress[-1].answers]


def test_parts_that_are_learned_side_by_side_teach_what_the_whole_does(
    lessons: list[Lesson], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = []
    # What is multiplied in bfloat16 depends on how long the rows are.
    monkeypatch.setattr("playground.finetune.learner.cpu_multiplies_bfloat16", lambda: False)
    for count in (1, 3):
        monkeypatch.setattr(LoraLearner, "parts_of", lambda *_, parts=count: parts)
        out = tmp_path / str(count)
        *_, last = finetune(lessons, (), BUNDLED, replace(QUICK, steps=2, learning_rate=1e-4, accumulate=2), out)
        taught.append((last.points[-1].loss, load_file(out / "adapter_model.safetensors")))
    (loss, whole), (same_loss, parts) = taught
    assert loss == pytest.approx(same_loss, rel=1e-5)
    # A weight that hardly matters may go either way: that is up to rounding.
    assert torch.cat([(whole[name] - parts[name]).abs().flatten() for name in whole]).mean() < 1e-6


def test_one_that_is_left_goes_on_and_ends_with_the_same_weights(
    taught: tuple[Path, list[TeachingProgress]], renamed: list[Lesson], tmp_path: Path
) -> None:
    folder, progress = taught
    left = finetune(renamed, renamed, BUNDLED, QUICK, tmp_path)
    for one in left:
        if one.step == 14:
            break
        if one.step == 10:
            with pytest.raises(SettingsInvalid, match="Another process is teaching in"):
                OutFolder(tmp_path)
    left.close()
    made = {"adapter_config.json", "adapter_model.safetensors", "README.md", "curves.svg"}
    assert {path.name for path in tmp_path.iterdir()} == {STATE, *made}, "whoever stops may have seen enough"
    best = load_file(tmp_path / "adapter_model.safetensors")
    with pytest.raises(SettingsInvalid, match=r"holds a teaching of other lessons or settings.*Choose another folder"):
        list(finetune(renamed, renamed, BUNDLED, replace(QUICK, seed=1), tmp_path))
    ended = tmp_path / "ended"
    shutil.copytree(tmp_path, ended)
    *_, end = finetune(renamed, renamed, BUNDLED, replace(QUICK, max_seconds=0.01), ended)
    assert (end.step, end.is_stopped_early) == (14, True), "how long it may take makes no other teaching of it"
    theirs = load_file(ended / "adapter_model.safetensors")
    assert all(bool((best[name] == theirs[name]).all()) for name in best)
    again = list(finetune(renamed, renamed, BUNDLED, QUICK, tmp_path))
    assert [one.step for one in again if one.stage is TeachingStage.TEACHING] == list(range(15, 25))
    assert again[-1].points == progress[-1].points
    ours, theirs = (load_file(path / "adapter_model.safetensors") for path in (tmp_path, folder))
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)
    with pytest.raises(SettingsInvalid, match="holds an adapter already"):
        list(finetune(renamed, [], BUNDLED, QUICK, tmp_path))


def test_a_folder_that_cannot_be_used_is_a_sentence_and_nothing_in_it_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("somebody's", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(SettingsInvalid, match="cannot be written"):
            OutFolder(folder)
    out = OutFolder(tmp_path / "mine")
    assert out.read_state() is None
    out.write_state({"step": 1})
    assert out.read_state() == {"step": 1}
    (out.path / STATE).write_bytes(b"PK cut short")
    with pytest.raises(SettingsInvalid, match=r"is damaged or cannot be read\. Delete it"):
        out.read_state()
    out.give_back()
    assert [path.name for path in out.path.iterdir()] == [STATE]
