"""Who is loaded: names of checkpoints to engines, fetched and loaded in the background.

Knows what it takes to bring a checkpoint up and how many may be up at once. Knows nothing of what an engine does, and
nothing of pictures, tasks or the page.
"""

import gc
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from playground import checkpoints
from playground.checkpoints import BUNDLED, CATALOGUE, Checkpoint, LoadedCheckpoint
from playground.errors import CheckpointUnavailable, PlaygroundError
from playground.settings import Settings

if TYPE_CHECKING:
    from playground.engine import Engine

_POLL_SECONDS = 0.1  # how soon a waiting run notices that nobody waits for it any more

_logger = logging.getLogger(__name__)


class WaitCancelled(Exception):
    """Whoever waited for a checkpoint does not want it any more. Not an error, so not a PlaygroundError."""


class State(Enum):
    """How far a checkpoint is."""

    ABSENT = "absent"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """How far a checkpoint is, with one plain sentence for the status line; `percent` is that of a download."""

    checkpoint: Checkpoint
    state: State
    percent: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that bring a checkpoint to memory, as `playground.checkpoints` takes them."""

    find_local: Callable[[Checkpoint], Path | None] = checkpoints.find_local
    hub_answers: Callable[[Checkpoint, float], bool] = checkpoints.hub_answers
    download: Callable[[Checkpoint, Callable[[float], None], float], Path] = checkpoints.download
    load: Callable[..., LoadedCheckpoint] = checkpoints.load
    choose_device: Callable[[str], str] = checkpoints.choose_device


class _Entry:
    """What the pool keeps of one name. Read and written under the pool's lock."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.engine: Engine | None = None
        self.num_claims = 0  # runs that use the engine or wait for it
        self.last_used = 0
        self.state = State.ABSENT
        self.percent: float | None = None
        self.message = f"{checkpoint.title} is loaded when it is first asked."

    def set(self, state: State, message: str, percent: float | None = None) -> None:
        self.state, self.message, self.percent = state, message, percent

    @property
    def is_settled(self) -> bool:
        return self.state not in (State.DOWNLOADING, State.LOADING)

    @property
    def status(self) -> Status:
        return Status(self.checkpoint, self.state, self.percent, self.message)


