"""The laws of the drawings that the scenes are made of."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from playground.regions import Polygon
from playground.scenes.things import COLORS, GUESTS, KINDS, Part, drawing_of

SIDE = 512
ALL = (*KINDS, *GUESTS)
MOST_POINTS = 16  # of an outline: a segmentation spells each with two tokens


def rasterize(*polygons: Polygon, side: int = SIDE) -> npt.NDArray[np.bool_]:
    canvas = Image.new("1", (side, side))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon([(x * side - 0.5, y * side - 0.5) for x, y in polygon], fill=1)
    return np.asarray(canvas)


def intersection_over_union(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def bounds(*polygons: Polygon) -> tuple[float, float, float, float]:
    xs, ys = zip(*itertools.chain(*polygons), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def share_of_own_color(parts: tuple[Part, ...]) -> float:
    canvas = Image.new("L", (SIDE, SIDE))
    for part in parts:
        corners = [(x * SIDE, y * SIDE) for x, y in part.polygon]
        ImageDraw.Draw(canvas).polygon(corners, fill=2 if part.fill is None else 1)
    pixels = np.asarray(canvas)
    return float((pixels == 2).sum() / (pixels > 0).sum())


def test_there_are_32_kinds_in_10_colors() -> None:
    assert len(KINDS) == 32
    assert len(COLORS) == len(set(COLORS.values())) == 10


@pytest.mark.parametrize("kind", ALL)
def test_outline_and_parts_fill_the_unit_square(kind: str) -> None:
    drawing = drawing_of(kind)
    assert bounds(drawing.outline) == pytest.approx((0, 0, 1, 1), abs=0.005)
    assert bounds(*(part.polygon for part in drawing.parts)) == pytest.approx((0, 0, 1, 1), abs=0.005)
    assert 0.6 <= drawing.aspect <= 2


@pytest.mark.parametrize("kind", ALL)
def test_an_outline_runs_clockwise_from_its_topmost_point(kind: str) -> None:
    outline = drawing_of(kind).outline
    following = (*outline[1:], outline[0])
    doubled_area = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(outline, following, strict=True))
    assert doubled_area > 0
    assert outline[0] == min(outline, key=lambda point: (point[1], point[0]))
    assert 4 <= len(outline) == len(set(outline)) <= MOST_POINTS


@pytest.mark.parametrize("kind", ALL)
def test_an_outline_covers_what_is_drawn(kind: str) -> None:
    drawing = drawing_of(kind)
    drawn = rasterize(*(part.polygon for part in drawing.parts))
    assert intersection_over_union(rasterize(drawing.outline), drawn) >= 0.94


@pytest.mark.parametrize("kind", ALL)
def test_the_color_of_a_thing_dominates(kind: str) -> None:
    assert share_of_own_color(drawing_of(kind).parts) >= 0.55


@pytest.mark.parametrize("kind", ALL)
def test_only_the_color_of_the_thing_is_toned_and_one_part_has_it_pure(kind: str) -> None:
    parts = drawing_of(kind).parts
    assert all(-1 < part.tone < 1 for part in parts)
    assert all(part.tone == 0 for part in parts if part.fill is not None)
    assert any(part.fill is None and part.tone == 0 for part in parts)


@pytest.mark.parametrize("kind", ALL)
def test_no_other_kind_has_the_silhouette_of_this_one(kind: str) -> None:
    silhouette = rasterize(drawing_of(kind).outline, side=128)
    for other in ALL[ALL.index(kind) + 1 :]:
        aspects = sorted((drawing_of(kind).aspect, drawing_of(other).aspect))
        if aspects[1] / aspects[0] >= 1.3:
            continue
        of_other = rasterize(drawing_of(other).outline, side=128)
        assert intersection_over_union(silhouette, of_other) < 0.97, other
        assert intersection_over_union(silhouette, of_other[:, ::-1]) < 0.97, other
