"""Kernels: the linear layers and the attention of a model, each in the form that is fastest on a given processor.

The makers take a linear layer, prepare its weights once, and return a function from rows of shape (..., inputs) to rows
of shape (..., outputs).
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import torch
from torch.nn import functional

from playground.checkpoints.weights import Weights
from playground.inference.threads import ALL_THREADS, computing_with

Kernel = Callable[[torch.Tensor], torch.Tensor]
Make = Callable[[torch.nn.Linear], Kernel]
Check = Callable[[], None]  # called again and again during a pass; what it raises ends the pass

_MANY_OUTPUTS = 16384  # with so many, the processor's integers are worth their more expensive call
WEIGHTS_AT_ONCE = 2_800_000  # of an attention: 5.6 MB in bfloat16, which stay in the processor's cache
# A number from -32,639 to 32,639 as 256 * high + low, each byte of it less 128; to truncate rounds, with a half more.
_LARGEST, _MIDDLE = 32639, 257 * 128 + 0.5
_LEAST = 1e-9  # a row of zeros has a scale too
_NUMBERS_AT_ONCE = 2**15  # that are rounded: 128 KB in float32, for which the system is not asked for memory each time
_MODULES_AT_ONCE = 4  # that are made ready, and held twice meanwhile
_ROUNDS, _GAIN = 2, 0.8  # in which ways are measured in turn, and what another one may take of the first one's time
_ROWS_HINT = 2304  # how many rows oneDNN packs for: the third stage of the vision tower, where most of the work is


class Preparations:
    """What was made of each module of a checkpoint. What was made `before` of the same weights is not made again."""

    def __init__(self, weights: Weights, before: Mapping[tuple[str, ...], Any] = MappingProxyType({})) -> None:
        self.weights = weights
        self.made: dict[tuple[str, ...], Any] = {}
        self._before = before

    def of(self, name: str, make: Callable[[Any], Any] = lambda module: module) -> Any:
        """Return what was made of a module, or make it of the module with its weights, which is then forgotten."""
        key = self.weights.identity(name)
        self.made[key] = self._before[key] if key in self._before else make(self.weights.module(name))
        return self.made[key]

    def of_each(self, makes: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
        """Return what is made of each of some modules, by their names.

        On a CPU several are made at the same time: most of it is reading and getting memory, which PyTorch's own
        threads do not share. How another device bears that was not tried.
        """
        if self.weights.device != "cpu":
            return [self.of(name, make) for name, make in makes.items()]
        with ThreadPoolExecutor(min(ALL_THREADS, _MODULES_AT_ONCE)) as threads:
            return list(threads.map(self._alone, makes, makes.values()))

    def _alone(self, name: str, make: Callable[[Any], Any]) -> Any:
        with computing_with(1):
            return self.of(name, make)


def full(linear: torch.nn.Linear) -> Kernel:
    """Return the layer itself."""
    return linear


def packed(linear: torch.nn.Linear) -> Kernel:
    """Return the layer for bfloat16 on a CPU, its weights reordered once for oneDNN: else it does so in each call."""
    return _packed(linear, "none")


def activated(linear: torch.nn.Linear, activation: Callable[[torch.Tensor], torch.Tensor], *, pack: bool) -> Kernel:
    """Return the layer, packed or not, with an activation after it: GELU while the results are still in the cache."""
    if pack and isinstance(activation, torch.nn.GELU):
        return _packed(linear, "gelu")
    kernel = packed(linear) if pack else full(linear)
    return lambda rows: activation(kernel(rows))


def _packed(linear: torch.nn.Linear, after: str) -> Kernel:
    operations = torch.ops.mkldnn
    weight, bias = operations._reorder_linear_weight(linear.weight.detach(), _ROWS_HINT), linear.bias
    return lambda rows: operations._linear_pointwise(rows, weight, bias, after, [], "none")  # "none": the exact GELU


# --- Weights of 8 bits


def int8(linear: torch.nn.Linear) -> Kernel:
    """Return the layer with 8-bit weights and a scale for each output: half of the bytes of bfloat16 to read.

    Only the weights are rounded, to 1/127 of the largest of their output. It is for a few rows of float32. Each
    comes to the same to the last bit whatever stands beside it, as what is written along with others is as alone.
    """
    rounded, scales = _round_weights(linear.weight.detach())
    if linear.out_features >= _MANY_OUTPUTS and torch.cpu.get_capabilities().get("avx512_vnni"):
        multiply = _of_integers(rounded, scales)
    else:
        multiply = _of_bfloat16(rounded, scales.bfloat16())
    bias = None if linear.bias is None else linear.bias.float()
    return multiply if bias is None else lambda rows: multiply(rows) + bias


def _round_weights(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows = max(1, _NUMBERS_AT_ONCE // weight.shape[1])
    rounded, scales = torch.empty_like(weight, dtype=torch.int8), []
    for some, into in zip(torch.split(weight, rows), torch.split(rounded, rows), strict=True):
        scales.append(some.abs().amax(1).float().clamp(min=1e-12) / 127)
        into.copy_((some.float() / scales[-1][:, None]).round())
    return rounded, torch.cat(scales)


def _of_bfloat16(weight: torch.Tensor, scales: torch.Tensor) -> Kernel:
    return lambda rows: torch._weight_int8pack_mm(rows.bfloat16(), weight, scales).to(rows.dtype)


def _of_integers(weight: torch.Tensor, scales: torch.Tensor) -> Kernel:
    """Return the product by the processor's instructions for 8-bit integers; two of them stand for a number of a row.

    They are the two bytes of a 16-bit integer, so that a row is closer than in bfloat16. The call itself takes longer,
    and its work much less time.
    """
    operations = torch.ops.onednn
    zeros = torch.zeros(len(weight), dtype=torch.int8)
    packed_weight = operations.qlinear_prepack(weight, None)

    def product(rows: torch.Tensor) -> torch.Tensor:
        scale = rows.abs().amax(1, keepdim=True).clamp(min=_LEAST) / _LARGEST
        whole = (rows / scale).add_(_MIDDLE).to(torch.int32)
        both = whole.view(torch.uint8).view(*whole.shape, -1)[..., :2].permute(2, 0, 1).flatten(0, 1)
        products = operations.qlinear_pointwise(
            both, 1.0, 128, packed_weight, scales, zeros, None, 1.0, 0, torch.float32, "none", [], "none"
        )
        low, high = products.chunk(2)
        return torch.add(low, high, alpha=256).mul_(scale)

    return product


# --- Attention


class Quickest:
    """Several ways to compute the same, of which the one is taken that takes the least time on this processor.

    It is measured in each process the first time that there is something of about that size. The first way stays,
    unless another takes less than four fifths of its time: for less, answers should not depend on a measurement.
    """

    _measuring = threading.Lock()  # of all of them: two engines that measure beside one another slow each other down

    def __init__(self, *ways: Callable[..., torch.Tensor]) -> None:
        self._ways = ways
        self._chosen: dict[tuple[int, ...], Callable[..., torch.Tensor]] = {}

    def __call__(self, tensor: torch.Tensor, *rest: Any) -> torch.Tensor:
        size = (*(side.bit_length() for side in tensor.shape[1:]), torch.get_num_threads())
        if size not in self._chosen:
            with self._measuring:
                self._chosen[size] = self._chosen.get(size) or self._quickest(tensor, *rest)
        return self._chosen[size](tensor, *rest)

    def _quickest(self, *given: Any) -> Callable[..., torch.Tensor]:
        rounds = [[_seconds(way, *given) for way in self._ways] for _ in range(_ROUNDS)]
        least = [min(times) for times in zip(*rounds, strict=True)]
        return self._ways[least.index(min(least))] if min(least) < _GAIN * least[0] else self._ways[0]


def _seconds(way: Callable[..., torch.Tensor], *given: Any) -> float:
    began = time.perf_counter()
    way(*given)
    return time.perf_counter() - began


def attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what attention reads, batch x positions x (heads * width), all three batch x heads x positions x width.

    `mask` is False where nothing is to be read.
    """
    is_measured = queries.dtype is torch.bfloat16 and queries.device.type == "cpu"
    return (_bfloat16_attention if is_measured else _fused)(queries, keys, values, mask)


