"""Whose turn it is: so many at once in all, so many of one visitor, and who waits is let in visitor by visitor.

So nobody waits for more than one other call of each visitor who waits too, however many calls somebody sends. Knows
how Gradio calls a function, queued or not; no function.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr

from playground.settings import is_this_machine
from playground.ui.server.visitors import visitor_of

_COSTLY = "costly"
# What takes a core for a while: the queue lets in what a visitor has places for, and here they take turns.
COSTLY: dict[str, Any] = {"concurrency_id": _COSTLY, "concurrency_limit": None}
_AT_ONCE, _AT_ONCE_OF_ONE, _WAITING_OF_ONE = 4, 2, 32
_SECONDS_ALONE = 10.0


class NoTurn(Exception):
    """So many wait already that one more is not even let wait."""


class Turns:
    """Places that are taken in turn; to be used by one event loop.

    Where `alone_seconds` are given, only who was alone for so long has all the places of one; among others it is one.
    """

    def __init__(
        self, *, of_one: int, in_all: float = math.inf, waiting_of_one: int, alone_seconds: float = 0.0
    ) -> None:
        self._of_one, self._in_all, self._waiting_of_one = of_one, in_all, waiting_of_one
        self._alone_seconds = alone_seconds
        self._asked: dict[str, float] = {}  # when
        self._going: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # whose turn is next comes first

    @asynccontextmanager
    async def turn(self, visitor: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it. Raises NoTurn."""
        await self._enter(visitor)
        try:
            yield
        finally:
            self._leave(visitor)

    async def _enter(self, visitor: str) -> None:
        self._note(visitor)
        # Whoever else waits then has all the places that one visitor can have.
        if visitor not in self._waiting and self._has_place_for(visitor):
            self._going[visitor] += 1
            return
        mine = self._waiting.setdefault(visitor, deque())
        if len(mine) >= self._waiting_of_one:
            raise NoTurn
        called = asyncio.get_running_loop().create_future()
        mine.append(called)
        self._let_in()  # who is alone by now has more places than before
        try:
            await called
        except asyncio.CancelledError:
            if called.cancelled():
                self._forget(visitor, called)
            else:  # called in the moment of going away
                self._leave(visitor)
            raise

    def _leave(self, visitor: str) -> None:
        self._going[visitor] -= 1
        if not self._going[visitor]:
            del self._going[visitor]
        self._let_in()

    def _let_in(self) -> None:
        while self._let_one_in():
            pass

    def _let_one_in(self) -> bool:
        for visitor, waiting in [*self._waiting.items()]:
            called = next((one for one in waiting if not one.done()), None)
            if called is not None and self._has_place_for(visitor):
                self._forget(visitor, called)
                if visitor in self._waiting:
                    self._waiting.move_to_end(visitor)
                self._going[visitor] += 1
                called.set_result(None)
                return True
        return False

    def _note(self, visitor: str) -> None:
        """Remember when a visitor asked, where that counts, and forget who asked long ago."""
        if self._alone_seconds:
            self._asked[visitor] = now = time.monotonic()
            self._asked = {name: at for name, at in self._asked.items() if now - at < self._alone_seconds}

    def _has_place_for(self, visitor: str) -> bool:
        since = time.monotonic() - self._alone_seconds
        is_alone = not any(at > since for name, at in self._asked.items() if name != visitor)
        return self._going.total() < self._in_all and self._going[visitor] < (self._of_one if is_alone else 1)

    def _forget(self, visitor: str, called: asyncio.Future[None]) -> None:
        waiting = self._waiting[visitor]
        waiting.remove(called)
        if not waiting:
            del self._waiting[visitor]


def take_turns(app: gr.Blocks) -> None:
    """Let the costly functions of an app be called in turn, whoever calls them: page, API or MCP."""
    blocks: Any = app
    process = blocks.process_api
    turns = Turns(of_one=_AT_ONCE_OF_ONE, in_all=_AT_ONCE, waiting_of_one=_WAITING_OF_ONE,
                  alone_seconds=_SECONDS_ALONE)  # fmt: skip

    async def process_in_turn(block_fn: Any, *arguments: Any, **options: Any) -> Any:
        function = app.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if getattr(function, "concurrency_id", None) != _COSTLY:
            return await process(block_fn, *arguments, **options)
        try:
            async with turns.turn(_visitor(options.get("request"), options.get("session_hash"))):
                return await _to_its_end(process(block_fn, *arguments, **options))
        except NoTurn:
            sentence = f"{_WAITING_OF_ONE} requests of yours wait already. Wait until they are answered, and try again."
            raise gr.Error(sentence, print_exception=False) from None

    blocks.process_api = process_in_turn


async def _to_its_end(call: Coroutine[Any, Any, Any]) -> Any:
    """Await a call that has begun, even where whoever awaits it is cancelled: no thread can be broken off."""
    calling = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.wait((calling,))
        raise


def _visitor(request: Any, session: str | None) -> str:
    """Return who asks: the address, or the session of those who come through this machine, as a proxy's visitors do."""
    address = visitor_of(request[0] if isinstance(request, list) else request)
    return f"session {session}" if is_this_machine(address) else address
