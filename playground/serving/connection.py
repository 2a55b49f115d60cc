"""Requests to a cluster over HTTP: sent, given up, and tried again where a replica is lost.

Knows requests and time. Knows nothing of what an answer means, and no Ray.
"""

import asyncio
import json
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from playground.errors import EngineFailed, PlaygroundError, SettingsInvalid
from playground.serving.wire import (
    DEFAULT_PORT,
    HEARTBEAT_SECONDS,
    PICTURE_HEADER,
    REPLICA_HEADER,
    ReplicaCounts,
    read_events,
)

TRIES = 6  # of one answer
SECONDS_BETWEEN_TRIES = 0.5  # after the first; longer after each
POLL_SECONDS = 0.05  # how soon Stop is noticed
NOBODY = "The replica that answered is lost, and no other one has taken its place. Ask again in a moment."

_SILENT_SECONDS = 15 * HEARTBEAT_SECONDS  # without a sign of a replica, which then is taken to be lost
_QUEUED_SECONDS = 600.0  # before a replica begins, during which Serve gives no sign; who is lost meanwhile, Serve knows
_CONNECT_SECONDS = 3.0
_MAX_KNOWN = 4096  # digests of pictures that were sent
_NOT_THERE, _CHANGED = 428, 409  # a picture that must be sent; the checkpoint is another one

_T = TypeVar("_T")
Writer = Callable[[frozenset[str]], tuple[bytes, str]]  # known digests to the body of a request, and its picture


class LostError(Exception):
    """The replica, or the way to it, is lost; another one may answer."""


class ChangedError(Exception):
    """The cluster has another checkpoint than the one that is asked; holds what it says of itself."""

    def __init__(self, description: bytes) -> None:
        super().__init__("another checkpoint")
        self.description = description


def cluster_url(address: str) -> str:
    """Return the URL of `ray://HOST` or `ray://HOST:PORT`. Raises SettingsInvalid."""
    with suppress(ValueError):  # of a port that is no number
        named = urlsplit(address)
        is_place = named.scheme == "ray" and named.hostname and not named.path.strip("/") and not named.query
        if is_place and re.fullmatch(r"[\w.:-]+", named.hostname or "", re.ASCII):
            host = f"[{named.hostname}]" if ":" in (named.hostname or "") else named.hostname
            return f"http://{host}:{named.port or DEFAULT_PORT}"
    raise SettingsInvalid(
        "--engines must be auto, or ray://HOST:PORT with the port at which the cluster answers HTTP, "
        f"but got {address!r}."
    )


