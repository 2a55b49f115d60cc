"""The one way in, before Gradio: what is served, to whom, how much may be sent, and whose headers are believed.

Everything that comes is held against `routes`, `json_limits` and `visitors`; what may not pass is answered with a
sentence and reaches no code of Gradio's, which fetches addresses and parses whatever it is given.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse

from playground import console
from playground.settings import Settings
from playground.ui.server.json_limits import SESSION_SENTENCE, is_session_name, problem_of, with_relative_addresses
from playground.ui.server.routes import Route, route_of
from playground.ui.server.visitors import Proxies, header_lines, is_near

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_App = Callable[[Any, Any, Any], Awaitable[None]]

MAX_HEADER_BYTES = 16_384
MAX_QUERY_BYTES = 2_048
MAX_STREAMS = 256  # of one visitor, who may be a school behind one address
_SPARE_BYTES = 2_000_000  # beside the picture: the rest of a question, or the boundaries of a form
_SECONDS_TO_SEND_JSON = 30.0
_SECONDS_BETWEEN_PIECES = 30.0
_BELIEVED = ("x-forwarded-host", "x-forwarded-proto")  # by Gradio, from a trusted proxy
_NEVER_BELIEVED = ("x-gradio-server", "x-forwarded-prefix", "x-original-url", "x-rewrite-url")
# In it Gradio is told under which address it is seen. A page is given addresses that are relative to its own: they hold
# under every name and sub-path, and behind a proxy that says nothing of them.
_WHERE_THE_PAGE_IS = (b"x-gradio-server", b".")


def believe_proxies_here_only() -> None:
    """Keep uvicorn from taking the visitor's address from a header of whoever is on this machine."""
    os.environ["FORWARDED_ALLOW_IPS"] = ""


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Doors:
    """ASGI middleware that lets through what a page, a program or a language model of this playground needs."""

    def __init__(self, app: _App, settings: Settings, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies
        self._forwarded_header = settings.forwarded_header.lower()
        self._max_bytes = settings.max_megabytes * 1_000_000 + _SPARE_BYTES
        self._max_json = self._max_bytes * 4 // 3  # a picture may come as a data URL
        self._streams: Counter[str] = Counter()
        self._places = settings.places_per_visitor
        self._has_told = False

    async def __call__(self, scope: Any, receive: _Receive, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # nothing here speaks so
            await send({"type": "websocket.close"})
            return
        try:
            route = self._route(scope)
            scope = self._as_believed(scope)
            receive = await self._bounded(route, scope, receive)
            await self._let_in(route, scope, receive, send)
        except _Refused as refused:
            answer = JSONResponse({"detail": str(refused), "error": str(refused)}, refused.status)
            await answer(scope, receive, send)

    # Who, and where to

    def _route(self, scope: Any) -> Route:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise _Refused(431, f"The headers are too long; {MAX_HEADER_BYTES} bytes are accepted.")
        query = scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            raise _Refused(414, f"What follows the question mark is too long; {MAX_QUERY_BYTES} bytes are accepted.")
        sessions = parse_qs(query.decode("latin-1")).get("session_hash", [])
        if any(not is_session_name(name) for name in sessions):
            raise _Refused(400, SESSION_SENTENCE)
        route = route_of(scope["path"])
        if route is None:
            raise _Refused(404, "There is nothing here. The page is at /, and what can be called at /gradio_api/info.")
        if scope["method"] not in route.methods:
            raise _Refused(405, f"This answers to {', '.join(sorted(route.methods))} only.")
        return route

    def _as_believed(self, scope: Any) -> Any:
        """Return a scope with the visitor's own address, and without a header that nobody vouches for."""
        headers = scope["headers"]
        peer = (scope.get("client") or ("", 0))[0]
        is_proxy = self._proxies.are_trusted(peer)
        hosts = [host.lower() for host in header_lines(headers, "host")]
        if len(hosts) != 1 or not self._proxies.knows_host(hosts[0]):
            raise _Refused(421, _host_sentence(hosts))
        lines = header_lines(headers, "x-forwarded-host") if is_proxy else []
        public = [line.split(",")[0].strip().lower() for line in lines]
        for host in public:
            if not self._proxies.knows_host(host):
                raise _Refused(421, _host_sentence([host]))
        names = frozenset((*hosts, *public))
        self._check_origin(scope, names)
        is_page = scope["path"] == "/" or _is_of_the_page(scope)
        dropped = {name.encode() for name in (*_NEVER_BELIEVED, *(() if is_proxy and not is_page else _BELIEVED))}
        forwarded = header_lines(headers, self._forwarded_header)
        visitor = self._proxies.visitor(peer, forwarded)
        if forwarded and not is_proxy:
            self._tell_of_a_proxy(peer)
        kept = [(name, value) for name, value in headers if name not in dropped]
        if len(kept) < len(headers) and not is_proxy:
            kept.append((b"x-forwarded-by", b"unknown"))  # who asks so is not sitting at this machine
        if is_page:
            kept.append(_WHERE_THE_PAGE_IS)
        return {**scope, "headers": kept, "client": (visitor, 0), "playground_hosts": names}

    def _tell_of_a_proxy(self, peer: str) -> None:
        """Say once what whoever set this up cannot see; a stranger who writes such a header has no proxy."""
        if self._has_told or not is_near(peer):
            return
        self._has_told = True
        console.say(
            f"Note: a proxy at {peer} names its visitors, but PLAYGROUND_TRUSTED_PROXIES does not name it: they all "
            f"count as one, who has {self._places} places in the queue."
        )

    def _check_origin(self, scope: Any, hosts: frozenset[str]) -> None:
        """Refuse what a page of another site sends here with its visitor's browser."""
        if scope["method"] in ("GET", "HEAD") or _is_of_the_page(scope):
            return
        site = header_lines(scope["headers"], "sec-fetch-site")
        if site and site[-1] in ("same-origin", "none"):
            return
        origins = header_lines(scope["headers"], "origin")
        if not site and not origins:
            return  # a program
        if not origins or not all(self._proxies.knows_origin(origin, hosts) for origin in origins):
            raise _Refused(403, "A page of another site may send nothing to this server. Open it by its own address.")

    # How much

    async def _bounded(self, route: Route, scope: Any, receive: _Receive) -> _Receive:
        limit = {"files": self._max_bytes, "json": self._max_json}.get(route.takes, 0)
        lengths = header_lines(scope["headers"], "content-length")
        if any(not length.isdigit() or int(length) > limit for length in lengths):
            raise _Refused(413, _too_much(limit))
        if route.takes == "json" and scope["method"] == "POST":
            body = await _whole(receive, limit)
            if _is_of_the_page(scope):
                body = with_relative_addresses(body)
            problem = await asyncio.to_thread(problem_of, body, scope["playground_hosts"])
            if problem:
                raise _Refused(422, problem)
            return _again(body, receive)
        return _counted(receive, limit)

    async def _let_in(self, route: Route, scope: Any, receive: _Receive, send: Any) -> None:
        if not route.is_stream:
            await self._app(scope, receive, send)
            return
        visitor = scope["client"][0]
        if self._streams[visitor] >= MAX_STREAMS:
            raise _Refused(429, f"{MAX_STREAMS} answers are on their way to you already. Close a tab, and try again.")
        self._streams[visitor] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams[visitor] -= 1
            if not self._streams[visitor]:
                del self._streams[visitor]


def _is_of_the_page(scope: Any) -> bool:
    """Whether our own page asks: to send this header, another site's would have to be let by OPTIONS, which is none."""
    return header_lines(scope["headers"], "x-gradio-user") == ["app"]


async def _whole(receive: _Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SECONDS_TO_SEND_JSON):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Refused(400, "The request was broken off.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _Refused(413, _too_much(limit))
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise _Refused(408, f"The request took more than {_SECONDS_TO_SEND_JSON:.0f} seconds to come.") from None


def _again(body: bytes, receive: _Receive) -> _Receive:
    """Give a body that has been read to whoever reads it next, and then whatever else comes."""
    waiting: list[_Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> _Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _counted(receive: _Receive, limit: int) -> _Receive:
    """Read what comes as it comes, as long as it comes and is not too much; else the visitor counts as gone."""
    size, is_whole = 0, False

    async def receive_counted() -> _Message:
        nonlocal size, is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout(_SECONDS_BETWEEN_PIECES):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        size += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        return {"type": "http.disconnect"} if size > limit else message

    return receive_counted


def _too_much(limit: int) -> str:
    if not limit:
        return "Nothing is to be sent here."
    return f"The request has too many bytes; {limit / 1_000_000:.0f} MB are accepted. Send less at once."


def _host_sentence(hosts: list[str]) -> str:
    name = "".join(sign for sign in "".join(hosts)[:80] if sign.isprintable()) or "no name"
    return (
        f"This server is not known as {name!r}. Open it by its address, or let its owner name it in "
        "PLAYGROUND_ALLOWED_HOSTS."
    )
