"""Preparing a model: rules that are not covered, and how much fewer bits change."""

from pathlib import Path
from typing import Any

import pytest
import torch

from playground.checkpoints import catalog, loader
from playground.checkpoints.loader import LoadedCheckpoint
from playground.engines import Ask
from playground.events import Draft, Finished
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel, prepare
from playground.pictures.reader import InputImage, read_image
from playground.scenes.scene import Scene, make_scene
from tests.inference.asking import BOTH_DECODINGS, CAPTION, GREEDY, OD, Decoding, ask, ids_of, relative_error, tokens_of

BUNDLED = catalog.resolve(catalog.BUNDLED)


def load(precision: str) -> LoadedCheckpoint:
    return loader.load(BUNDLED, Path(BUNDLED.source), device="cpu", precision=precision)


# --- Rules that are not covered


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_rules_that_are_not_covered_are_those_of_generate(
    processor: Any, image: InputImage, decoding: Decoding, precision: str
) -> None:
    suppressed = processor.tokenizer("a", add_special_tokens=False)["input_ids"]
    whole, loaded = load(precision), load(precision)
    for one in (whole, loaded):
        one.parts.generation_config.suppress_tokens = suppressed
    engine = Engine(loaded, prepare(loaded), image_cache_bytes=0, prompt_cache_bytes=0)
    events = ask(engine, image, CAPTION, decoding)
    inputs = processor(text="<CAPTION>", images=image.pixels, return_tensors="pt").to(whole.model.dtype)
    expected = whole.model.generate(**inputs, num_beams=decoding.num_beams, max_new_tokens=100)[0, 1:].tolist()
    assert ids_of(events) == expected
    assert not {*suppressed} & {*expected}
    assert events[-1] == Finished(is_truncated=False, is_stopped=False)
    drafts = [event for event in events if isinstance(event, Draft)]
    assert [len(draft.tokens) for draft in drafts] == list(range(len(drafts)))
    assert all(token.logprob is not None and token.logprob <= 0 for token in tokens_of(events))


def test_an_answer_that_is_left_to_generate_is_truncated_where_its_budget_ends(
    fallback_engine: Engine, engine: Engine, image: InputImage
) -> None:
    events = ask(fallback_engine, image, OD, Decoding(max_new_tokens=7))
    assert events[-1] == Finished(is_truncated=True, is_stopped=False)
    assert ids_of(events) == ids_of(ask(engine, image, OD, Decoding(max_new_tokens=7)))


def test_the_rule_that_never_stops_a_beam_search_is_left_to_generate(
    fresh: LoadedCheckpoint, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.parts.generation_config.num_beams, fresh.parts.generation_config.early_stopping = 3, "never"
    model = prepare(fresh)
    asked: list[Any] = []
    generate = model.generate
    assert generate is not None
    monkeypatch.setattr(model, "generate", lambda **given: asked.append(given) or generate(**given))
    engine = Engine(fresh, model, image_cache_bytes=0, prompt_cache_bytes=0)
    assert tokens_of(ask(engine, image, CAPTION, Decoding(num_beams=3)))
    assert [given["generation_config"].early_stopping for given in asked] == ["never"]


# --- Fewer bits


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_bf16"), reason="this processor has no bfloat16")
def test_fewer_bits_keep_the_answer(prepared: PreparedModel, processor: Any, scene: Scene) -> None:
    less = prepare(load("int8"))
    asked = processor(images=scene.image, text="<OD>", return_tensors="pt")
    prompt = processor.tokenizer(OD)["input_ids"]
    ids = [2, 0, 300, 311, 322, 333, 344, 7, 1]
    with torch.inference_mode():
        features = prepared.encode_images(asked["pixel_values"])
        assert relative_error(less.encode_images(asked["pixel_values"]), features) < 0.01
        inputs = torch.cat([features[0], prepared.embed_prompt(prompt)])[None]
        states = prepared.encode_prompts(inputs)
        assert relative_error(less.encode_prompts(inputs.bfloat16()), states) < 0.01
        cache, less_cache = prepared.decoder.start(states), less.decoder.start(states.bfloat16())
        exact = torch.cat([prepared.decoder.step(cache, torch.tensor([token_id])) for token_id in ids])
        found = torch.cat([less.decoder.step(less_cache, torch.tensor([token_id])) for token_id in ids])
    assert relative_error(found, exact) < 0.03


@pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16"),
    reason="this processor has no bfloat16, or tiles of it, of which the order of their sums was not tried",
)
def test_with_fewer_bits_too_an_answer_is_the_same_together_with_others_and_alone() -> None:
    loaded = load("int8")
    engine = Engine(loaded, prepare(loaded), image_cache_bytes=0, prompt_cache_bytes=0)
    asks = [Ask(read_image(make_scene(seed).image), OD) for seed in range(8)]
    together = list(engine.generate(asks, GREEDY))
    assert [ids_of(together, number) for number in range(8)] == [
        ids_of(list(engine.generate([one], GREEDY))) for one in asks
    ]
