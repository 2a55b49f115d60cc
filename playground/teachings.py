"""What people teach on the page: one teaching at a time on a server, found again by a key that only its owner has.

Knows data sets, the teaching itself, and where adapters are kept. Knows no page: who looks is told by looking.
"""

import logging
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from enum import Enum
from pathlib import Path

from playground.checkpoints.catalog import Checkpoint
from playground.checkpoints.files import ADAPTER_WEIGHTS
from playground.datasets.reading import LabeledData
from playground.engines import AskedEngine
from playground.errors import PlaygroundError, TeachingRejected
from playground.finetune.checks import LessonReport, check_lessons, lessons_of_data, with_rehearsals
from playground.finetune.lora import check_peft
from playground.finetune.out_folder import STATE
from playground.finetune.teaching import HeldOutAnswer, MeasuredPoint, Teaching, TeachingProgress
from playground.question import Question
from playground.settings import Settings

LEFT_ALONE_SECONDS = 600.0  # after which a teaching that nobody has looked at ends, so that others may begin
_STEPS_A_LESSON, _FEWEST_STEPS, _MOST_STEPS = 10, 40, 300
_MEASURE_EVERY, _MOST_MEASURED = 20, 12  # steps, and pictures: whoever looks on is to see something
_HELD_OUT = 0.2  # of the pictures, to measure with
_ENDS = 2  # tokens around a text
_KEPT_IN_ALL = 16  # teachings, whatever their state is
_SECONDS_TO_END = 10.0  # for what is at work when the server ends: a step, or a measurement
_NO_NAME = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 60

_logger = logging.getLogger(__name__)


class TeachingState(Enum):
    """How far a teaching is, for whoever looks at it."""

    READY = "ready"
    WORKING = "working"
    STOPPED = "stopped"
    TAUGHT = "taught"
    KEPT = "kept"
    FAILED = "failed"


_NOTHING_TO_LOSE = (TeachingState.READY, TeachingState.KEPT, TeachingState.FAILED)


