"""Regions of one picture after another to tracks: the same number for the same thing, for as long as it is seen.

Knows no picture: places, names and times alone. What is kept are the tracks that may still be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from playground.regions import Region

_Floats = npt.NDArray[np.float64]

# Fitted to drawn films that are asked ten times a second to once a second; docs/measurements.md has the table.
_LOST_SECONDS = 2.0  # that a thing may be out of sight
_LOST_STEPS = 3.0  # of looking, where these are longer
_REACHES = (0.0, 0.5)  # of the side of a box, by which it is widened: first what fits as it is, then what is near
_LEAST = (0.25, 0.25)  # how like a place must be, with each of them
_OTHER_NAME = 0.5  # what the likeness of a region with another name counts
_SCALE = 1.2  # by which a box is expected to grow or shrink at most
_INERTIA = 0.7  # how much of the motion that was known counts beside the one that was seen last
_INSIDE = 0.6  # the share of a box that must still be inside the picture for it to be expected there
_AT_EDGE = 0.02  # of a side of the picture: so near, a box is cut off by it


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    label: str
    xyxy: _Floats
    seen: float  # seconds
    motion: _Floats  # of the corners, in pixels a second
    num_seen: int = 1

    def at(self, seconds: float) -> _Floats:
        """Return where it is expected: each edge goes on, since that of a thing at the edge of a picture stands still.

        It is not expected much larger or smaller than it is: what is covered for a moment does not shrink for ever.
        """
        box = self.xyxy + self.motion * (seconds - self.seen)
        sides, center = self.xyxy[2:] - self.xyxy[:2], (box[:2] + box[2:]) / 2
        half = np.clip(box[2:] - box[:2], sides / _SCALE, sides * _SCALE) / 2
        return np.concatenate([center - half, center + half])

    def is_inside(self, seconds: float, resolution_wh: tuple[int, int]) -> bool:
        """Whether enough of it is still to be seen: it may be on its way out."""
        ends = np.array(resolution_wh * 2, dtype=float)
        margin = _AT_EDGE * ends
        is_at_edge = (self.xyxy[:2] <= margin[:2]).any() or (self.xyxy[2:] >= (ends - margin)[2:]).any()
        box = self.xyxy + self.motion * (seconds - self.seen) if is_at_edge else self.at(seconds)
        return bool(_areas(np.clip(box, 0, ends)) >= _INSIDE * _areas(self.xyxy))


class Tracker:
    """Gives the regions of one picture after another their tracks, numbered from 1."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._number = 0
        self._last: float | None = None

    def follow(
        self, regions: Sequence[Region], seconds: float, resolution_wh: tuple[int, int], sure: Sequence[bool]
    ) -> list[int | None]:
        """Return the track of each region of the picture that is shown at a time, later than the one before.

        A region that is not sure goes on with a track, and begins none: then it has None.
        """
        step = 0.0 if self._last is None else seconds - self._last
        kept = max(_LOST_SECONDS, _LOST_STEPS * step)
        tracks = [
            track for track in self._tracks if seconds - track.seen <= kept and track.is_inside(seconds, resolution_wh)
        ]
        found = _pairs(tracks, regions, sure, seconds)
        numbers: list[int | None] = []
        seen: list[_Track] = []
        for index, region in enumerate(regions):
            if index in found:
                seen.append(_moved(tracks[found[index]], region, seconds))
            elif sure[index]:
                self._number += 1
                seen.append(_Track(self._number, region.label, np.array(region.xyxy), seconds, np.zeros(4)))
            numbers.append(seen[-1].number if index in found or sure[index] else None)
        lost = [track for place, track in enumerate(tracks) if place not in found.values()]
        self._tracks, self._last = [*seen, *lost], seconds
        return numbers


def _pairs(tracks: Sequence[_Track], regions: Sequence[Region], sure: Sequence[bool], seconds: float) -> dict[int, int]:
    """Return which region goes on with which track: those that are sure choose first, then what fits best."""
    from scipy.optimize import linear_sum_assignment

    pairs: dict[int, int] = {}
    for is_sure in (True, False):
        for reach, least in zip(_REACHES, _LEAST, strict=True):
            free = [place for place in range(len(tracks)) if place not in pairs.values()]
            some = [index for index in range(len(regions)) if sure[index] is is_sure and index not in pairs]
            if not free or not some:
                continue
            likeness = _likeness([tracks[place] for place in free], [regions[index] for index in some], seconds, reach)
            for row, column in zip(*linear_sum_assignment(likeness, maximize=True), strict=True):
                if likeness[row, column] >= least:
                    pairs[some[column]] = free[row]
    return pairs


def _moved(track: _Track, region: Region, seconds: float) -> _Track:
    now, passed = np.array(region.xyxy), max(seconds - track.seen, 1e-3)
    motion = (now - track.xyxy) / passed
    if track.num_seen > 1:
        motion = _INERTIA * track.motion + (1 - _INERTIA) * motion
    return replace(track, label=region.label, xyxy=now, seen=seconds, motion=motion, num_seen=track.num_seen + 1)


def _likeness(tracks: Sequence[_Track], regions: Sequence[Region], seconds: float, reach: float) -> _Floats:
    """Return how well each region fits where each track is expected, from 0 to 1: one row a track."""
    expected = np.array([track.at(seconds) for track in tracks])
    now = np.array([region.xyxy for region in regions], dtype=float)
    likeness = _ious(_widened(expected, reach), _widened(now, reach))
    same = np.array([[track.label == region.label for region in regions] for track in tracks])
    return np.where(same, likeness, _OTHER_NAME * likeness)


def _ious(some: _Floats, others: _Floats) -> _Floats:
    a, b = some[:, None], others[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.clip(sides, 0, None).prod(axis=-1)
    return np.asarray(common / np.maximum(_areas(a) + _areas(b) - common, 1e-9))


def _areas(boxes: _Floats) -> _Floats:
    return np.asarray(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1))


def _widened(boxes: _Floats, reach: float) -> _Floats:
    by = reach * np.sqrt(np.maximum(_areas(boxes), 1))[:, None]
    return np.concatenate([boxes[:, :2] - by, boxes[:, 2:] + by], axis=1)
