"""Teachings of a server: one at a time, stopped, left alone, kept under a name that is free, thrown away."""

import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from playground import teachings
from playground.checkpoints.catalog import BUNDLED, Checkpoint, resolve
from playground.errors import EngineFailed, TeachingRejected
from playground.finetune import loop
from playground.finetune.checks import LessonReport
from playground.finetune.lessons import Lesson
from playground.finetune.out_folder import STATE
from playground.finetune.teaching import HeldOutAnswer, MeasuredPoint, Teaching, TeachingProgress, TeachingStage
from playground.question import Question
from playground.settings import Settings
from playground.teachings import ServedTeaching, Teachings, TeachingState

BASE = resolve(BUNDLED)


def never_read() -> Any:
    raise AssertionError("no picture is read before it is taught")


LESSONS = LessonReport((Lesson("one", never_read, Question("<OD>")),), ())


def write_adapter(out: Path) -> None:
    out.mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (out / name).write_text("{}")


@dataclass
class Directed:
    """In the place of the teaching itself: takes a step whenever it is let, and writes its adapter at the end."""

    steps: int = 3
    may_step: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    was_closed: bool = False
    answers: tuple[Any, ...] = ()
    given: list[Teaching] = field(default_factory=list)

    def __call__(
        self, _taught: Any, _held_out: Any, _base: str, teaching: Teaching, out: Path
    ) -> Generator[TeachingProgress, None, None]:
        self.given.append(teaching)
        try:
            for step in range(1, self.steps + 1):
                points = (MeasuredPoint(0, None, 1.0),)
                yield TeachingProgress(
                    TeachingStage.TEACHING, step, self.steps, seconds_left=180, points=points, answers=self.answers
                )
                self.may_step.wait(20)
                if self.error:
                    raise self.error
        except GeneratorExit:
            self.was_closed = True
            raise
        write_adapter(out)
        yield TeachingProgress(TeachingStage.DONE, self.steps, self.steps, folder=out)


@pytest.fixture
def directed(monkeypatch: pytest.MonkeyPatch) -> Directed:
    told = Directed()
    monkeypatch.setattr(loop, "finetune", told)
    return told


@pytest.fixture
def server(tmp_path: Path, directed: Directed) -> Iterator[Teachings]:
    settings = Settings(teach_minutes=2, adapters_folder=str(tmp_path / "adapters"))
    made = Teachings(settings, lambda base, folder: f"{base} + {folder.name}")
    yield made
    directed.may_step.set()
    made.close()


def until(condition: Callable[[], bool]) -> None:
    latest = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < latest, "it never came"
        time.sleep(0.01)


def taught(server: Teachings, directed: Directed) -> tuple[str, ServedTeaching]:
    key = server.create(BASE, LESSONS)
    directed.may_step.set()
    server.start(key, 10)
    found = server.find(key)
    until(lambda: not found.is_working)
    return key, found


def test_what_was_learned_is_kept_under_a_name_that_is_free(server: Teachings, directed: Directed) -> None:
    folders = []
    for _ in range(2):
        key, found = taught(server, directed)
        assert found.state is TeachingState.TAUGHT
        name, folder = server.keep(key, "../my helmets!")
        folders.append(folder)
        assert name == f"{BUNDLED} + {folder.name}"
        assert (folder / "adapter_config.json").is_file()
        with pytest.raises(TeachingRejected, match="nothing to keep"):
            server.keep(key, "again")
    assert [folder.name for folder in folders] == ["my-helmets", "my-helmets-2"]
    assert {folder.parent.name for folder in folders} == {"adapters"}
    assert {teaching.max_seconds for teaching in directed.given} == {120}, "the server's bound holds"


def test_one_goes_at_a_time_and_the_second_is_told_how_long(server: Teachings, directed: Directed) -> None:
    first, second = server.create(BASE, LESSONS), server.create(BASE, LESSONS)
    server.start(first, 1)
    server.start(first, 1)  # a second press begins nothing
    until(lambda: server.find(first).progress is not None)
    with pytest.raises(TeachingRejected, match="Somebody else is teaching here, which takes about 3 minutes more"):
        server.start(second, 1)
    server.find(first).stop()
    directed.may_step.set()
    until(lambda: server.find(first).state is TeachingState.STOPPED)
    assert directed.was_closed
    server.start(second, 1)
    until(lambda: server.find(second).state is TeachingState.TAUGHT)
    assert len(directed.given) == 2


def test_a_teaching_that_nobody_looks_at_makes_room_for_others(
    server: Teachings, directed: Directed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teachings, "LEFT_ALONE_SECONDS", 0.05)
    key = server.create(BASE, LESSONS)
    server.start(key, 1)
    found = server.find(key)
    time.sleep(0.1)  # nobody looks
    directed.may_step.set()
    until(lambda: found.state is TeachingState.STOPPED)


