"""What is asked of engines and what they promise: one loaded checkpoint, and all those of a playground.

`inference.engine.Engine` and `pool.Pool` are one implementation. Whoever asks needs to know no more than this.
"""

import math
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from playground.checkpoints.catalog import BUNDLED, Checkpoint
from playground.events import Attention, Decoding, Event
from playground.pictures.reader import InputImage


class Ask(NamedTuple):
    """A picture and what the model is asked about it."""

    image: InputImage
    prompt: str


class AskedEngine(Protocol):
    """One loaded checkpoint, ready to answer. Safe to call from several threads: runs take turns."""

    @property
    def checkpoint(self) -> Checkpoint:
        """What is loaded."""

    @property
    def notice(self) -> str:
        """What differs from what was asked for when it was loaded, in a sentence; mostly empty."""

    @property
    def banned_phrases(self) -> frozenset[str]:
        """Phrases, in lower case, that grounding drops."""

    @property
    def max_prompt_tokens(self) -> int:
        """How many tokens a prompt may have beside the picture and the two ends of the sentence."""

    @property
    def max_answer_tokens(self) -> int:
        """How many tokens an answer may have."""

    @property
    def image_side(self) -> int:
        """How many pixels the model sees of a picture's side, whatever it has."""

    @property
    def max_asks(self) -> int:
        """How many asks are answered at the same time, if there are so many in one call."""

    def num_tokens(self, text: str) -> int:
        """Return the number of tokens of a prompt without its two ends."""

    def generate(
        self,
        asks: Sequence[Ask],
        decoding: Decoding = ...,
        *,
        stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[Event, None, None]:
        """Yield the events of one answer to each ask; the last of each answer is `Finished`."""

    def attention(
        self, ask: Ask, answer: str, *, stop: threading.Event | None = None, deadline: float = math.inf
    ) -> Attention:
        """Return where the decoder looked while it wrote an answer, which is given with its tokens."""

    def features(
        self, image: InputImage, *, stop: threading.Event | None = None, deadline: float = math.inf
    ) -> npt.NDArray[np.float32]:
        """Return the features of a picture, rows x columns x width, as they lie over it."""


class State(Enum):
    """How far a checkpoint is."""

    ABSENT = "absent"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """How far a checkpoint is, with one plain sentence for the status line.

    `details` are for those who want to know more. `why` says how it came that the bundled checkpoint answers.
    `percent` is that of a download. `max_answer_tokens` is known once the checkpoint is ready.
    """

    checkpoint: Checkpoint
    state: State
    message: str
    percent: float | None = None
    max_answer_tokens: int | None = None
    details: str = ""
    why: str = ""

    @property
    def is_busy(self) -> bool:
        return self.state in (State.DOWNLOADING, State.LOADING)


class WaitCancelled(Exception):
    """Whoever waited for a checkpoint does not want it any more. Not an error, so not a PlaygroundError."""


class Engines(Protocol):
    """The checkpoints of one running playground, by name. The empty name is the one that was chosen at the start."""

    @property
    def current_name(self) -> str:
        """The name of the checkpoint that was chosen at the start; empty until it is chosen."""

    def names(self) -> list[tuple[str, str]]:
        """Return the title, with the size where it is known, and the name of every checkpoint that may be asked for."""

    def admit(self, repository: str) -> str:
        """Let a repository of the hub be asked for from now on, and return the name by which it is.

        Raises CheckpointUnavailable where that is not allowed.
        """

    def status(self, name: str = "") -> Status:
        """Return how far a checkpoint is."""

    def request(self, name: str = "") -> Status:
        """Begin to load a checkpoint that is absent or has failed; return at once with how far it is."""

    def acquire(self, name: str = "", *, cancelled: Callable[[], bool] = ...) -> AbstractContextManager[AskedEngine]:
        """Hold a checkpoint's engine, after a wait for it.

        Raises CheckpointUnavailable when it cannot be had or not in time, WaitCancelled when `cancelled` turns true.
        """


def too_late_sentence(status: Status, seconds: float) -> str:
    """Return what is said to whoever has waited so long for a checkpoint."""
    title = status.checkpoint.title
    doing = f"downloading ({status.percent:.0f} %)" if status.percent is not None else "loading"
    instead = "" if status.checkpoint.name == BUNDLED else ", or choose the tiny demo model"
    return f"{title} is still {doing} after {seconds:g} seconds. Try again later{instead}."
