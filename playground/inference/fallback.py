"""Answers by transformers' own `generate`: for the rules of a checkpoint that `decoding` does not cover.

Slower than a search of ours: each answer is written alone, and its tokens are measured once it is whole.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria
from transformers.modeling_outputs import BaseModelOutput

from playground.checkpoints.plain import Rules
from playground.inference.decoding import Ended, Leading, Measures, News, Written, end_ids
from playground.inference.prepared import PreparedModel


def write_by_generate(
    model: PreparedModel,
    hidden_states: torch.Tensor,
    config: Rules,
    is_stopped: Callable[[], bool],
    tell: Callable[[News], None],
) -> None:
    """Write the one answer to a prompt's hidden states, positions x width, and tell the news of it as answer 0."""
    assert model.generate is not None, "rules that are not covered keep the model whole"
    ids: list[int] = []
    if not is_stopped():
        sequences = model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden_states[None]),
            attention_mask=torch.ones((1, len(hidden_states)), dtype=torch.long, device=hidden_states.device),
            generation_config=config.for_transformers(),
            logits_processor=[_Watcher(lambda leading: tell(Leading(0, leading)))],
            stopping_criteria=[_StopCriterion(is_stopped)],
        )
        start, *ids = sequences[0].tolist()
        while ids and ids[-1] == model.text_config.pad_token_id:
            ids.pop()
        measured = _measure_all(model, hidden_states, [start, *ids], is_stopped)
        for token_id, measures in zip(ids, measured, strict=True):
            tell(Written(0, token_id, measures))
    tell(Ended(0, is_complete=bool(ids) and ids[-1] in end_ids(config)))


def _measure_all(
    model: PreparedModel,
    hidden_states: torch.Tensor,
    ids: Sequence[int],
    is_stopped: Callable[[], bool],
) -> Iterator[Measures]:
    """Yield the measures of the tokens after the first of a known answer, with a step for each."""
    cache = model.decoder.start(hidden_states[None])
    for last, token_id in pairwise(ids):
        if is_stopped():  # measuring a long answer takes seconds, and Stop has promised one
            yield None, None
        else:
            fed, wanted = torch.tensor([[last], [token_id]], device=hidden_states.device)
            measured = model.scores.measured(model.decoder.step(cache, fed), wanted, 1)
            yield model.scores.read(measured, [token_id])[0][0].measures


class _StopCriterion(StoppingCriteria):
    def __init__(self, is_stopped: Callable[[], bool]) -> None:
        self._is_stopped = is_stopped

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:  # noqa: ARG002
        return torch.full((len(input_ids),), self._is_stopped(), dtype=torch.bool, device=input_ids.device)


class _Watcher(LogitsProcessor):
    """Changes nothing; reports the ids of the leading beam at each step."""

    def __init__(self, report: Callable[[tuple[int, ...]], None]) -> None:
        self._report = report

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._report(tuple(input_ids[0, 1:].tolist()))
        return scores
