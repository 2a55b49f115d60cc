"""How far two answers about one picture agree: regions by where they are, texts word by word. Knows no page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from statistics import fmean

import numpy as np

from playground.regions import Region

_AROUND_A_WORD = " \n\t,.;:!?"
SAME_PLACE = 0.5  # IoU from which on two regions count as the same thing, as in PASCAL VOC


@dataclass(frozen=True, slots=True)
class Pair:
    """A region of the left answer and the one of the right that lies where it does; both by their index."""

    left: int
    right: int
    iou: float
    is_same_name: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """The regions that two answers share, the best fitting pair first, and those that only one of them has."""

    pairs: tuple[Pair, ...] = ()
    only_left: tuple[int, ...] = ()
    only_right: tuple[int, ...] = ()

    @property
    def mean_iou(self) -> float | None:
        """Over the pairs; None where there is none."""
        return fmean(pair.iou for pair in self.pairs) if self.pairs else None

    @property
    def num_renamed(self) -> int:
        """How many pairs are called by different names."""
        return sum(not pair.is_same_name for pair in self.pairs)


def compare_regions(left: Sequence[Region], right: Sequence[Region], same_place: float = SAME_PLACE) -> Agreement:
    """Pair the regions whose boxes overlap enough, each with one other at most; of equal fits those of one name."""
    import supervision as sv

    ious = sv.box_iou_batch(_boxes(left), _boxes(right)) if left and right else np.zeros((len(left), len(right)))
    fits = [
        Pair(int(i), int(j), round(float(ious[i, j]), 4), left[i].label == right[j].label)
        for i, j in zip(*np.nonzero(ious >= same_place), strict=True)
    ]
    pairs: list[Pair] = []
    free_left, free_right = set(range(len(left))), set(range(len(right)))
    for pair in sorted(fits, key=lambda pair: (-pair.iou, not pair.is_same_name)):
        if pair.left in free_left and pair.right in free_right:
            pairs.append(pair)
            free_left.remove(pair.left)
            free_right.remove(pair.right)
    return Agreement(tuple(pairs), tuple(sorted(free_left)), tuple(sorted(free_right)))


def _boxes(regions: Sequence[Region]) -> np.ndarray:
    return np.array([region.xyxy for region in regions], dtype=np.float64).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of a text, with what follows them; `is_shared` where the other text has them too, in this order."""

    text: str
    is_shared: bool


def compare_words(left: str, right: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Cut two texts into the words that both have and those that only one has; case and commas do not count."""
    words = re.findall(r"\S+\s*", left), re.findall(r"\S+\s*", right)
    left_keys, right_keys = ([str(word).strip(_AROUND_A_WORD).casefold() for word in side] for side in words)
    pieces: tuple[list[Piece], list[Piece]] = [], []
    for kind, *spans in SequenceMatcher(None, left_keys, right_keys, autojunk=False).get_opcodes():
        for side, (start, end) in enumerate((spans[:2], spans[2:])):
            if end > start:
                pieces[side].append(Piece("".join(words[side][start:end]), kind == "equal"))
    return tuple(pieces[0]), tuple(pieces[1])


def share_of_words(left: str, right: str) -> float | None:
    """Return the share of all words that both texts have; None where neither has any."""
    pieces = [piece for side in compare_words(left, right) for piece in side]
    total = sum(len(piece.text.split()) for piece in pieces)
    return sum(len(piece.text.split()) for piece in pieces if piece.is_shared) / total if total else None
