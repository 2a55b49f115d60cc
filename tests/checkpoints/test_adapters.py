"""LoRA adapters: what they change of the weights, which are refused, and what of the base is used again."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from playground.checkpoints import loader
from playground.checkpoints.adapters import adapt
from playground.checkpoints.catalog import BUNDLED, Checkpoint, resolve, with_adapter
from playground.checkpoints.convert import convert
from playground.checkpoints.files import check_folder
from playground.checkpoints.hub import download, find_local
from playground.checkpoints.loader import LoadedCheckpoint
from playground.checkpoints.parts import Parts, read_parts
from playground.errors import CheckpointUnavailable
from playground.inference.prepared import prepare
from playground.pool import Pool
from playground.predictor import Predictor
from playground.scenes.scene import Scene
from playground.settings import Settings
from tests.checkpoints.fake_hub import serving_hub
from tests.checkpoints.lora import FC1, HEAD, LAYER, SEES, SELF_Q, TINY, halves, weights_of, write_adapter
from tests.checkpoints.original import original_name
from tests.inference.asking import part

SHARED = "model.language_model.shared.weight"
BLOCK = "model.vision_tower.blocks.0.0.spatial_block"
CONVOLUTION = "model.vision_tower.convs.1.conv"
EMBEDDINGS = ("model.language_model.shared", "model.language_model.decoder.embed_tokens")
TOKENS = [281, 80]
Q, BIAS = f"{SELF_Q}.weight", f"{FC1}.bias"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return weights_of(TINY)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return read_parts(resolve(BUNDLED), TINY)


def of_folder(folder: Path) -> Checkpoint:
    return with_adapter(resolve(BUNDLED), str(folder))


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the bundled checkpoint with an adapter, as it is loaded."""
    loaded = loader.load(of_folder(folder), TINY, adapter=folder, device="cpu", precision="float32")
    return dict(loaded.model.state_dict())


