"""Who sent a request, as far as a server can tell. Knows requests, nothing of what they ask."""

from collections.abc import Callable
from typing import Any

from playground.settings import Settings


def visitor_of(settings: Settings) -> Callable[[Any], str]:
    """Return what names the visitor of a request: the address that the trusted proxy saw, or the peer's."""
    header = settings.forwarded_header

    def visitor(request: Any) -> str:
        if request is None:
            return ""
        forwarded = request.headers.get(header, "") if header else ""
        # What stands before the last comma, the visitor may have written.
        return forwarded.rpartition(",")[2].strip() or getattr(request.client, "host", "")

    return visitor
