"""How answers are decoded: the rules of a generation config, greedy and beam search.

Does what transformers' `generate` does, for the rules that Florence-2's checkpoints come with. The searches are
generators over candidates: they yield the last token of each row, are sent the best candidates for the next one, and
know neither model nor thread.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from playground.checkpoints.plain import Rules

# The fields of a generation config that `DecodingRules` and the searches follow; a config with others is left to
# `generate`. Those of the last line do nothing without sampling, or are set by the engine.
_COVERED = {
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id",
    "no_repeat_ngram_size", "num_beams", "early_stopping", "length_penalty", "use_cache", "transformers_version",
    "_from_model_config", "do_sample", "temperature", "top_k", "top_p", "max_length", "max_new_tokens",
}  # fmt: skip

_NO_CHANCE = -1e9  # the score at the start of all beams but the first, which are its copies; as in `generate`


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """What a generation config allows. An answer is a sequence of ids that begins with `start` and ends with an end."""

    start: int
    ends: frozenset[int]
    forced_first: int | None = None
    ngram_size: int = 0  # an n-gram of this size is never repeated; 0: it may be

    @classmethod
    def of(cls, config: Rules) -> "DecodingRules | None":
        """Return the rules of a config, or None where it asks for more than is covered here."""
        start, ends = config.decoder_start_token_id, end_ids(config)
        if not config.to_diff_dict().keys() <= _COVERED or config.early_stopping == "never":
            return None
        if start is None or not ends or config.forced_bos_token_id in ends:
            return None
        return cls(start, ends, config.forced_bos_token_id, config.no_repeat_ngram_size or 0)

    def forced(self, ids: Sequence[int]) -> int | None:
        """Return the one token that may come next, where there is one: its score is 0 then."""
        return self.forced_first if len(ids) == 1 else None

    def banned(self, ids: Sequence[int]) -> list[int]:
        """Return the tokens that may not come next: those that would repeat an n-gram. A forced one always may."""
        before = self.ngram_size - 1
        if before < 0 or self.forced(ids) is not None:
            return []
        last = list(ids[len(ids) - before :])
        ends: Sequence[int] = range(before, len(ids))
        if last:  # most places are ruled out by one token, without a slice
            ends = [at for at in ends if ids[at - 1] == last[-1]]
        return [ids[at] for at in ends if list(ids[at - before : at]) == last]


def end_ids(config: Rules) -> frozenset[int]:
    """Return the tokens that end an answer."""
    ends = config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


Measures = tuple[float | None, float | None]  # a token's log-probability, and for a location the mass around its bin


class Candidate(NamedTuple):
    """A token that may come next in a row, and how sure the model is of it."""

    token_id: int
    logprob: float
    mass: float | None = None  # of a location: the probability of the bins around it

    @property
    def measures(self) -> Measures:
        return self.logprob, self.mass


# --- What a search yields


@dataclass(frozen=True, slots=True)
class Written:
    """One more token of an answer, for good."""

    answer: int
    token_id: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Leading:
    """The leading beam of an answer, whole, without its start token. Another one may win."""

    answer: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer has ended. It is complete if an end token says so, not if it was cut or stopped."""

    answer: int
    is_complete: bool


News = Written | Leading | Ended


@dataclass(frozen=True, slots=True)
class Step:
    """What is new, and the rows to decode next: the last token of each, and the row that it continues.

    A row's `wanted` token is the one candidate that is asked for; where it is None, as many as `num_best` are, the most
    probable of all. A step without rows is the last one.
    """

    news: Sequence[News]
    last_ids: Sequence[int] = ()
    parents: Sequence[int] = ()
    wanted: Sequence[int | None] = ()
    num_best: int = 1


# A search is sent the candidates of each step's rows, the most probable first, or None to end with what there is.
Search = Generator[Step, Sequence[Sequence[Candidate]] | None, None]


def greedy_search(rules: DecodingRules, *, num_answers: int, max_new_tokens: int) -> Search:
    """Write several answers at the same time, a row each, always with the most probable token."""
    written = [[rules.start] for _ in range(num_answers)]
    rows = unfinished = list(range(num_answers))
    news: list[News] = []
    for _ in range(max_new_tokens):
        banned = [rules.banned(ids) for ids in written]
        wanted = [rules.forced(ids) for ids in written]
        found = yield Step(news, [ids[-1] for ids in written], rows, wanted, 1 + max(map(len, banned)))
        news = []
        if found is None:
            break
        for answer in unfinished:
            chosen = next(one for one in found[answer] if one.token_id not in banned[answer])
            written[answer].append(chosen.token_id)
            news.append(Written(answer, chosen.token_id, chosen.measures))
            if chosen.token_id in rules.ends:
                news.append(Ended(answer, is_complete=True))
        unfinished = [answer for answer in unfinished if written[answer][-1] not in rules.ends]
        if not unfinished:
            break
    yield Step([*news, *(Ended(answer, is_complete=False) for answer in unfinished)])


