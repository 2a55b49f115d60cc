"""The checkpoint of a cluster, asked as an engine is.

Where the replica of an answer is lost, another one is asked for the same, and what is known of the answer already is
not told again: it is the same, token by token.
"""

import io
import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from playground.checkpoints.catalog import Checkpoint
from playground.engines import Ask
from playground.errors import EngineFailed
from playground.events import Attention, Decoding, Event, Finished, Progress, Token
from playground.pictures.reader import InputImage
from playground.serving.connection import (
    NOBODY,
    POLL_SECONDS,
    SECONDS_BETWEEN_TRIES,
    TRIES,
    ChangedError,
    Connection,
    LostError,
    Writer,
)
from playground.serving.wire import MAX_ASKS, Description, Request, send_pictures, write_request

_CHANGED = "The cluster has changed its checkpoint while it answered. Ask again."

_logger = logging.getLogger(__name__)


class RemoteEngine:
    """The checkpoint of a cluster, as `engines.AskedEngine`.

    `asked` is the name by which it was asked for: where the cluster's checkpoint has changed meanwhile, it is said.
    `learn` takes what a replica says of itself, where that is news.
    """

    def __init__(
        self,
        connection: Connection,
        description: Description,
        *,
        asked: str,
        num_tokens: Callable[[str, str], int],
        learn: Callable[[bytes], Description],
    ) -> None:
        self._connection = connection
        self._description = description
        self._asked = asked
        self._num_tokens = num_tokens
        self._learn = learn

    @property
    def checkpoint(self) -> Checkpoint:
        """What is loaded."""
        return self._description.checkpoint

    @property
    def notice(self) -> str:
        """What differs from what was asked for, in a sentence; mostly empty."""
        if self._asked and self._asked != self.checkpoint.name:
            return f"The cluster has changed its checkpoint: {self.checkpoint.title} answered."
        return self._description.notice

    @property
    def banned_phrases(self) -> frozenset[str]:
        """Phrases, in lower case, that grounding drops."""
        return self._description.banned_phrases

    @property
    def max_prompt_tokens(self) -> int:
        """How many tokens a prompt may have beside the picture and the two ends of the sentence."""
        return self._description.max_prompt_tokens

    @property
    def max_answer_tokens(self) -> int:
        """How many tokens an answer may have."""
        return self._description.max_answer_tokens

    @property
    def image_side(self) -> int:
        """How many pixels the model sees of a picture's side, whatever it has."""
        return self._description.image_side

    @property
    def max_asks(self) -> int:
        """How many asks are answered at the same time, if there are so many in one call."""
        return self._description.max_asks

    def num_tokens(self, text: str) -> int:
        """Return the number of tokens of a prompt without its two ends."""
        return self._num_tokens(self.checkpoint.name, text)

    def generate(
        self,
        asks: Sequence[Ask],
        decoding: Decoding = Decoding(),
        *,
        stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[Event, None, None]:
        """Yield the events of one answer to each ask, as `inference.engine.Engine` does.

        Raises EngineFailed with the sentence of a replica, or where replica after replica is lost.
        """
        stop = stop or threading.Event()
        for first in range(0, len(asks), MAX_ASKS):
            for event in self._generate(asks[first : first + MAX_ASKS], decoding, stop, deadline):
                yield event if isinstance(event, Progress) else replace(event, answer=event.answer + first)

    def _generate(
        self, asks: Sequence[Ask], decoding: Decoding, stop: threading.Event, deadline: float
    ) -> Generator[Event, None, None]:
        told = _Told(len(asks))
        for number in range(1, TRIES + 1):
            try:
                yield from self._generate_once(asks, decoding, stop, deadline, told)
                return
            except LostError as error:
                _logger.warning("A replica was lost in an answer (%s); another one is asked.", error)
                self._connection.num_retries += 1
                stop.wait(min(SECONDS_BETWEEN_TRIES * number, max(0.0, deadline - time.monotonic())))
            except ChangedError as error:
                if told.has_tokens:
                    raise EngineFailed(_CHANGED) from None
                self._description = self._learn(error.description)
        if told.open:
            raise EngineFailed(NOBODY)

    def _generate_once(
        self, asks: Sequence[Ask], decoding: Decoding, stop: threading.Event, deadline: float, told: "_Told"
    ) -> Generator[Event, None, None]:
        """Yield what is new of one try. Raises LostError, ChangedError, EngineFailed."""
        came: SimpleQueue[Any] = SimpleQueue()
        told.begin_again()
        asking = self._connection.begin(self._connection.stream(self._writer(asks, decoding, deadline), came.put))
        try:
            while told.open:
                if stop.is_set() or time.monotonic() > deadline:
                    yield from told.stopped()
                    return
                try:
                    event = came.get(timeout=POLL_SECONDS)
                except Empty:
                    continue
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    raise LostError("it ended before its answers did")
                if told.is_new(event):
                    yield event
            self._connection.note_sent([ask.image.digest for ask in asks])
            came.get(timeout=1)  # the last line, which says what the replica has done
        except Empty:
            pass
        finally:
            asking.cancel()  # ends the request, by which the replica knows that nobody wants more

    def _writer(self, asks: Sequence[Ask], decoding: Decoding, deadline: float, answer: str = "") -> Writer:
        def write(known: frozenset[str]) -> tuple[bytes, str]:
            pictures, sent, pixels = send_pictures(asks, known)
            seconds = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
            request = Request(
                self.checkpoint.name, tuple(pictures), tuple(sent), decoding.num_beams, decoding.max_new_tokens,
                seconds, answer,
            )  # fmt: skip
            return write_request(request, pixels), asks[0].image.digest

        return write

    def attention(
        self, ask: Ask, answer: str, *, stop: threading.Event | None = None, deadline: float = math.inf
    ) -> Attention:
        """Return where the decoder looked while it wrote an answer, as `inference.engine.Engine` does."""
        arrays = self._look("/attention", self._writer([ask], Decoding(), deadline, answer), stop)
        return Attention(tuple(str(text) for text in arrays["texts"]), arrays["cells"])

    def features(
        self, image: InputImage, *, stop: threading.Event | None = None, deadline: float = math.inf
    ) -> npt.NDArray[np.float32]:
        """Return the features of a picture, as `inference.engine.Engine` does."""
        arrays = self._look("/features", self._writer([Ask(image, "")], Decoding(), deadline), stop)
        cells: npt.NDArray[np.float32] = arrays["cells"]
        return cells

    def _look(self, path: str, write: Writer, stop: threading.Event | None) -> dict[str, Any]:
        try:
            content = self._connection.retried(lambda: self._connection.look(path, write), stop)
        except ChangedError:
            raise EngineFailed(_CHANGED) from None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)


class _Told:
    """What whoever reads an answer knows of it already, so that another try tells nothing twice."""

    def __init__(self, num_answers: int) -> None:
        self.open = set(range(num_answers))
        self._tokens: list[list[int]] = [[] for _ in range(num_answers)]
        self._places = [0] * num_answers

    @property
    def has_tokens(self) -> bool:
        """Whether something of an answer was told."""
        return any(self._tokens)

    def begin_again(self) -> None:
        """Another try begins at the first token."""
        self._places = [0] * len(self._places)

    def is_new(self, event: Event) -> bool:
        """Whether an event is to be told. Raises EngineFailed where another try says something else."""
        if isinstance(event, Token):
            known, place = self._tokens[event.answer], self._places[event.answer]
            self._places[event.answer] += 1
            if place < len(known):
                if known[place] != event.id:
                    raise EngineFailed("The replica that answered is lost, and another one says otherwise. Ask again.")
                return False
            known.append(event.id)
        elif isinstance(event, Finished):
            if event.answer not in self.open:
                return False
            self.open.discard(event.answer)
        return True

    def stopped(self) -> Iterator[Finished]:
        """End what is open with what is there."""
        for answer in sorted(self.open):
            yield Finished(is_truncated=False, is_stopped=True, answer=answer)
