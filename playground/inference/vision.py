"""Pictures to tensors, and the vision tower of a loaded model: DaViT (Ding et al., 2022).

Computes what transformers' own classes compute, with fewer copies. Knows weights and tensors only.
"""

import sys
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from playground.checkpoints.preprocessing import Preprocessing
from playground.inference.kernels import (
    WEIGHTS_AT_ONCE,
    Check,
    Kernel,
    Preparations,
    Quickest,
    activated,
    attend,
    full,
    packed,
)
from playground.inference.memory import return_memory

_TOWER = "model.vision_tower"
_HIDDEN_AT_ONCE = 2304 * 2048


def pixel_values(picture: Image.Image, processor: Any, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return an RGB picture, resized and normalized as its Preprocessing says: 1 x 3 x height x width.

    What that does not cover is left to an image processor of transformers.
    """
    if not isinstance(processor, Preprocessing):
        values: torch.Tensor = processor(images=picture, return_tensors="pt")["pixel_values"]
        return values.to(device)
    size = (processor.size["width"], processor.size["height"])
    resized = torch.from_numpy(np.array(picture.resize(size, Image.Resampling(processor.resample)))).to(device)
    mean, std = (torch.tensor(numbers, device=device) for numbers in (processor.image_mean, processor.image_std))
    values = resized * (processor.rescale_factor / std) - mean / std
    return values.permute(2, 0, 1)[None]


def _at_once(weights: torch.Tensor, num_rows: int) -> int:
    """Return how many rows are taken at the same time: on a GPU, which wants many, all."""
    return max(1, num_rows) if weights.device.type == "cpu" else sys.maxsize


def _by_parts(kernel: Kernel, rows: torch.Tensor, num_rows: int) -> torch.Tensor:
    """Return what a kernel makes of rows, as many as they are, some at a time.

    Each part is put into its place at once: kept until all are there, they would leave gaps in memory between them.
    """
    if len(rows) <= num_rows:
        return kernel(rows)
    made = torch.empty_like(rows)
    for first in range(0, len(rows), num_rows):
        made[first : first + num_rows] = kernel(rows[first : first + num_rows])
    return made


class _Mlp:
    def __init__(self, module: Any, norm: Kernel, *, pack: bool) -> None:
        self._norm = norm
        self._fc1 = activated(module.fc1, module.activation_fn, pack=pack)
        self._fc2 = (packed if pack else full)(module.fc2)
        self._num_rows = _at_once(module.fc1.bias, _HIDDEN_AT_ONCE // module.fc1.out_features)

    def __call__(self, grid: torch.Tensor) -> torch.Tensor:
        rows = self._norm(grid).flatten(0, 2)
        return _by_parts(lambda some: self._fc2(self._fc1(some)), rows, self._num_rows).view(grid.shape)


class _Attention:
    """Attention between the pixels of a window, or between the channels of a group, after a norm."""

    def __init__(self, module: Any, norm: Kernel, *, pack: bool) -> None:
        make = packed if pack else full
        self.norm = norm
        self.qkv = make(module.qkv)
        self.out = make(module.proj)


class _WindowAttention(_Attention):
    def __init__(self, module: Any, norm: Kernel, *, pack: bool) -> None:
        super().__init__(module, norm, pack=pack)
        self._side, self._num_heads = module.window_size, module.num_heads
        self._num_windows = _at_once(module.proj.bias, WEIGHTS_AT_ONCE // (self._num_heads * self._side**4))

    def __call__(self, grid: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = grid.shape
        side = self._side
        below, right = -height % side, -width % side
        normed = self.norm(grid)
        if below or right:
            normed = functional.pad(normed, (0, 0, 0, right, 0, below))
        down, across = (height + below) // side, (width + right) // side
        windows = normed.view(batch, down, side, across, side, channels).transpose(2, 3)
        rows = windows.reshape(-1, side * side, channels)
        del normed, windows
        # Some windows at a time, so that what lies between the products stays in the processor's cache.
        seen = _by_parts(self._attend_rows, rows, self._num_windows)
        put_back = seen.view(batch, down, across, side, side, channels).transpose(2, 3)
        return put_back.reshape(batch, height + below, width + right, channels)[:, :height, :width]

    def _attend_rows(self, rows: torch.Tensor) -> torch.Tensor:
        queries, keys, values = self.qkv(rows).view(*rows.shape[:2], 3, self._num_heads, -1).permute(2, 0, 3, 1, 4)
        return self.out(attend(queries, keys, values))


class _ChannelAttention(_Attention):
    def __init__(self, module: Any, norm: Kernel, *, pack: bool) -> None:
        super().__init__(module, norm, pack=pack)
        self._num_groups = module.groups

    def __call__(self, grid: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = grid.shape
        rows = self.qkv(self.norm(grid).view(batch, height * width, channels))
        # Scaled before the product, a sum over all pixels that float16 could not hold.
        rows[..., :channels].mul_((height * width) ** -0.5)
        is_measured = rows.dtype is torch.bfloat16 and rows.device.type == "cpu"
        seen = (_bfloat16_channels if is_measured else _by_groups)(rows, self._num_groups)
        del rows  # in the first stage half of what a picture takes on its way
        return self.out(seen).view(grid.shape)


def _by_groups(rows: torch.Tensor, num_groups: int) -> torch.Tensor:
    """Let channels read channels of their group: queries, keys and values, batch x pixels x (3 * channels)."""
    # For each group, pixels x channels: channels are compared with each other over all pixels.
    queries, keys, values = rows.view(*rows.shape[:2], 3, num_groups, -1).permute(2, 0, 3, 1, 4)
    weights = (queries.transpose(2, 3) @ keys).softmax(-1)
    read: torch.Tensor = values @ weights.transpose(2, 3)
    return read.transpose(1, 2).flatten(2)


def _in_one(rows: torch.Tensor, num_groups: int) -> torch.Tensor:
    """The same by products of all channels, of which the blocks on the diagonal count: more work in fewer calls."""
    queries, keys, values = rows.chunk(3, -1)
    each_with_each = queries.transpose(1, 2) @ keys
    batch, channels, _ = each_with_each.shape
    blocks = (batch, num_groups, channels // num_groups, num_groups, channels // num_groups)
    weights = each_with_each.view(blocks).diagonal(dim1=1, dim2=3).softmax(2)  # of queries, keys, groups
    spread = torch.zeros_like(each_with_each)
    spread.view(blocks).diagonal(dim1=1, dim2=3).copy_(weights.transpose(1, 2))
    read: torch.Tensor = values @ spread
    return read


_bfloat16_channels = Quickest(_by_groups, _in_one)


# Convolution, attention, convolution, MLP; what each returns is added to what it was given.
_Block = tuple[Kernel, ...]


def _block(module: Any, attention: Kernel, *, pack: bool) -> _Block:
    mlp = _Mlp(module.ffn, module.norm2, pack=pack)
    return partial(_convolve, module.conv1), attention, partial(_convolve, module.conv2), mlp


class VisionTower:
    """The vision tower of a checkpoint. `pack`: bfloat16, with weights in oneDNN's own order."""

    def __init__(self, preparations: Preparations, *, pack: bool) -> None:
        self._dtype = preparations.weights.dtype
        depths = preparations.weights.config.vision_config.depths
        self._convs = [preparations.of(f"{_TOWER}.convs.{stage}", _channels_last) for stage in range(len(depths))]
        self._stages = [
            preparations.of_each(
                {
                    f"{_TOWER}.blocks.{stage}.{pair}.{kind}": partial(make, pack=pack)
                    for pair in range(depth)
                    for kind, make in _BLOCKS.items()
                }
            )
            for stage, depth in enumerate(depths)
        ]

    def __call__(self, pixel_values: torch.Tensor, check: Check = lambda: None) -> torch.Tensor:
        """Return the features of pictures, batch x channels x height x width.

        `check` is called several times a block; what it raises ends the pass.
        """
        grid = pixel_values.to(self._dtype).permute(0, 2, 3, 1).contiguous()
        for conv, stage in zip(self._convs, self._stages, strict=True):
            check()
            grid = _embed(conv, grid)
            for branch in chain.from_iterable(stage):
                check()
                grid = grid + branch(grid)
        return grid.permute(0, 3, 1, 2)


def _channels_last(module: Any) -> Any:
    return module.to(memory_format=torch.channels_last)


def _spatial_block(module: Any, *, pack: bool) -> _Block:
    return_memory()
    return _block(module, _WindowAttention(module.window_attn, module.norm1, pack=pack), pack=pack)


def _channel_block(module: Any, *, pack: bool) -> _Block:
    return _block(module, _ChannelAttention(module.channel_attn, module.norm1, pack=pack), pack=pack)


_BLOCKS = {"spatial_block": _spatial_block, "channel_block": _channel_block}


def _embed(module: Any, grid: torch.Tensor) -> torch.Tensor:
    """Embed patches: a coarser grid of more channels, with the norm before or after the convolution."""
    if module.pre_norm:
        return _convolve(module.conv, module.norm(grid))
    normed: torch.Tensor = module.norm(_convolve(module.conv, grid))
    return normed


def _convolve(conv: torch.nn.Conv2d, grid: torch.Tensor) -> torch.Tensor:
    """Convolve a grid of batch x height x width x channels, which is how channels-last pictures lie in memory."""
    convolved: torch.Tensor = conv(grid.permute(0, 3, 1, 2))
    return convolved.permute(0, 2, 3, 1).contiguous()
