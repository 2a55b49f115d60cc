"""What each format says of a data set that it finds, before any label is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from playground.datasets.labeled import Labeled


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A data set in a format. `labeled` yields its pictures, of one subset or, for "*", of all.

    `classes` are in the order of their numbers; none where labels are free text. `notice` says what its truth is
    not, if anything.
    """

    kind: str
    classes: tuple[str, ...]
    subsets: tuple[str, ...]
    labeled: Callable[[str], Iterator[Labeled]]
    notice: str = ""


ALL = "*"


def holds_part(subset: str, wanted: str) -> bool:
    """Whether a part belongs to what is wanted."""
    return wanted in (ALL, subset)
