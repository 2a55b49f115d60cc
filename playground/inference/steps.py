"""Answers while they are written, a token of each at a time: a search's step to the candidates for the next one.

Two ways with the same results. `GrowingSteps` keeps as many keys and values as there are tokens. `StaticSteps` keeps
shapes and addresses the same from one step to the next, so that a GPU can repeat what it has recorded of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch

from playground.inference.decoding import Candidate, Step
from playground.inference.graphs import new_pool, recorded
from playground.inference.kernels import attend_by_products
from playground.inference.language import Cache, Decoder, GrowingCache, Prompts
from playground.inference.scores import Scores

_NUM_BEST = 32  # candidates of a row that are recorded; more are needed in an answer full of repetition
_PROMPT_STEP = 128  # to a multiple of which prompts are padded, so that there are few recordings
_FIRST_CAPACITY = 64  # tokens of an answer; doubled whenever it is full
_FIRST_ROWS = 4  # for which there is memory from the first answer on; more rows need more, and new recordings

Writing = Callable[[Step], list[list[Candidate]]]  # takes a search's steps; returns the candidates of each of its rows


class DecodingSteps(Protocol):
    """How answers are written."""

    def start(self, states: torch.Tensor, mask: torch.Tensor | None = None, *, num_beams: int = 1) -> Writing:
        """Begin answers to the hidden states of prompts; see `Decoder.start`."""


class GrowingSteps:
    """Steps whose keys and values grow with the answers."""

    def __init__(self, decoder: Decoder, scores: Scores) -> None:
        self._decoder = decoder
        self._scores = scores

    def start(self, states: torch.Tensor, mask: torch.Tensor | None = None, *, num_beams: int = 1) -> Writing:
        """Begin answers to the hidden states of prompts; see `Decoder.start`."""
        return partial(self._advance, self._decoder.start(states, mask, num_beams=num_beams))

    def _advance(self, cache: GrowingCache, step: Step) -> list[list[Candidate]]:
        cache.reorder(step.parents)
        told = torch.tensor([step.last_ids, _ids(step.wanted)], device=self._decoder.device)
        measured = self._scores.measured(self._decoder.step(cache, told[0]), told[1], step.num_best)
        return self._scores.read(measured, step.wanted)


def _ids(wanted: Sequence[int | None]) -> list[int]:
    return [token_id or 0 for token_id in wanted]


# --- The same shapes and addresses in each step


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a step is recorded for."""

    num_prompts: int
    num_beams: int
    prompt_positions: int
    tokens: int

    @property
    def num_rows(self) -> int:
        return self.num_prompts * self.num_beams


class _Memory:
    """Keys and values at fixed places, for as many rows as there may be, and what a step is told."""

    def __init__(self, decoder: Decoder, max_rows: int, prompt_positions: int, tokens: int) -> None:
        self.max_rows = max_rows
        self.prompts = decoder.new_keys(max_rows, prompt_positions)
        self.mask = self.prompts.new_zeros(max_rows, 1, 1, prompt_positions)
        self.tokens = decoder.new_keys(max_rows, tokens)
        self._told = torch.zeros(4, max_rows, dtype=torch.long, device=decoder.device)
        self.position, self.last_ids, self.parents, self.wanted = self._told[0, :1], *self._told[1:]

    def tell(self, position: int, last_ids: Sequence[int], parents: Sequence[int], wanted: Sequence[int]) -> None:
        """Say what differs in the next step."""
        rest = [0] * (self._told.shape[1] - len(last_ids))
        told = [[position] * self._told.shape[1], [*last_ids, *rest], [*parents, *rest], [*wanted, *rest]]
        self._told.copy_(torch.tensor(told))

    def keep(self, prompts: Prompts, mask: torch.Tensor | None, shape: _Shape) -> None:
        """Keep the keys and values of prompts. What an answer before has left may not be a number, so it goes."""
        self.tokens[:, :, : shape.num_rows].zero_()
        self.mask[: shape.num_prompts] = -torch.inf
        self.mask[: shape.num_prompts, ..., 0] = 0  # of rows that no prompt fills: attention to nothing is no number
        for kept, both in zip(self.prompts, prompts, strict=True):
            num_prompts, positions = both.shape[1], both.shape[3]
            kept[:, :num_prompts, :, :positions] = both
        self.mask[:num_prompts, ..., :positions] = 0
        if mask is not None:
            self.mask[:num_prompts, ..., :positions].masked_fill_(~mask[:, None, None], -torch.inf)


