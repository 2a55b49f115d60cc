"""Names of files: safe on every system, and each given once."""

import re

_MAX_NAME_LENGTH = 40  # characters


def safe_name(text: str, *, fallback: str) -> str:
    """Return letters, digits, `_` and `-` of a text, of any script: nothing that a path or a shell would read."""
    return re.sub(r"[^\w]+", "-", text[:1000]).strip("-_")[:_MAX_NAME_LENGTH].rstrip("-_") or fallback


class UniqueNames:
    """Names that were given to files. Upper and lower case are one, as on Windows and macOS."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last_number: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, with a number behind it where it was given before: street, street-2, street-3."""
        free, number = name, self._last_number.get(name.casefold(), 1)
        while free.casefold() in self._taken:
            number += 1
            free = f"{name}-{number}"
        self._last_number[name.casefold()] = number
        self._taken.add(free.casefold())
        return free
