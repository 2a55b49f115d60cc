"""What is made of the answers, as it is typed: names and lowest scores.

The journal keeps the answers as they came, so that another choice asks nobody again.
"""

from collections.abc import Sequence

from playground.errors import InputRejected


def read_names(pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return what is asked and what it is called, from texts such as "person wearing helmet=helmet".

    Raises InputRejected.
    """
    names: dict[str, str] = {}
    for pair in pairs:
        asked, sign, name = (part.strip() for part in pair.rpartition("="))
        if not (asked and sign and name):
            raise InputRejected(
                f"“{pair[:200]}” gives no name: write what is asked for, =, and what it is called, such as "
                "“person wearing helmet = helmet”.",
                field="names",
            )
        names[asked] = name
    return tuple(names.items())


def typed_names(names: Sequence[tuple[str, str]]) -> str:
    """Return names as they are typed, one a line."""
    return "\n".join(f"{asked} = {called}" for asked, called in names)


def read_min_scores(text: str) -> tuple[tuple[str, float], ...]:
    """Return the lowest score of each name, that of all others under no name, from "0.3" or "helmet=0.3,vest=0.5".

    Raises InputRejected.
    """
    scores: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        label, _, number = (piece.strip() for piece in part.rpartition("="))
        try:
            score = float(number)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1:
            raise InputRejected(
                f"{part[:200]!r} is no lowest score: give a number from 0 to 1, such as 0.3, or one a name, such as "
                "helmet=0.3,vest=0.5.",
                field="min-score",
            )
        scores[label] = score
    return tuple(scores.items())
