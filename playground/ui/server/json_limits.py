"""What a JSON body may be: bounded before it is parsed, without an address that Gradio would fetch. Knows no route."""

import json
import re
from typing import Any

MAX_ITEMS = 100_000  # the values of an answer of a thousand outlines; a parser takes 0.1 s for them
MAX_DEPTH = 64
SESSION_SENTENCE = "A session is called by at most 64 letters, digits, - and _."

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCHEME = re.compile(r"\s*(?:([a-z][a-z0-9+.-]+):|[/\\]{2})", re.IGNORECASE)  # C:\ has one letter
_OPENING, _CLOSING = b"[{", b"]}"
# Backslashes that are escaped, a whole pair, half of one, and half of one that is no escape.
_HALVES = re.compile(
    rb"(?:\\\\)++|\\u[Dd][89ABab]..\\u[Dd][C-Fc-f]..|\\(u[Dd][89A-Fa-f]..)|(\xed[\xa0-\xbf][\x80-\xbf])", re.DOTALL
)
_FILE_SOMEWHERE = re.compile(rb'("url"\s*:\s*")https?://[^"\\]*?(/gradio_api/file=)')


def problem_of(body: bytes, own_hosts: frozenset[str]) -> str:
    """Return what is wrong with a body in a sentence; nothing where it may pass.

    An `url` may name a file of this server, under one of its own hosts, as the page sends back what it was given.
    """
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > MAX_ITEMS:
        return f"The JSON has too many items; {MAX_ITEMS} are accepted. Send less at once."
    if _depth(body) > MAX_DEPTH:
        return f"The JSON is nested too deep; {MAX_DEPTH} levels are accepted."
    try:
        value = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        return "The body is no JSON. Send what /gradio_api/info describes."
    if _has_address(value, own_hosts):
        return "No picture is fetched from an address. Upload it to /gradio_api/upload, and send the path you get."
    session = value.get("session_hash") if isinstance(value, dict) else None
    if session is not None and not is_session_name(session):
        return SESSION_SENTENCE
    return ""


def with_whole_characters(body: bytes) -> bytes:
    """Return a body with a sign in place of half a character, which no answer that quotes it could be written with."""
    if b"\\u" not in body and b"\xed" not in body:  # most, in much less time
        return body
    return _HALVES.sub(lambda found: rb"\ufffd" if found[1] or found[2] else found[0], body)


def with_relative_addresses(body: bytes) -> bytes:
    """Return a body whose files have no host: the page sees them under names that this server need not know."""
    return _FILE_SOMEWHERE.sub(rb"\1.\2", body)


def is_session_name(name: Any) -> bool:
    """Whether this is how a page may call its session: what is kept under names does not grow with their length."""
    return isinstance(name, str) and re.fullmatch(r"[\w-]{1,64}", name, re.ASCII) is not None


def _depth(body: bytes) -> int:
    """Return how deep brackets are nested, at a cost that grows with the number of items."""
    depth = deepest = 0
    for sign in _STRING.sub(b"", body):
        if sign in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif sign in _CLOSING:
            depth -= 1
    return deepest


def _has_address(value: Any, own_hosts: frozenset[str]) -> bool:
    """Whether some `path` or `url` in it names something that is not on this server."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            for key, text in part.items():
                name = key.strip().lower()
                is_file = name in ("url", "path") and isinstance(text, str)
                if is_file and _is_elsewhere(text, own_hosts if name == "url" else frozenset()):
                    return True
    return False


def _is_elsewhere(text: str, own_hosts: frozenset[str]) -> bool:
    found = _SCHEME.match(text)
    if found is None or (found[1] or "").lower() in ("data", "blob"):
        return False
    host, _, path = text[found.end() :].lstrip("/").partition("/")
    return host.lower() not in own_hosts or "gradio_api/file=" not in path or (found[1] or "").lower() == "file"
