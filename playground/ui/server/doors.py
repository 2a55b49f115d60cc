"""The one way in, before Gradio: what is served, to whom, how much may be sent, and whose headers are believed.

Everything that comes is held against `routes`, `bodies` and `visitors`; what may not pass is answered with a sentence
and reaches no code of Gradio's, which fetches addresses and parses whatever it is given.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse

from playground import console
from playground.settings import Settings, is_this_machine
from playground.ui.server.bodies import Bodies, Message, Receive, Refused, Watched, Whole, is_of_the_page
from playground.ui.server.json_limits import SESSION_SENTENCE, is_session_name
from playground.ui.server.routes import TEACH, Route, route_of
from playground.ui.server.turns import NoTurn, Turns
from playground.ui.server.visitors import CARRIED, Proxies, header_lines, is_near, read_carried

_App = Callable[[Any, Any, Any], Awaitable[None]]

MAX_HEADER_BYTES = 16_384
MAX_QUERY_BYTES = 2_048
MAX_STREAMS = 256  # of one visitor, who may be a school behind one address
MAX_UPLOADS = 32
_ANSWERED_AT_ONCE = 8  # of one visitor; as many as a browser sends, and few enough for all others to be heard
_WAITING = 400  # for an answer
_WAIT_SENTENCE = f"{_WAITING} requests of yours wait already. Try again soon."
_BELIEVED = ("x-forwarded-host", "x-forwarded-proto")  # by Gradio, from a trusted proxy
_NEVER_BELIEVED = ("x-gradio-server", "x-forwarded-prefix", "x-original-url", "x-rewrite-url")
# In it Gradio is told under which address it is seen. A page is given addresses that are relative to its own: they hold
# under every name and sub-path, and behind a proxy that says nothing of them.
_WHERE_THE_PAGE_IS = (b"x-gradio-server", b".")


def believe_proxies_here_only() -> None:
    """Keep uvicorn from taking the visitor's address from a header of whoever is on this machine."""
    os.environ["FORWARDED_ALLOW_IPS"] = ""


