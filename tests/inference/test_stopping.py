"""Who ends a run, and how soon: Stop, a reader that goes, the deadline, the end of the program."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.checkpoints.loader import LoadedCheckpoint
from playground.engines import Ask
from playground.errors import EngineFailed
from playground.events import Decoding, Draft, Event, Finished, Progress, RunStage, Token
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.pictures.reader import InputImage, read_image
from playground.scenes.scene import make_scene
from tests.inference.asking import (
    BEAMS,
    BOTH_DECODINGS,
    CAPTION,
    OD,
    PATIENCE,
    Counter,
    ask,
    before,
    ids_of,
    part,
    text_of,
    tokens_of,
)

ROOT = Path(__file__).resolve().parents[2]


def test_stop_ends_the_answer_within_a_step(engine: Engine, prepared: PreparedModel, image: InputImage) -> None:
    complete = ids_of(ask(engine, image))
    stop = threading.Event()
    with before(part(prepared, "lm_head"), Counter(at=9, act=stop.set)):
        events = ask(engine, image, stop=stop)
    assert ids_of(events) == complete[:9]
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)
    assert ids_of(ask(engine, image)) == complete


def test_stop_ends_a_beam_search_with_what_it_has(
    engine: Engine, prepared: PreparedModel, image: InputImage, caption: str
) -> None:
    stop = threading.Event()
    with before(part(prepared, "lm_head"), Counter(at=9, act=stop.set)):
        events = ask(engine, image, OD, BEAMS, stop=stop)
    assert len(tokens_of(events)) == 9
    assert all(token.logprob is not None for token in tokens_of(events))
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)
    assert text_of(ask(engine, image, CAPTION, BEAMS)) == f"<s>{caption}</s>"


@pytest.mark.parametrize("passes", ["vision tower", "language encoder"])
def test_stop_while_encoding_ends_within_a_block(
    engine: Engine, prepared: PreparedModel, image: InputImage, passes: str
) -> None:
    first, last = {
        "vision tower": [prepared._tower._stages[stage][0][1].norm for stage in (0, -1)],
        "language encoder": [prepared._encoder._layers[layer].self_attn_norm for layer in (0, -1)],
    }[passes]
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


def test_stop_ends_the_wait_for_the_model(engine: Engine, prepared: PreparedModel, image: InputImage) -> None:
    go_on, stop = threading.Event(), threading.Event()
    ask(engine, image, CAPTION)
    with before(part(prepared, "lm_head"), Counter(at=1, act=lambda: go_on.wait(PATIENCE))):
        busy = engine.generate([Ask(image, CAPTION)])
        next(busy)
        threading.Timer(0.05, stop.set).start()
        assert ask(engine, image, stop=stop) == [Finished(is_truncated=False, is_stopped=True)]
        go_on.set()
        assert list(busy)[-1] == Finished(is_truncated=False, is_stopped=False)


@pytest.mark.usefixtures("endless")
def test_closing_the_generator_returns_at_once_and_ends_the_work_within_a_step(
    engine: Engine, prepared: PreparedModel, image: InputImage
) -> None:
    has_token, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        has_token.set()
        go_on.wait(PATIENCE)

    steps = Counter(at=5, act=hold)
    with before(part(prepared, "lm_head"), steps):
        events = engine.generate([Ask(image, OD)], Decoding(max_new_tokens=200))
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
    stalled = engine.generate([Ask(image, OD)], Decoding(max_new_tokens=20))
    next(stalled)
    assert len(tokens_of(ask(engine, image, CAPTION, Decoding(max_new_tokens=5)))) == 5
    assert len(ids_of(list(stalled))) == 20


@pytest.mark.usefixtures("endless")
def test_a_run_ends_at_its_deadline_with_what_is_there(
    engine: Engine, prepared: PreparedModel, image: InputImage
) -> None:
    ask(engine, image, OD, Decoding(max_new_tokens=1))  # encoded, so that all of the time is for writing
    with before(part(prepared, "lm_head"), lambda: time.sleep(0.1)):
        events = list(engine.generate([Ask(image, OD)], Decoding(max_new_tokens=500), deadline=time.monotonic() + 2))
    assert 1 <= len(tokens_of(events)) < 30
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)


def test_a_step_that_hangs_is_told_and_does_not_hold_its_reader(
    engine: Engine, prepared: PreparedModel, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.inference.run._LATE_SECONDS", 0.1)
    go_on = threading.Event()
    ask(engine, image)  # encoded, so that the first step comes before the deadline
    with before(part(prepared, "lm_head"), lambda: go_on.wait(PATIENCE)):
        with pytest.raises(EngineFailed, match="The model hangs"):
            list(engine.generate([Ask(image, OD)], deadline=time.monotonic() + 1))
        go_on.set()
    assert tokens_of(ask(engine, image))


# --- Answers that are left to `generate`


@pytest.mark.parametrize("decoding", BOTH_DECODINGS)
def test_stop_ends_an_answer_that_is_left_to_generate(
    fallback_engine: Engine, fresh: LoadedCheckpoint, image: InputImage, decoding: Decoding
) -> None:
    stop = threading.Event()
    with before(fresh.model.lm_head, Counter(at=9, act=stop.set)):
        events = ask(fallback_engine, image, OD, decoding, stop=stop)
    assert 1 <= len(tokens_of(events)) <= 9
    assert {token.logprob for token in tokens_of(events)} == {None}, "measuring would take as long as writing"
    assert events[-1] == Finished(is_truncated=False, is_stopped=True)


def test_closing_the_generator_ends_an_answer_that_is_left_to_generate(
    fallback_engine: Engine, fresh: LoadedCheckpoint, image: InputImage
) -> None:
    is_writing, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_writing.set()
        go_on.wait(PATIENCE)

    steps = Counter(at=5, act=hold)
    with before(fresh.model.lm_head, steps):
        events = fallback_engine.generate([Ask(image, OD)])
        next(events)
        assert is_writing.wait(PATIENCE)
        worker = next(thread for thread in threading.enumerate() if thread.name == "engine-run")
        events.close()
        go_on.set()
        worker.join(PATIENCE)
        assert not worker.is_alive()
    assert steps.calls == 5


# --- The true size


def seconds_to_end(events: Iterator[Event], stop: threading.Event) -> float:
    started = time.perf_counter()
    stop.set()
    *_, last = events
    assert isinstance(last, Finished)
    assert last.is_stopped
    return time.perf_counter() - started


@pytest.mark.skeleton
def test_at_the_true_size_stop_returns_soon_and_the_next_run_is_right(skeleton_engine: Engine) -> None:
    new_image = read_image(make_scene(21).image)
    num_encodings = skeleton_engine.image_encodings
    stop = threading.Event()
    events = skeleton_engine.generate([Ask(new_image, OD)], stop=stop)
    assert next(events) == Progress(RunStage.ENCODING_IMAGE)
    time.sleep(0.3)  # into the vision tower
    assert seconds_to_end(events, stop) < PATIENCE
    assert skeleton_engine.image_encodings == num_encodings

    stop.clear()
    events = skeleton_engine.generate([Ask(new_image, OD)], stop=stop)
    written = [next(event for event in events if isinstance(event, Token)) for _ in range(3)]
    assert seconds_to_end(events, stop) < PATIENCE
    assert skeleton_engine.image_encodings == num_encodings + 1

    again = tokens_of(ask(skeleton_engine, new_image, OD, Decoding(max_new_tokens=3)))
    assert [token.id for token in again] == [token.id for token in written]


@pytest.mark.skeleton
def test_at_the_true_size_stop_ends_a_beam_search_soon(skeleton_engine: Engine) -> None:
    stop = threading.Event()
    events = skeleton_engine.generate([Ask(read_image(make_scene(21).image), OD)], BEAMS, stop=stop)
    next(event for event in events if isinstance(event, Draft) and len(event.tokens) == 3)
    assert seconds_to_end(events, stop) < PATIENCE


# --- The end of the program


@pytest.mark.parametrize("leave", ["pass", "break"], ids=["a whole answer", "an answer that nobody reads on"])
def test_a_program_that_has_asked_ends_well(leave: str) -> None:
    asked = (
        "from playground import Predictor, Question\n"
        "predictor = Predictor.load('tiny-florence2')\n"
        "for prediction in predictor.run('assets/examples/desert-large.png', Question('<OD>')):\n"
        f"    if prediction.regions: {leave}\n"
    )
    command = [sys.executable, "-c", asked]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