class ServedTeaching:
    """One teaching. Safe to use from several threads; only `Teachings` makes one."""

    def __init__(self, base: Checkpoint, lessons: LessonReport, out: Path) -> None:
        self.base = base
        self.lessons = lessons
        self.out = out
        self.touched = time.monotonic()
        self.state = TeachingState.READY
        self.message = ""  # why it failed, or what it is kept as
        self.progress: TeachingProgress | None = None
        self.before: tuple[HeldOutAnswer, ...] = ()  # what was answered before the first step
        self.now: tuple[HeldOutAnswer, ...] = ()  # when it was last measured
        self.best: tuple[HeldOutAnswer, ...] = ()  # and by what is kept of all that was measured
        self._teaching: Teaching | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_working(self) -> bool:
        """Whether it is at work."""
        return self.state is TeachingState.WORKING

    @property
    def is_ending(self) -> bool:
        """Whether it was told to stop."""
        return self._ending.is_set()

    @property
    def can_be_kept(self) -> bool:
        """Whether something was learned that lies in its folder, where it waits."""
        is_left = self.state is TeachingState.STOPPED and (self.out / ADAPTER_WEIGHTS).is_file()
        return self.state is TeachingState.TAUGHT or is_left

    def start(self, max_seconds: float) -> None:
        """Begin, or go on where it was stopped."""
        self.state, self.message, self._ending = TeachingState.WORKING, "", threading.Event()
        # What was begun goes on as it was begun, or it would be another teaching, but for the time that it has.
        self._teaching = replace(self._teaching or _teaching_of(self.lessons), max_seconds=max_seconds)
        work = (self._teaching, self._ending)
        self._thread = threading.Thread(target=self._work, args=work, name="teaching", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End within a step; started again it goes on from there."""
        self._ending.set()

    def discard(self) -> None:
        """End, and delete what was learned."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_SECONDS_TO_END)
        shutil.rmtree(self.out, ignore_errors=True)

    def _work(self, teaching: Teaching, ending: threading.Event) -> None:
        state, message = TeachingState.FAILED, ""
        try:
            state = TeachingState.TAUGHT if self._teach(teaching, ending) else TeachingState.STOPPED
        except PlaygroundError as error:
            message = str(error)
        except MemoryError:
            message = "There is not enough memory to teach this checkpoint here. Choose a smaller one."
        except Exception as error:  # a bug: whoever looks must not wait for ever
            _logger.exception("A teaching has failed.")
            message = f"Something is wrong with the playground itself ({type(error).__name__}). Start it again."
        self.touched = time.monotonic()
        self.message, self.state = message, state

    def _teach(self, teaching: Teaching, ending: threading.Event) -> bool:
        """Take the steps; returns whether they came to their end."""
        from playground.finetune.loop import finetune  # brings torch

        base = self.base.source if self.base.is_local else self.base.name
        with closing(finetune(self.lessons.lessons, self.lessons.held_out, base, teaching, self.out)) as steps:
            for progress in steps:
                self.progress = progress
                self.before, self.now = self.before or progress.answers, progress.answers or self.now
                if progress.answers and kept_point(progress.points) == progress.points[-1]:
                    self.best = progress.answers
                if progress.folder is not None:
                    return True
                if ending.is_set() or time.monotonic() - self.touched > LEFT_ALONE_SECONDS:
                    return False
        return True


class Teachings:
    """All teachings of a server. Safe to use from several threads."""

    def __init__(self, settings: Settings, add_adapter: Callable[[str, Path], str]) -> None:
        """Keep nothing yet; `add_adapter` lets an adapter of a checkpoint be asked for, and returns its name."""
        self._settings = settings
        self._add_adapter = add_adapter
        self._folder: Path | None = None
        self._lock = threading.RLock()
        self._teachings: dict[str, ServedTeaching] = {}

    def create(self, base: Checkpoint, lessons: LessonReport, instead_of: str = "") -> str:
        """Take what is to be taught; returns the key by which it is found. Raises TeachingRejected.

        The teaching whose key it is `instead_of` is thrown away.
        """
        check_peft()
        self._check_it_is_spare(instead_of)
        if base.base is not None:
            raise TeachingRejected(f"{base.title} has an adapter already. Teach {base.base.title} itself.")
        if not lessons.lessons:
            why = f" {lessons.left_out[0]}" if lessons.left_out else ""
            raise TeachingRejected(f"There is nothing to learn from.{why} Correct or approve pictures, or give a ZIP.")
        key = secrets.token_urlsafe(18)
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="playground-teachings-"))
            gone = [self._teachings.pop(name) for name in self._making_room(instead_of)]
            self._teachings[key] = ServedTeaching(base, lessons, self._folder / secrets.token_hex(8))
        for one in gone:
            one.discard()
        return key

    def find(self, key: str) -> ServedTeaching:
        """Return the teaching of a key, which is looked at by that. Raises TeachingRejected."""
        with self._lock:
            found = self._teachings.get(key)
        if found is None:
            raise TeachingRejected(
                "This teaching is not here any more: it was thrown away, it made room for others before anything was "
                f"learned, or nobody has looked at it for {self._settings.hours_kept}. Choose the pictures again."
            )
        found.touched = time.monotonic()
        return found

    def start(self, key: str, minutes: float) -> None:
        """Let a teaching begin or go on, where no other is at work. Raises TeachingRejected."""
        with self._lock:
            found = self.find(key)
            others = [one for one in self._teachings.values() if one.is_working]
            if found.is_working:
                return
            if others:
                left = others[0].progress.seconds_left if others[0].progress else None
                soon = f", which takes about {max(1, round(left / 60))} minutes more" if left else ""
                raise TeachingRejected(f"Somebody else is teaching here{soon}. One goes at a time: try again later.")
            found.start(60 * min(max(minutes, 0.0), self._settings.teach_minutes))

    def keep(self, key: str, name: str) -> tuple[str, Path]:
        """Keep what was learned under a name; returns that of the checkpoint with it, and the folder where it lies.

        Raises TeachingRejected.
        """
        found = self.find(key)
        with self._lock:
            if not found.can_be_kept:
                raise TeachingRejected("There is nothing to keep: teach it first.")
            folder = _free(Path(self._settings.adapters_folder).absolute(), name)
            try:
                shutil.copytree(found.out, folder, ignore=shutil.ignore_patterns(STATE, ".*"))
            except OSError as error:
                raise TeachingRejected(
                    f"The adapter could not be kept ({error.strerror}). Let PLAYGROUND_ADAPTERS_FOLDER name a folder "
                    "that can be written."
                ) from error
            checkpoint = self._add_adapter(found.base.name, folder)
            found.state, found.message = TeachingState.KEPT, checkpoint
        return checkpoint, folder

    def throw_away(self, key: str) -> None:
        """Forget a teaching and what it has learned."""
        with self._lock:
            found = self._teachings.pop(key, None)
        if found is not None:
            found.discard()

    def _check_it_is_spare(self, key: str) -> None:
        """Raise TeachingRejected where a teaching is at work, or has learned what nobody has said is to go."""
        with self._lock:
            found = self._teachings.get(key)
        if found is not None and (found.is_working or found.can_be_kept):
            first = "Stop it, and then keep it" if found.is_working else "Keep it"
            raise TeachingRejected(f"What is taught here would be lost by that. {first}, or throw it away.")

    def _making_room(self, instead_of: str) -> Collection[str]:
        """Return what is to go for one more: nothing that has learned something and that somebody may want.

        Raises TeachingRejected where that makes no room.
        """
        latest = time.monotonic() - self._settings.keep_jobs_seconds
        idle = sorted((one.touched, key) for key, one in self._teachings.items() if not one.is_working)
        spare = [key for _, key in idle if self._teachings[key].state in _NOTHING_TO_LOSE]
        gone = {instead_of, *(key for touched, key in idle if touched <= latest)} & self._teachings.keys()
        too_many = len(self._teachings) - len(gone) - _KEPT_IN_ALL + 1
        gone.update([key for key in spare if key not in gone][: max(0, too_many)])
        if len(self._teachings) - len(gone) >= _KEPT_IN_ALL:
            raise TeachingRejected(
                f"{_KEPT_IN_ALL} teachings have learned something here and wait to be kept or thrown away, the most "
                f"there may be. Keep yours, or throw it away; one that nobody looks at for "
                f"{self._settings.hours_kept} goes by itself."
            )
        return gone

    def close(self) -> None:
        """End what is at work, and delete what was not kept."""
        for key in list(self._teachings):
            self.throw_away(key)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _teaching_of(lessons: LessonReport) -> Teaching:
    """Return how so many lessons are taught, so that it mostly comes to its end in the time that it has."""
    taught = [lesson for lesson in lessons.lessons if not lesson.is_rehearsed]
    is_shared = len(taught) < len(lessons.lessons)  # with what is rehearsed, which is half of each step
    return Teaching(
        steps=min(_MOST_STEPS, max(_FEWEST_STEPS, _STEPS_A_LESSON * len(taught)) * (2 if is_shared else 1)),
        measure_every=_MEASURE_EVERY,
        max_measured=_MOST_MEASURED,
    )


