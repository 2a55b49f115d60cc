"""Several asks in one call: pictures and prompts in any mixture, each answered as if it were asked alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from unittest.mock import Mock

import pytest
import torch

from playground.checkpoints.loader import LoadedCheckpoint
from playground.engines import Ask
from playground.events import Decoding, Finished, Progress, RunStage
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.pictures.reader import InputImage, read_image
from playground.scenes.scene import make_scene
from tests.inference.asking import (
    BEAMS,
    BOTH_DECODINGS,
    CAPTION,
    GREEDY,
    OD,
    REGION,
    Counter,
    before,
    ids_of,
    part,
    tokens_of,
)

PROMPTS = [OD, CAPTION, REGION.format(100, 100, 400, 400), REGION.format(500, 200, 900, 800), OD]


@pytest.fixture(autouse=True)
def eight_rows(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a large model on a CPU: the bundled one writes more answers at the same time."""
    monkeypatch.setattr(engine, "_max_rows", 8)


@pytest.fixture(scope="module")
def other() -> InputImage:
    return read_image(make_scene(5).image)


@pytest.fixture(scope="module")
def mixed(image: InputImage, other: InputImage) -> list[Ask]:
    """Eleven asks, more than are answered at the same time: two pictures, four prompts, and some asked again."""
    return [*(Ask(picture, prompt) for prompt in PROMPTS for picture in (image, other)), Ask(image, CAPTION)]


@pytest.fixture
def without_caches(loaded: LoadedCheckpoint, prepared: PreparedModel) -> Engine:
    return Engine(loaded, prepared, image_cache_bytes=0, prompt_cache_bytes=0)


@contextmanager
def batches_of(module: torch.nn.Module) -> Iterator[list[int]]:
    """The sizes of the batches that the module is given."""
    seen: list[int] = []
    hook = module.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    try:
        yield seen
    finally:
        hook.remove()


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_asks_of_one_call_are_answered_as_each_alone(
    engine: Engine, without_caches: Engine, mixed: list[Ask], decoding: Decoding
) -> None:
    alone = {one: tokens_of(list(without_caches.generate([one], decoding))) for one in {*mixed}}
    for asked in (engine, without_caches, engine):  # cold, never warm, and warm
        events = list(asked.generate(mixed, decoding))
        for answer, one in enumerate(mixed):
            found, expected = tokens_of(events, answer), alone[one]
            assert [token.id for token in found] == [token.id for token in expected]
            assert [token.text for token in found] == [token.text for token in expected]
            assert [token.logprob for token in found] == pytest.approx([token.logprob for token in expected], abs=1e-3)
        ends = [event for event in events if isinstance(event, Finished)]
        assert sorted(event.answer for event in ends) == list(range(len(mixed)))
        assert not any(event.is_truncated or event.is_stopped for event in ends)


def test_a_picture_that_is_in_a_call_twice_is_encoded_once(engine: Engine, mixed: list[Ask]) -> None:
    list(engine.generate(mixed))
    assert engine.image_encodings == 2


def test_a_picture_that_is_in_a_call_twice_is_encoded_once_without_a_cache(
    without_caches: Engine, mixed: list[Ask]
) -> None:
    list(without_caches.generate(mixed[: without_caches.max_asks]))
    assert without_caches.image_encodings == 2


def test_a_question_that_is_in_a_call_twice_is_encoded_once(
    without_caches: Engine, prepared: PreparedModel, image: InputImage
) -> None:
    with batches_of(part(prepared, "model.language_model.encoder.layernorm_embedding")) as seen:
        list(without_caches.generate([Ask(image, OD), Ask(image, CAPTION), Ask(image, OD)]))
    assert seen == [2]


def test_only_what_is_new_in_a_call_is_encoded(engine: Engine, image: InputImage, other: InputImage) -> None:
    list(engine.generate([Ask(image, OD)]))
    events = list(engine.generate([Ask(image, OD), Ask(other, OD), Ask(image, CAPTION)]))
    assert engine.image_encodings == 2
    (writing,) = [event for event in events if isinstance(event, Progress) and event.stage is RunStage.WRITING]
    assert (writing.encode_image_ms or 0) > 0
    first, *_ = engine.generate([Ask(other, OD), Ask(image, CAPTION)])
    assert first == Progress(RunStage.WRITING, 0.0, 0.0)


