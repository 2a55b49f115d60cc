"""The engine beside transformers' `generate`: the tokens of an answer, the order of events, caches, threads."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from playground.checkpoints.loader import LoadedCheckpoint
from playground.events import Decoding, Draft, Finished, Progress, RunStage, Token
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.inference.threads import ALL_THREADS, computing_with
from playground.pictures.reader import InputImage
from tests.inference.asking import (
    BEAMS,
    BOTH_DECODINGS,
    CAPTION,
    GREEDY,
    OD,
    Counter,
    ask,
    before,
    ids_of,
    part,
    text_of,
    tokens_of,
)

ENOUGH = 24  # tokens


@pytest.fixture
def published_rules(loaded: LoadedCheckpoint, prepared: PreparedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generation rules that come with Microsoft's weights; they bend the scores of the bundled checkpoint too."""
    for rules in (loaded.model.generation_config, prepared.generation_config):
        for name, value in {
            "num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True, "forced_bos_token_id": 0,
        }.items():  # fmt: skip
            monkeypatch.setattr(rules, name, value)


# --- The same tokens as transformers


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        pytest.param("<OD>", OD, id="objects"),
        pytest.param(
            "<REGION_TO_SEGMENTATION><loc_200><loc_160><loc_510><loc_440>",
            "What is the polygon mask of region <loc_200><loc_160><loc_510><loc_440>",
            id="region",
        ),
    ],
)
@pytest.mark.usefixtures("published_rules")
def test_the_tokens_are_those_of_generate(
    engine: Engine,
    loaded: LoadedCheckpoint,
    processor: Any,
    image: InputImage,
    text: str,
    prompt: str,
    decoding: Decoding,
) -> None:
    inputs = processor(text=text, images=image.pixels, return_tensors="pt")
    answer = loaded.model.generate(**inputs, num_beams=decoding.num_beams, max_new_tokens=ENOUGH)
    expected = [token_id for token_id in answer[0, 1:].tolist() if token_id != loaded.tokenizer.pad_token_id]
    assert ids_of(ask(engine, image, prompt, Decoding(decoding.num_beams, ENOUGH))) == expected


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
@pytest.mark.usefixtures("published_rules")
def test_scores_are_those_of_the_raw_logits(
    engine: Engine, loaded: LoadedCheckpoint, processor: Any, image: InputImage, decoding: Decoding
) -> None:
    tokens = tokens_of(ask(engine, image, OD, Decoding(decoding.num_beams, ENOUGH)))
    inputs = processor(text="<OD>", images=image.pixels, return_tensors="pt")
    with torch.inference_mode():
        decoder_input_ids = torch.tensor([[2, *[token.id for token in tokens[:-1]]]])
        logprobs = loaded.model(**inputs, decoder_input_ids=decoder_input_ids).logits[0].log_softmax(-1)
    for token, row in zip(tokens, logprobs, strict=True):
        assert token.logprob == pytest.approx(float(row[token.id]), abs=1e-3)
        if token.id in loaded.location_ids:
            window = row[token.id - 5 : token.id + 6].exp().sum()
            assert token.bin_probability == pytest.approx(float(window), abs=1e-3)
            assert 0 <= token.bin_probability <= 1
        else:
            assert token.bin_probability is None


