"""Parts of a data set, to train on and to judge by: which files go into which.

All pictures of one file go together: frames of one video and pages of one document are so alike that a model which was
trained on one of them knows the next.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from playground.errors import ExportRejected, SettingsInvalid

_NAMES = ("train", "val", "test")
_SHARES = re.compile(r"\d{1,6}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Split:
    """How large each part is to be, in shares of 1; the parts by their names, in order."""

    shares: Mapping[str, float]

    def assign(self, sizes: Mapping[str, int]) -> dict[str, str]:
        """Return the part of each file, of which `sizes` says how many pictures it has.

        Whatever order the files come in, each goes into the same part. Raises ExportRejected where there are fewer
        files than parts.
        """
        if len(sizes) < len(self.shares):
            raise ExportRejected(
                f"A data set of {len(self.shares)} parts needs as many files, but there is {len(sizes)}: the pictures "
                "of one file stay together. Add files, or leave --split out."
            )
        total, held = sum(sizes.values()), dict.fromkeys(self.shares, 0)
        parts: dict[str, str] = {}
        in_order = sorted(sizes, key=lambda file: (-sizes[file], file))
        for place, file in enumerate(in_order):
            empty = [part for part in held if not held[part]]
            open_parts = empty if len(in_order) - place <= len(empty) else list(held)
            part = max(open_parts, key=lambda name: self.shares[name] * total - held[name])
            parts[file] = part
            held[part] += sizes[file]
        return parts


def read_split(text: str) -> Split | None:
    """Return a split from "80/10/10" or "80/20"; None from nothing. Raises SettingsInvalid."""
    if not text:
        return None
    parts = [part.strip() for part in text.split("/")]
    numbers = [float(part) for part in parts if _SHARES.fullmatch(part)]
    if len(numbers) != len(parts) or not 2 <= len(parts) <= 3 or not all(numbers[:2]):
        raise SettingsInvalid(
            f"{text[:80]!r} is no split: give what to train on, to look at meanwhile and to judge by, such as 80/10/10"
            ", or 80/20 without the last."
        )
    return Split({name: number / sum(numbers) for name, number in zip(_NAMES, numbers, strict=False) if number})
