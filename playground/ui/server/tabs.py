"""Which tabs of the page are open: those whose heartbeat this server answers at the moment. Knows Gradio's route."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

_App = Callable[[Any, Any, Any], Awaitable[None]]
_ROUTE = "/gradio_api/heartbeat/"


class OpenTabs:
    """The sessions of the open tabs, as `heard` finds them."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.when_closed: Callable[[str], None] = lambda _: None

    def sessions(self) -> frozenset[str]:
        """Return the names of the sessions whose tabs are open."""
        return frozenset(self._open.copy())

    async def heard(self, session: str, answer: Awaitable[None]) -> None:
        """Count a tab as open while its heartbeat is answered."""
        self._open[session] += 1
        try:
            await answer
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]
                self.when_closed(session)


class Heartbeats:
    """ASGI middleware that hears the heartbeats."""

    def __init__(self, app: _App, tabs: OpenTabs) -> None:
        self._app = app
        self._tabs = tabs

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answer = self._app(scope, receive, send)
        _, is_heartbeat, session = scope.get("path", "").partition(_ROUTE)
        await (self._tabs.heard(session, answer) if is_heartbeat else answer)
