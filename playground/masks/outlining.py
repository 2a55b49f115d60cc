"""What a model of masks says of each cell of a picture, to outlines in its pixels. Knows no model."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from contourpy import FillType, contour_generator

from playground.outlines import from_top, signed_area, simplify
from playground.regions import Point, Polygon

_SPECK, _MOST_PARTS = 0.01, 50  # of the area of the largest part: smaller ones are no parts of a thing
_MOST_POINTS, _COARSER = 400, 1.4  # of all parts together; an outline of a thing has some hundred
_CELLS_OFF, _PIXELS_OFF = 0.15, 0.3  # that a simplified outline may be off, whichever is more
_MOST_CELLS_OFF = 2.0  # of a picture with fewer pixels than cells


def outlines_of(logits: npt.NDArray[np.float32], resolution_wh: tuple[int, int]) -> tuple[Polygon, ...]:
    """Return the parts of the outline where the logits are above 0, the largest first, in pixels of the picture.

    The logits, rows x columns, lie over the whole of it; between the middles of two cells they change evenly. An
    outline of a region has no holes: they are filled, and with them what lies in one.
    """
    columns_rows = logits.shape[::-1]
    loops = sorted(_outer_loops(logits), key=_area, reverse=True)
    least = _SPECK * _area(loops[0]) if loops else 0.0
    scale = np.array(resolution_wh) / columns_rows
    tolerance = max(_CELLS_OFF, min(_PIXELS_OFF / float(scale.max()), _MOST_CELLS_OFF))
    parts: list[Polygon] = []
    for loop in loops[:_MOST_PARTS]:
        if _area(loop) >= least and not any(_holds(part, loop[0]) for part in parts):
            parts.append(loop)
    return tuple(_scaled(part, scale) for part in _with_few_points([from_top(part) for part in parts], tolerance))


def _with_few_points(parts: list[Polygon], tolerance: float) -> list[Polygon]:
    """Return the parts with points left out: of a frayed mask so many more that a page of outlines can be sent."""
    kept: list[Polygon] = []
    while True:
        simpler = [part for part in (simplify(part, tolerance) for part in parts) if len(part) >= 3 and _area(part) > 0]
        if sum(map(len, simpler)) <= _MOST_POINTS:
            return simpler or kept[:1]
        parts = kept = simpler
        tolerance *= _COARSER


def _outer_loops(logits: npt.NDArray[np.float32]) -> Iterator[Polygon]:
    """Yield closed outlines in cells, those around holes left out; at the edges of the picture they run along them."""
    rows, columns = logits.shape
    lines = contour_generator(
        _middles(columns), _middles(rows), np.pad(logits, 1, mode="edge"), fill_type=FillType.OuterOffset
    )
    filled: Any = lines.filled(0, np.inf)
    for points, offsets in zip(*filled, strict=True):
        yield tuple((x, y) for x, y in points[: int(offsets[1]) - 1].tolist())  # the last point is the first again


def _middles(cells: int) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.arange(cells) + 0.5, [float(cells)]])


def _area(polygon: Polygon) -> float:
    return abs(signed_area(polygon))


def _holds(polygon: Polygon, point: Point) -> bool:
    """Whether a point is inside, by how often a line from it crosses the outline."""
    corners = np.array(polygon)
    following = np.roll(corners, -1, axis=0)
    (x0, y0), (x1, y1) = corners.T, following.T
    crosses = (y0 > point[1]) != (y1 > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (point[1] - y0) / (y1 - y0) * (x1 - x0)
    return bool(np.count_nonzero(crosses & (point[0] < at)) % 2)


def _scaled(polygon: Polygon, scale: npt.NDArray[np.float64]) -> Polygon:
    x_scale, y_scale = scale.tolist()
    return tuple((round(x * x_scale, 2), round(y * y_scale, 2)) for x, y in polygon)