class Doors:
    """ASGI middleware that lets through what a page, a program or a language model of this playground needs."""

    def __init__(self, app: _App, settings: Settings, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies
        self._forwarded_header = settings.forwarded_header.lower()
        self._bodies = Bodies(settings)
        self._held: Counter[tuple[str, str]] = Counter()
        self._turns = Turns(of_one=_ANSWERED_AT_ONCE, waiting_of_one=_WAITING)
        self._places = settings.places_per_visitor
        self._may_teach = settings.may_teach
        self._has_told = False

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # nothing here speaks so
            await send({"type": "websocket.close"})
            return
        try:
            route = self._route(scope)
            scope = self._as_believed(scope, is_page=route.is_page or is_of_the_page(scope))
            visitor = scope["client"][0]
            with self._bodies.of(visitor) as take:
                body = await self._bodies.read(route.takes, scope, receive, take)
                async with self._place(route, visitor):
                    await self._bodies.check(body, scope)
                    await self._answer(route, scope, receive, body, send)
        except NoTurn:
            await _tell(Refused(429, _WAIT_SENTENCE), scope, receive, send)
        except Refused as refused:
            await _tell(refused, scope, receive, send)

    # Who, and where to

    def _route(self, scope: Any) -> Route:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise Refused(431, f"The headers are too long; {MAX_HEADER_BYTES} bytes are accepted.")
        query = scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            raise Refused(414, f"What follows the question mark is too long; {MAX_QUERY_BYTES} bytes are accepted.")
        sessions = parse_qs(query.decode("latin-1")).get("session_hash", [])
        if any(not is_session_name(name) for name in sessions):
            raise Refused(400, SESSION_SENTENCE)
        route = route_of(scope["path"])
        if route is TEACH and not self._may_teach:
            raise Refused(
                404, "Nothing can be taught on this server: whoever runs it decides so, or lets others answer."
            )
        if route is None:
            raise Refused(404, "There is nothing here. The page is at /, and what can be called at /gradio_api/info.")
        if scope["method"] not in route.methods:
            raise Refused(405, f"This answers to {', '.join(sorted(route.methods))} only.")
        return route

    def _as_believed(self, scope: Any, *, is_page: bool) -> Any:
        """Return a scope with the visitor's own address, and without a header that nobody vouches for."""
        headers = [(name, value) for name, value in scope["headers"] if name != CARRIED.encode()]
        peer = (scope.get("client") or ("", 0))[0]
        is_proxy = self._proxies.are_trusted(peer)
        hosts = [host.lower() for host in header_lines(headers, "host")]
        if len(hosts) != 1 or not self._proxies.knows_host(hosts[0]):
            raise Refused(421, _host_sentence(hosts))
        lines = header_lines(headers, "x-forwarded-host") if is_proxy else []
        public = [line.split(",")[0].strip().lower() for line in lines]
        for host in public:
            if not self._proxies.knows_host(host):
                raise Refused(421, _host_sentence([host]))
        names = frozenset((*hosts, *public))
        self._check_origin(scope, names)
        dropped = {name.encode() for name in (*_NEVER_BELIEVED, *(() if is_proxy and not is_page else _BELIEVED))}
        forwarded = header_lines(headers, self._forwarded_header)
        carried = read_carried(header_lines(scope["headers"], CARRIED))
        visitor = carried or self._proxies.visitor(peer, forwarded)
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
        if scope["method"] in ("GET", "HEAD") or is_of_the_page(scope):
            return
        site = header_lines(scope["headers"], "sec-fetch-site")
        if site and site[-1] in ("same-origin", "none"):
            return
        origins = header_lines(scope["headers"], "origin")
        if not site and not origins:
            return  # a program
        if not origins or not all(self._proxies.knows_origin(origin, hosts) for origin in origins):
            raise Refused(403, "A page of another site may send nothing to this server. Open it by its own address.")

    # How much at once

    def _place(self, route: Route, visitor: str) -> AbstractAsyncContextManager[Any]:
        """Return what holds a visitor's place while a request is answered."""
        if route.is_stream:
            return self._held_place("stream", visitor, MAX_STREAMS, "answers are on their way to you")
        if route.takes == "files":
            return self._held_place("upload", visitor, MAX_UPLOADS, "uploads of yours are on their way")
        # Who comes through this machine may be all visitors of a proxy that nobody has named.
        return nullcontext() if is_this_machine(visitor) else self._turns.turn(visitor)

    @asynccontextmanager
    async def _held_place(self, kind: str, visitor: str, most: int, what: str) -> AsyncIterator[None]:
        if self._held[kind, visitor] >= most:
            raise Refused(429, f"{most} {what} already. Close a tab, and try again.")
        self._held[kind, visitor] += 1
        try:
            yield
        finally:
            self._held[kind, visitor] -= 1
            if not self._held[kind, visitor]:
                del self._held[kind, visitor]

    async def _answer(self, route: Route, scope: Any, receive: Receive, body: Whole | Watched, send: Any) -> None:
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        answer = self._app(scope, body, send_and_note)
        await (_unless_gone(answer, receive) if route.is_made_at_once else answer)
        if isinstance(body, Watched) and body.refusal and not has_begun:
            raise body.refusal


async def _unless_gone(answer: Awaitable[None], receive: Receive) -> None:
    """Await an answer; where whoever asked goes away before its turn has come, it is not made."""
    answering, leaving = asyncio.ensure_future(answer), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not answering.done():
            answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _tell(refused: Refused, scope: Any, receive: Receive, send: Any) -> None:
    answer = JSONResponse({"detail": str(refused), "error": str(refused)}, refused.status)
    await answer(scope, receive, send)


def _host_sentence(hosts: list[str]) -> str:
    name = "".join(sign for sign in "".join(hosts)[:80] if sign.isprintable()) or "no name"
    return (
        f"This server is not known as {name!r}. Open it by its address, or let its owner name it in "
        "PLAYGROUND_ALLOWED_HOSTS."
    )