class Connection:
    """The way to a cluster, for any number of requests at the same time. Safe to use from several threads.

    Its event loop runs in a thread of its own, so that whoever waits for an answer can go away at any moment.
    `counts` holds what each replica has told of last, and `answered_by` which of them answered about a picture last.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.num_retries = 0
        self.counts: dict[str, ReplicaCounts] = {}
        self.answered_by: OrderedDict[str, str] = OrderedDict()
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(_SILENT_SECONDS, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,  # no proxy stands between the machines of a cluster
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="cluster-client", daemon=True).start()

    def begin(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Begin work on the loop; what is returned can be cancelled, and asked for the result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait_for(self, work: Coroutine[Any, Any, _T], stop: threading.Event | None = None) -> _T:
        """Return what comes of work on the loop, or what it raises; once `stop` is set it is given up."""
        doing = self.begin(work)
        try:
            while not doing.done():
                with suppress(TimeoutError):
                    doing.exception(POLL_SECONDS)
                if stop is not None and stop.is_set():
                    raise EngineFailed("It was stopped before it was answered. Ask again.")
            result: _T = doing.result()
            return result
        finally:
            doing.cancel()

    def retried(self, work: Callable[[], Coroutine[Any, Any, _T]], stop: threading.Event | None = None) -> _T:
        """Return what comes of work, which is tried again where its replica is lost. Raises EngineFailed."""
        stop = stop or threading.Event()
        for number in range(1, TRIES + 1):
            with suppress(LostError):
                return self.wait_for(work(), stop)
            self.num_retries += 1
            stop.wait(SECONDS_BETWEEN_TRIES * number)
        raise EngineFailed(NOBODY)

    def note_sent(self, digests: Sequence[str]) -> None:
        """Remember that the cluster has seen some pictures."""
        for digest in digests:
            self._note(self._sent, digest, None)

    def _note(self, known: OrderedDict[str, _T], digest: str, said: _T) -> None:
        with self._lock:
            known[digest] = said
            known.move_to_end(digest)
            if len(known) > _MAX_KNOWN:
                known.popitem(last=False)

    # --- On the loop

    async def get(self, path: str) -> bytes:
        """Return what is at a path. Raises LostError."""
        return await self._whole("GET", path)

    async def count(self, text: str) -> int:
        """Return how many tokens a text has. Raises LostError."""
        return int(await self._whole("POST", "/count", content=text.encode()))

    async def look(self, path: str, write: Writer) -> bytes:
        """Return the answer to a request about a picture. Raises LostError, EngineFailed."""
        with self._lock:
            known = frozenset(self._sent)
        for sent_before in (known, frozenset[str]()):
            content, digest = write(sent_before)
            try:
                return await self._whole("POST", path, content=content, headers={PICTURE_HEADER: digest})
            except _NotThereError:
                continue
        raise LostError("a picture that was sent is not there")

    async def stream(self, write: Writer, tell: Callable[[Any], None]) -> None:
        """Ask, and tell each event of the answer, then None; or the error that ended it."""
        with self._lock:
            known = frozenset(self._sent)
        try:
            try:
                await self._stream(write(known), tell)
            except _NotThereError:
                await self._stream(write(frozenset()), tell)
            tell(None)
        except (httpx.HTTPError, TimeoutError) as error:
            tell(LostError(type(error).__name__))
        except (LostError, ChangedError, PlaygroundError) as error:
            tell(error)
        except (ValueError, TypeError, KeyError):
            tell(LostError("a line that nobody can read"))

    async def _stream(self, request: tuple[bytes, str], tell: Callable[[Any], None]) -> None:
        content, digest = request
        headers = {PICTURE_HEADER: digest}
        patience = httpx.Timeout(_SILENT_SECONDS, read=_QUEUED_SECONDS, connect=_CONNECT_SECONDS, pool=None)
        async with self._client.stream("POST", "/ask", content=content, headers=headers, timeout=patience) as response:
            if response.status_code != httpx.codes.OK:
                _raise_for(response.status_code, await response.aread())
            self._note(self.answered_by, digest, response.headers.get(REPLICA_HEADER, ""))
            async for line in _never_silent(response.aiter_lines()):
                said = json.loads(line)
                if isinstance(said, list):
                    for event in read_events(said):
                        tell(event)
                elif "failed" in said:
                    raise EngineFailed(str(said["failed"]))
                else:
                    self.counts[response.headers.get(REPLICA_HEADER, "")] = ReplicaCounts(**said)

    async def _whole(self, method: str, path: str, **options: Any) -> bytes:
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise LostError(type(error).__name__) from error
        _raise_for(response.status_code, response.content)
        return response.content


async def _never_silent(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the lines of an answer that is being written. Raises TimeoutError where none comes for too long."""
    while True:
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                line = await anext(lines)
        except StopAsyncIteration:
            return
        yield line


class _NotThereError(Exception):
    """A picture is not where it was sent before."""


def _raise_for(status: int, content: bytes) -> None:
    """Raise what a status stands for; nothing where all is well."""
    if status < 300:
        return
    if status == _NOT_THERE:
        raise _NotThereError
    if status == _CHANGED:
        raise ChangedError(content)
    with suppress(ValueError, TypeError, KeyError):
        raise EngineFailed(str(json.loads(content)["failed"]))
    if status == httpx.codes.SERVICE_UNAVAILABLE and b"queue" in content.lower():  # the words of Serve itself
        raise EngineFailed("All replicas are busy, and as many questions wait as may. Try again soon.")
    raise LostError(f"HTTP {status}")
