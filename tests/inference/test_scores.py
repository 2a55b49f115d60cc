"""What is read of logits, cut to parts as for a GPU too."""

import pytest
import torch

from playground.inference import scores


@pytest.mark.parametrize(("vocabulary", "count"), [(1000, 3), (901, 32), (40, 7)])
def test_the_best_of_parts_are_the_best(vocabulary: int, count: int) -> None:
    torch.manual_seed(5)
    logits = torch.randn(3, vocabulary)
    logits[1] = -torch.arange(vocabulary)  # all of the best in the first part
    assert torch.equal(scores.best_of_parts(logits, count), logits.topk(count).indices)
