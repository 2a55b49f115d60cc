"""A SAM 2.1 of a few hundred thousand parameters: transformers' own classes, and weights at random."""

from pathlib import Path
from typing import Any

import torch


def write_tiny_masks(folder: Path, *, seed: int = 0, **prompts: Any) -> Path:
    """Write a folder as `Sam2Model` saves one, and return it; it sees 128 pixels of a side."""
    from transformers import Sam2Config, Sam2Model

    side, width = 128, 32
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [side, side],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [4, 4, 2, 2],
        "global_attention_blocks": [3], "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    vision = {
        "model_type": "sam2_vision_model", "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]], "fpn_hidden_size": width,
    }  # fmt: skip
    config = Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": width, "image_size": side, **prompts},
        mask_decoder_config={"hidden_size": width, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Sam2Model(config)
        for name, parameter in model.named_parameters():  # as it is begun, masks of two boxes hardly differ
            if not ("norm" in name and name.endswith("weight")):
                torch.nn.init.normal_(parameter, std=0.1)
    embeddings = model.shared_image_embedding, model.prompt_encoder.shared_embedding
    embeddings[1].positional_embedding.copy_(embeddings[0].positional_embedding)  # as they are in the published ones
    model.save_pretrained(folder)
    return folder
