"""How many connections there may be, in all and from one address, and how long they may say nothing.

Whatever is asked comes to `Doors` only when its headers are there: until then it is a connection, and bounded here.
Knows how Gradio starts uvicorn, no request.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from gradio import http_server
from uvicorn.protocols.http.h11_impl import H11Protocol

from playground.ui.server.visitors import Proxies

MAX_CONNECTIONS = 800  # a system lets a program have 1024 open files, where nobody has raised it
MAX_FROM_ONE = 300  # address: 50 tabs
SECONDS_TO_ASK = 15.0  # from the beginning of a connection, or the end of an answer, to the end of the next headers
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n"
    b"There are too many connections to this server. Close a tab, or try again soon."
)

_server: Any = http_server
_GradiosServer = http_server.Server


class _Connection(H11Protocol):
    """One connection, which is closed when nothing is asked in time, and at once where there are too many."""

    def __init__(self, *arguments: Any, proxies: Proxies, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._proxies = proxies
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self._is_one_too_many(transport.get_extra_info("peername")):
            transport.write(_FULL)
            transport.close()
            return
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_longer()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._wait_no_longer()

    def on_response_complete(self) -> None:
        self._wait_for_request()
        super().on_response_complete()

    def _is_one_too_many(self, peer: Any) -> bool:
        if len(self.connections) >= MAX_CONNECTIONS:
            return True
        address = peer[0] if isinstance(peer, tuple) else ""
        if self._proxies.may_be(address):
            return False
        visitor = self._proxies.visitor(address, ())
        others = (one.client[0] for one in self.connections if isinstance(one, _Connection) and one.client)
        return sum(self._proxies.visitor(other, ()) == visitor for other in others) >= MAX_FROM_ONE

    def _wait_for_request(self) -> None:
        self._wait_no_longer()
        self._waiting = self.loop.call_later(SECONDS_TO_ASK, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def limit_connections(proxies: Proxies) -> None:
    """Let the servers that Gradio starts in this process, on a Space too, take so many connections."""

    class Server(_GradiosServer):
        def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
            config.http = partial(_Connection, proxies=proxies)
            super().__init__(config, *arguments, **options)
            # It has a line for each request that is none: whoever sends such would fill the log.
            logging.getLogger("uvicorn.error").setLevel(logging.ERROR)

    _server.Server = Server