def everything(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return an adapter of layers of both kinds, of a bias, and of two tokens."""
    modules = {
        name.removesuffix(".weight"): tensor.shape for name, tensor in weights.items() if name.endswith("weight")
    }
    chosen = [module for module in modules if module.endswith((".self_attn.q_proj", ".ffn.fc2", ".fc1"))]
    tensors = {
        key: half
        for number, module in enumerate(chosen)
        for key, half in halves(module, tuple(modules[module]), seed=number, rank=2 if module == FC1 else 4).items()
    }
    return {**tensors, f"base_model.model.{FC1}.base_layer.bias": torch.randn(weights[BIAS].shape), **rows_of(TOKENS)}


def rows_of(tokens: Sequence[int]) -> dict[str, torch.Tensor]:
    """Return what peft keeps of tokens that have other rows in the table of embeddings."""
    key = f"base_model.model.{SHARED.removesuffix('.weight')}.token_adapter.trainable_tokens_delta"
    return {key: torch.randn(len(tokens), weights_of(TINY)[SHARED].shape[1])}


PATTERNS = {"use_rslora": True, "rank_pattern": {FC1: 2}, "alpha_pattern": {"self_attn.q_proj": 3},
            "target_modules": ["self_attn.q_proj", "ffn.fc2", "fc1"], "bias": "all",
            "fan_in_fan_out": True, "trainable_token_indices": TOKENS}  # fmt: skip


# --- What is merged


def test_weights_are_those_of_pefts_own_merging(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    peft = pytest.importorskip("peft", reason="peft, which is only needed to train, is not installed")
    folder = write_adapter(tmp_path / "mine", everything(weights), **PATTERNS)
    base: Any = loader.load(resolve(BUNDLED), TINY, device="cpu", precision="float32").model
    expected = peft.PeftModel.from_pretrained(base, folder).merge_and_unload().state_dict()
    found = state_of(folder)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6, msg=name)
    changed = [name for name, tensor in weights.items() if not torch.equal(found[name], tensor.float())]
    assert {BIAS, SHARED} <= set(changed)
    assert torch.equal(found["lm_head.weight"], found[SHARED])
    assert len(changed) > 20


def test_an_adapter_of_microsofts_own_code_changes_the_same_weights(
    tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    tensors = everything(weights)
    native = write_adapter(tmp_path / "native", tensors, **PATTERNS)
    prefix = "base_model.model."
    theirs = {prefix + original_name(key.removeprefix(prefix)): tensor for key, tensor in tensors.items()}
    assert f"{prefix}vision_tower.blocks.0.0.spatial_block.ffn.fn.net.fc2.lora_A.weight" in theirs
    assert f"{prefix}language_model.model.decoder.layers.0.self_attn.q_proj.lora_B.weight" in theirs
    patterns = PATTERNS | {"rank_pattern": {"language_model.model.decoder.layers.0.fc1": 2}}
    original = write_adapter(tmp_path / "original", theirs, **patterns)
    expected, found = state_of(native), state_of(original)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("around", ["module.base_model.model.", "base_model.model.module.", "module._orig_mod."])
def test_an_adapter_of_a_wrapped_model_changes_the_same_weights(
    tmp_path: Path, weights: dict[str, torch.Tensor], around: str
) -> None:
    tensors = everything(weights)
    plain = write_adapter(tmp_path / "plain", tensors, **PATTERNS)
    wrapped = {around + key.removeprefix("base_model.model."): tensor for key, tensor in tensors.items()}
    expected, found = state_of(plain), state_of(write_adapter(tmp_path / "wrapped", wrapped, **PATTERNS))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_head_that_was_changed_alone_is_parted_from_the_embeddings(
    tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    tensors = halves(f"language_model.{HEAD}", tuple(weights[SHARED].shape))  # as the best-known tutorial has it
    folder = write_adapter(tmp_path / "head", tensors)
    a, b = tensors.values()
    state = state_of(folder)
    assert torch.equal(state[SHARED], weights[SHARED].float())
    torch.testing.assert_close(state["lm_head.weight"], weights[SHARED].float() + 8 / 4 * (b @ a))
    whole = tmp_path / "whole"
    assert "in float16" in convert(TINY, whole, folder)
    merged = loader.load(resolve(str(whole)), whole, device="cpu", precision="float32").model.state_dict()
    torch.testing.assert_close(merged["lm_head.weight"], state["lm_head.weight"], rtol=2e-3, atol=2e-3)
    assert torch.equal(merged[SHARED], state[SHARED])
    assert resolve(str(whole)).known_tasks == resolve(BUNDLED).known_tasks


@pytest.mark.parametrize("module", [SEES, CONVOLUTION])
def test_what_is_merged_is_rounded_once(
    tmp_path: Path, parts: Parts, weights: dict[str, torch.Tensor], module: str
) -> None:
    name, base = f"{module}.weight", weights[f"{module}.weight"].float()
    a, b = (tensors := halves(module, tuple(base.shape))).values()
    merged = adapt(of_folder(tmp_path), parts, write_adapter(tmp_path, tensors)).parts.tensors[name]
    expected = base + 8 / 4 * (b @ a.flatten(1)).view_as(base)
    torch.testing.assert_close(merged[...], expected)
    assert torch.equal(merged.read(torch.bfloat16), merged[...].bfloat16())
    assert torch.equal(merged[...], merged[...])  # what is read is not changed by it


# --- What is refused


def truncate(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def keep_only_a_pickle(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def configure(**config: Any) -> Callable[[Path], object]:
    return lambda folder: write_adapter(folder, **config)


def hold(module: str, shape: tuple[int, ...], **config: Any) -> Callable[[Path], object]:
    return lambda folder: write_adapter(folder, halves(module, shape), **config)


def lose_a_half(folder: Path) -> None:
    write_adapter(folder, dict(list(halves(FC1, (512, 128)).items())[:1]))


LARGE = {"base_model_name_or_path": "microsoft/Florence-2-large"}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(truncate, "changed, damaged or cut short", id="truncated"),
        pytest.param(keep_only_a_pickle, "only as adapter_model.bin, a format that can run code", id="pickle"),
        pytest.param(lambda folder: (folder / "adapter_config.json").unlink(),
                     r"is incomplete: adapter_config.json missing", id="no configuration"),
        pytest.param(lambda folder: shutil.copytree(TINY, shutil.rmtree(folder) or folder),
                     "is a whole checkpoint, not an adapter. Give it with --checkpoint", id="whole checkpoint"),
        pytest.param(configure(peft_type="IA3"), "not a plain LoRA but has peft_type 'IA3'", id="another method"),
        pytest.param(configure(use_dora=True), "not a plain LoRA but has use_dora", id="DoRA"),
        pytest.param(configure(init_lora_weights="pissa"), "has init_lora_weights 'pissa'", id="another beginning"),
        pytest.param(configure(r=8), "says that the rank of .* is 8, but it is 4 and 4", id="another rank"),
        pytest.param(configure(lora_alpha=None), "has no number as lora_alpha", id="no alpha"),
        pytest.param(configure(alpha_pattern={"(a+)+$": 1}), "no name of a module", id="expression"),
        pytest.param(hold(SELF_Q, (1024, 1024), **LARGE),
                     r"is for weights of another size: .*q_proj is \[1024, 1024\], but \[\d+, \d+\] in Tiny demo model"
                     ".* It was made for microsoft/Florence-2-large: give that", id="another base"),
        pytest.param(hold("language_model.model.encoder.layers.11.fc1", (512, 128)),
                     "changes language_model.model.encoder.layers.11.fc1, which .* does not have", id="more layers"),
        pytest.param(hold("model.language_model.shared", (9, 128)), "does not have or cannot change", id="embeddings"),
        pytest.param(lambda folder: write_adapter(folder, rows_of(TOKENS), trainable_token_indices=[281, 9999]),
                     "changes tokens which the table of embeddings does not have", id="tokens"),
        pytest.param(lose_a_half, "one half of what changes .*fc1, and not the other", id="one half"),
        pytest.param(lambda folder: write_adapter(folder, {}), "changes nothing", id="empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_is_refused_with_a_sentence(
    tmp_path: Path, parts: Parts, spoil: Callable[[Path], object], sentence: str
) -> None:
    folder = write_adapter(tmp_path / "mine")
    spoil(folder)
    checkpoint = of_folder(folder)
    with pytest.raises(CheckpointUnavailable, match=sentence):
        check_and_adapt(checkpoint, parts, folder)


def check_and_adapt(checkpoint: Checkpoint, parts: Parts, folder: Path) -> None:
    check_folder(checkpoint, folder)
    adapt(checkpoint, parts, folder)


def test_an_adapter_for_another_base_of_the_same_size_says_so(tmp_path: Path, parts: Parts) -> None:
    folder = write_adapter(tmp_path / "mine", base_model_name_or_path="microsoft/Florence-2-base")
    assert adapt(of_folder(folder), parts, folder).notice == (
        "The adapter mine says that it was made for microsoft/Florence-2-base, not for Tiny demo model."
    )


# --- Names


def test_an_adapter_finds_its_base_and_brings_its_own_tasks(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine")
    facts = {"title": "Tags of scenes", "tasks": [{"id": "<TAGS>", "title": "Tags"}], "known_tasks": ["<TAGS>"]}
    (folder / "playground.json").write_text(json.dumps(facts))
    checkpoint = resolve(f"+ {folder}")
    assert (checkpoint.name, checkpoint.title) == ("tiny-florence2 + mine", "Tiny demo model + Tags of scenes")
    assert checkpoint == resolve(f"{BUNDLED} + {folder}")
    assert [task.title for task in checkpoint.tasks or ()] == ["Tags"]
    assert (checkpoint.known_tasks or frozenset()) - (resolve(BUNDLED).known_tasks or frozenset()) == {"<TAGS>"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("tiny-florence2 + nowhere", "'nowhere' is not an adapter. Give a hub id", id="no folder"),
        pytest.param("+ me/lora", "Which checkpoint the adapter me/lora changes is not known", id="no base"),
    ],
)
def test_a_name_that_cannot_be_an_adapter_is_refused_with_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(CheckpointUnavailable, match=sentence):
        resolve(name)


def test_of_a_repository_only_the_adapter_is_fetched(tmp_path: Path) -> None:
    with serving_hub(tmp_path / "served") as hub:  # beside a whole checkpoint
        write_adapter(hub.folder)
        (hub.folder / "training_args.bin").write_bytes(b"pickle")
        checkpoint = resolve(f"{BUNDLED} + me/tiny")
        download(checkpoint, lambda _: None, 10, endpoint=hub.endpoint, cache_dir=tmp_path / "cache")
        folder = find_local(checkpoint, cache_dir=tmp_path / "cache")
    assert folder
    assert {path.name for path in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    loaded = loader.load(checkpoint, TINY, adapter=folder, device="cpu")
    assert loaded.checkpoint.name == "tiny-florence2 + me/tiny"


# --- Several adapters on one base


def read(folder: Path | None, beside: LoadedCheckpoint | None = None, base: Path = TINY) -> LoadedCheckpoint:
    checkpoint = of_folder(folder) if folder else resolve(BUNDLED)
    return loader.load(checkpoint, base, adapter=folder, device="cpu", precision="float32", beside=beside)


def of_text(folder: Path) -> Path:
    return write_adapter(folder)


def of_sight(folder: Path) -> Path:
    return write_adapter(folder, halves(SEES, tuple(weights_of(TINY)[f"{SEES}.weight"].shape), size=1))


def of_nothing(_: Path) -> None:
    return None


def of_words(folder: Path) -> Path:
    return write_adapter(folder, rows_of(TOKENS), trainable_token_indices=TOKENS)


def of_head(folder: Path) -> Path:
    return write_adapter(folder, halves(HEAD, tuple(weights_of(TINY)[SHARED].shape)))


@pytest.mark.parametrize(
    ("first", "second", "anew"),
    [
        pytest.param(of_nothing, of_text, [LAYER], id="an adapter beside its base"),
        pytest.param(of_text, of_nothing, [LAYER], id="a base beside its adapter"),
        pytest.param(of_text, of_sight, [LAYER, BLOCK], id="an adapter beside another"),
        pytest.param(of_nothing, of_words, [HEAD, *EMBEDDINGS], id="an adapter of words beside its base"),
        pytest.param(of_nothing, of_nothing, [], id="a base by two names"),
        pytest.param(of_head, of_text, [HEAD, LAYER], id="an adapter beside one whose head is parted"),
    ],
)
def test_what_is_loaded_beside_another_shares_all_but_what_differs(
    tmp_path: Path, first: Callable[[Path], Path | None], second: Callable[[Path], Path | None], anew: list[str]
) -> None:
    before, folder = read(first(tmp_path / "first")), second(tmp_path / "second")
    alone, beside = read(folder), read(folder, before)
    made = prepare(before).made
    expected, found = prepare(alone), prepare(beside, made=made)
    assert sorted(name for (*_, name), one in found.made.items() if one not in made.values()) == sorted(anew)
    assert found.made.keys() == expected.made.keys()
    for weights in (lambda one: part(one, HEAD).weight, lambda one: part(one, LAYER).self_attn_qkv.weight):
        assert torch.equal(weights(found), weights(expected))
    assert (beside.sight, beside.tokenizer is before.tokenizer) == (alone.sight, True)


def test_files_that_have_changed_meanwhile_are_read_as_they_are(tmp_path: Path) -> None:
    base = shutil.copytree(TINY, tmp_path / "base")
    before = read(None, base=base)
    weights = weights_of(base)
    weights[Q] += 1
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    (base / "RECIPE.json").unlink()
    found = read(None, before, base).model.state_dict()
    assert torch.equal(found[Q], weights[Q].float())


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_several_answer_as_each_does_alone_and_hold_a_common_layer_once(
    tmp_path: Path, scene: Scene, precision: str
) -> None:
    text, sight = of_text(tmp_path / "text"), of_sight(tmp_path / "sight")
    settings = Settings(checkpoint=BUNDLED, device="cpu", precision=precision, offline=True, max_loaded_checkpoints=3)
    names = [BUNDLED, *(f"{BUNDLED} + {folder.name}" for folder in (text, sight))]
    together = Pool(replace(settings, adapter=f"{text},{sight}"))
    made: list[set[int]] = []
    for name, folder in zip(names, ("", text, sight), strict=True):
        alone = Pool(replace(settings, adapter=str(folder)))
        answers = [Predictor(pool).predict(scene.image, "<OD>", checkpoint=name) for pool in (alone, together)]
        assert answers[0].raw_text == answers[1].raw_text
        with together.acquire(name) as engine:
            made.append({*map(id, engine._model.made.values())})  # type: ignore[attr-defined]
        alone.close()
    together.close()
    base, reading, seeing = made
    assert [len(base - reading), len(base - seeing)] == [1, 1]


@pytest.fixture
def pool(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Iterator[Pool]:
    one = write_adapter(tmp_path / "one")
    two = write_adapter(tmp_path / "two", halves(FC1, tuple(weights[f"{FC1}.weight"].shape), size=1))
    seeing = write_adapter(tmp_path / "seeing", halves(SEES, tuple(weights[f"{SEES}.weight"].shape), size=1))
    settings = Settings(
        checkpoint=BUNDLED, adapter=f"{one},{two}, {seeing}", device="cpu", offline=True, max_loaded_checkpoints=1,
        load_wait_seconds=60,
    )  # fmt: skip
    pool = Pool(settings)
    yield pool
    pool.close()


def test_a_picture_is_encoded_once_for_all_adapters_that_leave_the_sight_alone(pool: Pool, scene: Scene) -> None:
    predictor = Predictor(pool)
    names = [name for _, name in pool.names() if name.startswith(BUNDLED)]
    assert names == [BUNDLED, *(f"{BUNDLED} + {adapter}" for adapter in ("one", "two", "seeing"))]
    encodings, answers = {}, {}
    for name in (f"{BUNDLED} + one", f"{BUNDLED} + two", BUNDLED, f"{BUNDLED} + seeing"):
        prediction = predictor.predict(scene.image, "<OD>", checkpoint=name)
        assert prediction.checkpoint == name
        answers[name] = prediction.raw_text
        with pool.acquire(name) as engine:
            encodings[name] = engine.image_encodings  # type: ignore[attr-defined]  # of this program's own engine
    assert list(encodings.values()) == [1, 0, 0, 1]
    assert len(set(answers.values())) > 1, "an adapter that is loaded changes answers"
    assert pool.current_name == f"{BUNDLED} + one"
