"""Florence-2 as plain modules of PyTorch: with transformers' names and shapes, and without weights.

transformers' own class takes two seconds and 120 MB to import. Whoever only answers needs what it is made of, not what
it does: here is no pass through the model but that of its smallest parts.
"""

import math
from typing import Any

import torch
from torch import nn

_BEFORE = 2  # BART's positions begin there


class _Group(nn.Module):
    """Modules and facts, by the names that they have in transformers' own class."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class _Rows(nn.Module):
    """An embedding: the rows of a table after some `before` them. PyTorch's own would fill it with random numbers."""

    def __init__(self, count: int, width: int, *, before: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(before + count, width))
        self._before, self._scale = before, scale

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.embedding(ids + self._before, self.weight) * self._scale


def bare_model(config: Any) -> nn.Module:
    """Return the modules of a Florence2Config, which hold no weights."""
    vision, text = config.vision_config, config.text_config
    with torch.device("meta"):
        coders = {part: _coder(text, part) for part in ("encoder", "decoder")}
        model = _Group(
            vision_tower=_tower(vision),
            multi_modal_projector=_Projector(vision),
            language_model=_Group(shared=_table(text), **coders),
        )
        return _Group(model=model, lm_head=nn.Linear(text.d_model, text.vocab_size, bias=False))


def _activation(name: str) -> Any:
    if name == "gelu":
        return nn.GELU()
    from transformers.activations import ACT2FN  # which brings half of transformers

    return ACT2FN[name]


# --- Pictures


def _tower(config: Any) -> nn.Module:
    stages = range(len(config.embed_dim))
    return _Group(
        convs=nn.ModuleList(_patches(config, stage) for stage in stages),
        blocks=nn.ModuleList(
            nn.ModuleList(_pair(config, stage) for _ in range(config.depths[stage])) for stage in stages
        ),
    )


def _patches(config: Any, stage: int) -> nn.Module:
    width, before = config.embed_dim[stage], config.embed_dim[stage - 1] if stage else config.in_channels
    size, stride, padding = config.patch_size[stage], config.patch_stride[stage], config.patch_padding[stage]
    is_first = config.patch_prenorm[stage]
    norm = nn.LayerNorm(before if is_first else width)
    return _Group(conv=nn.Conv2d(before, width, size, stride, padding), norm=norm, pre_norm=is_first)


def _pair(config: Any, stage: int) -> nn.Module:
    width = config.embed_dim[stage]
    hidden = int(width * config.mlp_ratio)

    def attention(**facts: int) -> nn.Module:
        qkv = nn.Linear(width, 3 * width, bias=config.qkv_bias)
        return _Group(qkv=qkv, proj=nn.Linear(width, width), **facts)

    def block(**attended: nn.Module) -> nn.Module:
        conv1, conv2 = (nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(2))
        norm1, norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        ffn = _feed_forward(width, hidden, config.activation_function)
        return _Group(conv1=conv1, conv2=conv2, norm1=norm1, norm2=norm2, ffn=_Group(**ffn), **attended)

    return _Group(
        spatial_block=block(window_attn=attention(window_size=config.window_size, num_heads=config.num_heads[stage])),
        channel_block=block(channel_attn=attention(groups=config.num_groups[stage])),
    )


def _feed_forward(width: int, hidden: int, activation: str) -> dict[str, Any]:
    return {
        "fc1": nn.Linear(width, hidden),
        "fc2": nn.Linear(hidden, width),
        "activation_fn": _activation(activation),
    }


class _Projector(nn.Module):
    """From the features of a picture to positions of a prompt: the mean of all, then each place of the grid."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, sides = config.embed_dim[-1], config.max_position_embeddings
        self.image_projection = nn.Linear(width, config.projection_dim, bias=False)
        self.image_proj_norm = nn.LayerNorm(config.projection_dim)
        self.image_position_embed: Any = _Group(
            row_embeddings=_Rows(sides, width // 2), column_embeddings=_Rows(sides, width - width // 2)
        )
        self.visual_temporal_embed: Any = _Group(
            pos_idx_to_embed=nn.Buffer(torch.empty(config.max_temporal_embeddings, width))
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        height, width = (torch.arange(side, device=features.device) for side in features.shape[-2:])
        rows = self.image_position_embed.row_embeddings(height)[:, None].expand(-1, len(width), -1)
        columns = self.image_position_embed.column_embeddings(width)[None].expand(len(height), -1, -1)
        grid = features + torch.cat([columns, rows], -1).permute(2, 0, 1)
        places = grid.flatten(2).transpose(1, 2) + self.visual_temporal_embed.pos_idx_to_embed[:1]
        projected: torch.Tensor = self.image_proj_norm(
            self.image_projection(torch.cat([places.mean(1, keepdim=True), places], 1))
        )
        return projected


# --- Language: BART


def _table(config: Any) -> nn.Module:
    return _Rows(config.vocab_size, config.d_model, scale=math.sqrt(config.d_model) if config.scale_embedding else 1.0)


def _coder(config: Any, part: str) -> nn.Module:
    width, hidden = config.d_model, getattr(config, f"{part}_ffn_dim")

    def attention() -> nn.Module:
        return _Group(**{f"{name}_proj": nn.Linear(width, width) for name in ("q", "k", "v", "out")})

    def layer() -> nn.Module:
        attended = {"encoder_attn": attention(), "encoder_attn_layer_norm": nn.LayerNorm(width)}
        return _Group(
            self_attn=attention(),
            self_attn_layer_norm=nn.LayerNorm(width),
            final_layer_norm=nn.LayerNorm(width),
            **_feed_forward(width, hidden, config.activation_function),
            **(attended if part == "decoder" else {}),
        )

    return _Group(
        embed_tokens=_table(config),
        embed_positions=_Rows(config.max_position_embeddings, width, before=_BEFORE),
        layernorm_embedding=nn.LayerNorm(width),
        layers=nn.ModuleList(layer() for _ in range(getattr(config, f"{part}_layers"))),
    )