@pytest.mark.parametrize(("images_at_once", "batches"), [(1, [1, 1, 1]), (2, [2, 1]), (8, [3])])
def test_pictures_that_are_encoded_together_are_encoded_as_each_alone(
    engine: Engine,
    without_caches: Engine,
    prepared: PreparedModel,
    loaded: LoadedCheckpoint,
    image: InputImage,
    monkeypatch: pytest.MonkeyPatch,
    images_at_once: int,
    batches: list[int],
) -> None:
    asks = [Ask(picture, OD) for picture in (image, *(read_image(make_scene(seed).image) for seed in (4, 5)))]
    alone = [ids_of(list(without_caches.generate([one]))) for one in asks]
    monkeypatch.setattr(prepared, "images_at_once", images_at_once)
    with batches_of(part(prepared, "model.vision_tower.convs.0.conv")) as seen:
        events = list(engine.generate(asks))
    assert [ids_of(events, answer) for answer in range(3)] == alone
    assert seen == batches


def test_a_call_without_asks_is_over_at_once(engine: Engine) -> None:
    assert list(engine.generate([])) == []


@pytest.mark.parametrize(
    ("decoding", "rows"), [pytest.param(GREEDY, [8, 3], id="greedy"), pytest.param(BEAMS, [6, 3], id="three beams")]
)
def test_so_many_answers_are_written_together_that_there_are_eight_rows_at_most(
    engine: Engine, prepared: PreparedModel, mixed: list[Ask], decoding: Decoding, rows: list[int]
) -> None:
    with batches_of(part(prepared, "lm_head")) as seen:
        list(engine.generate(mixed, decoding))
    assert sorted({*seen}, reverse=True) == rows


def test_a_group_is_written_in_as_many_steps_as_its_longest_answer(
    engine: Engine, prepared: PreparedModel, mixed: list[Ask]
) -> None:
    with batches_of(part(prepared, "lm_head")) as seen:
        events = list(engine.generate(mixed))
    lengths = [len(tokens_of(events, answer)) for answer in range(len(mixed))]
    assert (seen.count(8), seen.count(3)) == (max(lengths[:8]), max(lengths[8:]))


def test_answers_do_not_wait_for_more_pictures_than_may_be_encoded_before_them(
    engine: Engine, prepared: PreparedModel, mixed: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Mock(wraps=engine._turn)
    monkeypatch.setattr(engine, "_turn", turns)
    monkeypatch.setattr(engine, "_max_pictures", 1)
    by_picture = sorted(mixed, key=lambda ask: ask.image.digest)
    with batches_of(part(prepared, "lm_head")) as seen:
        events = list(engine.generate(by_picture))
    assert {*seen} == {5, 6}
    first = {answer for answer, ask in enumerate(by_picture) if ask.image.digest == by_picture[0].image.digest}
    told = [event.answer in first for event in tokens_of(events)]
    assert told == sorted(told, reverse=True)
    assert turns.call_count == 2, "whoever waits is let in between"


def test_greedy_answers_come_a_token_of_each_in_turn(engine: Engine, mixed: list[Ask]) -> None:
    turns = [(token.answer, later.answer) for token, later in pairwise(tokens_of(list(engine.generate(mixed[:3]))))]
    assert turns[:4] == [(0, 1), (1, 2), (2, 0), (0, 1)]


def test_stop_ends_all_answers_and_leaves_those_of_later_groups_empty(
    engine: Engine, prepared: PreparedModel, mixed: list[Ask]
) -> None:
    whole, stop = list(engine.generate(mixed)), threading.Event()
    with before(part(prepared, "lm_head"), Counter(at=3, act=stop.set)):
        events = list(engine.generate(mixed, stop=stop))
    for answer in range(len(mixed)):
        assert ids_of(events, answer) == (ids_of(whole, answer)[:3] if answer < 8 else [])
    ends = [event for event in events if isinstance(event, Finished)]
    is_stopped = {answer: answer >= 8 or len(ids_of(whole, answer)) > 3 for answer in range(len(mixed))}
    assert {event.answer: event.is_stopped for event in ends} == is_stopped
    assert set(is_stopped.values()) == {True, False}


def test_stop_in_a_later_group_leaves_the_answers_before_it_whole(
    engine: Engine, prepared: PreparedModel, mixed: list[Ask]
) -> None:
    whole, stop = list(engine.generate(mixed)), threading.Event()
    steps_before = max(len(tokens_of(whole, answer)) for answer in range(8))
    with before(part(prepared, "lm_head"), Counter(at=steps_before + 3, act=stop.set)):
        events = list(engine.generate(mixed, stop=stop))
    for answer in range(len(mixed)):
        assert ids_of(events, answer) == (ids_of(whole, answer) if answer < 8 else ids_of(whole, answer)[:3])
    ends = {event.answer: event.is_stopped for event in events if isinstance(event, Finished)}
    assert ends == {answer: answer >= 8 for answer in range(len(mixed))}
