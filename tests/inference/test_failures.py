"""What goes wrong while the engine answers: a sentence where it can happen to anybody, itself where it is a bug."""

import threading

import pytest
import torch

from playground.errors import EngineFailed
from playground.events import Decoding
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.pictures.reader import InputImage
from tests.inference.asking import BOTH_DECODINGS, CAPTION, OD, ask, before, part, raiser, text_of, tokens_of


def test_a_thread_that_finds_no_memory_is_a_sentence(
    engine: Engine, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", raiser(RuntimeError("can't start new thread")))
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
    engine: Engine,
    prepared: PreparedModel,
    image: InputImage,
    caption: str,
    decoding: Decoding,
    error: Exception,
) -> None:
    with (
        before(part(prepared, "lm_head"), raiser(error)),
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
def test_any_other_exception_is_a_bug_and_stays_itself(
    engine: Engine, prepared: PreparedModel, image: InputImage, error: Exception
) -> None:
    conv = part(prepared, "model.vision_tower.convs.0.conv")
    with before(conv, raiser(error)), pytest.raises(type(error)) as caught:
        ask(engine, image)
    assert caught.value is error
    assert tokens_of(ask(engine, image))
    assert engine.image_encodings == 1


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_a_run_that_fails_leaves_no_hook_on_the_model(
    engine: Engine, prepared: PreparedModel, image: InputImage, decoding: Decoding
) -> None:
    parts = (
        part(prepared, "model.vision_tower.convs.1.conv"),
        part(prepared, "model.language_model.encoder.layers.1").fc2,
        part(prepared, "lm_head"),
    )
    for module in parts:
        with before(module, raiser(KeyError("a bug"))), pytest.raises(KeyError):
            ask(engine, image, OD, decoding)
    assert [module for module in parts if module._forward_hooks or module._forward_pre_hooks] == []


def test_a_closed_engine_says_that_its_checkpoint_was_unloaded(engine: Engine, image: InputImage) -> None:
    ask(engine, image)
    engine.close()
    assert engine.cache_bytes == (0, 0)
    with pytest.raises(EngineFailed, match=r"was unloaded while the question waited\. Ask again"):
        ask(engine, image)
