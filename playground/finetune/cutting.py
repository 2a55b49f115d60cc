"""Outlines of boxed things by GrabCut (Rother et al., 2004): what is in a box, but not like what is around it."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from playground import outlines
from playground.finetune.lessons import Lesson
from playground.regions import Region

_MARGIN = 0.2  # of a box's sides, that is looked at around it
_SIDE = 64  # pixels of the longer side of a box, as it is looked at
_ITERATIONS, _FEWEST = 3, 5  # as many pixels of a side as it knows colors of it
_MIN_SHARE = 0.2  # of a box, that a thing fills
_MAX_OFF = 0.12  # of a box's longer side, between it and the box around what was found in it
_SMALLEST, _TOLERANCE = 8, 0.5  # pixels: of a piece, and of its outline


def outlined(image: Image.Image, lesson: Lesson) -> Lesson:
    """Return a lesson with the outlines of all regions that have none, where they can be told from what is around."""
    return replace(lesson, regions=tuple(_outlined(image, region) for region in lesson.regions))


def _outlined(image: Image.Image, region: Region) -> Region:
    x_min, y_min, x_max, y_max = region.xyxy
    wide, high = x_max - x_min, y_max - y_min
    if region.polygons or min(wide, high) < 4:
        return region
    x, y = _MARGIN * wide, _MARGIN * high
    cut = (max(0.0, x_min - x), max(0.0, y_min - y), min(image.width, x_max + x), min(image.height, y_max + y))
    scale = _SIDE / max(wide, high)
    size = (max(1, round((cut[2] - cut[0]) * scale)), max(1, round((cut[3] - cut[1]) * scale)))
    left, right = (round((side - cut[0]) * scale) for side in (x_min, x_max))
    top, bottom = (round((side - cut[1]) * scale) for side in (y_min, y_max))
    box = (slice(top, bottom), slice(left, right))
    shown = np.asarray(image.resize(size, Image.Resampling.BILINEAR, cut, reducing_gap=2.0))
    mask = _cut_out(shown, box)
    if mask is None or not _fills(mask[box]):
        return region
    pieces = outlines.trace(mask)
    polygons = (outlines.simplify(piece, _TOLERANCE) for piece in pieces if outlines.signed_area(piece) > _SMALLEST)
    return replace(
        region,
        polygons=tuple(
            outlines.from_top(tuple((cut[0] + px / scale, cut[1] + py / scale) for px, py in part))
            for part in polygons
            if len(part) > 2
        ),
    )


def _cut_out(shown: npt.NDArray[np.uint8], box: tuple[slice, slice]) -> npt.NDArray[np.bool_] | None:
    marks = np.full(shown.shape[:2], cv2.GC_BGD, np.uint8)
    marks[box] = cv2.GC_PR_FGD
    if min(np.count_nonzero(marks == kind) for kind in (cv2.GC_BGD, cv2.GC_PR_FGD)) < _FEWEST:
        return None
    cv2.setRNGSeed(0)
    cv2.grabCut(shown, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found: npt.NDArray[np.bool_] = marks == cv2.GC_PR_FGD
    contours, _ = cv2.findContours(found.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(found.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled.astype(bool)


def _fills(mask: npt.NDArray[np.bool_]) -> bool:
    """Return whether what was found reaches to all sides of its box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if mask.mean() < _MIN_SHARE:
        return False
    gaps = (rows[0], mask.shape[0] - 1 - rows[-1], columns[0], mask.shape[1] - 1 - columns[-1])
    return all(gap <= _MAX_OFF * _SIDE for gap in gaps)
