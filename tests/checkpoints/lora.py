"""LoRA adapters with random matrices, in the layout in which peft keeps them, for the bundled checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from playground.checkpoints.catalog import BUNDLED, resolve

TINY = Path(resolve(BUNDLED).source)
LAYER = "model.language_model.decoder.layers.0"
SELF_Q, FC1, HEAD = f"{LAYER}.self_attn.q_proj", f"{LAYER}.fc1", "lm_head"
SEES = "model.vision_tower.blocks.0.0.spatial_block.ffn.fc1"
RANK = 4


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def halves(
    module: str, shape: tuple[int, ...], *, rank: int = RANK, seed: int = 0, size: float = 0.1
) -> dict[str, Any]:
    """Return what peft keeps of one module that is changed by random matrices."""
    random = torch.Generator().manual_seed(seed)
    key = f"base_model.model.{module}"
    return {
        f"{key}.lora_A.weight": torch.randn(rank, *shape[1:], generator=random) * size,
        f"{key}.lora_B.weight": torch.randn(shape[0], rank, generator=random) * size,
    }


def write_adapter(folder: Path, tensors: Mapping[str, Any] | None = None, **config: Any) -> Path:
    """Write an adapter; without tensors one of two modules of the decoder."""
    weights = weights_of(TINY)
    if tensors is None:
        tensors = {
            name: tensor
            for number, module in enumerate((SELF_Q, FC1))
            for name, tensor in halves(module, tuple(weights[f"{module}.weight"].shape), seed=number).items()
        }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), folder / "adapter_model.safetensors", metadata={"format": "pt"})
    facts = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "base_model_name_or_path": BUNDLED,
             "target_modules": ["q_proj", "fc1"]}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(facts | config), encoding="utf-8")
    return folder
