"""Outlines of masks: traced along the edges of pixels, then simplified. Knows no picture and no model."""

import math

import numpy as np
import numpy.typing as npt

from playground.regions import Point, Polygon

Mask = npt.NDArray[np.bool_]


def trace(mask: Mask) -> list[Polygon]:
    """Return the closed outlines of a mask of height x width along the pixel edges, in pixels.

    Outer outlines run clockwise on the screen, holes the other way; pixels that touch at a corner only are apart.
    """
    follows = _edges(mask)
    loops = []
    while follows:
        start = next(iter(follows))
        loop, at, came_from = [start], start, start
        while True:
            at, came_from = _next(follows, at, came_from), at
            if at == start:
                break
            loop.append(at)
        loops.append(_without_straight_points(loop))
    return loops


def signed_area(polygon: Polygon) -> float:
    """Return the area in square pixels: positive where the outline runs clockwise on the screen (y down)."""
    following = (*polygon[1:], polygon[0])
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(polygon, following, strict=True)) / 2


def from_top(polygon: Polygon) -> Polygon:
    """Return the polygon clockwise, from its topmost point on, the leftmost one of several."""
    clockwise = polygon if signed_area(polygon) >= 0 else polygon[::-1]
    first = min(range(len(clockwise)), key=lambda i: (clockwise[i][1], clockwise[i][0]))
    return clockwise[first:] + clockwise[:first]


def simplify(polygon: Polygon, tolerance: float) -> Polygon:
    """Leave out points that lie within `tolerance` of the line without them (Douglas and Peucker, 1973).

    The point farthest from the first one is kept too; fewer than four points are returned as they are.
    """
    if len(polygon) < 4:
        return polygon
    points = np.array([*polygon, polygon[0]], dtype=np.float64)
    far = int(np.argmax(np.hypot(*(points - points[0]).T)))
    kept = {0, far, len(polygon)}
    pending = [(0, far), (far, len(polygon))]
    while pending:
        start, end = pending.pop()
        if end - start < 2:
            continue
        distances = _distances(points[start + 1 : end], points[start], points[end])
        middle = start + 1 + int(np.argmax(distances))
        if distances[middle - start - 1] > tolerance:
            kept.add(middle)
            pending += [(start, middle), (middle, end)]
    return tuple(polygon[i] for i in sorted(kept) if i < len(polygon))


def _edges(mask: Mask) -> dict[Point, list[Point]]:
    """Return where each corner of the boundary leads, with the inside on the right hand (y down)."""
    if not mask.any():
        return {}
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    inside = padded[1:-1, 1:-1]
    follows: dict[Point, list[Point]] = {}
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # outside is above: along the top edge, to the right
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    for neighbor, (from_x, from_y), (to_x, to_y) in sides:
        for y, x in (np.argwhere(inside & ~neighbor) + np.array((top, left))).tolist():
            follows.setdefault((x + from_x, y + from_y), []).append((x + to_x, y + to_y))
    return follows


def _next(follows: dict[Point, list[Point]], at: Point, came_from: Point) -> Point:
    """Take the edge that leads on; where two pixels touch at a corner, the right turn."""
    choices = follows[at]
    right = (at[0] - (at[1] - came_from[1]), at[1] + (at[0] - came_from[0]))
    following = right if right in choices else choices[0]
    choices.remove(following)
    if not choices:
        del follows[at]
    return following


def _without_straight_points(loop: list[Point]) -> Polygon:
    before, after = [loop[-1], *loop[:-1]], [*loop[1:], loop[0]]
    corners = [
        point
        for (x0, y0), point, (x2, y2) in zip(before, loop, after, strict=True)
        if (point[0] - x0, point[1] - y0) != (x2 - point[0], y2 - point[1])
    ]
    return tuple(corners)


def _distances(
    points: npt.NDArray[np.float64], start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the distances of points from the line through two others, or from their one place."""
    along = end - start
    length = math.hypot(*along)
    offset = points - start
    if length == 0:
        return np.hypot(offset[:, 0], offset[:, 1])
    distances: npt.NDArray[np.float64] = np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / length
    return distances
