"""The language model of a loaded checkpoint: BART (Lewis et al., 2019), its encoder and its decoder a token at a time.

Computes what transformers' own forward pass computes, with less work around each step. Knows weights and ids; nothing
of pictures, prompts or events.
"""

import copy
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch.nn import functional

from playground.inference.kernels import Check, Make, Preparations, activated, attend, attend_by_products, full, packed
from playground.inference.memory import return_memory

_ENCODER, _DECODER = "model.language_model.encoder", "model.language_model.decoder"
_FIRST_CAPACITY = 64  # positions of a new cache; doubled whenever it is full


class _EncoderLayer:
    """The linear layers and norms of one layer."""

    def __init__(self, module: Any, *, pack: bool) -> None:
        attention, make = module.self_attn, packed if pack else full
        self.self_attn_qkv = make(_join(attention.q_proj, attention.k_proj, attention.v_proj))
        self.self_attn_out = make(attention.out_proj)
        self.self_attn_norm = module.self_attn_layer_norm
        self.fc1 = activated(module.fc1, module.activation_fn, pack=pack)
        self.fc2 = make(module.fc2)
        self.norm = module.final_layer_norm
        return_memory()


class Encoder:
    """The encoder of a checkpoint. `pack`: as of the `VisionTower`."""

    def __init__(self, preparations: Preparations, *, pack: bool) -> None:
        config, make = preparations.weights.config.text_config, partial(_EncoderLayer, pack=pack)
        self._positions = preparations.of(f"{_ENCODER}.embed_positions")
        self._norm = preparations.of(f"{_ENCODER}.layernorm_embedding")
        self._layers = preparations.of_each(
            {f"{_ENCODER}.layers.{layer}": make for layer in range(config.encoder_layers)}
        )
        self._heads = config.encoder_attention_heads

    def __call__(
        self, inputs: torch.Tensor, mask: torch.Tensor | None = None, check: Check = lambda: None
    ) -> torch.Tensor:
        """Return the hidden states, batch x positions x width, of inputs of the same shape.

        `mask` (batch x positions, bool) is False at padding. `check` is called before each layer; what it raises ends
        the pass.
        """
        batch, positions, _ = inputs.shape
        mask = None if mask is None else mask[:, None, None]
        position_embeddings = self._positions(torch.arange(positions, device=inputs.device))
        rows: torch.Tensor = self._norm(inputs + position_embeddings)
        for layer in self._layers:
            check()
            qkv = layer.self_attn_qkv(rows).view(batch, positions, 3, self._heads, -1)
            queries, keys, values = qkv.permute(2, 0, 3, 1, 4)
            rows = layer.self_attn_norm(rows + layer.self_attn_out(attend(queries, keys, values, mask)))
            rows = layer.norm(rows + layer.fc2(layer.fc1(rows)))
        return rows


# Of each layer the keys and the values: layers x 2 x prompts x heads x positions x head width.
Prompts = torch.Tensor | list[torch.Tensor]


