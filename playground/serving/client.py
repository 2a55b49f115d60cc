"""The engines of a cluster: takes the place of `pool.Pool` where a page or a program has none of its own.

Knows which checkpoint the cluster has, which may change at any time, and whether it answers. Knows no Ray.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from playground.checkpoints.catalog import CATALOG, Checkpoint
from playground.engines import AskedEngine, State, Status, WaitCancelled
from playground.errors import CheckpointUnavailable, PlaygroundError
from playground.serving.connection import POLL_SECONDS, Connection, LostError, cluster_url
from playground.serving.remote_engine import RemoteEngine
from playground.serving.wire import Description, read_description
from playground.settings import Settings

_LOOK_SECONDS = 0.5, 5.0  # from one look at the cluster to the next, before it answers and while it does
_MAX_COUNTED = 4096  # texts whose tokens are known
_CHECKPOINT = Checkpoint("", "The cluster's checkpoint", "")


class RemoteEngines:
    """The checkpoint of a cluster, as `engines.Engines`. Safe to call from several threads."""

    def __init__(self, address: str, settings: Settings, *, why_ended: Callable[[], str] = lambda: "") -> None:
        """Take note of the address, `ray://HOST:PORT`; nobody is asked before `start`.

        `why_ended` says why the cluster will never answer, where that is known. Raises SettingsInvalid.
        """
        self.connection = Connection(cluster_url(address))
        self._settings = settings
        self._why_ended = why_ended
        self._description: Description | None = None
        self._problem = ""
        self._names: set[str] = set()  # under which the cluster was known
        self._token_counts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = threading.Event()
        self._looking = threading.Thread(target=self._look, name="cluster-look", daemon=True)

    @property
    def current_name(self) -> str:
        """The name of the cluster's checkpoint; empty until it answers."""
        return self._description.checkpoint.name if self._description else ""

    def names(self) -> list[tuple[str, str]]:
        """Return the title, with the size where it is known, and the name of every checkpoint that may be asked for."""
        if self._description is None:
            return []
        checkpoint = self._description.checkpoint
        size = f" ({checkpoint.parameters})" if checkpoint.parameters else ""
        return [(f"{checkpoint.title}{size}", checkpoint.name)]

    def admit(self, repository: str) -> str:
        """Raise CheckpointUnavailable: a cluster holds what it was started with."""
        raise CheckpointUnavailable(f"The cluster holds one checkpoint, which is not {repository[:200]!r}.")

    def start(self) -> None:
        """Begin to look for the cluster, in the background."""
        with self._changed:
            if self._looking.ident is None:
                self._looking.start()

    def status(self, name: str = "") -> Status:
        """Return how far the cluster is. Raises CheckpointUnavailable for a name that it never had."""
        description = self._description
        if description is None:
            if message := self._why_ended() or self._problem:
                return Status(_CHECKPOINT, State.FAILED, message)
            return Status(_CHECKPOINT, State.LOADING, "Waiting for the cluster to answer.")
        checkpoint = description.checkpoint
        if name and name not in self._names:
            return _not_here(name, checkpoint)
        return Status(
            checkpoint, State.READY, f"{checkpoint.title} is ready.", details=description.details,
            max_answer_tokens=description.max_answer_tokens,
        )  # fmt: skip

    def request(self, name: str = "") -> Status:
        """Look for the cluster, and return at once with how far it is."""
        self.start()
        return self.status(name)

    def wait(self, name: str = "") -> Status:
        """Return when the cluster answers, or has failed, however long that takes."""
        self.start()
        with self._changed:
            while (status := self.status(name)).is_busy and not self._is_closed.is_set():
                self._changed.wait(POLL_SECONDS)
            return status

    @contextmanager
    def acquire(self, name: str = "", *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[AskedEngine]:
        """Give the cluster's engine, after a wait for it as long as the settings allow.

        Raises CheckpointUnavailable when it does not answer in time, WaitCancelled when `cancelled` turns true.
        """
        self.start()
        deadline = time.monotonic() + self._settings.load_wait_seconds
        while (status := self.status(name)).is_busy:
            if cancelled():
                raise WaitCancelled
            if time.monotonic() > deadline:
                raise CheckpointUnavailable(
                    f"No cluster has answered at {self.connection.url} for {self._settings.load_wait_seconds:g} "
                    "seconds. Start it, or name the port at which Ray Serve answers HTTP."
                )
            time.sleep(POLL_SECONDS)
        if status.state is not State.READY or self._description is None:
            raise CheckpointUnavailable(status.message)
        yield RemoteEngine(
            self.connection, self._description, asked=name, num_tokens=self._num_tokens, learn=self._learn
        )

    def close(self) -> None:
        """Look no more."""
        self._is_closed.set()

    def _look(self) -> None:
        """Ask what the cluster is, again and again: its checkpoint may change, and it may come and go."""
        while not self._is_closed.is_set():
            with suppress(LostError, PlaygroundError):
                self._learn(self.connection.wait_for(self.connection.get("/about")))
            self._is_closed.wait(_LOOK_SECONDS[self._description is not None])

    def _learn(self, said: bytes) -> Description:
        """Take what a replica says of itself. Raises LostError where that is nothing of ours."""
        try:
            description = read_description(said)
        except ValueError as error:
            self._problem = (
                f"What answers at {self.connection.url} is no cluster of this playground, or one of another version. "
                "Name the port at which Ray Serve answers HTTP."
            )
            raise LostError("nothing of ours") from error
        with self._changed:
            self._problem = ""
            self._description = description
            self._names.add(description.checkpoint.name)
            self._changed.notify_all()
        return description

    def _num_tokens(self, checkpoint: str, text: str) -> int:
        """Return how many tokens a text has for a checkpoint; it is asked for once."""
        key = checkpoint, text
        count = self._token_counts.get(key)
        if count is None:
            count = self.connection.retried(lambda: self.connection.count(text))
            with self._changed:
                self._token_counts[key] = count
                while len(self._token_counts) > _MAX_COUNTED:
                    self._token_counts.popitem(last=False)
        return count


def _not_here(name: str, held: Checkpoint) -> Status:
    """Say that a checkpoint of the catalog is not the cluster's. Raises CheckpointUnavailable for any other name."""
    sentence = f"The cluster holds {held.title}. Choose that, or change the cluster's checkpoint."
    for checkpoint in CATALOG:
        if checkpoint.name == name:
            return Status(checkpoint, State.FAILED, f"{checkpoint.title} cannot be asked here. {sentence}")
    raise CheckpointUnavailable(f"{name[:200]!r} is not a checkpoint of this playground. {sentence}")