def test_what_was_learned_before_it_was_stopped_can_be_kept_and_nothing_takes_its_place_unasked(
    server: Teachings, directed: Directed
) -> None:
    key = server.create(BASE, LESSONS)
    server.start(key, 1)
    found = server.find(key)
    until(lambda: found.progress is not None)
    with pytest.raises(TeachingRejected, match=r"would be lost by that\. Stop it, and then keep it, or throw it away"):
        server.create(BASE, LESSONS, instead_of=key)
    found.stop()
    directed.may_step.set()
    until(lambda: found.state is TeachingState.STOPPED)
    with pytest.raises(TeachingRejected, match="nothing to keep"):
        server.keep(key, "mine")
    write_adapter(found.out)  # as the teaching does when it is left
    (found.out / STATE).write_text("the save")
    with pytest.raises(TeachingRejected, match="Keep it, or throw it away"):
        server.create(BASE, LESSONS, instead_of=key)
    _, folder = server.keep(key, "mine")
    assert {path.name for path in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    server.create(BASE, LESSONS, instead_of=key)


def test_what_goes_on_has_other_minutes_and_still_shows_what_was_answered_before(
    server: Teachings, directed: Directed
) -> None:
    key = server.create(BASE, LessonReport((LESSONS.lessons[0],), (LESSONS.lessons[0],) * 2))
    found = server.find(key)
    answers = tuple(HeldOutAnswer("one", text) for text in ("first", "second"))  # of two lessons about one picture
    directed.answers = answers
    server.start(key, 1)
    until(lambda: found.progress is not None)
    found.stop()
    directed.may_step.set()
    until(lambda: not found.is_working)
    directed.answers = ()  # until it measures again
    server.start(key, 2)
    until(lambda: found.state is TeachingState.TAUGHT)
    assert [teaching.max_seconds for teaching in directed.given] == [60, 120]
    assert found.before == found.now == found.best == answers


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(EngineFailed("The loss is no number any more."), "The loss is no number any more.", id="told"),
        pytest.param(MemoryError(), "There is not enough memory to teach this checkpoint", id="memory"),
        pytest.param(RuntimeError("bug"), r"Something is wrong with the playground itself \(RuntimeError\)", id="bug"),
    ],
)
def test_a_teaching_that_fails_says_why(server: Teachings, directed: Directed, error: Exception, sentence: str) -> None:
    directed.error = error
    _, found = taught(server, directed)
    assert found.state is TeachingState.FAILED
    assert re.match(sentence, found.message)


def test_nothing_that_was_learned_makes_room_for_others_and_what_was_not_begun_is_told_so(server: Teachings) -> None:
    first, *others = [server.create(BASE, LESSONS) for _ in range(16)]
    another = server.create(BASE, LESSONS)
    with pytest.raises(TeachingRejected, match="made room for others before anything was learned, or nobody"):
        server.find(first)
    for key in (*others, another):
        server.find(key).state = TeachingState.TAUGHT
    with pytest.raises(TeachingRejected, match=r"16 teachings have learned something .* looks at for 24 hours goes"):
        server.create(BASE, LESSONS)
    server.find(another).state = TeachingState.STOPPED  # before anything was measured
    own = server.create(BASE, LESSONS, instead_of=another)
    server.find(own).state = TeachingState.STOPPED
    server.find(others[0]).state = TeachingState.KEPT  # which lies elsewhere
    server.find(others[1]).touched = time.monotonic() - 86_401
    for _ in range(2):
        server.find(server.create(BASE, LESSONS)).state = TeachingState.TAUGHT
    for gone in (another, *others[:2]):
        with pytest.raises(TeachingRejected, match="not here any more"):
            server.find(gone)
    assert [server.find(key).state for key in others[2:]] == [TeachingState.TAUGHT] * 13


def test_what_cannot_be_taught_is_refused_and_what_was_thrown_away_is_gone(server: Teachings, tmp_path: Path) -> None:
    with pytest.raises(TeachingRejected, match="There is nothing to learn from"):
        server.create(BASE, LessonReport((), ()))
    adapted = Checkpoint("tiny + mine", "Tiny + mine", "", base=BASE)
    with pytest.raises(TeachingRejected, match=r"has an adapter already\. Teach Tiny demo model itself"):
        server.create(adapted, LESSONS)
    key = server.create(BASE, LESSONS)
    server.throw_away(key)
    with pytest.raises(TeachingRejected, match="not here any more"):
        server.find(key)
