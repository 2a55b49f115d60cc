"""What this machine could do at best: its rate of matrix products, its memory bandwidth, and the work of an answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

_PRODUCT_SIDES = (2**10, 2**11, 2**12)
_READ_BYTES = 400_000_000  # far more than any cache holds
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Roofline:
    """Operations a second of products in the format of the model, and bytes a second that are read from memory."""

    flops: float
    bandwidth: float


def measure_roofline(dtype: torch.dtype, device: str) -> Roofline:
    """Measure the limits of the machine: the best of several runs of several sizes."""
    return Roofline(max(_product_rate(side, dtype, device) for side in _PRODUCT_SIDES), _bandwidth(device))


def _product_rate(side: int, dtype: torch.dtype, device: str) -> float:
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _best_seconds(lambda: left @ right, device)


def _bandwidth(device: str) -> float:
    # Written to, or the pages of a fresh array are all the same empty one.
    numbers = torch.ones(_READ_BYTES // 4, device=device)
    return _READ_BYTES / _best_seconds(numbers.sum, device)


def _best_seconds(act: Callable[[], Any], device: str) -> float:
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        act()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def vision_flops(model: Any, side: int) -> int:
    """Count the operations of one pass through the vision tower and the projector, two for each multiply-and-add."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.get_image_features(torch.empty(1, 3, side, side, dtype=model.dtype, device=model.device))
    return int(counter.get_total_flops())


def token_bytes(model: Any, prompt_positions: int, bytes_per_weight: int, bytes_per_key: int) -> int:
    """Count the bytes that must be read for a token: the decoder's weights, and the keys and values of the prompt.

    The keys and values of the answer itself are left out; they are a hundredth.
    """
    decoder = model.model.language_model.decoder
    weights = model.lm_head.weight.numel()
    for layer in decoder.layers:
        used = [layer.self_attn, layer.encoder_attn.q_proj, layer.encoder_attn.out_proj, layer.fc1, layer.fc2]
        weights += sum(weight.numel() for module in used for weight in module.parameters())
    keys = 2 * len(decoder.layers) * prompt_positions * model.config.text_config.d_model
    return int(weights * bytes_per_weight + keys * bytes_per_key)
