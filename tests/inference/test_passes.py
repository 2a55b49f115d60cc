"""The passes beside transformers' own: pictures, prompts, tokens, and how the next token is chosen."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import GenerationConfig
from transformers.activations import ACT2FN
from transformers.generation import LogitsProcessorList, NoRepeatNGramLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from playground.checkpoints.loader import LoadedCheckpoint
from playground.inference.decoding import BeamSearch, ChoiceRules
from playground.inference.kernels import activated, attend, full, int8, packed
from playground.inference.language import Decoder
from playground.inference.prepared import Forward
from playground.inference.vision import pixel_values
from playground.scenes.scene import Scene

IDS = [0, 300, 311, 322, 333, 344, 7, 1]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    torch.manual_seed(5)
    with torch.inference_mode():
        yield


@pytest.fixture
def model(loaded: LoadedCheckpoint) -> Any:
    return loaded.model


def ignore() -> None:
    """Never ends a pass."""


def hidden_states(model: Any, batch: int, positions: int) -> torch.Tensor:
    return torch.randn(batch, positions, model.config.text_config.d_model)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


# --- Pictures


@pytest.mark.parametrize(
    "side_hw",
    [
        pytest.param((160, 160), id="windows that fit"),
        pytest.param((136, 176), id="windows beyond the edges"),
    ],
)
def test_the_features_are_those_of_transformers(model: Any, side_hw: tuple[int, int]) -> None:
    pictures = torch.randn(2, 3, *side_hw)
    expected = model.get_image_features(pictures).pooler_output
    torch.testing.assert_close(Forward(model, eight_bits=False).encode_images(pictures, ignore), expected)


@pytest.mark.parametrize("resolution_wh", [(640, 480), (3, 5), (1000, 100)])
def test_the_pixels_are_those_of_the_processor(loaded: LoadedCheckpoint, resolution_wh: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*resolution_wh[::-1], 3), np.uint8)
    picture, processor = Image.fromarray(noise), loaded.image_processor
    expected = processor(images=picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixel_values(picture, processor), expected, rtol=0, atol=1e-5)
    cropping = copy.deepcopy(processor)
    cropping.do_center_crop = True
    cropping.crop_size = {"height": 100, "width": 100}
    assert pixel_values(picture, cropping).shape == (1, 3, 100, 100)


def test_a_pass_may_be_ended_before_any_step(model: Any) -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    Forward(model, eight_bits=False).encode_images(torch.randn(1, 3, 160, 160), count)
    num_blocks = 2 * sum(model.config.vision_config.depths)
    assert calls > 3 * num_blocks


# --- Prompts


def test_the_hidden_states_are_those_of_transformers(model: Any) -> None:
    inputs = hidden_states(model, 2, 30)
    expected = model.get_encoder()(inputs_embeds=inputs).last_hidden_state
    torch.testing.assert_close(Forward(model, eight_bits=False).encode_prompts(inputs, None, ignore), expected)


def test_padding_changes_no_prompt(model: Any) -> None:
    forward = Forward(model, eight_bits=False)
    inputs = hidden_states(model, 2, 30)
    mask = torch.ones(2, 30, dtype=torch.bool)
    mask[1, 20:] = False
    both = forward.encode_prompts(inputs, mask, ignore)
    torch.testing.assert_close(both[:1], forward.encode_prompts(inputs[:1], None, ignore))
    torch.testing.assert_close(both[1:, :20], forward.encode_prompts(inputs[1:, :20], None, ignore))


# --- Tokens


def logits_of(decoder: Decoder, states: torch.Tensor, ids: list[int], mask: torch.Tensor | None = None) -> torch.Tensor:
    """The logits after each of the ids, the same for all answers of a batch: batch x ids x vocabulary."""
    cache = decoder.start(states, mask)
    return torch.stack([decoder.step(cache, torch.full((len(states),), token_id)) for token_id in ids], 1)


def test_a_token_after_another_gives_the_logits_of_all_at_once(model: Any) -> None:
    states = hidden_states(model, 2, 30)
    num_tokens = model.config.text_config.max_position_embeddings
    ids = (IDS * num_tokens)[:num_tokens]  # as many as there are positions: the cache grows more than once
    found = logits_of(Decoder(model, full, torch.float32), states, ids)
    decoder = model.model.language_model.decoder
    expected = model.lm_head(decoder(torch.tensor([ids, ids]), encoder_hidden_states=states).last_hidden_state)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_shorter_prompt_in_a_batch_is_answered_as_alone(model: Any) -> None:
    decoder, states = Decoder(model, full, torch.float32), hidden_states(model, 2, 30)
    mask = torch.ones(2, 30, dtype=torch.bool)
    mask[1, 20:] = False
    both = logits_of(decoder, states, IDS, mask)
    torch.testing.assert_close(both[:1], logits_of(decoder, states[:1], IDS), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both[1:], logits_of(decoder, states[1:, :20], IDS), rtol=1e-4, atol=1e-4)


# --- Products


def test_packed_products_are_those_of_the_layer() -> None:
    layer = torch.nn.Linear(96, 160).bfloat16()
    rows = torch.randn(70, 96).bfloat16()
    gelu, expected = ACT2FN["gelu"], layer(rows)
    assert torch.equal(activated(layer, torch.relu, pack=False)(rows), torch.relu(expected))
    assert relative_error(packed(copy.deepcopy(layer))(rows), expected) < 1e-3
    assert relative_error(activated(copy.deepcopy(layer), torch.relu, pack=True)(rows), torch.relu(expected)) < 1e-3
    assert relative_error(activated(layer, gelu, pack=True)(rows), gelu(expected)) < 5e-3
    assert layer.weight is None  # not held twice


@pytest.mark.parametrize("has_bias", [True, False])
def test_weights_of_eight_bits_are_off_by_less_than_a_hundredth(has_bias: bool) -> None:
    layer = torch.nn.Linear(768, 320, bias=has_bias)
    rows = torch.randn(3, 768)
    assert relative_error(int8(layer)(rows), layer(rows)) < 0.012
    layer.weight.data[7] = 0  # an output that is always 0 has no largest weight to round to
    assert int8(layer)(rows)[:, 7].tolist() == pytest.approx([float(layer(rows)[0, 7])] * 3, abs=1e-3)


def test_many_outputs_are_off_by_no_more_than_their_weights() -> None:
    layer = torch.nn.Linear(96, 20_000, bias=False)
    rounded = copy.deepcopy(layer)
    scales = layer.weight.abs().amax(1, keepdim=True) / 127
    rounded.weight = torch.nn.Parameter((layer.weight / scales).round() * scales)
    rows = torch.randn(3, 96) * torch.tensor([[1.0], [30.0], [0.0]])
    # In bfloat16 the rows alone would be off by 0.002, which is what a processor without such integers has.
    bound = 1e-3 if torch.cpu.get_capabilities().get("avx512_vnni") else 5e-3
    assert relative_error(int8(layer)(rows)[0], rounded(rows)[0]) < bound
    assert relative_error(int8(layer)(rows)[1], rounded(rows)[1]) < bound
    assert not int8(layer)(torch.zeros(1, 96)).any()


@pytest.mark.parametrize("batch", [1, 5])
def test_attention_in_bfloat16_is_attention(batch: int) -> None:
    queries, keys, values = torch.randn(3, batch, 4, 400, 32)
    mask = torch.ones(batch, 1, 1, 400, dtype=torch.bool)
    mask[-1, ..., 300:] = False
    for given in (None, mask):
        exact = attend(queries, keys, values, given)
        less = attend(queries.bfloat16(), keys.bfloat16(), values.bfloat16(), given)
        assert less.shape == (batch, 400, 128)
        assert relative_error(less, exact) < 0.01


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_bf16"), reason="this processor has no bfloat16")
def test_fewer_bits_keep_the_answer(model: Any, processor: Any, scene: Scene) -> None:
    exact = Forward(model, eight_bits=False)
    less = Forward(copy.deepcopy(model).bfloat16(), eight_bits=True)
    asked = processor(images=scene.image, text="<OD>", return_tensors="pt")
    features = exact.encode_images(asked["pixel_values"], ignore)
    assert relative_error(less.encode_images(asked["pixel_values"], ignore), features) < 0.01
    prompt = model.get_input_embeddings()(asked["input_ids"])
    prompt[asked["input_ids"] == model.config.image_token_id] = features.flatten(0, 1)
    states = exact.encode_prompts(prompt, None, ignore)
    assert relative_error(less.encode_prompts(prompt.bfloat16(), None, ignore), states) < 0.01
    found = logits_of(less.decoder, states.bfloat16(), IDS)
    assert relative_error(found, logits_of(exact.decoder, states, IDS)) < 0.03


# --- The choice


def config(**rules: Any) -> GenerationConfig:
    return GenerationConfig(**{"decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, **rules})


@pytest.mark.parametrize("ngram_size", [0, 1, 2, 3])
def test_an_ngram_is_never_repeated(ngram_size: int) -> None:
    rules = ChoiceRules.of(config(no_repeat_ngram_size=ngram_size))
    assert rules is not None
    theirs = LogitsProcessorList([NoRepeatNGramLogitsProcessor(ngram_size)] if ngram_size else [])
    ids = [2]
    for _ in range(8):
        logits = torch.randn(9) + torch.tensor([0.0, 0, 0, 0, 0, 5, 5, 0, 0])  # two tokens that want to come back
        expected = int(theirs(torch.tensor([ids]), logits[None].clone()).argmax())
        ids.append(rules.choose(ids, logits))
        assert ids[-1] == expected


def test_the_first_token_may_be_forced() -> None:
    rules = ChoiceRules.of(config(forced_bos_token_id=4))
    assert rules is not None
    assert [rules.choose(ids, torch.arange(9.0)) for ids in ([2], [2, 4])] == [4, 8]


def test_an_answer_may_have_several_ends() -> None:
    rules = ChoiceRules.of(GenerationConfig(decoder_start_token_id=0, eos_token_id=[2, 3]))
    assert rules is not None
    assert (rules.start, rules.ends) == (0, {2, 3})


@pytest.mark.parametrize(
    "rule", [
        {"suppress_tokens": [5]}, {"repetition_penalty": 1.2}, {"min_new_tokens": 3}, {"bad_words_ids": [[4]]},
        {"num_beams": 3, "early_stopping": "never"},
    ],
)
def test_other_rules_are_left_to_generate(rule: dict[str, Any]) -> None:
    assert ChoiceRules.of(config(**rule)) is None


# --- The search with beams


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"num_beams": 3, "early_stopping": True}, id="the first three to end"),
        pytest.param({"num_beams": 3, "early_stopping": False}, id="as long as there is hope"),
        pytest.param({"num_beams": 2, "early_stopping": False, "length_penalty": 2.0}, id="long answers"),
        pytest.param({"num_beams": 4, "early_stopping": True, "length_penalty": -1.0}, id="short answers"),
        pytest.param({"num_beams": 3, "early_stopping": True, "no_repeat_ngram_size": 2}, id="no pair twice"),
        pytest.param({"num_beams": 3, "early_stopping": True, "forced_bos_token_id": 0}, id="a first token"),
        pytest.param({"num_beams": 3, "early_stopping": True, "eos_token_id": [2, 300]}, id="two ends"),
    ],
)
@pytest.mark.parametrize("max_new_tokens", [5, 40])
def test_a_search_finds_what_generate_finds(model: Any, rules: dict[str, Any], max_new_tokens: int) -> None:
    decoder = Decoder(model, full, torch.float32)
    settings = config(**rules, max_new_tokens=max_new_tokens)
    for _ in range(4):
        states = hidden_states(model, 1, 30)
        outputs = BaseModelOutput(last_hidden_state=states)
        mask = torch.ones(1, 30, dtype=torch.long)
        expected = model.generate(encoder_outputs=outputs, attention_mask=mask, generation_config=settings)[0].tolist()
        chosen = ChoiceRules.of(settings)
        assert chosen is not None
        search = BeamSearch(chosen, settings, lambda _logits, token_id: (float(token_id), None))
        cache = decoder.start(states, num_beams=len(search.running))
        for step in range(max_new_tokens):
            logits = decoder.step(cache, torch.tensor([beam.ids[-1] for beam in search.running]))
            cache.reorder(search.advance(logits, is_last=step == max_new_tokens - 1))
            if search.is_done:
                break
        assert list(search.best.ids) == expected[: len(search.best.ids)]
        assert set(expected[len(search.best.ids) :]) <= {1}  # padding
        assert [token_id for token_id, _ in search.best.measures] == list(search.best.ids[1:])
