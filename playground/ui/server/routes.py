"""What of Gradio's routes is served: the ones that the page, the API and MCP need. The only list of them."""

import re
from dataclasses import dataclass

API = "/gradio_api"
_READ = frozenset({"GET", "HEAD"})
_WRITE = frozenset({"POST"})
_NAME = r"(?!v2/)[\w-]{1,64}"


@dataclass(frozen=True, slots=True)
class Route:
    """A door: `takes` says what a body of it may be; `is_stream`, that its answer goes on until somebody leaves.

    `is_made_at_once` says that the answer is made while the request waits, and for nobody else; `is_page`, that a page
    of ours is there.
    """

    pattern: re.Pattern[str]
    methods: frozenset[str] = _READ
    takes: str = ""  # a "call" or a "note" in JSON, "files", or nothing
    is_stream: bool = False
    is_made_at_once: bool = False
    is_page: bool = False


def _route(pattern: str, methods: frozenset[str] = _READ, takes: str = "", **kind: bool) -> Route:
    return Route(re.compile(pattern), methods, takes, **kind)


TEACH = _route(r"/teach", is_page=True)  # which is not on every server
_ROUTES = (
    _route(r"/(compare|live|many|measure|widget)?", is_page=True),
    TEACH,
    _route(r"/(config/?|theme\.css|robots\.txt|favicon\.ico|manifest\.json)"),
    _route(rf"/pwa_icon(/{_NAME})?"),
    _route(r"/(static|assets|svelte)/[\w./@~+-]{1,300}"),
    _route(rf"{API}/(info/?|app_id/?|startup-events|theme\.css)"),
    _route(rf"{API}/file=(?![A-Za-z][\w+.-]+:|//).{{1,1000}}"),  # a path; an address would be fetched
    _route(rf"{API}/heartbeat/{_NAME}", is_stream=True),
    _route(rf"{API}/queue/data", is_stream=True),
    _route(rf"{API}/upload_progress", is_stream=True),
    _route(rf"{API}/(cancel|reset/?)", _WRITE, "note"),
    _route(rf"{API}/(queue/join|call/{_NAME}/?|call/v2/{_NAME}/?)", _WRITE, "call"),
    _route(rf"{API}/run/{_NAME}/?", _WRITE, "call", is_made_at_once=True),
    _route(rf"{API}/call/v2/{_NAME}/{_NAME}", is_stream=True),
    _route(rf"{API}/call/{_NAME}/{_NAME}", is_stream=True),
    _route(rf"{API}/upload", _WRITE, "files"),
    _route(rf"{API}/mcp(/(http/?|schema)?)?", _WRITE | _READ | {"DELETE"}, "call", is_stream=True),
)


def route_of(path: str) -> Route | None:
    """Return the route of a path, which has been decoded; None where nothing is served."""
    return next((route for route in _ROUTES if route.pattern.fullmatch(path)), None)
