"""The bundled checkpoint is loaded for real, whole and damaged."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from playground.checkpoints import loader
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.errors import CheckpointUnavailable, SettingsInvalid

TINY = Path(resolve(BUNDLED).source)
UNTOLD = shutil.ignore_patterns("playground.json", "RECIPE.json", "*.md")


def test_importing_checkpoints_and_pool_imports_neither_torch_nor_transformers() -> None:
    code = "import sys, playground.pool; print({'torch', 'transformers'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"


# --- Device and number format


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "tpu", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"Give --device auto, or one of .*cpu\."):
        loader.choose_device(device)


SMALL, LARGE = 5_800_000, 231_000_000
EIGHT_BITS = "8-bit weights for the text"


@pytest.mark.parametrize(
    ("device", "features", "num_parameters", "dtype", "told"),
    [
        pytest.param("cpu", {"avx512_bf16": True}, SMALL, "float32",
                     "CPU, float32 (a small model gains nothing from fewer bits)", id="small model"),
        pytest.param("cpu", {"avx512_bf16": True}, LARGE, "bfloat16",
                     f"CPU, bfloat16, {EIGHT_BITS} (this processor multiplies bfloat16 natively)", id="AVX-512"),
        pytest.param("cpu", {"avx512_bf16": False, "amx_bf16": True}, LARGE, "bfloat16",
                     f"CPU, bfloat16, {EIGHT_BITS} (this processor multiplies bfloat16 natively)", id="AMX"),
        pytest.param("cpu", {"avx2": True}, LARGE, "float32",
                     "CPU, float32 (this processor does not multiply bfloat16 natively)", id="older processor"),
        pytest.param("cuda:1", {}, SMALL, "float16",
                     "GPU (NVIDIA L4), float16 (the format of the published weights)", id="GPU"),
        pytest.param("mps", {}, LARGE, "float32",
                     "GPU (Apple), float32 (the safe format on this chip)", id="Apple"),
    ],
)  # fmt: skip
def test_a_placement_says_where_and_in_which_format_and_why(
    monkeypatch: pytest.MonkeyPatch, device: str, features: dict[str, bool], num_parameters: int, dtype: str, told: str
) -> None:
    import torch

    monkeypatch.setattr(loader, "choose_device", lambda requested: requested)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA L4")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    placement = loader.choose_placement(device, num_parameters=num_parameters)
    assert (placement.device, placement.dtype, str(placement)) == (device, dtype, told)


@pytest.mark.parametrize(
    ("device", "precision", "told"),
    [
        pytest.param("cpu", "int8", f"CPU, bfloat16, {EIGHT_BITS} (as asked for)", id="8 bits"),
        pytest.param("cpu", "float32", "CPU, float32 (as asked for)", id="exact"),
        pytest.param("cuda:1", "bfloat16", "GPU (NVIDIA L4), bfloat16 (as asked for)", id="GPU"),
    ],
)
def test_a_precision_that_is_asked_for_is_taken(
    monkeypatch: pytest.MonkeyPatch, device: str, precision: str, told: str
) -> None:
    import torch

    monkeypatch.setattr(loader, "choose_device", lambda requested: requested)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA L4")
    assert str(loader.choose_placement(device, num_parameters=SMALL, precision=precision)) == told


@pytest.mark.parametrize(
    ("device", "precision", "sentence"),
    [
        pytest.param("cpu", "float16", "'float16' is not for the CPU.*one of float32, bfloat16, int8", id="CPU"),
        pytest.param("mps", "int8", r"'int8' is not for the GPU \(Apple\).*one of float32, float16", id="Apple"),
    ],
)
def test_a_precision_that_the_device_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, precision: str, sentence: str
) -> None:
    monkeypatch.setattr(loader, "choose_device", lambda requested: requested)
    with pytest.raises(SettingsInvalid, match=sentence):
        loader.choose_placement(device, num_parameters=LARGE, precision=precision)


@pytest.mark.parametrize(
    ("num_gpus", "has_mps", "chosen", "present"),
    [
        pytest.param(0, False, "cpu", "cpu", id="neither"),
        pytest.param(0, True, "mps", "mps, cpu", id="Apple"),
        pytest.param(2, False, "cuda", "cuda, cuda:0, cuda:1, cpu", id="two GPUs"),
    ],
)
def test_auto_takes_the_fastest_device(
    monkeypatch: pytest.MonkeyPatch, num_gpus: int, has_mps: bool, chosen: str, present: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert loader.choose_device("auto") == chosen
    with pytest.raises(SettingsInvalid, match=f"one of {present}."):
        loader.choose_device("cuda:2")


# --- Loading


def test_the_bundled_checkpoint_loads() -> None:
    checkpoint = resolve(BUNDLED)
    loaded = loader.load(checkpoint, TINY, device="cpu")
    assert loaded.location_ids == range(750, 1750)
    assert loaded.tokenizer.convert_ids_to_tokens(750 + 999) == "<loc_999>"
    assert loaded.image_processor.image_seq_length == 101
    assert (loaded.resolved_revision, loaded.notice, loaded.banned_phrases) == (None, "", frozenset())
    assert not loaded.model.training
    assert {str(parameter.dtype) for parameter in loaded.model.parameters()} == {"torch.float32"}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the bundled checkpoint's model, to damage."""
    return Path(shutil.copytree(TINY, tmp_path / "broken", ignore=UNTOLD))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000_000])


