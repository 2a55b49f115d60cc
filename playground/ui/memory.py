"""What a browser keeps of a tab for its reload. It comes from outside: whatever it is, a page opens."""

import json
import re
from dataclasses import dataclass
from typing import Any

_KEY = re.compile(r"[0-9a-f]{32}")
_LONGEST = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Memory:
    """The key to what the server keeps of a tab, the key of it from now on, task and phrase, the query of a link,
    and the rest of the form, which each page reads by itself.

    `first` is the key of what the page of one picture shows, or has shown, in the same tab of the browser.
    """

    before: str = ""
    key: str = ""
    task: str = ""
    phrase: str = ""
    link: str = ""
    form: str = ""
    first: str = ""

    @classmethod
    def read(cls, content: str) -> "Memory":
        """Read what the page sends; what makes no sense is as if it were not there."""
        given = kept_object(content)
        keys = {name: _key(given.get(name)) for name in ("before", "key", "first")}
        return cls(**keys, **{name: _text(given.get(name)) for name in ("task", "phrase", "link", "form")})


def kept_object(content: str | None) -> dict[str, Any]:
    """Return the object that a browser has kept; an empty one for anything else."""
    try:
        given = json.loads(content) if content and len(content) <= _LONGEST else None
    except (ValueError, RecursionError):
        given = None
    return given if isinstance(given, dict) else {}


def _key(value: Any) -> str:
    return value if isinstance(value, str) and _KEY.fullmatch(value) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
