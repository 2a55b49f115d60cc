"""Numbers on a command line: of one that cannot be used, argparse says which are accepted."""

import argparse
import math
from collections.abc import Callable

MAX_PORT = 65_535


def whole(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number within bounds, for argparse's `type`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"must be a whole number {_bounds(least, most)}, but got {text[:80]!r}")
        return number

    return read


def number(least: float = 0.0, most: float | None = None) -> Callable[[str], float]:
    """Return what reads a finite number within bounds, for argparse's `type`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= (math.inf if most is None else most)):
            raise argparse.ArgumentTypeError(f"must be a number {_bounds(least, most)}, but got {text[:80]!r}")
        return value

    return read


def _bounds(least: float, most: float | None) -> str:
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