@contextmanager
def saying(lm_head: Any, ids: Sequence[int]) -> Iterator[None]:
    """Make the model choose these tokens with a logit of 5, where every other token has 0; then the end."""
    script = iter([*ids, 2])

    def speak(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros_like(logits)
        logits[..., next(script)] = 5.0
        return logits

    hook = lm_head.register_forward_hook(speak)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize(
    ("bin_", "num_neighbors"),
    [
        pytest.param(500, 10, id="eleven bins"),
        pytest.param(0, 5, id="the first bin has no neighbors to its left"),
        pytest.param(999, 5, id="the last bin has none to its right"),
    ],
)
def test_the_probability_of_a_bin_is_the_mass_of_the_bins_around_it(
    engine: Engine,
    loaded: LoadedCheckpoint,
    prepared: PreparedModel,
    image: InputImage,
    bin_: int,
    num_neighbors: int,
) -> None:
    # e^5 / (e^5 + the number of other tokens) is the chosen one, 1 / (...) each other one.
    others = part(prepared, "lm_head").out_features - 1
    probability = (148.4132 + num_neighbors) / (148.4132 + others)
    with saying(part(prepared, "lm_head"), [loaded.location_ids[bin_]]):
        location, _end = tokens_of(ask(engine, image))
    assert location.text == f"<loc_{bin_}>"
    assert location.bin_probability == pytest.approx(probability, abs=1e-5)


# --- The order of events, drafts, budgets


def test_a_run_tells_its_stages_then_its_tokens_then_its_end(engine: Engine, image: InputImage) -> None:
    events = ask(engine, image)
    stages = [event.stage for event in events[:3] if isinstance(event, Progress)]
    assert stages == [RunStage.ENCODING_IMAGE, RunStage.ENCODING_PROMPT, RunStage.WRITING]
    assert tokens_of(events) == events[3:-1]
    assert events[-1] == Finished(is_truncated=False, is_stopped=False)
    writing = events[2]
    assert isinstance(writing, Progress)
    assert (writing.encode_image_ms or 0) > 0
    assert (writing.encode_prompt_ms or 0) > 0


def test_what_comes_from_a_cache_took_no_time(engine: Engine, image: InputImage) -> None:
    ask(engine, image, OD)
    assert ask(engine, image, OD)[0] == Progress(RunStage.WRITING, 0.0, 0.0)
    prompt_begins = ask(engine, image, CAPTION)[1]
    assert prompt_begins == Progress(RunStage.ENCODING_PROMPT, 0.0)


def test_beams_show_drafts_and_then_the_answer(engine: Engine, image: InputImage, caption: str) -> None:
    events = ask(engine, image, CAPTION, BEAMS)
    kinds = [type(event) for event in events]
    assert kinds == sorted(kinds, key=[Progress, Draft, Token, Finished].index)
    drafts = [event for event in events if isinstance(event, Draft)]
    assert [len(draft.tokens) for draft in drafts] == list(range(len(drafts)))
    assert {token.logprob for draft in drafts for token in draft.tokens} == {None}
    assert text_of(events) == f"<s>{caption}</s>"


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_an_answer_that_its_budget_ends_is_truncated(engine: Engine, image: InputImage, decoding: Decoding) -> None:
    events = ask(engine, image, OD, Decoding(decoding.num_beams, max_new_tokens=7))
    assert events[-1] == Finished(is_truncated=True, is_stopped=False)
    assert len(tokens_of(events)) == 7


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_an_answer_that_just_fits_its_budget_is_not_truncated(
    engine: Engine, image: InputImage, decoding: Decoding
) -> None:
    length = len(tokens_of(ask(engine, image, CAPTION, decoding)))
    events = ask(engine, image, CAPTION, Decoding(decoding.num_beams, max_new_tokens=length))
    assert events[-1] == Finished(is_truncated=False, is_stopped=False)


def test_an_answer_that_ends_with_another_end_is_not_truncated(
    engine: Engine, prepared: PreparedModel, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, last, _end = ids_of(ask(engine, image, CAPTION))
    monkeypatch.setattr(prepared.generation_config, "eos_token_id", [2, last])
    for decoding in (GREEDY, BEAMS):
        assert ask(engine, image, CAPTION, decoding)[-1] == Finished(is_truncated=False, is_stopped=False)


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize(
    "budget", [pytest.param(100_000, id="beyond the positions"), pytest.param(None, id="none")]
)  # fmt: skip
def test_an_answer_may_be_as_long_as_the_model_has_positions(
    engine: Engine, image: InputImage, budget: int | None
) -> None:
    events = ask(engine, image, OD, Decoding(max_new_tokens=budget))
    assert len(tokens_of(events)) == engine.max_answer_tokens == 512
    assert events[-1] == Finished(is_truncated=True, is_stopped=False)


def test_the_longest_prompt_is_what_the_picture_leaves_of_the_positions(engine: Engine) -> None:
    assert engine.max_prompt_tokens == 512 - 101 - 2


# --- Caches


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_cached_and_uncached_runs_give_the_same_tokens(
    loaded: LoadedCheckpoint, prepared: PreparedModel, engine: Engine, image: InputImage, decoding: Decoding
) -> None:
    without_caches = Engine(loaded, prepared, image_cache_bytes=0, prompt_cache_bytes=0)
    expected = ids_of(ask(without_caches, image, OD, decoding))
    from_picture, from_prompt = ask(engine, image, OD, decoding), ask(engine, image, OD, decoding)
    assert ids_of(from_picture) == ids_of(from_prompt) == expected
    assert ids_of(ask(without_caches, image, OD, decoding)) == expected
    assert (engine.image_encodings, without_caches.image_encodings) == (1, 2)
    assert without_caches.cache_bytes == (0, 0)


def test_a_second_prompt_makes_no_call_of_the_vision_tower(
    engine: Engine, prepared: PreparedModel, image: InputImage
) -> None:
    calls = Counter()
    with before(part(prepared, "model.vision_tower.convs.0.conv"), calls):
        ask(engine, image, OD)
        ask(engine, image, CAPTION)
    assert calls.calls == engine.image_encodings == 1


def test_a_small_model_computes_with_one_thread_and_leaves_its_thread_as_it_was(
    engine: Engine, prepared: PreparedModel, image: InputImage
) -> None:
    seen: list[int] = []
    with before(part(prepared, "model.vision_tower.convs.0.conv"), lambda: seen.append(torch.get_num_threads())):
        ask(engine, image, OD)
    assert seen == [1]

    def compute() -> list[int]:
        with computing_with(1):
            inside = torch.get_num_threads()
        return [inside, torch.get_num_threads()]

    with ThreadPoolExecutor(1) as other:
        assert other.submit(compute).result() == [1, ALL_THREADS]


def bytes_of_one(engine: Engine, image: InputImage) -> tuple[int, int]:
    """How many bytes the features of a picture take, and the hidden states of a prompt about it."""
    ask(engine, image)
    return engine.cache_bytes


def test_the_least_recently_used_picture_is_forgotten_first(
    loaded: LoadedCheckpoint, prepared: PreparedModel, engine: Engine, three_images: list[InputImage]
) -> None:
    image_bytes, _ = bytes_of_one(engine, three_images[0])
    small = Engine(loaded, prepared, image_cache_bytes=2 * image_bytes, prompt_cache_bytes=0)
    first, second, third = three_images
    for image in (first, second, first, third):
        ask(small, image)
        assert small.cache_bytes[0] <= 2 * image_bytes
    assert small.image_encodings == 3
    ask(small, first)
    assert small.image_encodings == 3, "the first was used after the second"
    ask(small, second)
    assert small.image_encodings == 4


def test_the_least_recently_used_prompt_is_forgotten_first(
    loaded: LoadedCheckpoint, prepared: PreparedModel, engine: Engine, image: InputImage
) -> None:
    _, prompt_bytes = bytes_of_one(engine, image)
    small = Engine(loaded, prepared, image_cache_bytes=0, prompt_cache_bytes=2 * prompt_bytes)
    for prompt in (OD, CAPTION, OD, "What is in the image?", OD):  # without the picture's features, each is encoded
        ask(small, image, prompt)
        assert small.cache_bytes[1] <= 2 * prompt_bytes
    assert small.image_encodings == 3


def test_what_is_larger_than_its_cache_is_not_kept_and_drives_nothing_out(
    loaded: LoadedCheckpoint, prepared: PreparedModel, engine: Engine, image: InputImage
) -> None:
    image_bytes, prompt_bytes = bytes_of_one(engine, image)
    small = Engine(loaded, prepared, image_cache_bytes=image_bytes - 1, prompt_cache_bytes=prompt_bytes)
    ask(small, image, OD)
    assert small.cache_bytes == (0, prompt_bytes)
    ask(small, image, f"{OD} And a longer prompt does not fit.")
    assert small.cache_bytes == (0, prompt_bytes)
    ask(small, image, OD)
    assert small.image_encodings == 2


# --- Several at once


def test_runs_at_the_same_time_never_mix(
    loaded: LoadedCheckpoint, prepared: PreparedModel, engine: Engine, three_images: list[InputImage]
) -> None:
    questions = [
        (image, prompt, decoding)
        for image in three_images
        for prompt, decoding in ((OD, GREEDY), (CAPTION, BEAMS))
    ]  # fmt: skip
    expected = [ids_of(ask(engine, *question)) for question in questions]
    crowded = Engine(loaded, prepared, image_cache_bytes=60_000, prompt_cache_bytes=0)  # room for one picture
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda question: ids_of(ask(crowded, *question)), [*questions, *questions]))
    assert answers == [*expected, *expected]


def test_a_prompt_can_be_measured_while_another_one_is_answered(engine: Engine, image: InputImage) -> None:
    with ThreadPoolExecutor(4) as threads:
        counts = threads.map(engine.num_tokens, ["the red car"] * 400)
        answers = [threads.submit(ask, engine, image, CAPTION) for _ in range(4)]
        assert len(set(counts)) == 1
        assert len({text_of(answer.result()) for answer in answers}) == 1
