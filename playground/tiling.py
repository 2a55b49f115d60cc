"""A picture in overlapping tiles, and what was found in each as one answer. Knows places, no pixels and no model.

Two regions of different tiles are one thing where they agree in what both tiles saw: so a thing that a border cuts is
told from its neighbor, whatever its size.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playground.regions import Box, Quad, Region

MAX_TILES = 200  # of one picture: each is a picture for the model
MIN_SIDE = 32  # pixels of a tile

_OVERLAP = 0.25  # of a tile with its neighbor, at least: a thing that is smaller is whole in one of them
_AGREEMENT = 0.5  # intersection over union, in what both saw
_INSIDE = 0.6  # of a piece, in what both saw: the rest of the thing explains it
_LARGEST = 0.5  # of a tile's side: of larger things a tile sees too little to know them
_EDGE = 0.01  # of a tile's side: a region that comes so near to the border is cut by it

_Floats = npt.NDArray[np.float64]


class TileAnswer(NamedTuple):
    """What was found in a tile, in pixels of the whole picture."""

    tile: Box
    regions: Sequence[Region]


def tiles_of(resolution_wh: tuple[int, int], side: int) -> list[Box]:
    """Return the tiles of a picture, row by row, which overlap evenly; none where the picture is no larger than one."""
    width, height = resolution_wh
    if max(width, height) <= side:
        return []
    return [
        (float(x), float(y), float(min(x + side, width)), float(min(y + side, height)))
        for y in _starts(height, side)
        for x in _starts(width, side)
    ]


def count_tiles(resolution_wh: tuple[int, int], side: int) -> int:
    """Return how many tiles a picture has."""
    return math.prod(_count(length, side) for length in resolution_wh) if max(resolution_wh) > side else 0


def side_for(resolution_wh: tuple[int, int], image_side: int) -> int:
    """Return the side of tiles that suit a picture, for a model that sees so many pixels of a side.

    A model that sees half of a tile's pixels still knows small things in it; a picture in which there is nothing more
    to see has one tile.
    """
    longer = max(resolution_wh)
    if longer <= image_side:
        return longer
    side = max(MIN_SIDE, min(2 * image_side, math.ceil(0.6 * longer)))
    while count_tiles(resolution_wh, side) > MAX_TILES:
        side = math.ceil(1.05 * side)
    return side


def _count(length: int, side: int) -> int:
    return 1 if length <= side else math.ceil((length - _OVERLAP * side) / ((1 - _OVERLAP) * side))


def _starts(length: int, side: int) -> list[int]:
    count = _count(length, side)
    return [round(index * (length - side) / (count - 1)) for index in range(count)] if count > 1 else [0]


def join_parts(parts: Sequence[TileAnswer], resolution_wh: tuple[int, int]) -> list[Region]:
    """Return the regions of the whole picture and of its tiles, each thing once.

    What is larger than half a tile the whole picture tells, what is smaller than the overlap of two tiles the tile that
    has all of it, and of what lies between the surer one. What lies inside a thing and is named otherwise must be surer
    than that. A piece that a border cuts off goes where something explains it; else its neighbor must confirm it, and
    both are put together.

    Source: recall and precision on scenes of large and of small things (docs/measurements.md).
    """
    whole = (0.0, 0.0, float(resolution_wh[0]), float(resolution_wh[1]))
    side = max((max(_sides(part.tile)) for part in parts if part.tile != whole), default=0.0)
    found = [_Found(part.tile, region, _is_cut(region, part.tile, whole)) for part in parts for region in part.regions]
    found = [one for one in found if one.tile == whole or _extent(one.region) <= _LARGEST * side]
    found.sort(key=lambda one: (_rank(one, whole, side), -(one.region.score or 0.0)))
    if not found:
        return []
    ious, insides = _overlaps(found)
    groups: list[list[int]] = []
    for index, one in enumerate(found):
        group = _group_of(index, groups, found, ious, insides)
        if group is None:
            groups.append([index])
        elif all(found[other].tile != one.tile for other in group):
            group.append(index)
    things = [[found[index] for index in group] for group in groups]
    return list(_in_order([_joined(thing) for thing in things if not thing[0].is_cut or len(thing) > 1]))


class _Found(NamedTuple):
    tile: Box
    region: Region
    is_cut: bool


def _rank(one: _Found, whole: Box, side: float) -> int:
    """Whom to believe first, the lowest; pieces come last."""
    if one.tile != whole:
        return 3 if one.is_cut else 1
    extent = _extent(one.region)
    return 0 if extent > _LARGEST * side else 1 if extent > _OVERLAP * side else 2


def _extent(region: Region) -> float:
    """How large a thing is to be seen: the longer side, of a text the height of its letters."""
    return min(_sides(region.xyxy)) if region.xyxyxyxy else max(_sides(region.xyxy))


def _sides(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _is_cut(region: Region, tile: Box, whole: Box) -> bool:
    edge = _EDGE * max(tile[2] - tile[0], tile[3] - tile[1])
    near = (abs(region.xyxy[side] - tile[side]) < edge and tile[side] != whole[side] for side in range(4))
    return any(near)


def _group_of(
    index: int, groups: Sequence[list[int]], found: Sequence[_Found], ious: _Floats, insides: _Floats
) -> list[int] | None:
    """Return the group of the thing that a region is of, if there is one.

    Under the same name first; else under another one, for tiles may differ about what a thing is.
    """
    one = found[index]
    others = []
    for group in groups:
        first = found[group[0]]
        is_inside = insides[index, group[0]] > _INSIDE and not first.is_cut
        is_less_sure = (one.region.score or 0.0) <= (first.region.score or 0.0)
        is_piece = is_inside and (one.is_cut or is_less_sure or one.region.label == first.region.label)
        if not is_piece and not any(ious[index, other] > _AGREEMENT for other in group):
            continue
        if one.region.label == first.region.label or one.region.xyxyxyxy:  # of a text, each tile reads a part
            return group
        if all(found[other].tile != one.tile for other in group):
            others.append(group)
    return others[0] if others else None


def _overlaps(found: Sequence[_Found]) -> tuple[_Floats, _Floats]:
    """Return for each pair of regions of different tiles, in what both tiles saw, the intersection over the union, and
    over the first of the two.
    """
    tiles = np.array([one.tile for one in found])
    boxes = np.array([one.region.xyxy for one in found])
    low, high = np.maximum(tiles[:, None, :2], tiles[None, :, :2]), np.minimum(tiles[:, None, 2:], tiles[None, :, 2:])
    first_low, first_high = np.maximum(boxes[:, None, :2], low), np.minimum(boxes[:, None, 2:], high)
    other_low, other_high = np.maximum(boxes[None, :, :2], low), np.minimum(boxes[None, :, 2:], high)
    common = _areas(np.maximum(first_low, other_low), np.minimum(first_high, other_high))
    common[(tiles[:, None] == tiles[None]).all(-1)] = 0.0
    first, other = _areas(first_low, first_high), _areas(other_low, other_high)
    return common / np.maximum(first + other - common, 1e-9), common / np.maximum(first, 1e-9)


def _areas(low: _Floats, high: _Floats) -> _Floats:
    sides: _Floats = np.maximum(high - low, 0.0)
    areas: _Floats = sides[..., 0] * sides[..., 1]
    return areas


def _joined(group: Sequence[_Found]) -> Region:
    """Return the region of a thing that was found in several tiles, the best first."""
    first = group[0]
    if not first.is_cut or len(group) == 1:
        return first.region
    sides = list(zip(*(one.region.xyxy for one in group), strict=True))
    x_min, y_min, x_max, y_max = min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3])
    corners: Quad = (x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max)
    return replace(
        first.region,
        label=_put_together(group) if first.region.xyxyxyxy else first.region.label,
        xyxy=(x_min, y_min, x_max, y_max),
        xyxyxyxy=corners if first.region.xyxyxyxy else None,
        polygons=tuple(part for one in group for part in one.region.polygons),
    )


def _put_together(group: Sequence[_Found]) -> str:
    """Return the text of pieces from left to right, what two of them share once."""
    text = ""
    for piece in (one.region.label for one in sorted(group, key=lambda one: one.region.xyxy[0])):
        shared = next((n for n in range(min(len(text), len(piece)), 0, -1) if text.endswith(piece[:n])), 0)
        text += piece[shared:]
    return text


def _in_order(regions: Sequence[Region]) -> Iterator[Region]:
    """Yield things by their labels, texts by their lines."""
    if any(region.xyxyxyxy for region in regions):
        height = float(np.median([region.xyxy[3] - region.xyxy[1] for region in regions])) or 1.0
        yield from sorted(regions, key=lambda region: (round(region.xyxy[1] / height), region.xyxy[0]))
        return
    places = {label: place for place, label in enumerate(dict.fromkeys(region.label for region in regions))}
    yield from sorted(regions, key=lambda region: places[region.label])