def beam_search(rules: DecodingRules, config: Rules, *, num_answers: int, max_new_tokens: int) -> Search:
    """Write several answers at the same time, `config.num_beams` rows each, one after another.

    An answer's tokens are known once it has ended; until then its leading beam is.
    """
    beams = [_Beams(rules, config) for _ in range(num_answers)]
    rows = [list(range(answer * one.width, (answer + 1) * one.width)) for answer, one in enumerate(beams)]
    parents, unfinished = list(rows), list(range(num_answers))
    news: list[News] = []
    for step in range(max_new_tokens):
        news += [Leading(answer, beams[answer].running[0].ids[1:]) for answer in unfinished]
        running = [beam.ids for one in beams for beam in one.running]
        banned = [rules.banned(ids) for ids in running]
        found = yield Step(
            news,
            [ids[-1] for ids in running],
            list(chain(*parents)),
            [rules.forced(ids) for ids in running],
            beams[0].num_candidates + max(map(len, banned)),
        )
        news, parents = [], list(rows)
        for answer in unfinished:
            if found is None:
                beams[answer].give_up()
            else:
                allowed = [[one for one in found[row] if one.token_id not in banned[row]] for row in rows[answer]]
                grown_from = beams[answer].advance(allowed, is_last=step == max_new_tokens - 1)
                parents[answer] = [rows[answer][beam] for beam in grown_from]
            if beams[answer].is_done:
                news += _whole(answer, beams[answer].best, rules)
        unfinished = [answer for answer in unfinished if not beams[answer].is_done]
        if not unfinished:
            break
    yield Step(news)


def _whole(answer: int, beam: "Beam", rules: DecodingRules) -> list[News]:
    """Return the news of an answer that is known at once."""
    tokens = [Written(answer, *token) for token in zip(beam.ids[1:], beam.measures, strict=True)]
    return [*tokens, Ended(answer, is_complete=bool(tokens) and beam.ids[-1] in rules.ends)]


# --- Beams


@dataclass(frozen=True, slots=True)
class Beam:
    """An answer so far, with its start token. `score` is the sum of its log-probabilities; a forced token adds none."""

    ids: tuple[int, ...]
    score: float
    measures: tuple[Measures, ...] = ()  # of each token after the first

    def rank(self, length_penalty: float) -> float:
        """The score by which answers of different lengths are compared."""
        return float(self.score / max(1, len(self.ids) - 1) ** length_penalty)


class _Beams:
    """The search for one answer: the best of several that are followed at the same time."""

    def __init__(self, rules: DecodingRules, config: Rules) -> None:
        self._rules = rules
        self.width = int(config.num_beams)
        self.num_candidates = max(2, 1 + len(rules.ends)) * self.width  # enough, even where many of them end
        self._length_penalty = 1.0 if config.length_penalty is None else float(config.length_penalty)
        self._ends_early = config.early_stopping is True
        copy = Beam((rules.start,), _NO_CHANCE)
        self.running = [Beam((rules.start,), 0.0), *[copy] * (self.width - 1)]  # the most probable first
        self._ended: list[Beam] = []
        self._is_over = False

    @property
    def best(self) -> Beam:
        """The best of the answers that have ended."""
        return self._ended[0]

    @property
    def is_done(self) -> bool:
        """Whether no better answer can be expected."""
        if self._is_over or len(self._ended) < self.width:
            return self._is_over
        is_last = self._ends_early or not self.running  # a forced end ends them all
        return is_last or self._rank(self.running[0]) <= self._rank(self._ended[-1])

    def advance(self, found: Sequence[Sequence[Candidate]], *, is_last: bool) -> list[int]:
        """Extend the beams by a token, given the candidates of each that are allowed.

        Returns for each beam the index of the one that it extends. The last step ends the search.
        """
        beams = self.running

        def grown(score: float, parent: int, chosen: Candidate) -> Beam:
            beam = beams[parent]
            return Beam((*beam.ids, chosen.token_id), score, (*beam.measures, chosen.measures))

        candidates = [
            (_sum(beam.score, 0.0 if self._rules.forced(beam.ids) is not None else one.logprob), parent, one)
            for parent, beam in enumerate(beams)
            for one in found[parent]
        ]
        candidates = sorted(candidates, key=lambda c: c[0], reverse=True)[: self.num_candidates]
        ending = [c for c in candidates[: self.width] if is_last or c[2].token_id in self._rules.ends]
        going_on = [c for c in candidates if c[2].token_id not in self._rules.ends][: self.width]
        # Sorting keeps the order of equals: among them, the first one that was found stays.
        ended = sorted([*self._ended, *(grown(*c) for c in ending)], key=self._rank, reverse=True)
        self._ended = ended[: self.width]
        self.running = [grown(*c) for c in going_on]
        self._is_over = is_last
        return [parent for _, parent, _ in going_on]

    def give_up(self) -> None:
        """End the search: the best is what has ended, or what leads."""
        self._ended = sorted([*self._ended, *self.running], key=self._rank, reverse=True)
        self._is_over = True

    def _rank(self, beam: Beam) -> float:
        return beam.rank(self._length_penalty)


def _sum(score: float, logprob: float) -> float:
    """Add as `generate` does, in 32 bits, in which near scores may be equal."""
    return float(np.float32(score) + np.float32(logprob))
