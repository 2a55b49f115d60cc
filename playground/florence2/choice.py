"""The rules by which the next token of an answer is chosen, in greedy search."""

from collections import defaultdict
from dataclasses import dataclass, field

import torch
from transformers import GenerationConfig

# What a generation config may say for `ChoiceRules` to do the same; the rest is left to `generate`. The second half
# speaks of sampling, of beams, or of lengths that the engine sets itself.
_COVERED = {
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id",
    "no_repeat_ngram_size", "use_cache", "transformers_version", "_from_model_config",
    "num_beams", "early_stopping", "length_penalty", "do_sample", "temperature", "top_k", "top_p", "max_length",
    "max_new_tokens",
}  # fmt: skip


@dataclass
class ChoiceRules:
    """How the next token of one answer is chosen: the most probable, but for what a generation config forbids."""

    start: int
    ends: frozenset[int]
    forced_first: int | None = None
    ngram_size: int = 0
    _ids: list[int] = field(default_factory=list)
    _followers: defaultdict[tuple[int, ...], list[int]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, config: GenerationConfig) -> "ChoiceRules | None":
        """Return the rules of a new answer, or None where the config asks for more than is covered here."""
        if not config.to_diff_dict().keys() <= _COVERED:
            return None
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        ngram_size = config.no_repeat_ngram_size or 0
        return cls(int(config.decoder_start_token_id), frozenset(ends), config.forced_bos_token_id, ngram_size)

    def __post_init__(self) -> None:
        self._take(self.start)

    @property
    def length(self) -> int:
        """How many tokens there are so far, with the one that every answer starts with."""
        return len(self._ids)

    def choose(self, logits: torch.Tensor) -> int:
        """Return the next token, given its logits of shape (vocabulary,), which stay as they are."""
        token_id = self.best(logits)
        self._take(token_id)
        return token_id

    def best(self, logits: torch.Tensor) -> int:
        """Return the most probable token that the rules allow."""
        if self.forced_first is not None and self.length == 1:
            return self.forced_first
        if banned := self._followers.get(self._before()):
            logits = logits.index_fill(0, torch.tensor(banned, device=logits.device), -torch.inf)
        return int(logits.argmax())

    def _take(self, token_id: int) -> None:
        if 0 < self.ngram_size <= len(self._ids) + 1:
            self._followers[self._before()].append(token_id)
        self._ids.append(token_id)

    def _before(self) -> tuple[int, ...]:
        """The tokens that the next one makes an n-gram with."""
        return tuple(self._ids[max(0, len(self._ids) - self.ngram_size + 1) :])
