"""How much may be sent and how long it may take: of each kind of body, of one visitor, and of all together.

A body of JSON is read whole before anybody else sees it; an upload is watched while it goes by. Knows no route.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from typing import Any

from playground.settings import Settings, is_this_machine
from playground.ui.server.json_limits import problem_of, with_relative_addresses, with_whole_characters
from playground.ui.server.multipart_limits import NotAnUpload, PartsGuard
from playground.ui.server.visitors import header_lines

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

MAX_CALL_BYTES = 24_000_000  # of the JSON of a call: a picture of 18 MB as a data URL; larger ones are uploaded
MAX_NOTE_BYTES = 10_000  # of the JSON that names a session or an event
MAX_BYTES_AT_ONCE = 96_000_000  # of all bodies that lie in memory, each of which takes three times as much
MAX_BYTES_OF_ONE = 48_000_000  # visitor
BODY_BYTES = "playground_body_bytes"  # in a scope: how long the body is

_FREE_BYTES = 65_536  # of each body, that are not counted: nobody's small call waits for the large ones of others
_SPARE_BYTES = 2_000_000  # of an upload, beside the file
_SMALL_BYTES, _LARGE_BYTES = 16_000, 1_000_000
_SECONDS_TO_SEND_JSON = 30.0
_SECONDS_BETWEEN_PIECES = 30.0
_SECONDS_TO_SEND_FILES = 900.0


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Bodies:
    """The bodies that are on their way, or lie in memory while they are answered."""

    def __init__(self, settings: Settings) -> None:
        max_bytes = settings.max_megabytes * 1_000_000 + _SPARE_BYTES
        self._limits = {"files": max_bytes, "call": min(MAX_CALL_BYTES, max_bytes * 4 // 3), "note": MAX_NOTE_BYTES}
        self._held: Counter[str] = Counter()  # bytes, by visitor
        self._one_at_a_time = asyncio.Lock()

    @contextmanager
    def of(self, visitor: str) -> Iterator[Callable[[int], None]]:
        """Let one body of a visitor take memory as it comes, and give it back at the end; raises Refused."""
        taken = 0

        def take(num_bytes: int) -> None:
            nonlocal taken
            # Who comes through this machine may be all visitors of a proxy that nobody has named.
            of_one = 0 if is_this_machine(visitor) else self._held[visitor] + num_bytes
            if self._held.total() + num_bytes > MAX_BYTES_AT_ONCE or of_one > MAX_BYTES_OF_ONE:
                raise Refused(503, "So many large requests are on their way that this one has no room. Try again soon.")
            self._held[visitor] += num_bytes
            taken += num_bytes

        try:
            yield take
        finally:
            self._held[visitor] -= taken
            if not self._held[visitor]:
                del self._held[visitor]

    async def read(self, kind: str, scope: Any, receive: Receive, take: Callable[[int], None]) -> "Whole | Watched":
        """Return what gives a body to whoever reads it, within its limits. Raises Refused."""
        limit = self._limits.get(kind, 0)
        lengths = header_lines(scope["headers"], "content-length")
        if any(not length.isdigit() or int(length) > limit for length in lengths):
            raise Refused(413, _too_much(kind, limit))
        if kind not in ("call", "note") or scope["method"] != "POST":
            return Watched(kind, limit, scope, receive)
        pieces = await _whole(kind, limit, receive, take)
        scope[BODY_BYTES] = sum(map(len, pieces))
        return Whole(pieces, receive)

    async def check(self, body: "Whole | Watched", scope: Any) -> None:
        """Look what a body that is there says. Raises Refused."""
        if isinstance(body, Watched):
            return
        if is_of_the_page(scope):
            body.pieces = [with_relative_addresses(b"".join(body.pieces))]
        hosts, num_bytes = scope["playground_hosts"], scope[BODY_BYTES]

        def look() -> str:
            body.pieces = [with_whole_characters(b"".join(body.pieces))]
            return problem_of(body.pieces[0], hosts)

        if num_bytes <= _SMALL_BYTES:
            problem = look()
        else:
            # While it is looked at, a body takes three times its length.
            async with self._one_at_a_time if num_bytes > _LARGE_BYTES else nullcontext():
                problem = await asyncio.to_thread(look)
        if problem:
            raise Refused(422, problem)


def is_of_the_page(scope: Any) -> bool:
    """Whether our own page asks: to send this header, another site's would have to be let by OPTIONS, which is none."""
    return header_lines(scope["headers"], "x-gradio-user") == ["app"]


