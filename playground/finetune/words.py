"""Words that a checkpoint has never written: tokens whose rows its training left alike.

What never came up is pushed away from all that did, to one place. The table of embeddings is the output projection too:
however the layers change, no such token can be told from the others surely unless its own row is learned.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from playground.checkpoints.loader import LoadedCheckpoint
from playground.finetune.lessons import Lesson

_ALIKE = 0.98  # the cosine of two rows, from which on they are as good as one
_AT_ONCE = 256  # rows that are compared with the table


def words_to_learn(loaded: LoadedCheckpoint, lessons: Sequence[Lesson]) -> dict[int, torch.Tensor]:
    """Return the tokens of lessons that cannot be told from others, each with the row from which it begins.

    That is the mean of the tokens beside them which can.
    """
    table = loaded.model.get_input_embeddings().weight.detach().float()
    used = torch.tensor(sorted(_tokens_of(loaded, lessons)), dtype=torch.long)
    rows = functional.normalize(table, dim=1)
    alike = [_likest(some, rows) > _ALIKE for some in torch.split(used, _AT_ONCE)] if len(used) else []
    is_new = torch.cat(alike) if alike else used.bool()
    known = used[~is_new] if not is_new.all() else used
    return {int(token): table[known].mean(0) for token in used[is_new]}


def _likest(tokens: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return for each token the cosine of the row that is most like its own."""
    cosines = rows[tokens] @ rows.T
    cosines[torch.arange(len(tokens)), tokens] = -1
    return cosines.amax(1)


def _tokens_of(loaded: LoadedCheckpoint, lessons: Sequence[Lesson]) -> set[int]:
    words = {region.label for lesson in lessons for region in lesson.regions}
    words |= {lesson.question.phrase for lesson in lessons}
    words |= {lesson.text for lesson in lessons if lesson.is_answered_by_text or not lesson.regions}
    tokens = {token for word in words if word for token in loaded.tokenizer(word)["input_ids"]}
    return tokens - set(loaded.tokenizer.all_special_ids) - set(loaded.location_ids)
