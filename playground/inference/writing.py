"""Answers while they are written together: who reads each of them, and when nobody wants more.

Knows the prepared model, searches and runs. Knows nothing of pictures, prompts or caches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from playground.checkpoints.plain import Rules
from playground.events import Draft, Finished
from playground.inference.decoding import Ended, Leading, News, Search, Written, beam_search, greedy_search
from playground.inference.detokenizer import Detokenizer
from playground.inference.prepared import PreparedModel
from playground.inference.run import Run


@dataclass(slots=True)
class OpenAnswer:
    """An answer while it is written: whose it is, who reads it, and the hidden states that it answers."""

    run: Run
    reader: Detokenizer
    states: torch.Tensor  # positions x width
    num_known: int  # tokens that the run was told before, and that are the same again
    is_over: bool = False

    def is_stopped(self) -> bool:
        """Whether nobody wants more of it."""
        return self.run.is_stopped

    def tell(self, news: News) -> None:
        """Tell the run; nothing after the end."""
        if self.is_over:
            return
        match news:
            case Written(_, token_id, measures):
                token = self.reader.read(token_id, *measures)
                if self.num_known:
                    self.num_known -= 1
                else:
                    self.run.tell(token)
            case Leading(_, ids):
                self.run.tell(Draft(self.reader.read_anew(ids), self.reader.answer))
            case Ended(_, is_complete):
                is_stopped = self.is_stopped() and not is_complete
                self.is_over = True
                self.run.tell(Finished(not is_complete and not is_stopped, is_stopped, self.reader.answer))


def write_answers(model: PreparedModel, rows: Sequence[OpenAnswer], config: Rules) -> None:
    """Write the answers of all rows together, as the rules say that they are searched for."""
    rules, num_beams = model.rules.of(config), int(config.num_beams)
    num_answers, max_new_tokens = len(rows), int(config.max_new_tokens)
    if rules is None:
        from playground.inference.fallback import write_by_generate  # which needs transformers

        for row in rows:
            write_by_generate(model, row.states, config, row.is_stopped, row.tell)
    elif num_beams == 1:
        search = greedy_search(rules, num_answers=num_answers, max_new_tokens=max_new_tokens)
        _decode(model, rows, search)
    else:
        search = beam_search(rules, config, num_answers=num_answers, max_new_tokens=max_new_tokens)
        _decode(model, rows, search, num_beams=num_beams)


def _decode(model: PreparedModel, rows: Sequence[OpenAnswer], search: Search, *, num_beams: int = 1) -> None:
    """Let a search write the answers: send it candidates until it is over, or none once nobody wants more."""
    choices = model.steps.start(*stack_rows([row.states for row in rows]), num_beams=num_beams)
    step = next(search)
    while step.last_ids:
        for news in step.news:
            rows[news.answer].tell(news)
        step = search.send(choices(step) if are_wanted(rows) else None)
    for news in step.news:
        rows[news.answer].tell(news)


def are_wanted(rows: Sequence[OpenAnswer]) -> bool:
    """Whether somebody wants more; who does not is told the end, and does not wait for the others'."""
    going = [row for row in rows if not row.is_over]
    stopped = [row for row in going if row.is_stopped()]
    if len(stopped) == len(going):
        return False  # the search ends with what it has
    end_answers(stopped)
    return True


def end_answers(rows: Sequence[OpenAnswer]) -> None:
    """Tell of all that they end with what is there."""
    for row in rows:
        row.tell(Ended(row.reader.answer, is_complete=False))


def stack_rows(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return positions x width rows as a batch, and the mask that is False where a shorter one is padded, if any is."""
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    stacked = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    mask = torch.arange(stacked.shape[1], device=lengths.device) < lengths[:, None]
    return stacked, None if mask.all() else mask
