"""Products with the weights of a linear layer, prepared once in the way that is fastest for a processor and a use.

Each maker takes a layer and returns what to call with rows, of shape (..., inputs), for rows of shape (..., outputs).
"""

from collections.abc import Callable

import torch
from transformers.activations import GELUActivation

Product = Callable[[torch.Tensor], torch.Tensor]
Make = Callable[[torch.nn.Linear], Product]

_ROWS_AT_ONCE = 4096  # that are rounded, so that the output projection is not held in float32
_ROWS_HINT = 2304  # how many rows oneDNN packs for: the third stage of the vision tower, where most of the work is


def full(linear: torch.nn.Linear) -> Product:
    """Return the layer itself."""
    return linear


def packed(linear: torch.nn.Linear) -> Product:
    """Return the product of bfloat16 on a CPU, with weights in oneDNN's own order, else made anew in each call.

    The layer gives its weights up, so that they are not held twice: from then on only the product can be called.
    """
    return _packed(linear, "none")


def activated(linear: torch.nn.Linear, activation: Callable[[torch.Tensor], torch.Tensor], *, pack: bool) -> Product:
    """Return the product, packed or not, with an activation after it; GELU while the results are in the cache."""
    if pack and isinstance(activation, GELUActivation):
        return _packed(linear, "gelu")
    product = packed(linear) if pack else full(linear)
    return lambda rows: activation(product(rows))


def _packed(linear: torch.nn.Linear, after: str) -> Product:
    operations = torch.ops.mkldnn
    weight, bias = operations._reorder_linear_weight(linear.weight.detach(), _ROWS_HINT), linear.bias
    linear.register_parameter("weight", None)
    return lambda rows: operations._linear_pointwise(rows, weight, bias, after, [], "none")  # "none": the exact GELU


def int8(linear: torch.nn.Linear) -> Product:
    """Return the product with weights of 8 bits and a scale for each output, which reads half of the memory.

    Only the weights are rounded, to 1/127 of the largest of their output. It is for a few rows; they are bfloat16.
    """
    weight, bias = linear.weight.detach(), linear.bias
    scales = weight.abs().amax(1).float().clamp(min=1e-12) / 127
    rounded = torch.empty_like(weight, dtype=torch.int8)
    for first in range(0, len(weight), _ROWS_AT_ONCE):
        some = slice(first, first + _ROWS_AT_ONCE)
        rounded[some] = (weight[some].float() / scales[some, None]).round()
    scales = scales.bfloat16()

    def product(rows: torch.Tensor) -> torch.Tensor:
        products = torch._weight_int8pack_mm(rows.bfloat16(), rounded, scales).to(rows.dtype)
        return products if bias is None else products + bias

    return product
