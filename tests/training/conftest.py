"""What the tests of the training share."""

from collections.abc import Iterator

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from playground.training.tokenizer import train_tokenizer


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute in one thread: two are hardly faster for a model as small, and wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that is learned for the tests; that of the bundled checkpoint was learned once and for all."""
    return train_tokenizer()
