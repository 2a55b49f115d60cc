"""`Engines` of a single engine that is ready, whatever name is asked for: for whoever has made one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playground.engines import AskedEngine, State, Status
from playground.errors import CheckpointUnavailable


class OneEngine:
    """One checkpoint, as its engine is at this moment."""

    def __init__(self, engine: AskedEngine) -> None:
        self._engine = engine

    @property
    def current_name(self) -> str:
        """The name of the one."""
        return self._engine.checkpoint.name

    def names(self) -> list[tuple[str, str]]:
        """Return its title and its name."""
        return [(self._engine.checkpoint.title, self.current_name)]

    def admit(self, repository: str) -> str:
        """Refuse any other. Raises CheckpointUnavailable."""
        raise CheckpointUnavailable(f"Only {self.current_name} is asked here, not {repository[:80]!r}.")

    def status(self, name: str = "") -> Status:  # noqa: ARG002  # as the protocol has it
        """Return that it is ready."""
        checkpoint = self._engine.checkpoint
        return Status(checkpoint, State.READY, checkpoint.title, max_answer_tokens=self._engine.max_answer_tokens)

    def request(self, name: str = "") -> Status:
        """Return that it is ready."""
        return self.status(name)

    @contextmanager
    def acquire(self, name: str = "", *, cancelled: Callable[[], bool] = bool) -> Iterator[AskedEngine]:  # noqa: ARG002
        """Hold it."""
        yield self._engine