def _fused(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return seen.transpose(1, 2).flatten(2)


def _by_products(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Attend by plain products of oneDNN, a part of the batch at a time so that the weights stay in the cache.

    On AMD's Zen 4 that is faster than PyTorch's own attention; with Intel's AMX it depends on the shape.
    """
    batch, num_heads, positions, width = queries.shape
    some = max(1, WEIGHTS_AT_ONCE // (num_heads * positions**2))
    read = []
    for first in range(0, batch, some):
        rows = slice(first, first + some)
        weights = queries[rows] * width**-0.5 @ keys[rows].transpose(2, 3)
        if mask is not None:
            weights = weights.masked_fill(~mask[rows], -torch.inf)
        read.append((weights.softmax(-1) @ values[rows]).transpose(1, 2).flatten(2))
    return torch.cat(read) if len(read) > 1 else read[0]


_bfloat16_attention = Quickest(_by_products, _fused)


def attend_by_products(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what `scaled_dot_product_attention` does, for few queries; `mask` is what is added to the weights.

    A GPU that is asked for so little is not kept busy by PyTorch's own kernel, and a CPU's is slow in bfloat16.
    """
    weights = queries * queries.shape[-1] ** -0.5 @ keys.transpose(-2, -1)
    read: torch.Tensor = (weights if mask is None else weights + mask).softmax(-1) @ values
    return read
