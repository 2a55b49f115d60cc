"""How well tracks keep to the things that they follow: IDF1 (Ristani et al., 2016) and switches of identity.

Knows no model and no video.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import supervision as sv
from scipy.optimize import linear_sum_assignment

from playground.regions import Box

_MIN_IOU = 0.5
_CLEARLY_SEEN = 0.6  # share of a thing that is seen; what is seen less of is neither asked for nor counted as wrong


@dataclass(frozen=True, slots=True)
class Placed:
    """Who is where in a frame. `visible` is the share that is seen of what is truly there."""

    number: int
    xyxy: Box
    visible: float = 1.0


@dataclass(frozen=True, slots=True)
class Identities:
    """Of all frames together: boxes that are right, boxes too many, things that were missed, and switches."""

    num_right: int
    num_wrong: int
    num_missed: int
    switches: int

    @property
    def idf1(self) -> float:
        """The share of boxes under the right identity; NaN where there is nothing."""
        total = 2 * self.num_right + self.num_wrong + self.num_missed
        return 2 * self.num_right / total if total else math.nan


def compare(truth: Sequence[Sequence[Placed]], found: Sequence[Sequence[Placed]]) -> Identities:
    """Compare what was found in each frame with what is there."""
    together: Counter[tuple[int, int]] = Counter()
    of_truth: Counter[int] = Counter()
    of_found: Counter[int] = Counter()
    last: dict[int, int] = {}
    switches = 0
    for there, said in zip(truth, found, strict=True):
        clear, counted = _without_unclear(there, said)
        of_truth.update(one.number for one in clear)
        of_found.update(one.number for one in counted)
        ious = _ious(clear, counted)
        together.update(
            (clear[row].number, counted[column].number) for row, column in np.argwhere(ious >= _MIN_IOU).tolist()
        )
        for row, column in _matched(ious, clear, counted, last):
            number = counted[column].number
            switches += last.get(clear[row].number, number) != number
            last[clear[row].number] = number
    num_right = _best_pairs(together)
    return Identities(num_right, of_found.total() - num_right, of_truth.total() - num_right, switches)


def _without_unclear(there: Sequence[Placed], said: Sequence[Placed]) -> tuple[list[Placed], list[Placed]]:
    """Return what is clearly seen, and what was found without what lies on something that is not."""
    clear = [one for one in there if one.visible >= _CLEARLY_SEEN]
    unclear = [one for one in there if one.visible < _CLEARLY_SEEN]
    on_clear = _ious(clear, said).max(axis=0, initial=0)
    on_unclear = _ious(unclear, said).max(axis=0, initial=0)
    return clear, [
        one
        for one, best, other in zip(said, on_clear.tolist(), on_unclear.tolist(), strict=True)
        if best >= _MIN_IOU or other < _MIN_IOU
    ]


def _matched(
    ious: npt.NDArray[np.float64], clear: Sequence[Placed], counted: Sequence[Placed], last: dict[int, int]
) -> list[tuple[int, int]]:
    """Return the pairs of a frame; who was paired before stays so where that is possible (Bernardin et al., 2008)."""
    same = np.array([[last.get(a.number) == b.number for b in counted] for a in clear], dtype=bool).reshape(ious.shape)
    worth = np.where(ious >= _MIN_IOU, ious + 10 * same, 0)
    return [(r, c) for r, c in zip(*linear_sum_assignment(worth, maximize=True), strict=True) if worth[r, c] > 0]


def _best_pairs(together: Counter[tuple[int, int]]) -> int:
    """Return how many boxes are right where each thing is paired with one track for good."""
    rows, columns = (sorted({pair[side] for pair in together}) for side in (0, 1))
    counts = np.array([[together[row, column] for column in columns] for row in rows]).reshape(len(rows), len(columns))
    return int(counts[linear_sum_assignment(counts, maximize=True)].sum())


def _ious(some: Sequence[Placed], others: Sequence[Placed]) -> npt.NDArray[np.float64]:
    a, b = (np.array([one.xyxy for one in side], dtype=np.float64).reshape(-1, 4) for side in (some, others))
    return np.asarray(sv.box_iou_batch(a, b), dtype=np.float64).reshape(len(some), len(others))
