"""Who waits is answered together: the asks of several people at the same time by one engine.

The engine answers one call after another, and a call with several asks takes hardly longer than one with a single. So
whatever has come while it was busy is put to it together. An answer that nobody wants any more ends for its reader at
once, and the call when nobody wants any of its answers. What fails together is tried again one by one, so that nobody
loses an answer by another's fault. Serve's own batching holds every request back for a fixed time and cannot end one
of a batch, so it is not used here. Knows threads and engines. Knows no HTTP and no Ray.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from playground.engines import Ask, AskedEngine
from playground.errors import EngineFailed, PlaygroundError
from playground.events import Decoding, Event, Finished, Progress, RunStage, Token

_LATE_SECONDS = 30  # beyond the time of an answer after which the engine is taken to hang


@dataclass(frozen=True, slots=True)
class AnsweredBatch:
    """What a call of the engine came to, for whoever counts."""

    num_jobs: int
    num_answers: int
    num_tokens: int
    num_pictures: int
    encode_seconds: float
    decode_seconds: float


class Job:
    """The asks of one person, and where their events go. `tell` is called from the engine's thread."""

    def __init__(
        self, asks: Sequence[Ask], decoding: Decoding, tell: Callable[[Event | Exception], None], deadline: float
    ) -> None:
        self.asks = asks
        self.decoding = decoding
        self.deadline = deadline
        self._tell = tell
        self._open = set(range(len(asks)))
        self._is_abandoned = threading.Event()
        self._num_tokens = [0] * len(asks)  # that were told of each answer
        self._num_skipped = [0] * len(asks)
        self._lock = threading.RLock()  # the engine's thread tells, and the one that looks at the clock

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be told."""
        return not self._open or self._is_abandoned.is_set()

    def abandon(self) -> None:
        """Nobody reads any more."""
        self._is_abandoned.set()

    def begin_again(self) -> None:
        """Say nothing twice: the tokens that were told are the same again."""
        self._num_skipped = self._num_tokens
        self._num_tokens = [0] * len(self.asks)

    def take(self, event: Event) -> None:
        """Tell an event, unless it is known or comes too late."""
        with self._lock:
            if self.is_over or (not isinstance(event, Progress) and event.answer not in self._open):
                return
            if isinstance(event, Token):
                self._num_tokens[event.answer] += 1
                if self._num_tokens[event.answer] <= self._num_skipped[event.answer]:
                    return
            if isinstance(event, Finished):
                self._open.discard(event.answer)
            self._tell(event)

    def end_if_late(self) -> None:
        """End what is open once its time is over."""
        if time.monotonic() > self.deadline:
            self.end()

    def end(self) -> None:
        """End what is open with what is there."""
        for answer in sorted(self._open):
            self.take(Finished(is_truncated=False, is_stopped=True, answer=answer))

    def fail(self, error: Exception) -> None:
        """Tell why there is no answer."""
        with self._lock:
            if not self.is_over:
                self._open.clear()
                self._tell(error)


class Batcher:
    """Puts jobs to an engine, together where some wait. Safe to use from several threads."""

    def __init__(
        self, engine: AskedEngine, *, max_waiting: int = 256, counted: Callable[[AnsweredBatch], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._max_waiting = max_waiting
        self._counted = counted
        self._waiting: deque[Job] = deque()
        self._came = threading.Condition()
        self.num_batches = self.num_answers = 0  # so far
        self._is_closed = False
        self._late_at = math.inf
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """How many jobs wait for their turn."""
        return sum(not job.is_over for job in [*self._waiting])

    @property
    def hangs(self) -> bool:
        """Whether the engine is busy with what should have ended long ago."""
        return time.monotonic() > self._late_at or not self._thread.is_alive()

    def put(self, job: Job) -> None:
        """Let a job wait for its turn. Raises EngineFailed where too many wait."""
        with self._came:
            if self.num_waiting >= self._max_waiting:
                raise EngineFailed(
                    f"{self._max_waiting} questions wait already. Try again when some of them are answered."
                )
            self._waiting.append(job)
            self._came.notify()

    def close(self) -> None:
        """End the thread after the call that it is in."""
        with self._came:
            self._is_closed = True
            self._came.notify()

    def _work(self) -> None:
        while jobs := self._next():
            self._late_at = max(job.deadline for job in jobs) + _LATE_SECONDS
            try:
                self._answer(jobs)
            except Exception as error:
                self._answer_one_by_one(jobs, error)
            self._late_at = math.inf

    def _next(self) -> list[Job]:
        """Wait for the jobs that are due: the first that waits, and as many of its kind as are answered together."""
        with self._came:
            while True:
                self._waiting = deque(job for job in self._waiting if not job.is_over)
                if self._waiting or self._is_closed:
                    break
                self._came.wait()
            if not self._waiting:
                return []
            first = self._waiting.popleft()
            jobs, free = [first], self._engine.max_asks // first.decoding.num_beams - len(first.asks)
            for job in [*self._waiting]:
                if job.decoding == first.decoding and len(job.asks) <= free:
                    jobs.append(job)
                    free -= len(job.asks)
                    self._waiting.remove(job)
            return jobs

    def _answer(self, jobs: Sequence[Job]) -> None:
        whose = [(job, number) for job in jobs for number in range(len(job.asks))]
        asks = [job.asks[number] for job, number in whose]
        stop, watching = threading.Event(), threading.Event()
        watcher = threading.Thread(target=_watch, args=(jobs, stop, watching), name="batch-watcher", daemon=True)
        watcher.start()
        deadline = max(job.deadline for job in jobs)
        encode_ms, num_tokens, started = 0.0, 0, time.perf_counter()
        try:
            with closing(self._engine.generate(asks, jobs[0].decoding, stop=stop, deadline=deadline)) as events:
                for event in events:
                    if isinstance(event, Progress):
                        is_encoded = event.stage is RunStage.WRITING
                        encode_ms += ((event.encode_image_ms or 0.0) + (event.encode_prompt_ms or 0.0)) * is_encoded
                        for job in jobs:
                            job.take(event)
                        continue
                    num_tokens += isinstance(event, Token)
                    job, number = whose[event.answer]
                    job.take(replace(event, answer=number))
        finally:
            watching.set()
            watcher.join()
        seconds = time.perf_counter() - started
        self.num_batches += 1
        self.num_answers += len(asks)
        digests = {ask.image.digest for ask in asks}
        self._counted(
            AnsweredBatch(len(jobs), len(asks), num_tokens, len(digests), encode_ms / 1000, seconds - encode_ms / 1000)
        )

    def _answer_one_by_one(self, jobs: Sequence[Job], error: Exception) -> None:
        """Try each job alone where several failed together; of one alone, tell why."""
        if len(jobs) == 1:
            jobs[0].fail(error)
            return
        for job in jobs:
            if job.is_over:
                continue
            job.begin_again()
            try:
                self._answer([job])
            except Exception as own_error:
                job.fail(own_error)


def _watch(jobs: Sequence[Job], stop: threading.Event, watching: threading.Event) -> None:
    """End jobs whose time is over, and the call when nobody wants more of it."""
    while not watching.wait(0.05):
        for job in jobs:
            job.end_if_late()
        if all(job.is_over for job in jobs):
            stop.set()
            return


def failure_sentence(error: Exception) -> str:
    """Return what is said of a failure: its own sentence, or of a bug its kind alone, which holds nobody's words."""
    if isinstance(error, PlaygroundError):
        return str(error)
    return f"The model failed ({type(error).__name__}). Ask again, or ask something else."