class Cache(Protocol):
    """The keys and values of some answers while they are written: those of the prompts, and those of each token.

    Of each prompt there is one, whatever the number of beams that answer it.
    """

    prompts: Prompts
    mask: torch.Tensor | None  # what is added to the attention to the prompts: 0, or -inf where nothing is to be read
    token_mask: torch.Tensor | None  # the same of the tokens
    num_beams: int

    def attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return what the queries of a step read."""

    @property
    def position(self) -> torch.Tensor:
        """The position of the next token."""

    def add(self, layer: int, both: torch.Tensor) -> torch.Tensor:
        """Keep the keys and values of one more token, 2 x batch x heads x head width; return those of all tokens."""

    def end_step(self) -> None:
        """Go on to the next token."""


class GrowingCache(Cache):
    """A cache of as many keys and values as there are tokens."""

    token_mask = None  # all are read

    def __init__(
        self, prompts: list[torch.Tensor], mask: torch.Tensor | None, num_beams: int, dtype: torch.dtype
    ) -> None:
        self.prompts = prompts
        self.mask = mask
        self.num_beams = num_beams
        self._length = 0
        _, num_prompts, heads, _, width = prompts[0].shape
        rows = num_prompts * num_beams
        self._tokens = prompts[0].new_empty(len(prompts), 2, rows, heads, _FIRST_CAPACITY, width, dtype=dtype)

    def attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if keys.dtype is queries.dtype:
            return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return attend_by_products(queries.to(keys.dtype), keys, values, mask).to(queries.dtype)

    @property
    def position(self) -> torch.Tensor:
        return torch.tensor([self._length], device=self._tokens.device)

    def add(self, layer: int, both: torch.Tensor) -> torch.Tensor:
        if self._length == self._tokens.shape[4]:
            self._tokens = torch.cat([self._tokens, torch.empty_like(self._tokens)], 4)
        kept = self._tokens[layer]
        kept[:, :, :, self._length] = both
        return kept[:, :, :, : self._length + 1]

    def end_step(self) -> None:
        self._length += 1

    def reorder(self, parents: Sequence[int]) -> None:
        """Let each row go on from the tokens of another row of the same answer, or of its own."""
        if list(parents) != list(range(len(parents))):
            used = self._tokens[:, :, parents, :, : self._length]
            self._tokens[:, :, :, :, : self._length] = used


class _DecoderLayer:
    """The linear layers and norms of one layer."""

    def __init__(self, module: Any, make: Make, dtype: torch.dtype) -> None:
        self_attn, cross_attn = module.self_attn, module.encoder_attn
        self.self_attn_qkv = make(_join(self_attn.q_proj, self_attn.k_proj, self_attn.v_proj))
        self.self_attn_out = make(self_attn.out_proj)
        self.self_attn_norm = _in_format(module.self_attn_layer_norm, dtype)
        # Once an answer, for hundreds of rows.
        self.cross_attn_kv = _join(cross_attn.k_proj, cross_attn.v_proj)
        self.cross_attn_q = make(cross_attn.q_proj)
        self.cross_attn_out = make(cross_attn.out_proj)
        self.cross_attn_norm = _in_format(module.encoder_attn_layer_norm, dtype)
        self.fc1, self.fc2 = make(module.fc1), make(module.fc2)
        self.activation = module.activation_fn
        self.norm = _in_format(module.final_layer_norm, dtype)
        return_memory()


def _join(*parts: torch.nn.Linear) -> torch.nn.Linear:
    """Return one linear layer in place of several that take the same rows."""
    weight, bias = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
    joined = torch.nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    joined.weight, joined.bias = (torch.nn.Parameter(joint, requires_grad=False) for joint in (weight, bias))
    return joined


def _in_format(norm: torch.nn.LayerNorm, dtype: torch.dtype) -> torch.nn.LayerNorm:
    return norm if norm.weight.dtype is dtype else copy.deepcopy(norm).to(dtype)


class Decoder:
    """The decoder of a checkpoint: its linear layers made by `make`, its rows of `dtype`."""

    def __init__(self, preparations: Preparations, make: Make, dtype: torch.dtype) -> None:
        config = preparations.weights.config.text_config
        self._dtype = dtype
        self._embed = preparations.of(f"{_DECODER}.embed_tokens")
        self._positions = preparations.of(f"{_DECODER}.embed_positions")
        self._norm = preparations.of(f"{_DECODER}.layernorm_embedding", partial(_in_format, dtype=dtype))
        make_layer = partial(_DecoderLayer, make=make, dtype=dtype)
        self._layers = preparations.of_each(
            {f"{_DECODER}.layers.{layer}": make_layer for layer in range(config.decoder_layers)}
        )
        self._heads = config.decoder_attention_heads
        self._output = preparations.of("lm_head", make)
        self.device: torch.device = self._embed.weight.device

    def start(
        self, hidden_states: torch.Tensor, mask: torch.Tensor | None = None, *, num_beams: int = 1
    ) -> GrowingCache:
        """Return the cache of new answers to the hidden states of prompts, batch x positions x width.

        Each answer has `num_beams` rows, one after another. `mask` (batch x positions, bool) is False at the padding of
        shorter prompts.
        """
        prompts = self.prompts(hidden_states)
        added = None if mask is None else prompts[0].new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
        return GrowingCache(prompts, None if added is None else added[:, None, None], num_beams, self._dtype)

    def prompts(self, hidden_states: torch.Tensor) -> list[torch.Tensor]:
        """Return the keys and values of prompts, of each layer 2 x prompts x heads x positions x head width.

        They are of the format of the hidden states: in the half of the bytes of float32 they are read in less time.
        """
        batch, positions, _ = hidden_states.shape
        joined = (layer.cross_attn_kv(hidden_states) for layer in self._layers)
        split = (both.view(batch, positions, 2, self._heads, -1).permute(2, 0, 3, 1, 4) for both in joined)
        return [both.contiguous() for both in split]

    def new_keys(self, rows: int, positions: int) -> torch.Tensor:
        """Return room for keys and values: layers x 2 x rows x heads x positions x head width."""
        width = self._embed.weight.shape[1] // self._heads
        shape = (len(self._layers), 2, rows, self._heads, positions, width)
        return torch.zeros(shape, dtype=self._dtype, device=self.device)

    def cross_attention(self, hidden_states: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return how each token of an answer attends to its prompt, layers x tokens x positions: the mean of the heads.

        `ids` are the tokens that were fed, all at once; `hidden_states` are those of one prompt, positions x width.
        """
        length = len(ids)
        position_embeddings = self._positions(torch.arange(length, device=ids.device))
        rows = self._norm(self._embed(ids).to(self._dtype) + position_embeddings)
        attended = []
        for layer, (keys, values) in zip(self._layers, self.prompts(hidden_states[None]), strict=True):
            qkv = layer.self_attn_qkv(rows).view(length, 3, self._heads, -1)
            queries, own_keys, own_values = qkv.permute(1, 2, 0, 3)
            seen = functional.scaled_dot_product_attention(queries, own_keys, own_values, is_causal=True)
            rows = layer.self_attn_norm(rows + layer.self_attn_out(seen.transpose(0, 1).reshape(length, -1)))
            queries = layer.cross_attn_q(rows).view(length, self._heads, -1).transpose(0, 1).to(keys.dtype)
            weights = (queries @ keys[0].transpose(1, 2) / math.sqrt(queries.shape[-1])).softmax(-1)
            attended.append(weights.float().mean(0))
            read = (weights @ values[0]).transpose(0, 1).reshape(length, -1).to(rows.dtype)
            rows = layer.cross_attn_norm(rows + layer.cross_attn_out(read))
            rows = layer.norm(rows + layer.fc2(layer.activation(layer.fc1(rows))))
        return torch.stack(attended)

    def step(self, cache: Cache, ids: torch.Tensor) -> torch.Tensor:
        """Take the last token of each row, of shape (batch,); return the logits of the next, batch x vocabulary."""
        batch = len(ids)
        rows = self._norm(self._embed(ids).to(self._dtype) + self._positions(cache.position))
        for index, layer in enumerate(self._layers):
            qkv = layer.self_attn_qkv(rows).view(batch, 3, self._heads, -1).transpose(0, 1)
            keys, values = cache.add(index, qkv[1:])
            seen = cache.attend(qkv[0, :, :, None], keys, values, cache.token_mask)
            rows = layer.self_attn_norm(rows + layer.self_attn_out(seen.reshape(batch, -1)))
            # The beams of an answer are queries to the same keys, so that these are read once for all of them.
            queries = layer.cross_attn_q(rows).view(-1, cache.num_beams, self._heads, keys.shape[-1]).transpose(1, 2)
            keys, values = cache.prompts[index]
            seen = cache.attend(queries, keys, values, cache.mask)
            rows = layer.cross_attn_norm(rows + layer.cross_attn_out(seen.transpose(1, 2).reshape(batch, -1)))
            rows = layer.norm(rows + layer.fc2(layer.activation(layer.fc1(rows))))
        cache.end_step()
        logits: torch.Tensor = self._output(rows)
        return logits
