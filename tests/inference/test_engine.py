"""The engine beside transformers' `generate`, its caches, stopping, taking turns, what it says of each token."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.checkpoints.loader import LoadedCheckpoint
from playground.errors import EngineFailed
from playground.events import Decoding, Draft, Event, Finished, Progress, RunStage, Token
from playground.inference.engine import Engine, TensorCache, TokenReader
from playground.pictures.reader import InputImage, read_image
from playground.scenes.scene import make_scene

ROOT = Path(__file__).resolve().parents[1]
OD = "Locate the objects with category name in the image."
CAPTION = "What does the image describe?"
GREEDY, BEAMS = Decoding(num_beams=1), Decoding(num_beams=3)
BOTH_DECODINGS = [pytest.param(GREEDY, id="greedy"), pytest.param(BEAMS, id="three beams")]
ENOUGH = 24  # tokens
PATIENCE = 20.0  # seconds, far more than any wait here takes


def ask(
    engine: Engine,
    image: InputImage,
    prompt: str = OD,
    decoding: Decoding = GREEDY,
    *,
    stop: threading.Event | None = None,
) -> list[Event]:
    return list(engine.generate(image, [prompt], decoding, stop=stop))


def tokens_of(events: Sequence[Event]) -> list[Token]:
    return [event for event in events if isinstance(event, Token)]


def ids_of(events: Sequence[Event]) -> list[int]:
    return [token.id for token in tokens_of(events)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(token.text for token in tokens_of(events))


@pytest.fixture
def published_rules(loaded: LoadedCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generation rules that come with Microsoft's weights; they bend the scores of the bundled checkpoint too."""
    rules = loaded.model.generation_config
    for name, value in {
        "num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True, "forced_bos_token_id": 0,
    }.items():  # fmt: skip
        monkeypatch.setattr(rules, name, value)


