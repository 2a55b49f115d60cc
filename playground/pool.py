"""Which checkpoints are loaded: names to engines, fetched and loaded in the background.

Knows what it takes to load a checkpoint and how many may be loaded at once. Knows nothing of what an engine does, and
nothing of pictures, tasks or the page.
"""

import gc
import itertools
import logging
import os
import threading
import time
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet, WeakValueDictionary

from playground.checkpoints import hub, loader
from playground.checkpoints.catalog import (
    BUNDLED,
    CATALOG,
    Checkpoint,
    default_name,
    described_by,
    from_hub,
    resolve,
    with_adapter,
)
from playground.checkpoints.loader import LoadedCheckpoint
from playground.engines import AskedEngine, State, Status, WaitCancelled, too_late_sentence
from playground.errors import CheckpointUnavailable, PlaygroundError, SettingsInvalid
from playground.inference.memory import share_arena
from playground.settings import Settings

if TYPE_CHECKING:
    from playground.inference.caches import TensorCache
    from playground.inference.prepared import PreparedModel

_POLL_SECONDS = 0.1  # how soon a waiting run notices that nobody waits for it any more

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps from a name to a model in memory; by default those of `checkpoints.hub` and `checkpoints.loader`."""

    find_local: Callable[[Checkpoint], Path | None] = hub.find_local
    hub_answers: Callable[[Checkpoint, float], bool] = hub.hub_answers
    download: Callable[[Checkpoint, Callable[[float], None], float], Path] = hub.download
    load: Callable[..., LoadedCheckpoint] = loader.load
    choose_device: Callable[[str], str] = loader.choose_device


class ClosableEngine(AskedEngine, Protocol):
    """An engine that whoever made it can close."""

    def close(self) -> None:
        """Give its memory back once no run holds it."""


class _Entry:
    """What the pool keeps of one name. Read and written under the pool's lock."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.engine: ClosableEngine | None = None
        self.num_claims = 0  # runs that use the engine or wait for it
        self.last_used = 0
        self.status = Status(checkpoint, State.ABSENT, f"{checkpoint.title} is loaded when it is first asked.")

    @property
    def is_settled(self) -> bool:
        return self.status.state not in (State.DOWNLOADING, State.LOADING)


