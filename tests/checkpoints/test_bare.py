"""The modules without weights beside transformers' own: the same names and shapes, and the same numbers to the bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Florence2ForConditionalGeneration

from playground.checkpoints.bare import bare_model
from playground.checkpoints.fits import bare_shapes
from playground.checkpoints.loader import LoadedCheckpoint
from playground.checkpoints.plain import read_config

LANGUAGE = "model.language_model"


@pytest.mark.parametrize(
    ("vision", "text"),
    [
        pytest.param({}, {}, id="bundled"),
        pytest.param({"qkv_bias": False, "mlp_ratio": 2.0, "depths": [1, 2, 1, 1], "in_channels": 4}, {}, id="tower"),
        pytest.param({}, {"d_model": 96, "encoder_ffn_dim": 64, "decoder_layers": 1}, id="language"),
    ],
)
def test_names_and_shapes_are_those_of_transformers(
    loaded: LoadedCheckpoint, vision: dict[str, Any], text: dict[str, Any]
) -> None:
    said = loaded.parts.config.said
    parts = {"vision_config": said["vision_config"] | vision, "text_config": said["text_config"] | text}
    config = read_config({**said, **parts})
    with torch.device("meta"):
        theirs: Any = Florence2ForConditionalGeneration(config.for_transformers())
    assert bare_shapes(bare_model(config)) == bare_shapes(theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_they_compute_is_the_same_to_the_bit(fresh: LoadedCheckpoint, dtype: torch.dtype) -> None:
    fresh.parts.config.said["text_config"]["scale_embedding"] = True
    weights = replace(fresh.weights, bare=bare_model(read_config(fresh.parts.config.said)), dtype=dtype)
    theirs, features = fresh.model.model.to(dtype), torch.randn(2, 192, 10, 10, dtype=dtype)
    ids = torch.tensor([[5, 750, 1749]])
    with torch.inference_mode():
        projected = weights.module("model.multi_modal_projector")(features)
        assert torch.equal(projected, theirs.multi_modal_projector(features))
        shared, positions = (weights.module(f"{LANGUAGE}.{name}") for name in ("shared", "encoder.embed_positions"))
        assert torch.equal(shared(ids), theirs.language_model.shared(ids))
        expected = theirs.language_model.encoder.embed_positions(torch.zeros(1, 7))
        assert torch.equal(positions(torch.arange(7)), expected[0])


def test_a_table_that_is_tied_is_held_once(loaded: LoadedCheckpoint) -> None:
    names = (f"{LANGUAGE}.shared", "lm_head", f"{LANGUAGE}.decoder.embed_tokens")
    tables = [loaded.weights.module(name) for name in names]
    assert len({table.weight.data_ptr() for table in tables}) == 1


def test_what_is_read_in_inference_mode_can_be_used_outside_of_it(fresh: LoadedCheckpoint) -> None:
    with torch.inference_mode():
        tied = fresh.weights.module("lm_head")
    assert fresh.weights.module(f"{LANGUAGE}.shared").weight.data_ptr() == tied.weight.data_ptr()


@pytest.mark.parametrize("has_room", [True, False])
def test_a_large_table_is_the_same_in_a_file_or_without_room_for_one(
    loaded: LoadedCheckpoint, monkeypatch: pytest.MonkeyPatch, has_room: bool
) -> None:
    ids = torch.tensor([[5, 750, 1749]])
    expected = loaded.weights.module(f"{LANGUAGE}.shared")(ids)
    monkeypatch.setattr("playground.checkpoints.weights._LARGE_TABLE", 1)
    if not has_room:
        monkeypatch.setattr("playground.checkpoints.weights.TemporaryFile", Path("no such folder").open)
    weights = replace(loaded.weights)
    shared, lm_head = (weights.module(name) for name in (f"{LANGUAGE}.shared", "lm_head"))
    assert shared.weight.data_ptr() == lm_head.weight.data_ptr()
    assert len(weights._pages) == has_room
    for _ in range(2):
        assert torch.equal(shared(ids), expected)
        weights.let_go()
