"""Several people ask while the model is busy: who is answered along with whom, and what that changes for them."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from playground.engines import Ask
from playground.events import Event, Finished
from playground.inference import engine as engines
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.pictures.reader import InputImage
from tests.inference.asking import BEAMS, CAPTION, OD, PATIENCE, Counter, ask, before, ids_of, part, raiser

Person = Callable[[], list[Event]]


@pytest.fixture
def beginnings(prepared: PreparedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers were begun together, each time."""
    begun: list[int] = []
    start = prepared.steps.start

    def counted(states, mask=None, **options):  # type: ignore[no-untyped-def]
        begun.append(len(states))
        return start(states, mask, **options)

    monkeypatch.setattr(prepared.steps, "start", counted)
    return begun


def answers_of_all(engine: Engine, people: Sequence[Person]) -> list[Future[list[Event]]]:
    """Let people ask one after the other while the model is busy, and then let it answer."""
    with ThreadPoolExecutor(len(people)) as threads:
        with engine._lock.held():
            asked = []
            for number, person in enumerate(people, start=1):
                asked.append(threads.submit(person))
                until = time.monotonic() + PATIENCE
                while len(engine._line._waiting) < number:
                    assert time.monotonic() < until
                    time.sleep(0.001)
        return asked


def test_who_waits_is_answered_together_and_as_alone(
    engine: Engine, three_images: list[InputImage], beginnings: list[int]
) -> None:
    people = [partial(ask, engine, image, prompt) for image in three_images for prompt in (OD, CAPTION)]
    people.insert(2, partial(ask, engine, three_images[0], OD, BEAMS))  # is not written alike
    alone = [ids_of(person()) for person in people]
    beginnings.clear()
    assert [ids_of(answer.result()) for answer in answers_of_all(engine, people)] == alone
    assert beginnings == [6, 1]


def test_a_picture_that_takes_long_waits_for_its_own_turn(
    engine: Engine, three_images: list[InputImage], beginnings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_max_pictures", 1)
    known, new, newer = three_images
    ask(engine, known)
    beginnings.clear()
    people = [partial(ask, engine, image, prompt) for image, prompt in ((new, OD), (newer, OD), (known, CAPTION))]
    assert all(ids_of(answer.result()) for answer in answers_of_all(engine, people))
    assert beginnings == [2, 1]


@pytest.mark.parametrize("place", [0, 1])
def test_who_stops_ends_at_once_and_the_others_go_on(
    engine: Engine, prepared: PreparedModel, three_images: list[InputImage], place: int
) -> None:
    alone = [ids_of(ask(engine, image)) for image in three_images]
    stop, ended = threading.Event(), threading.Event()

    def stopping() -> list[Event]:
        events = ask(engine, three_images[place], stop=stop)
        ended.set()
        return events

    people: list[Person] = [partial(ask, engine, image) for image in three_images]
    people[place] = stopping
    is_over = Counter(at=7, act=lambda: ended.wait(PATIENCE) or pytest.fail("who stopped waits for the others"))
    lm_head = part(prepared, "lm_head")
    with before(lm_head, Counter(at=5, act=stop.set)), before(lm_head, is_over):
        answers = [answer.result() for answer in answers_of_all(engine, people)]
    stopped = answers.pop(place)
    assert ids_of(stopped) == alone.pop(place)[:5]
    assert stopped[-1] == Finished(is_truncated=False, is_stopped=True)
    assert [ids_of(answer) for answer in answers] == alone


def test_what_fails_before_it_is_written_is_the_fault_of_one_alone(
    engine: Engine, three_images: list[InputImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, bad = three_images
    alone = [ids_of(ask(engine, image)) for image in three_images[:2]]
    read = engines.pixel_values

    def pixels(picture, *others):  # type: ignore[no-untyped-def]
        return (raiser(KeyError("a bug")) if picture is bad.pixels else read)(picture, *others)

    monkeypatch.setattr(engines, "pixel_values", pixels)
    first, second, third = answers_of_all(engine, [partial(ask, engine, image) for image in three_images])
    assert [ids_of(first.result()), ids_of(second.result())] == alone
    with pytest.raises(KeyError, match="a bug"):
        third.result()


@pytest.mark.parametrize("at", [1, 5, 20])  # before the first token, in the middle, when some have ended
def test_what_fails_while_all_are_written_is_tried_again_alone_and_nothing_is_told_twice(
    engine: Engine, prepared: PreparedModel, three_images: list[InputImage], beginnings: list[int], at: int
) -> None:
    people = [partial(ask, engine, image) for image in three_images]
    alone = [ids_of(person()) for person in people]
    beginnings.clear()
    with before(part(prepared, "lm_head"), Counter(at=at, act=raiser(KeyError("a bug")))):
        answers = [answer.result() for answer in answers_of_all(engine, people)]
    assert [ids_of(answer) for answer in answers] == alone
    assert all(sum(isinstance(event, Finished) for event in answer) == 1 for answer in answers)
    assert beginnings[0] == 3
    assert beginnings[1] == 1


def test_what_fails_alone_as_well_is_told_to_whom_it_befalls(
    engine: Engine, prepared: PreparedModel, image: InputImage
) -> None:
    people = [partial(ask, engine, image, prompt) for prompt in (OD, CAPTION)]
    with before(part(prepared, "lm_head"), raiser(KeyError("a bug"))):
        for answer in answers_of_all(engine, people):
            with pytest.raises(KeyError, match="a bug"):
                answer.result()
    assert all(ids_of(person()) for person in people)


def test_who_stops_begins_no_more_of_its_groups(
    engine: Engine, prepared: PreparedModel, image: InputImage, beginnings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_max_rows", 3)  # one answer at a time with three beams
    stop = threading.Event()
    asks = [Ask(image, prompt) for prompt in (OD, CAPTION, OD)]
    with before(part(prepared, "lm_head"), Counter(at=4, act=stop.set)):
        events = list(engine.generate(asks, BEAMS, stop=stop))
    assert [event.answer for event in events if isinstance(event, Finished)] == [0, 1, 2]
    assert beginnings == [1]