class Pool:
    """The checkpoints of one running playground. Safe to call from several threads.

    Only names that the pool was made with are accepted, so that no visitor of the page can make it open a folder or
    fetch a repository. The empty name is the checkpoint that was chosen at the start.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        make_engine: "Callable[[LoadedCheckpoint], Engine] | None" = None,
        steps: Steps = Steps(),
    ) -> None:
        """Take note of the names; nothing is loaded before `start`, `request` or `acquire`.

        Raises CheckpointUnavailable when the settings name what cannot be a checkpoint.
        """
        self._settings = settings
        self._make_engine = make_engine or self._make_real_engine
        self._steps = steps
        self._entries = {checkpoint.name: _Entry(checkpoint) for checkpoint in CATALOGUE}
        self._current = ""  # empty until it is chosen
        if settings.checkpoint:
            named = checkpoints.resolve(settings.checkpoint)
            self._current = named.name
            self._entries.setdefault(named.name, _Entry(named))
        self._changed = threading.Condition()
        self._loading = threading.Lock()  # one checkpoint at a time goes to memory
        self._uses = itertools.count(1)
        self._is_started = False
        self._is_closed = False

    @property
    def current_name(self) -> str:
        """The name of the checkpoint that was chosen at the start; empty until it is chosen."""
        return self._current

    def names(self) -> list[tuple[str, str]]:
        """Return the title and the name of every checkpoint that may be asked for."""
        return [(entry.checkpoint.title, name) for name, entry in self._entries.items()]

    def start(self) -> None:
        """Choose the first checkpoint and load it, in the background."""
        with self._changed:
            if self._is_started:
                return
            self._is_started = True
        self._in_background(self._start)

    def request(self, name: str = "") -> Status:
        """Begin to load a checkpoint that is absent or has failed; return at once with how far it is."""
        if not name:
            self.start()
        with self._changed:
            if name or self._current:
                self._begin(self._find(name))
            return self._status(name)

    def status(self, name: str = "") -> Status:
        """Return how far a checkpoint is."""
        with self._changed:
            return self._status(name)

    @contextmanager
    def acquire(
        self, name: str = "", *, cancelled: Callable[[], bool] = lambda: False, timeout_seconds: float | None = None
    ) -> "Iterator[Engine]":
        """Hold a checkpoint's engine, after a bounded wait for it; it is not unloaded while it is held.

        Raises CheckpointUnavailable when it cannot be loaded or not in time, WaitCancelled when `cancelled` turns true.
        """
        if timeout_seconds is None:
            timeout_seconds = self._settings.load_wait_seconds
        deadline = time.monotonic() + timeout_seconds
        if not name:
            self.start()
        with self._changed:
            self._wait_until(lambda: bool(name or self._current), name, cancelled, deadline, timeout_seconds)
            entry = self._find(name)
            entry.num_claims += 1
        try:
            with self._changed:
                self._begin(entry)
                self._wait_until(lambda: entry.is_settled, name, cancelled, deadline, timeout_seconds)
                engine = entry.engine
                if engine is None:
                    raise CheckpointUnavailable(entry.message)
            yield engine
        finally:
            with self._changed:
                entry.num_claims -= 1
                entry.last_used = next(self._uses)
                self._changed.notify_all()

    def _make_real_engine(self, loaded: "LoadedCheckpoint") -> "Engine":
        from playground.engine import Engine  # brings torch, which the page does not wait for

        return Engine(
            loaded,
            image_cache_bytes=self._settings.image_cache_megabytes * 2**20,
            prompt_cache_bytes=self._settings.prompt_cache_megabytes * 2**20,
        )

    def close(self) -> None:
        """End every wait and close the engines. A run in progress is not waited for by the pool."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            engines = [engine for entry in self._entries.values() if (engine := self._take_engine(entry))]
        for engine in engines:
            engine.close()

    # --- Under the lock

    def _find(self, name: str) -> _Entry:
        name = name or self._current
        by_source = {entry.checkpoint.source: entry for entry in reversed(self._entries.values())}
        entry = self._entries.get(name) or by_source.get(name)
        if entry is None:
            raise CheckpointUnavailable(
                f"{name[:200]!r} is not a checkpoint of this playground. It has {', '.join(self._entries)}; "
                "another one is named with --checkpoint when it is started."
            )
        return entry

    def _status(self, name: str) -> Status:
        if name or self._current:
            return self._find(name).status
        return Status(CATALOGUE[0], State.ABSENT, None, "Looking for the checkpoint to use.")

    def _check_open(self) -> None:
        if self._is_closed:
            raise CheckpointUnavailable("The playground is closing. Start it again.")

    def _begin(self, entry: _Entry) -> None:
        self._check_open()
        if entry.state in (State.ABSENT, State.FAILED):
            entry.set(State.LOADING, f"Loading {entry.checkpoint.title}.")
            self._changed.notify_all()
            self._in_background(self._bring, entry)

    def _wait_until(
        self, is_done: Callable[[], bool], name: str, cancelled: Callable[[], bool], deadline: float, seconds: float
    ) -> None:
        while not is_done():
            if cancelled():
                raise WaitCancelled
            self._check_open()
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise CheckpointUnavailable(_too_late_sentence(self._status(name), seconds))
            self._changed.wait(min(remaining, _POLL_SECONDS))

    def _take_engine(self, entry: _Entry) -> "Engine | None":
        engine, entry.engine = entry.engine, None
        if engine is not None:
            entry.set(State.ABSENT, f"{entry.checkpoint.title} was unloaded, and is loaded again when it is asked.")
        return engine

    # --- In the background

    def _in_background(self, work: Callable[..., None], *arguments: _Entry) -> None:
        threading.Thread(target=work, args=arguments, name=f"pool-{work.__name__}", daemon=True).start()

    def _start(self) -> None:
        """Load the first checkpoint; where nobody named one and the default fails, the bundled one."""
        was_named = bool(self._current)
        for name in [self._current] if was_named else [self._default_name(), BUNDLED]:
            entry = self._entries[name]
            with self._changed:
                self._current = name
                if self._is_closed:
                    return
                self._begin(entry)
                self._changed.wait_for(lambda entry=entry: entry.is_settled or self._is_closed)  # type: ignore[misc]
                if entry.state is not State.FAILED:
                    return

    def _default_name(self) -> str:
        """Return the default for this device if it is on this machine or can be fetched now, else the bundled one."""
        try:
            name = checkpoints.default_name(self._steps.choose_device(self._settings.device))
            checkpoint = self._entries[name].checkpoint
            if self._steps.find_local(checkpoint):
                return name
            if not self._settings.offline and self._steps.hub_answers(checkpoint, self._settings.hub_answer_seconds):
                return name
        except Exception as error:  # whatever is wrong with the device is said when the bundled one is loaded
            _logger.warning("The default checkpoint could not be chosen: %s", error)
        return BUNDLED

    def _bring(self, entry: _Entry) -> None:
        """Take one checkpoint from wherever it is to memory."""
        try:
            folder = self._steps.find_local(entry.checkpoint) or self._fetch(entry)
            with self._loading:
                self._load(entry, folder)
        except PlaygroundError as error:
            self._set(entry, State.FAILED, str(error))
        except Exception as error:
            _logger.exception("Loading %s failed", entry.checkpoint.name)
            self._set(entry, State.FAILED, f"{entry.checkpoint.title} could not be loaded ({type(error).__name__}).")

    def _fetch(self, entry: _Entry) -> Path:
        if self._settings.offline:
            raise CheckpointUnavailable(checkpoints.how_to_get(entry.checkpoint))

        def show(percent: float) -> None:
            self._check_open()
            message = f"Downloading {entry.checkpoint.title}: {percent:.0f} %"
            self._set(entry, State.DOWNLOADING, message, percent)

        show(0)
        return self._steps.download(entry.checkpoint, show, self._settings.download_stall_seconds)

    def _load(self, entry: _Entry, folder: Path) -> None:
        title = entry.checkpoint.title
        self._set(entry, State.LOADING, f"Loading {title}.")
        self._make_room(entry)
        loaded = self._steps.load(entry.checkpoint, folder, device=self._settings.device)
        engine = self._make_engine(loaded)
        placement = loaded.placement
        message = f"{title} on {placement.device}, {placement.dtype}: {placement.reason}. {loaded.notice}".strip()
        with self._changed:
            if not self._is_closed:
                entry.engine = engine
                entry.last_used = next(self._uses)
                entry.set(State.READY, message)
                self._changed.notify_all()
                return
        engine.close()

    def _make_room(self, newcomer: _Entry) -> None:
        """Unload the least recently used engines, waiting for runs to end where all are in use."""
        while True:
            with self._changed:
                loaded = [entry for entry in self._entries.values() if entry.engine]
                self._check_open()
                if len(loaded) < max(1, self._settings.max_loaded_checkpoints):
                    return
                idle = [entry for entry in loaded if not entry.num_claims]
                if not idle:
                    newcomer.message = f"{newcomer.checkpoint.title} waits until a running answer has ended."
                    self._changed.wait()
                    continue
                engine = self._take_engine(min(idle, key=lambda entry: entry.last_used))
            if engine is not None:
                engine.close()
            del engine
            gc.collect()  # the weights go now, not some time after the next ones came

    def _set(self, entry: _Entry, state: State, message: str, percent: float | None = None) -> None:
        with self._changed:
            entry.set(state, message, percent)
            self._changed.notify_all()


def _too_late_sentence(status: Status, seconds: float) -> str:
    title = status.checkpoint.title
    doing = f"downloading ({status.percent:.0f} %)" if status.percent is not None else "loading"
    instead = "" if status.checkpoint.name == BUNDLED else ", or choose the tiny demo model"
    return f"{title} is still {doing} after {seconds:g} seconds. Try again later{instead}."