@pytest.fixture
def endless(loaded: LoadedCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer ends by itself."""
    monkeypatch.setattr(loaded.model.generation_config, "suppress_tokens", [2])


@contextmanager
def before(module: torch.nn.Module, act: Callable[[], None]) -> Iterator[None]:
    """Do something each time the module is about to run."""
    hook = module.register_forward_pre_hook(lambda *_: act())
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def saying(engine: Engine, ids: Sequence[int]) -> Iterator[None]:
    """Make the model choose these tokens with a logit of 5, where every other token has 0; then the end."""
    script = iter([*ids, 2])

    def speak(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros_like(logits)
        logits[..., next(script)] = 5.0
        return logits

    hook = engine.loaded.model.lm_head.register_forward_hook(speak)
    try:
        yield
    finally:
        hook.remove()


class Counter:
    """Counts calls; does something at one of them."""

    def __init__(self, at: int = 0, act: Callable[[], object] = lambda: None) -> None:
        self.calls = 0
        self._at, self._act = at, act

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            self._act()


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
    engine: Engine, processor: Any, image: InputImage, text: str, prompt: str, decoding: Decoding
) -> None:
    inputs = processor(text=text, images=image.pixels, return_tensors="pt")
    answer = engine.loaded.model.generate(**inputs, num_beams=decoding.num_beams, max_new_tokens=ENOUGH)
    expected = [token_id for token_id in answer[0, 1:].tolist() if token_id != engine.loaded.tokenizer.pad_token_id]
    assert ids_of(ask(engine, image, prompt, Decoding(decoding.num_beams, ENOUGH))) == expected


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_cached_and_uncached_runs_give_the_same_tokens(
    loaded: LoadedCheckpoint, engine: Engine, image: InputImage, decoding: Decoding
) -> None:
    without_caches = Engine(loaded, image_cache_bytes=0, prompt_cache_bytes=0)
    expected = ids_of(ask(without_caches, image, OD, decoding))
    from_picture, from_prompt = ask(engine, image, OD, decoding), ask(engine, image, OD, decoding)
    assert ids_of(from_picture) == ids_of(from_prompt) == expected
    assert ids_of(ask(without_caches, image, OD, decoding)) == expected
    assert (engine.image_encodings, without_caches.image_encodings) == (1, 2)


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
@pytest.mark.usefixtures("published_rules")
def test_scores_are_those_of_the_raw_logits(
    engine: Engine, processor: Any, image: InputImage, decoding: Decoding
) -> None:
    tokens = tokens_of(ask(engine, image, OD, Decoding(decoding.num_beams, ENOUGH)))
    inputs = processor(text="<OD>", images=image.pixels, return_tensors="pt")
    with torch.inference_mode():
        decoder_input_ids = torch.tensor([[2, *[token.id for token in tokens[:-1]]]])
        logprobs = engine.loaded.model(**inputs, decoder_input_ids=decoder_input_ids).logits[0].log_softmax(-1)
    for token, row in zip(tokens, logprobs, strict=True):
        assert token.logprob == pytest.approx(float(row[token.id]), abs=1e-3)
        if token.id in engine.loaded.location_ids:
            window = row[token.id - 5 : token.id + 6].exp().sum()
            assert token.bin_probability == pytest.approx(float(window), abs=1e-3)
            assert 0 <= token.bin_probability <= 1
        else:
            assert token.bin_probability is None


@pytest.mark.parametrize(
    ("bin_", "num_neighbors"),
    [
        pytest.param(500, 10, id="eleven bins"),
        pytest.param(0, 5, id="the first bin has no neighbors to its left"),
        pytest.param(999, 5, id="the last bin has none to its right"),
    ],
)
def test_the_probability_of_a_bin_is_the_mass_of_the_bins_around_it(
    engine: Engine, image: InputImage, bin_: int, num_neighbors: int
) -> None:
    # e^5 / (e^5 + the number of other tokens) is the chosen one, 1 / (...) each other one.
    others = engine.loaded.model.lm_head.out_features - 1
    probability = (148.4132 + num_neighbors) / (148.4132 + others)
    with saying(engine, [engine.loaded.location_ids[bin_]]):
        location, _end = tokens_of(ask(engine, image))
    assert location.text == f"<loc_{bin_}>"
    assert location.bin_probability == pytest.approx(probability, abs=1e-5)


# --- The order of events, drafts, budgets


def test_a_run_tells_its_stages_then_its_tokens_then_its_end(engine: Engine, image: InputImage) -> None:
    events = ask(engine, image)
    stages = [event.stage for event in events[:3] if isinstance(event, Progress)]
    assert stages == [RunStage.ENCODING_IMAGE, RunStage.ENCODING_PROMPT, RunStage.WRITING]
    assert all(isinstance(event, Token) for event in events[3:-1])
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


@pytest.mark.usefixtures("endless")
def test_a_budget_beyond_the_models_positions_is_cut_to_them(engine: Engine, image: InputImage) -> None:
    events = ask(engine, image, OD, Decoding(max_new_tokens=100_000))
    assert len(tokens_of(events)) == engine.max_answer_tokens == 512
    assert events[-1] == Finished(is_truncated=True, is_stopped=False)


# --- Caches


def tensor(num_bytes: int) -> torch.Tensor:
    return torch.zeros(num_bytes, dtype=torch.uint8)


def test_the_least_recently_used_tensor_goes_first() -> None:
    cache = TensorCache(30)
    for key in "abc":
        cache.put(key, tensor(10))
    cache.get("a")
    cache.put("d", tensor(10))
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    assert cache.num_bytes == 30


def test_a_large_tensor_makes_room_for_itself() -> None:
    cache = TensorCache(30)
    for key in "abc":
        cache.put(key, tensor(10))
    cache.put("large", tensor(25))
    assert [key for key in ("a", "b", "c", "large") if cache.get(key) is not None] == ["large"]
    assert cache.num_bytes == 25


def test_a_tensor_larger_than_the_cache_is_not_kept_and_drives_nothing_out() -> None:
    cache = TensorCache(30)
    cache.put("small", tensor(30))
    cache.put("huge", tensor(31))
    assert cache.get("huge") is None
    assert cache.get("small") is not None
    assert cache.num_bytes == 30


def test_a_key_that_is_put_again_is_counted_once() -> None:
    cache = TensorCache(30)
    for _ in range(3):
        cache.put("a", tensor(10))
    cache.put("b", tensor(20))
    assert cache.get("a") is not None
    assert cache.num_bytes == 30


def test_a_second_prompt_makes_no_call_of_the_vision_tower(engine: Engine, image: InputImage) -> None:
    calls = Counter()
    with before(engine.loaded.model.model.vision_tower.convs[0].conv, calls):
        ask(engine, image, OD)
        ask(engine, image, CAPTION)
    assert calls.calls == engine.image_encodings == 1


def test_both_caches_stay_within_their_bytes(loaded: LoadedCheckpoint, engine: Engine, image: InputImage) -> None:
    ask(engine, image)
    image_bytes, prompt_bytes = engine.cache_bytes
    small = Engine(loaded, image_cache_bytes=image_bytes, prompt_cache_bytes=prompt_bytes)
    other = read_image(make_scene(5).image)
    for picture in (image, other, image):
        ask(small, picture)
        assert small.cache_bytes == (image_bytes, prompt_bytes)
    assert small.image_encodings == 3


# --- Several prompts about a picture

REGION = "What does the region <loc_{}><loc_{}><loc_{}><loc_{}> describe?"
PROMPTS = [OD, CAPTION, REGION.format(100, 100, 400, 400), REGION.format(500, 200, 900, 800), OD]


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_prompts_in_one_run_are_answered_as_each_alone(
    engine: Engine, loaded: LoadedCheckpoint, image: InputImage, decoding: Decoding
) -> None:
    alone = [tokens_of(ask(engine, image, prompt, decoding)) for prompt in PROMPTS]
    fresh = Engine(loaded, image_cache_bytes=8_000_000, prompt_cache_bytes=0)
    events = list(fresh.generate(image, PROMPTS, decoding))
    assert fresh.image_encodings == 1
    for answer, expected in enumerate(alone):
        found = [token for token in tokens_of(events) if token.answer == answer]
        assert [token.id for token in found] == [token.id for token in expected]
        assert [token.logprob for token in found] == pytest.approx([token.logprob for token in expected], abs=1e-3)
    assert sorted(event.answer for event in events if isinstance(event, Finished)) == [0, 1, 2, 3, 4]


def test_greedy_answers_are_written_at_the_same_time(engine: Engine, image: InputImage) -> None:
    steps = Counter()
    with before(engine.loaded.model.lm_head, steps):
        events = list(engine.generate(image, PROMPTS))
    lengths = [sum(token.answer == answer for token in tokens_of(events)) for answer in range(len(PROMPTS))]
    assert steps.calls == max(lengths)
    (first, second), *_ = [(event.answer, later.answer) for event, later in pairwise(tokens_of(events))]
    assert (first, second) == (0, 1)


def test_stop_ends_all_answers(engine: Engine, image: InputImage) -> None:
    stop = threading.Event()
    with before(engine.loaded.model.lm_head, Counter(at=3, act=stop.set)):
        events = list(engine.generate(image, PROMPTS, stop=stop))
    assert [sum(token.answer == answer for token in tokens_of(events)) for answer in range(len(PROMPTS))] == [3] * 5
    ends = [event for event in events if isinstance(event, Finished)]
    assert {(event.is_stopped, event.answer) for event in ends} == {(True, answer) for answer in range(5)}


# --- Stopping


def test_stop_ends_the_answer_within_a_step(engine: Engine, image: InputImage) -> None:
    complete = ids_of(ask(engine, image))
    stop = threading.Event()
    with before(engine.loaded.model.lm_head, Counter(at=9, act=stop.set)):
        events = ask(engine, image, stop=stop)
    assert ids_of(events) == complete[:9]
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)
    assert ids_of(ask(engine, image)) == complete


def test_stop_ends_a_beam_search_with_what_it_has(engine: Engine, image: InputImage, caption: str) -> None:
    stop = threading.Event()
    with before(engine.loaded.model.lm_head, Counter(at=9, act=stop.set)):
        events = ask(engine, image, OD, BEAMS, stop=stop)
    assert len(tokens_of(events)) == 9
    assert all(token.logprob is not None for token in tokens_of(events))
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)
    assert text_of(ask(engine, image, CAPTION, BEAMS)) == f"<s>{caption}</s>"


@pytest.mark.parametrize("part", ["vision tower", "language encoder"])
def test_stop_while_encoding_ends_within_a_block(engine: Engine, image: InputImage, part: str) -> None:
    model = engine.loaded.model
    first, last = {
        "vision tower": [model.model.vision_tower.blocks[stage][0].spatial_block.norm1 for stage in (0, -1)],
        "language encoder": [model.get_encoder().layers[layer].self_attn_layer_norm for layer in (0, -1)],
    }[part]
    stop, later_block = threading.Event(), Counter()
    with before(first, stop.set), before(last, later_block):
        events = ask(engine, image, stop=stop)
    assert later_block.calls == 0
    assert ids_of(events) == []
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)
    assert ids_of(ask(engine, image)) == ids_of(ask(engine, image))
    assert engine.image_encodings == 1


def test_stop_before_the_start_encodes_nothing(engine: Engine, image: InputImage) -> None:
    stop = threading.Event()
    stop.set()
    assert ask(engine, image, stop=stop)[-1] == Finished(is_truncated=False, is_stopped=True)
    assert engine.image_encodings == 0


def test_stop_ends_the_wait_for_the_model(engine: Engine, image: InputImage) -> None:
    go_on, stop = threading.Event(), threading.Event()
    ask(engine, image, CAPTION)
    with before(engine.loaded.model.lm_head, Counter(at=1, act=lambda: go_on.wait(PATIENCE))):
        busy = engine.generate(image, [CAPTION])
        next(busy)
        threading.Timer(0.05, stop.set).start()
        assert ask(engine, image, stop=stop) == [Finished(is_truncated=False, is_stopped=True)]
        go_on.set()
        assert list(busy)[-1] == Finished(is_truncated=False, is_stopped=False)


@pytest.mark.usefixtures("endless")
def test_closing_the_generator_returns_at_once_and_ends_the_work_within_a_step(
    engine: Engine, image: InputImage
) -> None:
    has_token, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        has_token.set()
        go_on.wait(PATIENCE)

    steps = Counter(at=5, act=hold)
    with before(engine.loaded.model.lm_head, steps):
        events = engine.generate(image, [OD], Decoding(max_new_tokens=200))
        next(events)
        assert has_token.wait(PATIENCE)
        worker = next(thread for thread in threading.enumerate() if thread.name == "engine-run")
        events.close()
        assert worker.is_alive(), "close() waited for the model"
        go_on.set()
        worker.join(PATIENCE)
        assert not worker.is_alive()
    assert steps.calls == 5


@pytest.mark.usefixtures("endless")
def test_a_reader_that_stalls_does_not_hold_the_model(engine: Engine, image: InputImage) -> None:
    stalled = engine.generate(image, [OD], Decoding(max_new_tokens=20))
    next(stalled)
    assert len(tokens_of(ask(engine, image, CAPTION, Decoding(max_new_tokens=5)))) == 5
    assert len(ids_of(list(stalled))) == 20


@pytest.mark.usefixtures("endless")
def test_a_run_ends_at_its_deadline_with_what_is_there(engine: Engine, image: InputImage) -> None:
    with before(engine.loaded.model.lm_head, lambda: time.sleep(0.02)):
        events = list(engine.generate(image, [OD], Decoding(max_new_tokens=500), deadline=time.monotonic() + 0.3))
    assert 1 < len(tokens_of(events)) < 30
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)


def test_a_step_that_hangs_is_told_and_does_not_hold_its_reader(
    engine: Engine, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.inference.engine._LATE_SECONDS", 0.1)
    go_on = threading.Event()
    with before(engine.loaded.model.lm_head, lambda: go_on.wait(PATIENCE)):
        with pytest.raises(EngineFailed, match="The model hangs"):
            list(engine.generate(image, [OD], deadline=time.monotonic() + 0.1))
        go_on.set()
    assert tokens_of(ask(engine, image))


# --- Several at once


def test_runs_at_the_same_time_never_mix(loaded: LoadedCheckpoint, engine: Engine) -> None:
    images = [read_image(make_scene(seed).image) for seed in (4, 5, 6)]
    questions = [
        (image, prompt, decoding)
        for image in images
        for prompt, decoding in ((OD, GREEDY), (CAPTION, BEAMS))
    ]  # fmt: skip
    expected = [ids_of(ask(engine, *question)) for question in questions]
    crowded = Engine(loaded, image_cache_bytes=60_000, prompt_cache_bytes=0)  # room for one picture
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda question: ids_of(ask(crowded, *question)), [*questions, *questions]))
    assert answers == [*expected, *expected]


def test_a_prompt_can_be_measured_while_another_one_is_answered(engine: Engine, image: InputImage) -> None:
    with ThreadPoolExecutor(4) as threads:
        counts = threads.map(engine.num_tokens, ["the red car"] * 400)
        answers = [threads.submit(ask, engine, image, CAPTION) for _ in range(4)]
        assert len(set(counts)) == 1
        assert len({text_of(answer.result()) for answer in answers}) == 1


# --- What goes wrong


def test_a_thread_that_finds_no_memory_is_a_sentence(
    engine: Engine, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _raiser(RuntimeError("can't start new thread")))
        with pytest.raises(EngineFailed, match="ran out of memory while answering"):
            ask(engine, image, CAPTION)
    assert text_of(ask(engine, image, CAPTION))


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(MemoryError(), id="python"),
        pytest.param(RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes."), id="cpu"),
        pytest.param(torch.OutOfMemoryError("CUDA out of memory."), id="gpu"),
    ],
)
@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_memory_that_does_not_suffice_is_a_sentence_and_the_next_run_works(
    engine: Engine, image: InputImage, caption: str, decoding: Decoding, error: Exception
) -> None:
    with (
        before(engine.loaded.model.lm_head, _raiser(error)),
        pytest.raises(EngineFailed, match=r"ran out of memory while answering\. Try again, or choose a smaller"),
    ):
        ask(engine, image, CAPTION, decoding)
    assert text_of(ask(engine, image, CAPTION, decoding)) == f"<s>{caption}</s>"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), id="shapes"),
        pytest.param(KeyError("pixel_values"), id="key"),
    ],
)
def test_any_other_exception_is_a_bug_and_stays_itself(engine: Engine, image: InputImage, error: Exception) -> None:
    conv = engine.loaded.model.model.vision_tower.convs[0].conv
    with before(conv, _raiser(error)), pytest.raises(type(error)) as caught:
        ask(engine, image)
    assert caught.value is error
    assert tokens_of(ask(engine, image))
    assert engine.image_encodings == 1


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_a_run_that_fails_leaves_no_hook_on_the_model(engine: Engine, image: InputImage, decoding: Decoding) -> None:
    model = engine.loaded.model
    for module in (model.model.vision_tower.convs[1].conv, model.get_encoder().layers[1].fc2, model.lm_head):
        with before(module, _raiser(KeyError("a bug"))), pytest.raises(KeyError):
            ask(engine, image, OD, decoding)
    assert [module for module in model.modules() if module._forward_hooks or module._forward_pre_hooks] == []


def test_a_closed_engine_says_that_its_checkpoint_was_unloaded(engine: Engine, image: InputImage) -> None:
    ask(engine, image)
    engine.close()
    assert engine.cache_bytes == (0, 0)
    with pytest.raises(EngineFailed, match=r"was unloaded while the question waited\. Ask again"):
        ask(engine, image)


def _raiser(error: Exception) -> Callable[..., None]:
    def act(*_: object) -> None:
        raise error

    return act


# --- Tokens to text


@pytest.fixture
def read(loaded: LoadedCheckpoint) -> Callable[[Sequence[int]], list[Token]]:
    pieces = loaded.tokenizer.convert_ids_to_tokens(range(len(loaded.tokenizer)))
    reader = TokenReader(pieces, frozenset(loaded.tokenizer.added_tokens_decoder))
    return lambda ids: [reader.read(token_id) for token_id in ids]


Read = Callable[[Sequence[int]], list[Token]]


@pytest.mark.parametrize(
    ("text", "num_tokens"),
    [
        pytest.param("é", 2, id="two bytes"),
        pytest.param("中", 3, id="three bytes"),
        pytest.param("🙂", 4, id="four bytes"),
    ],
)
def test_a_letter_comes_out_whole_with_its_last_token(
    loaded: LoadedCheckpoint, read: Read, text: str, num_tokens: int
) -> None:
    ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [token.text for token in read(ids)] == [*[""] * (num_tokens - 1), text]


def test_text_in_any_script_comes_back_as_it_was(loaded: LoadedCheckpoint, read: Read) -> None:
    text = "a café, 中文 and two 🙂🙂, <b>naïve</b>"
    assert "".join(token.text for token in read(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])) == text


def test_a_special_token_ends_a_letter_that_was_begun(loaded: LoadedCheckpoint, read: Read) -> None:
    first_byte, _ = loaded.tokenizer("é", add_special_tokens=False)["input_ids"]
    location = loaded.location_ids[5]
    letter = loaded.tokenizer.convert_tokens_to_ids("a")
    assert [token.text for token in read([first_byte, location, letter])] == ["", "<loc_5>", "a"]


def test_text_that_looks_like_a_location_is_not_special(loaded: LoadedCheckpoint, read: Read) -> None:
    tokens = read(loaded.tokenizer.convert_tokens_to_ids([*"<loc_5>"]))
    assert "".join(token.text for token in tokens) == "<loc_5>"
    assert not any(token.is_special for token in tokens)
    assert [token.is_special for token in read([loaded.location_ids[5], 0])] == [True, True]


def test_an_id_beyond_the_vocabulary_is_no_text(read: Read) -> None:
    assert read([51327]) == [Token(51327, "")]


# --- The true size


@contextmanager
def open_run(
    engine: Engine, image: InputImage, prompt: str, decoding: Decoding, *, stop: threading.Event
) -> Iterator[Generator[Event, None, None]]:
    events = engine.generate(image, [prompt], decoding, stop=stop)
    try:
        yield events
    finally:
        events.close()


@pytest.mark.skeleton
def test_at_the_true_size_stop_returns_within_a_second_and_the_next_run_is_right(skeleton_engine: Engine) -> None:
    new_image, long = read_image(make_scene(21).image), Decoding(max_new_tokens=1024)
    num_encodings = skeleton_engine.image_encodings
    stop = threading.Event()
    with open_run(skeleton_engine, new_image, OD, long, stop=stop) as events:
        assert next(events) == Progress(RunStage.ENCODING_IMAGE)
        time.sleep(0.3)  # into the vision tower
        assert _seconds_to_end(events, stop) < 1
    assert skeleton_engine.image_encodings == num_encodings

    stop.clear()
    with open_run(skeleton_engine, new_image, OD, long, stop=stop) as events:
        written = [next(event for event in events if isinstance(event, Token)) for _ in range(3)]
        assert _seconds_to_end(events, stop) < 1
    assert skeleton_engine.image_encodings == num_encodings + 1

    again = tokens_of(ask(skeleton_engine, new_image, OD, Decoding(max_new_tokens=3)))
    assert [token.id for token in again] == [token.id for token in written]


@pytest.mark.skeleton
def test_at_the_true_size_stop_ends_a_beam_search_within_a_second(skeleton_engine: Engine) -> None:
    stop = threading.Event()
    question = (read_image(make_scene(21).image), OD, Decoding(num_beams=3, max_new_tokens=1024))
    with open_run(skeleton_engine, *question, stop=stop) as events:
        next(event for event in events if isinstance(event, Draft) and len(event.tokens) == 3)
        assert _seconds_to_end(events, stop) < 1


def _seconds_to_end(events: Iterator[Event], stop: threading.Event) -> float:
    started = time.perf_counter()
    stop.set()
    *_, last = events
    assert isinstance(last, Finished)
    assert last.is_stopped
    return time.perf_counter() - started


# --- The end of the program


@pytest.mark.parametrize("leave", ["pass", "break"], ids=["a whole answer", "an answer that nobody reads on"])
def test_a_program_that_has_asked_ends_well(leave: str) -> None:
    asked = (
        "from playground import Predictor\n"
        "predictor = Predictor.load('tiny-florence2')\n"
        "for prediction in predictor.run('assets/examples/desert-large.png', '<OD>'):\n"
        f"    if prediction.regions: {leave}\n"
    )
    command = [sys.executable, "-c", asked]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