def kept_point(points: Sequence[MeasuredPoint]) -> MeasuredPoint | None:
    """Return the measurement whose weights are kept: that with the lowest loss of what is held out, else the last."""
    measured = [(point.held_out_loss, point) for point in points if point.held_out_loss is not None]
    return min(measured, key=lambda pair: pair[0])[1] if measured else points[-1] if points else None


def _free(folder: Path, name: str) -> Path:
    """Return a folder that does not exist yet, called as wanted as far as a file system has such names."""
    wanted = _NO_NAME.sub("-", name).strip(".-")[:_LONGEST_NAME] or "mine"
    number, free = 1, folder / wanted
    while free.exists():
        number += 1
        free = folder / f"{wanted}-{number}"
    return free


def lessons_of(
    data: LabeledData, task: str, engine: AskedEngine, settings: Settings, others: LabeledData | None = None
) -> LessonReport:
    """Return what a data set teaches a checkpoint; without a task what it says that was asked. Raises TeachingRejected.

    What a job has answered about `others`, which nobody has looked at, is rehearsed. All pictures are opened for that.
    """
    count, most = data.summary().num_pictures, settings.teach_pictures
    if count > most:
        raise TeachingRejected(f"These are {count} pictures; {most} are accepted here. Give some of them.")
    report = lessons_of_data(data, Question(task) if task else None, held_out_share=_HELD_OUT, seed=0)
    if others is not None:
        report = with_rehearsals(report, others, most - count)
    return check_lessons(
        report,
        lambda text: engine.num_tokens(text) + _ENDS,
        max_prompt_tokens=engine.max_prompt_tokens + _ENDS,
        max_answer_tokens=engine.max_answer_tokens,
    )