async def _whole(kind: str, limit: int, receive: Receive, take: Callable[[int], None]) -> list[bytes]:
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SECONDS_TO_SEND_JSON):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The request was broken off.")
                pieces.append(message.get("body", b""))
                before, size = size, size + len(pieces[-1])
                if size > limit:
                    raise Refused(413, _too_much(kind, limit))
                take(max(0, size - max(before, _FREE_BYTES)))
                if not message.get("more_body", False):
                    return pieces
    except TimeoutError:
        raise Refused(408, f"The request took more than {_SECONDS_TO_SEND_JSON:.0f} seconds to come.") from None


class Whole:
    """Gives a body that has been read to whoever reads it next, and then whatever else comes."""

    def __init__(self, pieces: list[bytes], receive: Receive) -> None:
        self.pieces, self._receive = pieces, receive

    async def __call__(self) -> Message:
        """Return the next message, as ASGI's `receive`."""
        if not self.pieces:
            return await self._receive()
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": bool(self.pieces)}


class Watched:
    """Reads what comes as it comes; what may not be counts as broken off, for the reason in `refusal`."""

    def __init__(self, kind: str, limit: int, scope: Any, receive: Receive) -> None:
        self.refusal: Refused | None = None
        self._kind, self._limit, self._receive = kind, limit, receive
        self._size, self._is_whole = 0, False
        self._guard: PartsGuard | None = None
        if kind == "files":
            try:
                self._guard = PartsGuard(", ".join(header_lines(scope["headers"], "content-type")))
            except NotAnUpload as problem:
                raise Refused(415, str(problem)) from None
        self._deadline = asyncio.get_running_loop().time() + _SECONDS_TO_SEND_FILES

    async def __call__(self) -> Message:
        """Return the next message, as ASGI's `receive`."""
        if self._is_whole:
            return await self._receive()
        message = await self._next()
        if self._guard and not self.refusal:
            try:
                self._guard.read(message.get("body", b""))
            except NotAnUpload as problem:
                self.refusal = Refused(422, str(problem))
                await self._drain()
        return {"type": "http.disconnect"} if self.refusal else message

    async def _next(self) -> Message:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(self._deadline, loop.time() + _SECONDS_BETWEEN_PIECES)):
                message = await self._receive()
        except TimeoutError:
            self.refusal = self.refusal or Refused(408, "The upload took too long to come. Send a smaller file.")
            return {"type": "http.disconnect"}
        self._size += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._size > self._limit:
            self.refusal = self.refusal or Refused(413, _too_much(self._kind, self._limit))
        return message

    async def _drain(self) -> None:
        """Let the rest come, which nobody keeps: who still sends does not read what it is told."""
        while not self._is_whole and self._size <= self._limit:
            if (await self._next())["type"] == "http.disconnect":
                return


def _too_much(kind: str, limit: int) -> str:
    if not limit:
        return "Nothing is to be sent here."
    if limit <= MAX_NOTE_BYTES:
        return f"The request has too many bytes; {limit} are accepted."
    if kind == "call":
        return (
            f"The request has too many bytes; {limit / 1_000_000:.0f} MB are accepted. Upload a large picture to "
            "/gradio_api/upload, and send the path you get."
        )
    return f"The upload has too many bytes; {limit / 1_000_000:.0f} MB are accepted. Send less at once."
