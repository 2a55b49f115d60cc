"""What the answers of the server allow a browser to do: the page talks to nobody but this server.

Gradio's page needs scripts and styles inside the document, and builds templates with `eval`; what a policy can still do
is to keep a script that got in from loading, sending or framing anything.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from playground.settings import Settings

_Message = MutableMapping[str, Any]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[Any, Any, _Send], Awaitable[None]]

_POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",  # the camera's picture
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "connect-src": "'self' data: blob:",  # a picture that was pasted is read from its own data
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}


def headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every answer: a policy for its content, and who may show it in a frame."""
    rules = _POLICY | {"frame-ancestors": f"'self' {settings.frame_ancestors}".strip()}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }


class SecurityHeaders:
    """ASGI middleware that adds `headers` to what the app answers, and takes nothing away."""

    def __init__(self, app: _App, settings: Settings) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers(settings).items()]

    async def __call__(self, scope: Any, receive: Any, send: _Send) -> None:
        async def send_with_headers(message: _Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
