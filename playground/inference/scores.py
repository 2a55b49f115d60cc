"""From logits to candidates: the most probable tokens of each row and their measures, in one tensor.

Only that tensor is small enough to be read by Python in each step, wherever it was computed.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from playground.inference.decoding import Candidate

# A location token's mass is that within this many bins: half a percent of a side, the width of a line.
BIN_TOLERANCE = 5
_PARTS = 64


class Scores:
    """What is read of logits. `locations` are the ids of the location tokens, bin by bin."""

    def __init__(self, locations: range) -> None:
        self._locations = locations

    def measured(self, logits: torch.Tensor, wanted: torch.Tensor, num_best: int) -> torch.Tensor:
        """Return rows x (1 + num_best) x (id, log-probability, mass): the wanted token of each row, then the best."""
        logits = logits.float()
        logprobs = logits.log_softmax(-1)
        ids = torch.cat([wanted[:, None], _best(logits, min(num_best, logits.shape[1]))], 1)
        around = ids[..., None] + torch.arange(-BIN_TOLERANCE, BIN_TOLERANCE + 1, device=ids.device)
        first, last = self._locations.start, self._locations.stop - 1
        masses = logprobs.gather(1, around.clamp(first, last).flatten(1)).exp().view(around.shape)
        mass = (masses * ((around >= first) & (around <= last))).sum(-1).clamp(max=1)
        return torch.stack([ids.float(), logprobs.gather(1, ids), mass], -1)

    def read(self, measured: torch.Tensor, wanted: Sequence[int | None]) -> list[list[Candidate]]:
        """Return the candidates of each row: the best, or the one that is wanted."""
        rows = measured.tolist()
        return [
            [self._candidate(*one) for one in (best if token_id is None else [first])]
            for (first, *best), token_id in zip(rows, wanted, strict=False)
        ]

    def _candidate(self, number: float, logprob: float, mass: float) -> Candidate:
        token_id = int(number)
        return Candidate(token_id, logprob, mass if token_id in self._locations else None)


def _best(logits: torch.Tensor, count: int) -> torch.Tensor:
    """Return the ids of the most probable tokens of each row, the best first."""
    if count == 1:
        return logits.argmax(-1, keepdim=True)
    return best_of_parts(logits, count) if logits.device.type == "cuda" else logits.topk(count).indices


def best_of_parts(logits: torch.Tensor, count: int) -> torch.Tensor:
    """Return what `topk` does. A GPU searches a row with a few blocks of threads; cut to parts, with many."""
    rows, vocabulary = logits.shape
    parts = functional.pad(logits, (0, -vocabulary % _PARTS), value=-torch.inf).view(rows, _PARTS, -1)
    best, at = parts.topk(min(count, parts.shape[2]))
    ids = at + torch.arange(0, _PARTS * parts.shape[2], parts.shape[2], device=at.device)[:, None]
    return ids.flatten(1).gather(1, best.flatten(1).topk(count).indices)
