"""Outlines as readers of data sets take them: inside the picture, and in one piece. Knows no format."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from playground.regions import Point, Polygon, Region, polygon_area

_FAR = 1e9  # pixels: beyond it a difference of two floats may be infinite
_MAX_TRIED_POINTS = 500  # of each of two parts, where the shortest bridge between them is looked for


def outline_inside(region: Region, resolution_wh: tuple[int, int]) -> tuple[Polygon, ...]:
    """Return the parts of a region's outline, cut off at the edges of the picture; at least one part.

    Of a region that lies outside, its box on the nearest edge remains.
    """
    parts = [clip(part, resolution_wh) for part in region.outline]
    kept = tuple(part for part in parts if len(part) >= 3)
    return kept or (_corners_moved_inside(region, resolution_wh),)


def clip(polygon: Polygon, resolution_wh: tuple[int, int]) -> Polygon:
    """Return what of a polygon lies in the picture (Sutherland and Hodgman, 1974), nothing where it is all outside."""
    points = [(_between(x, -_FAR, _FAR), _between(y, -_FAR, _FAR)) for x, y in polygon]
    for axis, extent in enumerate(resolution_wh):
        for limit, sign in ((0.0, 1.0), (float(extent), -1.0)):
            points = list(_cut(points, axis, limit, sign))
    return tuple(points)


def _cut(points: list[Point], axis: int, limit: float, sign: float) -> Iterator[Point]:
    """Yield the polygon on one side of a line; it is closed along the line."""

    def depth(point: Point) -> float:
        return sign * (point[axis] - limit)

    for before, point in zip(points[-1:] + points[:-1], points, strict=True):
        if (depth(before) < 0) != (depth(point) < 0):
            yield _crossing(before, point, axis, limit)
        if depth(point) >= 0:
            yield point


def _crossing(start: Point, end: Point, axis: int, limit: float) -> Point:
    share = (limit - start[axis]) / (end[axis] - start[axis])
    other = start[1 - axis] + share * (end[1 - axis] - start[1 - axis])
    return (limit, other) if axis == 0 else (other, limit)


def _corners_moved_inside(region: Region, resolution_wh: tuple[int, int]) -> Polygon:
    x_min, y_min, x_max, y_max = box_inside(region, resolution_wh)
    return (x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)


def box_inside(region: Region, resolution_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the box of a region; what lies outside the picture is moved to its edge."""
    width, height = resolution_wh
    x_min, y_min, x_max, y_max = region.xyxy
    return _between(x_min, 0, width), _between(y_min, 0, height), _between(x_max, 0, width), _between(y_max, 0, height)


def _between(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))


def in_one_piece(parts: tuple[Polygon, ...]) -> Polygon:
    """Return one polygon of all parts, with bridges of no width between them, as Ultralytics converts COCO."""
    largest, *others = sorted(map(_turned_one_way, parts), key=polygon_area, reverse=True)
    whole = list(largest)
    for part in others:
        at, start = _shortest_bridge(whole, part)
        whole[at + 1 : at + 1] = (*part[start:], *part[: start + 1], whole[at])
    return tuple(whole)


def _turned_one_way(polygon: Polygon) -> Polygon:
    """Return the polygon so that its area is not taken from that of the others."""
    following = (*polygon[1:], polygon[0])
    signed = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(polygon, following, strict=True))
    return polygon[::-1] if signed < 0 else polygon


def _shortest_bridge(whole: Sequence[Point], part: Sequence[Point]) -> tuple[int, int]:
    """Return the places of two points, one of each polygon, that lie near each other."""
    (of_whole, starts), (of_part, ends) = _some_points(whole), _some_points(part)
    distances = ((of_whole[:, None] - of_part[None]) ** 2).sum(axis=2)
    row, column = np.unravel_index(distances.argmin(), distances.shape)
    return int(starts[row]), int(ends[column])


def _some_points(polygon: Sequence[Point]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    places = np.arange(0, len(polygon), 1 + len(polygon) // _MAX_TRIED_POINTS)
    return np.array([polygon[place] for place in places.tolist()]), places
