"""Who waits for the model is answered along with whoever has it: the asks of several runs, written together.

Knows runs, and whether they fit together. Knows nothing of models.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from playground.engines import Ask
from playground.inference.run import Run


class AskGroup:
    """Asks of a run that are answered in the same turn, by their numbers in it."""

    def __init__(self, run: Run, answers: Sequence[int]) -> None:
        self.run = run
        self.answers = answers
        self.is_answered = False  # along with another one, in whose turn

    @property
    def asks(self) -> list[Ask]:
        """What is asked."""
        return [self.run.asks[answer] for answer in self.answers]

    @property
    def open_answers(self) -> list[int]:
        """Those of its answers that are not finished."""
        return [answer for answer in self.answers if answer in self.run.open_answers]


class WaitingLine:
    """The groups that wait for the model. Safe to use from several threads."""

    def __init__(self) -> None:
        self._waiting: list[AskGroup] = []
        self._lock = threading.Lock()

    @property
    def num_waiting(self) -> int:
        """How many groups wait."""
        return len(self._waiting)

    @contextmanager
    def waiting(self, group: AskGroup) -> Iterator[None]:
        """Let a group be taken along by whoever has the model, until its own turn."""
        with self._lock:
            self._waiting.append(group)
        try:
            yield
        finally:
            self.leave(group)

    def leave(self, group: AskGroup) -> None:
        """Let a group be taken along no more."""
        with self._lock:
            if group in self._waiting:
                self._waiting.remove(group)

    def take_along(self, group: AskGroup, free: int, fits: Callable[[AskGroup], bool]) -> list[AskGroup]:
        """Take the groups that wait, in their order, as many as there is room for, to be answered along with a group.

        They are decoded alike.
        """
        taken: list[AskGroup] = []
        with self._lock:
            for other in [*self._waiting]:
                is_alike = other.run.decoding == group.run.decoding
                if is_alike and len(other.answers) <= free and not other.run.is_stopped and fits(other):
                    free -= len(other.answers)
                    self._waiting.remove(other)
                    taken.append(other)
        return taken