class _StaticCache(Cache):
    """A cache in memory at fixed places. What is not written yet is masked."""

    attend = staticmethod(attend_by_products)

    def __init__(self, memory: _Memory, shape: _Shape) -> None:
        self.num_beams = shape.num_beams
        self.prompts = memory.prompts[:, :, : shape.num_prompts, :, : shape.prompt_positions]
        self.mask = memory.mask[: shape.num_prompts, ..., : shape.prompt_positions]
        self._position = memory.position
        is_later = torch.arange(shape.tokens, device=self.mask.device) > memory.position
        self.token_mask = self.mask.new_zeros(1, 1, 1, shape.tokens).masked_fill(is_later, -torch.inf)
        self._tokens = memory.tokens[:, :, : shape.num_rows, :, : shape.tokens]
        if shape.num_beams > 1:  # else each row goes on from itself
            self._tokens.copy_(self._tokens.index_select(2, memory.parents[: shape.num_rows]))

    @property
    def position(self) -> torch.Tensor:
        return self._position

    def add(self, layer: int, both: torch.Tensor) -> torch.Tensor:
        kept = self._tokens[layer]
        return kept.index_copy_(3, self._position, both[:, :, :, None])

    def end_step(self) -> None:
        pass  # the position is told from outside


class StaticSteps:
    """Steps of the same shapes and addresses, recorded at the first use of each shape. Not for two runs at a time.

    The memory grows with the most rows that were written at the same time, and stays below what the three bounds say.
    """

    def __init__(self, decoder: Decoder, scores: Scores, *, max_rows: int, prompt_positions: int, tokens: int) -> None:
        self._decoder = decoder
        self._scores = scores
        self._bounds = (max_rows, prompt_positions, tokens)
        self._memory: _Memory | None = None
        self._acts: dict[_Shape, Callable[[], tuple[torch.Tensor, torch.Tensor]]] = {}
        self._pool: Any = None

    def start(self, states: torch.Tensor, mask: torch.Tensor | None = None, *, num_beams: int = 1) -> Writing:
        """Begin answers to the hidden states of prompts; see `Decoder.start`."""
        max_rows, max_positions, max_tokens = self._bounds
        num_prompts, positions, _ = states.shape
        shape = _Shape(
            max(num_prompts, min(1 << (num_prompts - 1).bit_length(), max_rows // num_beams)),
            num_beams,
            min(-(-positions // _PROMPT_STEP) * _PROMPT_STEP, max_positions),
            min(_FIRST_CAPACITY, max_tokens),
        )
        if self._memory is None or self._memory.max_rows < shape.num_rows:
            self._acts, self._pool = {}, None  # they write to the memory that is given up
            self._memory = _Memory(self._decoder, max(_FIRST_ROWS, shape.num_rows), max_positions, max_tokens)
        self._memory.keep(self._decoder.prompts(states), mask, shape)
        return _StaticWriting(self._memory, shape, self._do)

    def _do(self, memory: _Memory, shape: _Shape, position: int, step: Step) -> list[list[Candidate]]:
        if shape not in self._acts:
            self._acts[shape] = self._record(memory, shape, position)
        memory.tell(position, step.last_ids, step.parents, _ids(step.wanted))
        measured, logits = self._acts[shape]()
        if step.num_best > _NUM_BEST:
            measured = self._scores.measured(logits, memory.wanted[: shape.num_rows], step.num_best)
        return self._scores.read(measured[: len(step.wanted), : 1 + step.num_best], step.wanted)

    def _record(self, memory: _Memory, shape: _Shape, position: int) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        def act() -> tuple[torch.Tensor, torch.Tensor]:
            logits = self._decoder.step(_StaticCache(memory, shape), memory.last_ids[: shape.num_rows])
            return self._scores.measured(logits, memory.wanted[: shape.num_rows], _NUM_BEST), logits

        # A recording calls it once: each row goes on from itself, and what is written at the position is not kept.
        memory.tell(position, [0] * shape.num_rows, range(shape.num_rows), [0] * shape.num_rows)
        self._pool = self._pool or new_pool(self._decoder.device)
        return recorded(act, self._decoder.device, self._pool)


class _StaticWriting:
    """How long some answers are, and the shape that they need."""

    def __init__(self, memory: _Memory, shape: _Shape, do: Callable[[_Memory, _Shape, int, Step], Any]) -> None:
        self._memory, self._shape, self._do = memory, shape, do
        self._length = 0

    def __call__(self, step: Step) -> list[list[Candidate]]:
        if self._length == self._shape.tokens:
            self._shape = replace(self._shape, tokens=min(2 * self._length, self._memory.tokens.shape[4]))
        found: list[list[Candidate]] = self._do(self._memory, self._shape, self._length, step)
        self._length += 1
        return found