def scramble_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>Sign in to continue</html>" * 100)


def drop_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors[next(key for key in tensors if key.endswith("fc1.weight"))]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def keep_only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lose_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def rename_location_tokens(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("<loc_500>", "<place_500>"))


def add_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["model.vision_tower.lora_A.weight"] = tensors["model.vision_tower.convs.0.conv.bias"].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def spoil_a_number(folder: Path, number: float) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["model.vision_tower.convs.0.conv.bias"][3] = number
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def leave_an_adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def make_it_another_model(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config.update(model_type="bert"))


def widen_it(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config["text_config"].update(encoder_ffn_dim=999))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(shutil.rmtree, "broken is incomplete: config.json, preprocessor_config.json,", id="dead folder"),
        pytest.param(lambda folder: (folder / "config.json").unlink(), "incomplete: config.json missing", id="config"),
        pytest.param(
            lambda folder: (folder / "tokenizer.json").unlink(), "incomplete: tokenizer.json missing", id="tokenizer"
        ),
        pytest.param(
            lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors missing in /", id="weights"
        ),
        pytest.param(
            lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read", id="config cut short"
        ),
        pytest.param(keep_only_pickle, "only as pytorch_model.bin", id="pickle only"),
        pytest.param(lose_a_shard, "incomplete: model-00001-of-00002.safetensors, model-00002", id="shards"),
        pytest.param(cut_weights, "of broken are changed, damaged or cut short", id="weights cut short"),
        pytest.param(scramble_weights, "of broken are changed, damaged or cut short", id="weights scrambled"),
        pytest.param(drop_a_weight, "broken lacks model.", id="a weight missing"),
        pytest.param(add_a_weight, "holds model.vision_tower.lora_A.weight, which Florence-2 does", id="too many"),
        pytest.param(partial(spoil_a_number, number=float("nan")), "convs.0.conv.bias that are infinite", id="none"),
        pytest.param(partial(spoil_a_number, number=float("-inf")), "convs.0.conv.bias that are infinite", id="inf"),
        pytest.param(leave_an_adapter, "broken is an adapter: it holds only what was changed", id="adapter"),
        pytest.param(rename_location_tokens, "without the 1000 location tokens", id="location tokens"),
        pytest.param(make_it_another_model, "of model type 'bert', not of Florence-2", id="another model"),
        pytest.param(widen_it, "fc1.bias in the shape [768] instead of [999]", id="sizes differ"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_what_to_do(
    broken: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    checkpoint = resolve(str(broken))
    damage(broken)
    with pytest.raises(CheckpointUnavailable) as caught:
        loader.load(checkpoint, broken, device="cpu")
    assert sentence in str(caught.value)


def test_weights_that_a_recipe_does_not_know_are_refused(broken: Path) -> None:
    shutil.copy(TINY / "RECIPE.json", broken)
    loader.load(resolve(str(broken)), broken, device="cpu")
    flip_a_bit(broken / "model.safetensors")
    with pytest.raises(CheckpointUnavailable, match=r"changed, .* \(model.safetensors has the SHA-256"):
        loader.load(resolve(str(broken)), broken, device="cpu")


def test_weights_that_changed_in_the_cache_of_the_hub_are_refused(broken: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--some--florence"
    blob = repository / "blobs" / json.loads((TINY / "RECIPE.json").read_text())["sha256"]
    snapshot = repository / "snapshots" / ("0" * 40)
    blob.parent.mkdir(parents=True)
    snapshot.parent.mkdir()
    broken.rename(snapshot)
    (snapshot / "model.safetensors").rename(blob)
    (snapshot / "model.safetensors").symlink_to(blob)
    checkpoint = resolve("some/florence")
    loader.load(checkpoint, snapshot, device="cpu")
    flip_a_bit(blob)
    with pytest.raises(CheckpointUnavailable) as caught:
        loader.load(checkpoint, snapshot, device="cpu")
    assert f"Delete {repository} and fetch it again." in str(caught.value)
