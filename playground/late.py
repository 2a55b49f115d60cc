"""Libraries that are imported when something of them is first used, so that the page need not wait for them."""

from importlib import import_module
from typing import Any


class Late:
    """Stands in for a library until then, from whichever thread."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


def import_ahead() -> None:
    """Import what the first drawing needs, before anybody waits for it."""
    import_module("supervision")
