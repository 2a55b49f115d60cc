"""The training: resumable to the bit, made of the same scenes every time, and its checkpoint loads."""

import itertools
import json
import os
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from playground.checkpoints import catalog, loader
from playground.scenes.scene import ScenePlan, make_scene, plan_scene
from playground.scenes.things import COLORS, KINDS
from playground.training import batches, learner, trainer
from playground.training.batches import CHARACTERS, Batches, Options, character_target, dense_target, draw_questions
from playground.training.learner import Learner
from playground.training.model import GRID, IMAGE_SIDE
from playground.training.trainer import Trainer, keep_share, learning_rate, main

BUNDLED = Path(catalog.resolve(catalog.BUNDLED).source)
OPTIONS = Options(seed=3, steps=20, batch_size=2, learning_rate=1e-3)


@cache
def small_scenes(count: int = 40) -> tuple[ScenePlan, ...]:
    return tuple(plan_scene(seed, resolution_wh=(64, 64)) for seed in range(count))


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.learner.state_dict().items()}


def run(trainer: Trainer, until: int) -> list[float]:
    return [figures["loss"] for figures in trainer.run(until)]


@pytest.mark.long
def test_six_steps_are_three_steps_saved_and_three_more(tokenizer: Any, tmp_path: Path) -> None:
    straight = Trainer(OPTIONS, tokenizer)
    losses = run(straight, 6)
    halted = Trainer(OPTIONS, tokenizer)
    first = run(halted, 3)
    halted.save(tmp_path)
    resumed = Trainer(OPTIONS, tokenizer)
    resumed.restore(tmp_path)
    assert resumed.step == 3
    assert first + run(resumed, 6) == losses
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(straight).items())
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_a_training_learns(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_WARM_UP", 5)
    training = Trainer(Options(seed=1, steps=1000, batch_size=2, learning_rate=2e-3), tokenizer)
    batch = Batches(training.options, tokenizer)[0]
    losses = [training._take(batch)["loss"] for _ in range(16)]
    assert losses[-1] < 0.75 * losses[0]


def test_the_command_trains_continues_and_leaves_a_checkpoint_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_SAVE_SECONDS", 0)
    arguments = ["--out", str(tmp_path), "--batch-size", "1", "--workers", "0", "--start", str(BUNDLED)]
    main([*arguments, "--steps", "1"])
    main([*arguments, "--steps", "2"])
    before = json.loads((BUNDLED / "RECIPE.json").read_text(encoding="utf-8"))
    recipe = json.loads((tmp_path / "RECIPE.json").read_text(encoding="utf-8"))
    assert recipe["steps"] == before.get("steps", 0) + 2
    assert recipe["scenes_seen"] == before.get("scenes_seen", 0) + 2
    assert len(recipe["runs"]) == len(before.get("runs", [])) + 1
    loaded = loader.load(catalog.resolve(str(tmp_path)), tmp_path, device="cpu")
    assert loaded.model.num_parameters() < 6_000_000
    assert os.path.getsize(tmp_path / "model.safetensors") <= 12_000_000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(["--steps", "0"], "--steps: must be a whole number of at least 1, but got '0'", id="no steps"),
        pytest.param(["--start", "nowhere"], "nowhere has no config.json", id="no checkpoint"),
        pytest.param(["--start-share", "0.5"], "--start-share needs --start", id="a share of nothing"),
        pytest.param(["--start", str(BUNDLED), "--start-share", "2"], "from 0 to 1", id="more than all"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), *options])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_share_of_the_weights_before_is_kept() -> None:
    bundled = PreTrainedTokenizerFast.from_pretrained(BUNDLED)
    before, model = (Trainer(OPTIONS, bundled, start=BUNDLED).learner.model for _ in range(2))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1)
    keep_share(model, BUNDLED, 0.25)
    for weight, kept in zip(model.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(weight, kept + 0.75)


def test_batches_are_the_same_every_time_and_differ(tokenizer: Any) -> None:
    drawn = Batches(OPTIONS, tokenizer)
    first, again, second = drawn[4], drawn[4], drawn[5]
    assert first.pixels.shape == (2, 3, IMAGE_SIDE, IMAGE_SIDE)
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, second.pixels)
    for one, other in zip(first.groups, again.groups, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_first_steps_can_teach_to_see_only(tokenizer: Any) -> None:
    training = Trainer(Options(3, 20, 2, 1e-3, dense_steps=1), tokenizer)
    first, second = training.run(2)
    assert first.keys() == {"dense"}
    assert second.keys() == {"loss", "dense", "hit"}


def test_a_continued_training_sees_other_scenes(tokenizer: Any) -> None:
    later = Options(3, 20, 2, 1e-3, scenes_seen=8)
    assert torch.equal(Batches(OPTIONS, tokenizer)[4].pixels, Batches(later, tokenizer)[0].pixels)


def test_training_never_draws_a_scene_of_the_evaluation(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    draw = lambda seed, **options: drawn.append(seed) or make_scene(seed, **options)  # noqa: E731
    monkeypatch.setattr(batches, "make_scene", draw)
    Batches(Options(3, 20, 3, 1e-3, scenes_seen=999_998), tokenizer)[0]
    assert drawn == [999_998, 999_999, 0]


def test_training_has_more_to_read_than_other_scenes(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    draw = lambda seed, **options: drawn.append(options["sign_share"]) or make_scene(seed, **options)  # noqa: E731
    monkeypatch.setattr(batches, "make_scene", draw)
    Batches(Options(3, 1, 6, 1e-3), tokenizer)[0]
    assert drawn == [0.35, 0.09, 0.09, 0.35, 0.09, 0.09]


def test_every_question_fits_the_positions(tokenizer: Any) -> None:
    for scene in small_scenes():
        for texts in draw_questions(random.Random(scene.seed), scene):
            assert all(len(tokenizer(text).input_ids) <= 300 for text in texts)


def test_every_scene_is_asked_for_things_by_name_mostly_for_several_and_twice_for_phrases() -> None:
    prompts = [prompt for scene in small_scenes(20) for prompt, _ in draw_questions(random.Random(scene.seed), scene)]
    names = re.findall(r"Locate (.+) in the image\.", "\n".join(p for p in prompts if not p.startswith("Locate the ")))
    assert len(names) == 20
    assert sum("<and>" in name for name in names) > 15
    assert sum(prompt.startswith("Locate the phrases in the caption:") for prompt in prompts) >= 40


def test_a_scene_with_a_word_is_asked_to_be_read() -> None:
    for scene in small_scenes():
        prompts = [prompt for prompt, _ in draw_questions(random.Random(scene.seed), scene)]
        assert 4 <= len(prompts) <= 9
        if any(thing.writing for thing in scene.things):
            assert any("text" in prompt for prompt in prompts)


def test_the_dense_target_names_what_is_at_the_center_of_each_cell() -> None:
    for scene in small_scenes(20):
        target = dense_target(scene)
        for row, column in itertools.product(range(GRID), repeat=2):
            kind, color, left, top, right, bottom = target[row, column]
            x, y = (column + 0.5) / GRID, (row + 0.5) / GRID
            if kind == len(KINDS):
                continue
            box = (x - left, y - top, x + right, y + bottom)
            there = [t for t in scene.things if np.allclose(np.array(t.region.xyxy) / 64, box, atol=1e-5)]
            assert any(t.kind == KINDS[int(kind)] and t.color == [*COLORS][int(color)] for t in there)
        assert (target[..., 0] < len(KINDS)).any() == bool(scene.things)


def test_the_character_target_has_each_character_where_it_is_printed() -> None:
    read = 0
    for scene in small_scenes():
        target = character_target(scene)
        words = [thing.writing for thing in scene.things if thing.writing]
        printed = {CHARACTERS[index] for *_, index in np.argwhere(target)}
        assert printed == {character for word in words for character in word.label}
        for word in words:
            x_min, y_min, x_max, y_max = np.array(word.xyxy) / 64 * GRID
            first = np.argwhere(target[..., CHARACTERS.index(word.label[0])])
            assert any(y_min - 1 < row < y_max and x_min - 1 < column < (x_min + x_max) / 2 for row, column in first)
            read += 1
    assert read > 5


def test_where_an_answer_goes_on_or_ends_counts_three_times(tokenizer: Any) -> None:
    place = "<loc_1><loc_2><loc_3><loc_4>"
    answer = torch.tensor([tokenizer(f"cat{place}{place}dog{place}").input_ids])
    before = torch.cat([torch.full((1, 1), tokenizer.eos_token_id), answer[:, :-1]], 1)
    weights = Learner(tokenizer)._weights(before, answer)[0] * answer.shape[1] ** 0.5
    tokens = tokenizer.convert_ids_to_tokens(answer[0])
    heavy = [token for token, weight in zip(tokens, weights.round().int().tolist(), strict=True) if weight == 3]
    assert heavy == [tokenizer.tokenize("dog")[0], "</s>"]
    assert weights.round().unique().tolist() == [1, 3]


def test_soft_targets_are_distributions_with_their_peak_in_place() -> None:
    bins = learner._soft_bins()
    torch.testing.assert_close(bins.sum(1), torch.ones(1000))
    assert torch.equal(bins.argmax(1), torch.arange(1000))


@pytest.mark.parametrize(
    ("step", "share"),
    [
        pytest.param(0, 0.005, id="a short rise"),
        pytest.param(199, 1.0, id="risen"),
        pytest.param(6999, 1.0, id="the plateau"),
        pytest.param(8500, 0.5, id="half of the fall"),
        pytest.param(9999, 1 / 3000, id="the last step"),
    ],
)
def test_the_learning_rate_rises_stays_and_falls(step: int, share: float) -> None:
    assert learning_rate(step, Options(1, 10_000, 16, 2.0)) == pytest.approx(2 * share)


def test_the_head_is_not_part_of_the_checkpoint(tokenizer: Any) -> None:
    assert not any(name.startswith("head") for name in Learner(tokenizer).model.state_dict())
