"""The language model's passes beside transformers' own: prompts, and one token after another."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from playground.checkpoints.loader import LoadedCheckpoint
from playground.inference.kernels import Preparations, full
from playground.inference.language import Decoder
from playground.inference.prepared import PreparedModel

IDS = [0, 300, 311, 322, 333, 344, 7, 1]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    torch.manual_seed(5)
    with torch.inference_mode():
        yield


@pytest.fixture
def model(loaded: LoadedCheckpoint) -> Any:
    return loaded.model


@pytest.fixture
def states(model: Any) -> torch.Tensor:
    """What stands for the hidden states of two prompts."""
    return torch.randn(2, 30, model.config.text_config.d_model)


@pytest.fixture
def mask() -> torch.Tensor:
    """The second prompt is shorter."""
    mask = torch.ones(2, 30, dtype=torch.bool)
    mask[1, 20:] = False
    return mask


def test_the_hidden_states_are_those_of_transformers(model: Any, prepared: PreparedModel, states: torch.Tensor) -> None:
    expected = model.get_encoder()(inputs_embeds=states).last_hidden_state
    torch.testing.assert_close(prepared.encode_prompts(states), expected)


def test_padding_changes_no_prompt(prepared: PreparedModel, states: torch.Tensor, mask: torch.Tensor) -> None:
    both = prepared.encode_prompts(states, mask)
    torch.testing.assert_close(both[:1], prepared.encode_prompts(states[:1]))
    torch.testing.assert_close(both[1:, :20], prepared.encode_prompts(states[1:, :20]))


def logits_of(
    decoder: Decoder, states: torch.Tensor, ids: Sequence[int], mask: torch.Tensor | None = None
) -> torch.Tensor:
    """The logits after each of the ids, the same for all answers of a batch: batch x ids x vocabulary."""
    cache = decoder.start(states, mask)
    return torch.stack([decoder.step(cache, torch.full((len(states),), token_id)) for token_id in ids], 1)


def test_a_token_after_another_gives_the_logits_of_all_at_once(
    model: Any, loaded: LoadedCheckpoint, states: torch.Tensor
) -> None:
    ids = (IDS * 20)[:130]  # so many that the cache grows more than once
    found = logits_of(Decoder(Preparations(loaded.weights), full, torch.float32), states, ids)
    decoder = model.model.language_model.decoder
    expected = model.lm_head(decoder(torch.tensor([ids, ids]), encoder_hidden_states=states).last_hidden_state)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_shorter_prompt_in_a_batch_is_answered_as_alone(
    loaded: LoadedCheckpoint, states: torch.Tensor, mask: torch.Tensor
) -> None:
    decoder = Decoder(Preparations(loaded.weights), full, torch.float32)
    both = logits_of(decoder, states, IDS, mask)
    torch.testing.assert_close(both[:1], logits_of(decoder, states[:1], IDS), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both[1:], logits_of(decoder, states[1:, :20], IDS), rtol=1e-4, atol=1e-4)


def test_beams_of_an_answer_are_answered_as_answers_of_their_own(
    loaded: LoadedCheckpoint, states: torch.Tensor, mask: torch.Tensor
) -> None:
    decoder = Decoder(Preparations(loaded.weights), full, torch.float32)
    beams = torch.tensor([[300, 311, 322, 333, 344, 355], [7, 8, 9, 10, 11, 12], [20, 21, 22, 23, 24, 25]])
    parents = [1, 1, 0, 5, 3, 4]  # of an answer's three rows, each goes on from another one
    cache = decoder.start(states, mask, num_beams=3)
    decoder.step(cache, beams[0])
    decoder.step(cache, beams[1])
    cache.reorder(parents)
    found = decoder.step(cache, beams[2])
    for row, parent in enumerate(parents):
        answer = row // 3
        alone = decoder.start(states[answer : answer + 1, mask[answer]])
        for ids in (beams[0, parent], beams[1, parent]):
            decoder.step(alone, ids[None])
        torch.testing.assert_close(found[row : row + 1], decoder.step(alone, beams[2, row, None]), rtol=1e-4, atol=1e-4)


def test_the_attention_to_the_prompt_is_that_of_transformers(
    fresh: LoadedCheckpoint, prepared: PreparedModel, states: torch.Tensor
) -> None:
    fresh.model.set_attn_implementation("eager")  # the others return no attention
    model, ids = fresh.model.model.language_model, torch.tensor([IDS])
    said = model.decoder(input_ids=ids, encoder_hidden_states=states[:1], output_attentions=True)
    expected = torch.stack([layer[0].mean(0) for layer in said.cross_attentions])
    torch.testing.assert_close(prepared.decoder.cross_attention(states[0], ids[0]), expected)
