"""Checkpoints in the layout of Microsoft's own code answer as their native twins do, and no code of theirs is run."""

import json
import lzma
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.checkpoints import loader
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.hub import download, find_local
from playground.checkpoints.layout import BANNED_PHRASES, native_name
from playground.checkpoints.loader import LoadedCheckpoint
from playground.checkpoints.parts import complete_tokenizer
from playground.engines import Ask, State
from playground.errors import CheckpointUnavailable
from playground.events import Decoding, Token
from playground.inference.engine import Engine
from playground.inference.prepared import prepare
from playground.pictures.reader import InputImage
from playground.pool import Pool, Steps
from playground.settings import Settings
from tests.checkpoints.fake_hub import serving_hub
from tests.checkpoints.original import PUBLISHED, TABLE, Tensors, names_of, original_name, write_base, write_tiny
from tests.inference.asking import BEAMS, GREEDY, OD, ask, ids_of

TINY = Path(resolve(BUNDLED).source)
FC1 = "vision_tower.blocks.0.0.spatial_block.ffn.fn.net.fc1.weight"
BIAS = "language_model.final_logits_bias"


def load(folder: Path) -> LoadedCheckpoint:
    return loader.load(resolve(str(folder)), folder, device="cpu", precision="float32")


def engine_of(loaded: LoadedCheckpoint) -> Engine:
    return Engine(loaded, prepare(loaded), image_cache_bytes=9_000_000, prompt_cache_bytes=9_000_000)


def test_each_name_of_the_one_layout_has_a_name_in_the_other() -> None:
    native = list(names_of(TINY))
    assert [native_name(original_name(name)) for name in native] == native
    assert [native_name(name) for name in native] == native
    assert not {original_name(name) for name in native} & set(native)


# --- As a whole


def test_a_fine_tune_in_the_original_layout_answers_as_its_native_twin(
    tmp_path: Path, loaded: LoadedCheckpoint, engine: Engine, image: InputImage
) -> None:
    folder = write_tiny(TINY, tmp_path / "tune")
    (folder / "modeling_florence2.py").write_text(f"open({str(tmp_path / 'written')!r}, 'w')")
    twin = load(folder)
    assert twin.details == (
        "Read from Microsoft's original layout. The Python code that its configuration names was not run."
    )
    assert twin.tokenizer.get_vocab() == loaded.tokenizer.get_vocab()
    assert twin.banned_phrases == BANNED_PHRASES
    answers = engine_of(twin)
    for decoding in (GREEDY, BEAMS):
        assert ids_of(ask(answers, image, decoding=decoding)) == ids_of(ask(engine, image, decoding=decoding))
    assert not (tmp_path / "written").exists()


@pytest.mark.long
@pytest.mark.skeleton
def test_one_of_the_true_size_answers_as_its_native_twin(skeleton: Path, tmp_path: Path, image: InputImage) -> None:
    twin = load(write_base(skeleton, tmp_path / "base"))
    native = replace(load(skeleton), tokenizer=twin.tokenizer)  # whose vocabulary has the published words
    published = {"<od>": 50265, "<loc_0>": 50269, "<loc_999>": 51268, "<cap>": 51269, "<and>": 51288, "<image>": 51289}
    assert twin.tokenizer.convert_tokens_to_ids([*published]) == [*published.values()]
    assert twin.model.config.text_config.vocab_size == 51_328
    rules = ("num_beams", "no_repeat_ngram_size", "early_stopping", "forced_bos_token_id", "forced_eos_token_id")
    assert [getattr(twin.model.generation_config, rule) for rule in rules] == [3, 3, True, 0, 2]
    engines = [engine_of(native), engine_of(twin)]
    for num_beams in (1, 3):
        one, other = (ids_of(ask(each, image, decoding=Decoding(num_beams, 10))) for each in engines)
        assert one == other


