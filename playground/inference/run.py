"""A run: asks that are answered in a thread of their own, what that thread tells its reader, and when it must end.

Knows threads, time and what may go wrong with them. Knows nothing of models.
"""

import atexit
import math
import threading
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue

import torch

from playground.engines import Ask
from playground.errors import EngineFailed, EngineHangs
from playground.events import Decoding, Event, Finished, Token

_LAST_STEP_SECONDS = 5  # of a run that is in a step while the program ends
_LATE_SECONDS = 30  # that a step may take beyond a run's deadline before nobody waits for it any more


class StoppedError(Exception):
    """Unwinds a forward pass whose answer nobody waits for any more."""


class Run:
    """What the thread that answers needs to know: the asks, where events go, and whether anybody still wants them."""

    def __init__(self, asks: Sequence[Ask], decoding: Decoding, stop: threading.Event, deadline: float) -> None:
        self.asks = asks
        self.decoding = decoding
        self._stop = stop
        self._deadline = deadline
        self.abandoned = threading.Event()
        self._told: SimpleQueue[Event | BaseException] = SimpleQueue()
        self.open_answers = set(range(len(asks)))  # that are not finished yet
        self.num_tokens = [0] * len(asks)  # that were told of each answer

    @property
    def is_stopped(self) -> bool:
        """Whether nobody wants more."""
        return self._stop.is_set() or self.abandoned.is_set() or time.monotonic() > self._deadline

    def raise_if_stopped(self) -> None:
        """Raise StoppedError once nobody wants more."""
        if self.is_stopped:
            raise StoppedError

    def tell(self, event: Event) -> None:
        """Let the reader have an event."""
        if isinstance(event, Token):
            self.num_tokens[event.answer] += 1
        elif isinstance(event, Finished):
            self.open_answers.discard(event.answer)
        self._told.put(event)

    def events(self, work: "Callable[[Run], None]") -> Generator[Event, None, None]:
        """Let `work` answer in a thread, and yield what it tells until every answer is finished.

        What `work` raises is raised here, except StoppedError, which finishes what is open. Closing the generator
        abandons the run and does not wait for its thread.
        """
        worker = threading.Thread(target=self._do, args=(work,), name="engine-run", daemon=True)
        try:
            worker.start()
        except RuntimeError as error:  # its stack takes memory too
            raise _explain(error) from error
        _running[worker] = self
        num_open = len(self.asks)
        try:
            while num_open:
                event = self._next()
                if isinstance(event, BaseException):
                    raise event
                num_open -= isinstance(event, Finished)
                yield event
        finally:
            self.abandoned.set()

    def _next(self) -> Event | BaseException:
        """Wait for the next event, as long as one can be hoped for."""
        last = self._deadline + _LATE_SECONDS
        try:
            return self._told.get(timeout=None if last == math.inf else max(0.0, last - time.monotonic()))
        except Empty:
            return EngineHangs("The model hangs. Ask again; if that does not help, the playground must be restarted.")

    def _do(self, work: "Callable[[Run], None]") -> None:
        try:
            work(self)
        except StoppedError:
            for answer in sorted(self.open_answers):
                self.tell(Finished(is_truncated=False, is_stopped=True, answer=answer))
        except BaseException as error:  # whatever it is, the reader must not wait for ever
            self._told.put(_explain(error))


_running: weakref.WeakKeyDictionary[threading.Thread, Run] = weakref.WeakKeyDictionary()


@atexit.register
def _end_runs() -> None:
    """A program that ends while a thread is inside PyTorch is aborted: end what still runs, within one step."""
    running = list(_running.items())
    for _, run in running:  # all of them first: a thread may answer other runs along with its own
        run.abandoned.set()
    for worker, _ in running:
        worker.join(_LAST_STEP_SECONDS)


def _explain(error: BaseException) -> BaseException:
    """Turn what can happen to a healthy program into a sentence; everything else is a bug and stays as it is."""
    # On a CPU, PyTorch reports exhausted memory as a plain RuntimeError that speaks of the allocator, and Python as one
    # that speaks of a thread.
    signs = ("alloc", "start new thread")
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)
    ):
        return EngineFailed("The machine ran out of memory while answering. Try again, or choose a smaller checkpoint.")
    return error
