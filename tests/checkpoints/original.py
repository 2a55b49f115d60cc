"""Checkpoints in the layout of Microsoft's own code, made from native ones: the table of names backwards.

`tests/data/microsoft-florence-2-base` holds the configuration, the preprocessing and the tokenizer that Microsoft
published with Florence-2-base (MIT).
"""

import json
import lzma
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

PUBLISHED = Path(__file__).parents[1] / "data" / "microsoft-florence-2-base"
TABLE = "language_model.model.shared.weight"
CODE = {"AutoModelForCausalLM": "modeling_florence2.Florence2ForConditionalGeneration"}

_BACKWARDS = (
    (r"^model\.vision_tower\.convs\.(\d+)\.conv\.", r"vision_tower.convs.\1.proj."),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"_block\.conv([12])\.", r"_block.conv\1.fn.dw."),
    (r"spatial_block\.norm1\.", "spatial_block.window_attn.norm."),
    (r"channel_block\.norm1\.", "channel_block.channel_attn.norm."),
    (r"_block\.norm2\.", "_block.ffn.norm."),
    (r"(window|channel)_attn\.(qkv|proj)\.", r"\1_attn.fn.\2."),
    (r"_block\.ffn\.fc([12])\.", r"_block.ffn.fn.net.fc\1."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
)  # fmt: skip

Tensors = dict[str, torch.Tensor]


def original_name(name: str) -> str:
    for native, original in _BACKWARDS:
        name = re.sub(native, original, name)
    return name


def original_tensors(native: Path, *, num_rows: int) -> Tensors:
    """Return the weights by Microsoft's names, with as many rows of embedding, and both names of the tied table."""
    with safe_open(native / "model.safetensors", framework="pt") as file:
        tensors = {original_name(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["image_projection"] = tensors["image_projection"].T.contiguous()
    tensors[TABLE] = tensors[TABLE][:num_rows].clone()
    tensors["language_model.lm_head.weight"] = tensors[TABLE].clone()
    tensors["language_model.final_logits_bias"] = torch.zeros(1, num_rows)
    return tensors


def save_in_shards(tensors: Tensors, folder: Path, num_shards: int) -> None:
    """Write weights in several files, their tensors dealt out in no order that means anything."""
    names = sorted(tensors, key=lambda name: name[::-1])
    weight_map = {}
    for shard in range(num_shards):
        file_name = f"model-{num_shards - shard:05}-of-{num_shards:05}.safetensors"
        some = names[shard::num_shards]
        save_file({name: tensors[name] for name in some}, folder / file_name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(some, file_name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_base(native: Path, folder: Path) -> Path:
    """Write a true-size checkpoint, base or large, with all that Microsoft publishes beside the weights."""
    shutil.copytree(PUBLISHED, folder)
    _write_json(folder / "config.json", _with_shapes_of(json.loads((native / "config.json").read_text())))
    packed = folder / "tokenizer.json.xz"
    (folder / "tokenizer.json").write_bytes(lzma.decompress(packed.read_bytes()))
    save_file(original_tensors(native, num_rows=51_289), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_tiny(
    native: Path, folder: Path, *, change: Callable[[Tensors], None] = lambda tensors: None, num_shards: int = 1
) -> Path:
    """Write the bundled checkpoint as a fine-tune of Microsoft's code looks: with a file of code, and no `<image>`."""
    folder.mkdir()
    config = json.loads((native / "config.json").read_text())
    tensors = original_tensors(native, num_rows=config["image_token_id"])
    change(tensors)
    if num_shards > 1:
        save_in_shards(tensors, folder, num_shards)
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _original_config(config))
    _write_json(folder / "preprocessor_config.json", _preprocessing(native))
    _write_json(folder / "tokenizer.json", _without_added_tokens(json.loads((native / "tokenizer.json").read_text())))
    return folder


def _with_shapes_of(config: dict[str, Any]) -> dict[str, Any]:
    published = json.loads((PUBLISHED / "config.json").read_text())
    vision, text = config["vision_config"], config["text_config"]
    same = ("patch_stride", "num_heads", "num_groups", "depths", "window_size", "projection_dim")
    published["vision_config"] |= {"dim_embed": vision["embed_dim"]} | {name: vision[name] for name in same}
    shapes = [name for name in text if name.startswith(("encoder_", "decoder_")) and "token" not in name]
    published["text_config"] |= {name: text[name] for name in ("d_model", "max_position_embeddings", *shapes)}
    return published


def _original_config(config: dict[str, Any]) -> dict[str, Any]:
    published = _with_shapes_of(config)
    # The bundled checkpoint has other rules than the published ones: its twin must have the same.
    published["text_config"] |= {
        "model_type": "florence2_language", "num_beams": 1, "no_repeat_ngram_size": 0, "early_stopping": False,
        "forced_bos_token_id": None, "forced_eos_token_id": None,
    }  # fmt: skip
    return published


def _preprocessing(native: Path) -> dict[str, Any]:
    published = json.loads((PUBLISHED / "preprocessor_config.json").read_text())
    own = json.loads((native / "processor_config.json").read_text())["image_processor"]
    return published | {name: own[name] for name in published.keys() & own.keys()}


def _without_added_tokens(tokenizer: dict[str, Any]) -> dict[str, Any]:
    kept = [token for token in tokenizer["added_tokens"] if token["id"] < 746]
    return tokenizer | {"added_tokens": kept}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


def names_of(native: Path) -> Iterator[str]:
    with safe_open(native / "model.safetensors", framework="pt") as file:
        yield from file.keys()