def test_a_repository_with_code_is_fetched_and_answers_and_its_code_is_not_run(
    tmp_path: Path, image: InputImage, engine: Engine
) -> None:
    served = write_tiny(TINY, tmp_path / "served")
    for name in ("modeling_florence2.py", "configuration_florence2.py", "processing_florence2.py"):
        (served / name).write_text(f"open({str(tmp_path / 'written')!r}, 'w')")
    with serving_hub(served) as hub:
        cache = tmp_path / "cache"
        steps = Steps(
            find_local=partial(find_local, cache_dir=cache),
            download=partial(download, endpoint=hub.endpoint, cache_dir=cache),
        )
        pool = Pool(Settings(checkpoint="me/tiny", device="cpu"), steps=steps)
        status = pool.wait()
        assert (status.state, "Microsoft's original layout" in status.details) == (State.READY, True)
        with pool.acquire() as answers:
            found = [event.id for event in answers.generate([Ask(image, OD)]) if isinstance(event, Token)]
        pool.close()
    assert found == ids_of(ask(engine, image))
    assert not any(request.endswith(".py") for request in hub.requests)
    assert not [*cache.rglob("*.py")]
    assert not (tmp_path / "written").exists()


# --- As others have written it


def in_halves(tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        tensors[name] = tensor.half()


def in_bfloat16(tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        tensors[name] = tensor.bfloat16()


def with_each_tied_name(tensors: Tensors) -> None:
    for part in ("encoder", "decoder"):
        tensors[f"language_model.model.{part}.embed_tokens.weight"] = tensors[TABLE].clone()


def with_the_head_alone(tensors: Tensors) -> None:
    del tensors[TABLE]


def with_what_is_not_used(tensors: Tensors) -> None:
    tensors["vision_tower.norms.weight"] = torch.ones(192)
    tensors["vision_tower.head.weight"] = torch.ones(1000, 192)


@pytest.mark.parametrize(
    ("change", "num_shards"),
    [
        pytest.param(in_halves, 3, id="float16 in shards"),
        pytest.param(in_bfloat16, 2, id="bfloat16 in shards"),
        pytest.param(with_each_tied_name, 1, id="the table four times"),
        pytest.param(with_the_head_alone, 1, id="the table as lm_head"),
        pytest.param(with_what_is_not_used, 1, id="unused tensors"),
    ],
)
def test_the_same_weights_come_of_each_way_to_write_them(
    tmp_path: Path, loaded: LoadedCheckpoint, change: Callable[[Tensors], None], num_shards: int
) -> None:
    twin = load(write_tiny(TINY, tmp_path / "tune", change=change, num_shards=num_shards))
    expected = loaded.model.state_dict()
    known = 1770  # rows of embedding; what comes after them is never said
    for name, tensor in twin.model.state_dict().items():
        same = expected[name].bfloat16().float() if change is in_bfloat16 else expected[name]
        assert torch.equal(tensor[:known], same[:known]), name
    assert twin.model.config.tie_word_embeddings
    assert twin.model.lm_head.weight is twin.model.model.language_model.shared.weight


def test_a_head_that_was_trained_apart_from_the_table_stays_apart(tmp_path: Path) -> None:
    def untie(tensors: Tensors) -> None:
        tensors["language_model.lm_head.weight"][5] = 0.5

    model = load(write_tiny(TINY, tmp_path / "tune", change=untie)).model
    table = model.model.language_model.shared.weight
    assert model.lm_head.weight[5].eq(0.5).all()
    assert model.model.language_model.encoder.embed_tokens.weight is table
    assert torch.equal(model.lm_head.weight[:5], table[:5])


def test_added_words_and_more_positions_are_the_checkpoints_own(tmp_path: Path) -> None:
    positions = "language_model.model.encoder.embed_positions.weight"

    def grow(tensors: Tensors) -> None:
        for name in (TABLE, "language_model.lm_head.weight"):
            tensors[name] = torch.cat([tensors[name], torch.full((2, 192), 0.5)])
        tensors[BIAS] = torch.zeros(1, len(tensors[TABLE]))
        for name in (positions, positions.replace("encoder", "decoder")):
            tensors[name] = torch.zeros(4098, 192)

    folder = write_tiny(TINY, tmp_path / "tune", change=grow)
    add_words(folder, ["<DocVQA>", "<loc_x>"], first_id=746)
    edit_json(folder / "config.json", lambda config: config["text_config"].update(max_position_embeddings=4096))
    twin = load(folder)
    ids = twin.tokenizer.convert_tokens_to_ids(["<DocVQA>", "<od>", "<loc_0>", "<and>", "<image>"])
    assert ids == [746, 748, 752, 1771, 1772]
    assert twin.location_ids == range(752, 1752)
    assert twin.model.config.image_token_id == 1772
    assert twin.model.model.language_model.shared.weight.shape == (1792, 192)  # a multiple of 64
    assert engine_of(twin).max_answer_tokens == 4096


def test_the_pieces_of_an_older_tokenizer_make_the_same_one(tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    whole = json.loads(lzma.decompress((PUBLISHED / "tokenizer.json.xz").read_bytes()))
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    twin = write_tiny(TINY, tmp_path / "tune")
    (twin / "tokenizer.json").unlink()
    vocabulary, merges = whole["model"]["vocab"], whole["model"]["merges"]
    (twin / "vocab.json").write_text(json.dumps(vocabulary))
    (twin / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(as_line, merges)) + "\n")
    (twin / "added_tokens.json").write_text(json.dumps({"<od>": 50265, "</od>": 50266}))
    checkpoint = resolve(str(twin))
    pieces, whole_one = (complete_tokenizer(checkpoint, each) for each in (twin, folder))
    assert pieces.get_vocab() == whole_one.get_vocab()
    text = "Locate the phrases in the caption: Zwei Bären’s café, 中 <loc_5><and>  twice"
    assert pieces(text, add_special_tokens=False) == whole_one(text, add_special_tokens=False)


def as_line(merge: Any) -> str:
    return merge if isinstance(merge, str) else " ".join(merge)


def add_words(folder: Path, words: list[str], *, first_id: int) -> None:
    def change(tokenizer: dict[str, Any]) -> None:
        like = next(token for token in tokenizer["added_tokens"] if token["content"] == "<mask>")
        tokenizer["added_tokens"] += [
            like | {"content": word, "id": token_id, "special": False} for token_id, word in enumerate(words, first_id)
        ]

    edit_json(folder / "tokenizer.json", change)


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# --- What cannot be right


def lose_one(tensors: Tensors) -> None:
    del tensors[FC1]


def cut_one(tensors: Tensors) -> None:
    tensors[FC1] = tensors[FC1][:5].clone()


def add_one(tensors: Tensors) -> None:
    tensors["language_model.model.encoder.layers.0.lora_A.weight"] = torch.ones(2)


def name_one_twice(tensors: Tensors) -> None:
    tensors["model.vision_tower.convs.0.conv.bias"] = torch.ones(32)


def bias_the_answers(tensors: Tensors) -> None:
    tensors[BIAS] += 1


def lose_rows(tensors: Tensors) -> None:
    tensors[TABLE] = tensors[TABLE][:1700].clone()
    del tensors["language_model.lm_head.weight"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(lose_one, "tune lacks model.vision_tower.blocks.0.0.spatial_block.ffn.fc1.weight", id="missing"),
        pytest.param(cut_one, f"has {FC1} in the shape [5, 32] instead of [128, 32]", id="wrong shape"),
        pytest.param(add_one, "encoder.layers.0.lora_A.weight, which Florence-2 does not have", id="too many"),
        pytest.param(name_one_twice, "conv.bias and vision_tower.convs.0.proj.bias", id="twice"),
        pytest.param(bias_the_answers, f"adds {BIAS} to its answers", id="bias"),
        pytest.param(lose_rows, f"has 1770 tokens, but {TABLE} has 1700 rows", id="rows"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(
    tmp_path: Path, change: Callable[[Tensors], None], sentence: str
) -> None:
    with pytest.raises(CheckpointUnavailable) as caught:
        load(write_tiny(TINY, tmp_path / "tune", change=change))
    assert sentence in str(caught.value)


def test_a_model_that_is_built_in_another_way_is_refused(tmp_path: Path) -> None:
    folder = write_tiny(TINY, tmp_path / "tune")
    edit_json(
        folder / "config.json", lambda config: config["vision_config"].update(image_feature_source=["last_frame"])
    )
    with pytest.raises(CheckpointUnavailable, match=r"in another way than Florence-2: image_feature_source must be"):
        load(folder)


def test_native_weights_with_a_file_of_code_load_and_the_code_is_not_run(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "tune", ignore=shutil.ignore_patterns("*.md", "RECIPE.json")))
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        edit_json(folder / name, lambda content: content.update(auto_map={"AutoProcessor": "code.Thing"}))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'written')!r}, 'w')")
    assert load(folder).details == "The Python code that its configuration names was not run."
    assert not (tmp_path / "written").exists()
