"""Who waits for one engine is answered together, and loses nothing by it: with an engine that does as it is told."""

import math
import threading
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from playground.engines import Ask
from playground.errors import EngineFailed
from playground.events import Decoding, Event, Finished, Token
from playground.pictures.reader import InputImage
from playground.serving.batching import AnsweredBatch, Batcher, Job
from tests.serving.over_http import until


class Directed:
    """Writes the prompt of each ask, word by word; "wait" waits, and "fail" fails once two tokens are written."""

    max_asks = 4

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.go = threading.Event()
        self.was_stopped = threading.Event()

    def generate(
        self, asks: Sequence[Ask], decoding: Decoding, *, stop: threading.Event, deadline: float
    ) -> Generator[Event, None, None]:
        self.calls.append([ask.prompt for ask in asks])
        for answer, ask in enumerate(asks):
            for place, word in enumerate(ask.prompt.split()):
                while word == "wait" and not self.go.wait(0.01):
                    if stop.is_set():
                        self.was_stopped.set()
                        yield from (Finished(False, True, number) for number in range(answer, len(asks)))
                        return
                if word == "fail":
                    raise EngineFailed("It failed.")
                yield Token(place, word, answer=answer)
            yield Finished(False, False, answer)


class Person:
    """Puts asks, and notes what is told."""

    def __init__(self, batcher: Batcher, image: InputImage, *prompts: str, beams: int = 1) -> None:
        self.told: list[Any] = []
        asks = [Ask(image, prompt) for prompt in prompts]
        self.job = Job(asks, Decoding(beams), self.told.append, math.inf)
        batcher.put(self.job)

    @property
    def words(self) -> list[str]:
        return [event.text for event in self.told if isinstance(event, Token)]


def test_what_waits_is_answered_together_and_a_fault_is_its_own(image: InputImage) -> None:
    engine, counted = Directed(), list[AnsweredBatch]()
    batcher: Any = Batcher(engine, counted=counted.append)  # type: ignore[arg-type]  # all of it that is needed
    first = Person(batcher, image, "wait a")
    until(lambda: len(engine.calls) == 1)
    careful = Person(batcher, image, "c", beams=3)
    others = [Person(batcher, image, "one two"), Person(batcher, image, "b fail"), Person(batcher, image, "x", "y")]
    engine.go.set()
    until(lambda: all(person.job.is_over for person in (first, careful, *others)))
    assert engine.calls[:3] == [["wait a"], ["c"], ["one two", "b fail", "x", "y"]]
    assert engine.calls[3:] == [["b fail"], ["x", "y"]], "each alone, but for the one that was whole"
    assert first.words == ["wait", "a"]
    assert others[0].words == ["one", "two"], "nothing twice"
    assert others[1].words == ["b"]
    assert str(others[1].told[-1]) == "It failed."
    assert [(token.text, token.answer) for token in others[2].told if isinstance(token, Token)] == [("x", 0), ("y", 1)]
    until(lambda: len(counted) == 3)
    batcher.close()


def test_an_answer_that_nobody_wants_ends_the_call_and_never_another(image: InputImage) -> None:
    engine = Directed()
    batcher: Any = Batcher(engine, max_waiting=2)  # type: ignore[arg-type]  # all of it that is needed
    gone = Person(batcher, image, "wait")
    until(lambda: len(engine.calls) == 1)
    leaving, staying = Person(batcher, image, "a"), Person(batcher, image, "b")
    with pytest.raises(EngineFailed, match="2 questions wait already"):
        Person(batcher, image, "too many")
    leaving.job.abandon()
    gone.job.abandon()
    until(lambda: staying.job.is_over)
    assert engine.was_stopped.is_set()
    assert engine.calls == [["wait"], ["b"]]
    assert leaving.told == gone.told == []
    late = Person(batcher, image, "wait")
    late.job.deadline = 0
    until(lambda: late.job.is_over)
    assert late.told == [Finished(False, True, 0)]
    batcher.close()