class Pool:
    """The checkpoints of one running playground. Safe to call from several threads.

    Only names that the pool was made with are accepted, so that no visitor of the page can make it open a folder or
    fetch a repository; where the page is one user's own, what that user has found on the hub can be added. The empty
    name is the checkpoint that was chosen at the start.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        make_engine: Callable[[LoadedCheckpoint], ClosableEngine] | None = None,
        steps: Steps = Steps(),
    ) -> None:
        """Take note of the names; nothing is loaded before `start`, `request`, `wait` or `acquire`.

        Raises CheckpointUnavailable when the settings name what cannot be a checkpoint.
        """
        share_arena()
        self._settings = settings
        self._make_engine = make_engine or self._make_real_engine
        self._steps = steps
        self._entries = {checkpoint.name: _Entry(checkpoint) for checkpoint in CATALOG}
        self._current = ""  # empty until it is chosen
        self._why_bundled = ""
        for named in map(resolve, settings.named_checkpoints):
            if named.base is not None:
                self._entries.setdefault(named.base.name, _Entry(named.base))
            name = self._add(named)
            self._current = self._current or name
        self._changed = threading.Condition()
        self._loading = threading.Lock()  # one checkpoint at a time goes to memory
        self._uses = itertools.count(1)
        self._first = threading.Thread(target=self._bring_first, name="pool-first", daemon=True)
        self._is_closed = False
        # By the sight of the engines that share them, as long as one of them is loaded.
        self._features: WeakValueDictionary[str, TensorCache[Any]] = WeakValueDictionary()
        self._prepared: WeakSet[PreparedModel] = WeakSet()  # of the engines that are loaded

    def _add(self, checkpoint: Checkpoint) -> str:
        """Let a checkpoint be asked for; one of the same name from elsewhere gets a number. Returns its name."""
        number = 1
        while (known := self._entries.get(checkpoint.name)) and known.checkpoint.source != checkpoint.source:
            number += 1
            numbered = f" ({number})"
            name, title = (text.removesuffix(f" ({number - 1})") for text in (checkpoint.name, checkpoint.title))
            checkpoint = replace(checkpoint, name=f"{name}{numbered}", title=f"{title}{numbered}")
        self._entries.setdefault(checkpoint.name, _Entry(checkpoint))
        return checkpoint.name

    @property
    def current_name(self) -> str:
        """The name of the checkpoint that was chosen at the start; empty until it is chosen."""
        return self._current

    def names(self) -> list[tuple[str, str]]:
        """Return the title, with the size where it is known, and the name of every checkpoint that may be asked for."""
        with self._changed:
            rows = [(entry.checkpoint, name) for name, entry in self._entries.items()]
        return [(f"{row.title} ({row.parameters})" if row.parameters else row.title, name) for row, name in rows]

    def admit(self, repository: str) -> str:
        """Let a repository of the hub be asked for from now on, and return the name by which it is.

        Raises CheckpointUnavailable where the settings do not allow it, and for what is no hub id.
        """
        if not self._settings.may_search_hub:
            raise CheckpointUnavailable("This playground loads nothing from the hub that it was not started with.")
        checkpoint = from_hub(repository)
        if checkpoint not in CATALOG:
            checkpoint = replace(checkpoint, title=checkpoint.source)  # several owners give a model the same name
        with self._changed:
            return self._add(checkpoint)

    def add_adapter(self, base: str, folder: Path) -> str:
        """Let a checkpoint with the adapter of a folder be asked for from now on, and return the name by which it is.

        Raises CheckpointUnavailable.
        """
        with self._changed:
            return self._add(with_adapter(self._find(base).checkpoint, str(folder)))

    def start(self) -> None:
        """Choose the first checkpoint and load it, in the background."""
        with self._changed:
            if self._first.ident is None:
                self._first.start()

    def request(self, name: str = "") -> Status:
        """Begin to load a checkpoint that is absent or has failed; return at once with how far it is."""
        if not name:
            self.start()
        with self._changed:
            if name or self._current:
                self._begin(self._find(name))
            return self.status(name)

    def status(self, name: str = "") -> Status:
        """Return how far a checkpoint is."""
        with self._changed:
            if name or self._current:
                return self._find(name).status
            return Status(CATALOG[0], State.ABSENT, "Looking for the checkpoint to use.")

    def wait(self, name: str = "") -> Status:
        """Load a checkpoint if it is absent; return when it is ready or has failed, however long that takes."""
        if not name:
            self.start()
            self._first.join()
        with self._changed:
            entry = self._find(name)
            if entry.status.state is State.ABSENT:
                self._begin(entry)
            self._wait_until_settled(entry)
            self._check_open()
            return entry.status

    @contextmanager
    def acquire(self, name: str = "", *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[AskedEngine]:
        """Hold a checkpoint's engine, after a wait for it as long as the settings allow; it stays loaded meanwhile.

        Raises CheckpointUnavailable when it cannot be loaded or not in time, WaitCancelled when `cancelled` turns true.
        """
        deadline = time.monotonic() + self._settings.load_wait_seconds
        if not name:
            self.start()
        with self._changed:
            self._wait_until(lambda: bool(name or self._current), name, cancelled, deadline)
            entry = self._find(name)
            entry.num_claims += 1
        try:
            with self._changed:
                self._begin(entry)
                self._wait_until(lambda: entry.is_settled, name, cancelled, deadline)
                engine = entry.engine
                if engine is None:
                    raise CheckpointUnavailable(entry.status.message, details=entry.status.details)
            yield engine
        finally:
            with self._changed:
                entry.num_claims -= 1
                entry.last_used = next(self._uses)
                self._changed.notify_all()

    def _make_real_engine(self, loaded: LoadedCheckpoint) -> ClosableEngine:
        from playground.inference.caches import TensorCache
        from playground.inference.engine import Engine  # brings torch, which the page does not wait for
        from playground.inference.prepared import prepare

        image_cache_bytes = self._settings.image_cache_megabytes * 2**20
        prepared = prepare(loaded, made=ChainMap(*(one.made for one in self._prepared)))
        self._prepared.add(prepared)
        return Engine(
            loaded,
            prepared,
            image_cache_bytes=image_cache_bytes,
            prompt_cache_bytes=self._settings.prompt_cache_megabytes * 2**20,
            shared_features=self._features.setdefault(loaded.sight, TensorCache(image_cache_bytes)),
        )

    def _nearest(self, checkpoint: Checkpoint) -> "PreparedModel | None":
        """Return what is loaded of the same base, with the fewest weights that an adapter has changed."""
        same = [one for one in self._prepared if _base_of(one.loaded.checkpoint) == _base_of(checkpoint)]
        return min(same, key=lambda one: len(one.loaded.weights.changed), default=None)

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
        for entry in self._entries.values():
            if name in (entry.checkpoint.name, entry.checkpoint.source):
                return entry
        raise CheckpointUnavailable(
            f"{name[:200]!r} is not a checkpoint of this playground. Choose one of {', '.join(self._entries)}.",
            details="Another one is named with --checkpoint when the playground is started.",
        )

    def _check_open(self) -> None:
        if self._is_closed:
            raise CheckpointUnavailable("The playground is closing. Start it again.")

    def _begin(self, entry: _Entry) -> None:
        self._check_open()
        if entry.status.state in (State.ABSENT, State.FAILED):
            self._set(entry, State.LOADING, f"Loading {entry.checkpoint.title}.")
            name = f"pool-{entry.checkpoint.name}"
            threading.Thread(target=self._bring, args=(entry,), name=name, daemon=True).start()

    def _wait_until(self, done: Callable[[], bool], name: str, cancelled: Callable[[], bool], deadline: float) -> None:
        while not done():
            if cancelled():
                raise WaitCancelled
            self._check_open()
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise CheckpointUnavailable(too_late_sentence(self.status(name), self._settings.load_wait_seconds))
            self._changed.wait(min(remaining, _POLL_SECONDS))

    def _wait_until_settled(self, entry: _Entry) -> None:
        self._changed.wait_for(lambda: entry.is_settled or self._is_closed)

    def _take_engine(self, entry: _Entry) -> ClosableEngine | None:
        engine, entry.engine = entry.engine, None
        if engine is not None:
            title = entry.checkpoint.title
            self._set(entry, State.ABSENT, f"{title} was unloaded, and is loaded again when it is asked.")
        return engine

    # --- In the background

    def _bring_first(self) -> None:
        """Load the first checkpoint; where nobody named one and the default fails, the bundled one."""
        names = [self._current] if self._current else [self._default_name(), BUNDLED]
        for name in dict.fromkeys(names):
            entry = self._entries[name]
            with self._changed:
                self._current = name
                if self._is_closed:
                    return
                self._begin(entry)
                self._wait_until_settled(entry)
                if entry.status.state is not State.FAILED:
                    return
                self._why_bundled = f"{entry.status.message} So the demo model answers."

    def _default_name(self) -> str:
        """Return the default for this device if it is on this machine or can be fetched now, else the bundled one."""
        missing = "Florence-2 is not on this machine, and "
        try:
            name = default_name(self._steps.choose_device(self._settings.device))
            checkpoint = self._entries[name].checkpoint
            if self._steps.find_local(checkpoint):
                return name
            if self._settings.offline:
                missing += "the playground is offline"
            elif self._steps.hub_answers(checkpoint, self._settings.hub_answer_seconds):
                return name
            else:
                missing += "the hub does not answer"
        except Exception as error:  # whatever is wrong with the device is said when the bundled one is loaded
            _logger.warning("The default checkpoint could not be chosen: %s", error)
            missing = "Which Florence-2 fits this machine could not be told"
        self._why_bundled = f"{missing}: so the demo model answers."
        return BUNDLED

    def _bring(self, entry: _Entry) -> None:
        """Take one checkpoint from wherever it is to memory."""
        folder = adapter = None
        try:
            if entry.checkpoint.base is not None:
                adapter = self._folder_of(entry, entry.checkpoint)
            folder = self._folder_of(entry, entry.checkpoint.base or entry.checkpoint)
            with self._loading:
                self._load(entry, folder, adapter)
        except SettingsInvalid as error:
            message = f"{entry.checkpoint.title} cannot run here as the playground is set up."
            self._set(entry, State.FAILED, message, details=str(error))
        except PlaygroundError as error:
            details = error.details if isinstance(error, CheckpointUnavailable) else ""
            message = _without_folders(str(error), entry.checkpoint, folder, adapter)
            self._set(entry, State.FAILED, message, details=details)
        except Exception as error:
            _logger.exception("Loading %s failed", entry.checkpoint.name)
            self._set(entry, State.FAILED, f"{entry.checkpoint.title} could not be loaded ({type(error).__name__}).")

    def _folder_of(self, entry: _Entry, checkpoint: Checkpoint) -> Path:
        return self._steps.find_local(checkpoint) or self._fetch(entry, checkpoint)

    def _fetch(self, entry: _Entry, checkpoint: Checkpoint) -> Path:
        if self._settings.offline:
            raise hub.offline_error(checkpoint)

        def show(percent: float) -> None:
            self._check_open()
            message = f"Downloading {checkpoint.title}: {percent:.0f} %"
            self._set(entry, State.DOWNLOADING, message, percent)

        show(0)
        return self._steps.download(checkpoint, show, self._settings.download_stall_seconds)

    def _load(self, entry: _Entry, folder: Path, adapter: Path | None) -> None:
        title = entry.checkpoint.title
        # The newcomer may see as one does that makes room for it, and share most of its weights.
        features, beside = list(self._features.values()), self._nearest(entry.checkpoint)
        self._make_room(entry)
        self._set(entry, State.LOADING, f"Loading {title}.")
        settings = self._settings
        entry.checkpoint = described_by(entry.checkpoint, folder, adapter)
        with _few_threads() if beside else nullcontext():
            loaded = self._steps.load(
                entry.checkpoint,
                folder,
                adapter=adapter,
                device=settings.device,
                precision=settings.precision,
                beside=beside and beside.loaded,
            )
            engine = self._make_engine(loaded)
        del features, beside
        license = entry.checkpoint.license
        license = f"Its card states the license {license}" if license else ""
        details = ". ".join(filter(None, (str(loaded.placement), loaded.details.rstrip("."), license, loaded.notice)))
        with self._changed:
            if not self._is_closed:
                entry.engine = engine
                entry.last_used = next(self._uses)
                longest = engine.max_answer_tokens
                self._set(entry, State.READY, f"{title} is ready.", max_answer_tokens=longest, details=details)
                return
        engine.close()

    def _make_room(self, newcomer: _Entry) -> None:
        """Unload the least recently used engines, waiting for runs to end where all are in use."""
        while engine := self._take_surplus(newcomer):
            engine.close()
            del engine
            gc.collect()  # the weights go now, not some time after the next ones came

    def _take_surplus(self, newcomer: _Entry) -> ClosableEngine | None:
        """Return an engine to close for the newcomer, which has to wait for one; None when there is room."""
        with self._changed:
            while True:
                self._check_open()
                loaded = [entry for entry in self._entries.values() if entry.engine]
                if len(loaded) < max(1, self._settings.max_loaded_checkpoints):
                    return None
                idle = [entry for entry in loaded if not entry.num_claims]
                if idle:
                    return self._take_engine(min(idle, key=lambda entry: entry.last_used))
                title = newcomer.checkpoint.title
                self._set(newcomer, State.LOADING, f"{title} waits until a running answer has ended.")
                self._changed.wait()

    def _set(
        self,
        entry: _Entry,
        state: State,
        message: str,
        percent: float | None = None,
        max_answer_tokens: int | None = None,
        details: str = "",
    ) -> None:
        with self._changed:
            answers = entry.checkpoint.name == BUNDLED and state is not State.FAILED
            why = self._why_bundled if answers else ""
            entry.status = Status(entry.checkpoint, state, message, percent, max_answer_tokens, details, why)
            self._changed.notify_all()


def _few_threads() -> AbstractContextManager[None]:
    """Compute with one thread: an adapter's matrices are too small for several not to wait for one another."""
    from playground.inference.threads import computing_with

    return computing_with(1)


def _base_of(checkpoint: Checkpoint) -> str:
    return (checkpoint.base or checkpoint).source


def _without_folders(sentence: str, checkpoint: Checkpoint, *folders: Path | None) -> str:
    """Return a sentence for the page, whose visitors the folders of a server do not concern."""
    sources = {row.source for row in (checkpoint, checkpoint.base) if row and row.is_local}
    for place in sorted({*map(str, filter(None, folders)), *sources}, key=len, reverse=True):
        sentence = sentence.replace(f"{place}{os.sep}", "").replace(place, "its folder")
    return sentence
