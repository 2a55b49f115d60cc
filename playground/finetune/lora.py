"""LoRA (Hu et al., 2021) on Florence-2's own classes, with peft: small matrices beside frozen ones.

`lm_head` is tied to the embeddings of the tokens and left as it is.
"""

import copy
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playground.checkpoints.catalog import Checkpoint
from playground.errors import SettingsInvalid

LANGUAGE_TARGETS = r".*language_model\.(encoder|decoder)\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
# Of DaViT's four stages all but the first, which sees edges, on so many positions that to keep them for the backward
# pass would take several times the memory and the time. Small things want the second, whose cells are half as wide.
VISION_TARGETS = r".*vision_tower\.blocks\.(1|2|3)\..*\.(qkv|proj|fc1|fc2)"


def check_peft() -> None:
    """Raise SettingsInvalid, with the command that installs it, where peft is missing."""
    if importlib.util.find_spec("peft") is None:
        raise SettingsInvalid("Teaching needs peft. Install it: pip install -r requirements-train.txt")


def put_adapter_on(
    model: Any, checkpoint: Checkpoint, *, rank: int, vision: bool, words: Mapping[int, Any] | None = None
) -> Any:
    """Return peft's model around a Florence-2 whose own weights are frozen; at first it answers as before.

    Of the table of embeddings the rows of `words` learn, from what is given for each.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    targets = f"({LANGUAGE_TARGETS})|({VISION_TARGETS})" if vision else LANGUAGE_TARGETS
    tokens = list(words) if words else None
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=targets, bias="none", trainable_token_indices=tokens
    )
    adapted: Any = get_peft_model(model, config)
    if words:
        table = adapted.get_base_model().get_input_embeddings()
        table.token_adapter.trainable_tokens_delta["default"].data.copy_(torch.stack(list(words.values())))
    # peft would take the name of the folder that the model was read from, of which a merged state knows none.
    config.base_model_name_or_path = checkpoint.name if checkpoint.is_local else checkpoint.source
    config.revision = checkpoint.revision
    return adapted


def merged_copy(adapted: Any) -> Any:
    """Return a Florence-2 of its own with what the adapter adds in its weights; the adapted one goes on learning."""
    model = copy.deepcopy(adapted).merge_and_unload()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def adapter_weights(adapted: Any) -> dict[str, Any]:
    """Return copies of the weights that are learned, by peft's names."""
    from peft import get_peft_model_state_dict

    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }


def set_adapter_weights(adapted: Any, weights: dict[str, Any]) -> None:
    """Put back what `adapter_weights` returned."""
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(adapted, weights)


def write_adapter(adapted: Any, folder: Path) -> None:
    """Write the adapter in peft's layout: `adapter_config.json` and `adapter_model.safetensors`."""
    adapted.save_pretrained(folder, save_embedding_layers=False)  # they are frozen; "auto" would ask the hub
