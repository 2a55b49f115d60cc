"""Outlines of masks: along the edges of the pixels, and with fewer points the same shape."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from playground.outlines import from_top, signed_area, simplify, trace
from playground.regions import Polygon

Mask = npt.NDArray[np.bool_]

CLOCKWISE = ((0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0))


def mask_of(*rows: str) -> Mask:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def inside(polygon: Polygon, resolution_wh: tuple[int, int]) -> Mask:
    """Return which pixels have their center inside: those from which a ray to the right crosses the outline oddly."""
    xs, ys = np.meshgrid(np.arange(resolution_wh[0]) + 0.5, np.arange(resolution_wh[1]) + 0.5)
    is_inside = np.zeros(xs.shape, dtype=bool)
    for (x, y), (next_x, next_y) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y != next_y:
            crossing = x + (ys - y) / (next_y - y) * (next_x - x)
            is_inside ^= ((y > ys) != (next_y > ys)) & (xs < crossing)
    return is_inside


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pixels = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    return np.array(pixels).reshape(height, width)


@pytest.mark.parametrize(
    ("mask", "outlines"),
    [
        pytest.param(mask_of("...", "..."), [], id="nothing"),
        pytest.param(mask_of("#"), [((0, 0), (1, 0), (1, 1), (0, 1))], id="one pixel that is all"),
        pytest.param(mask_of("....", ".##.", "...."), [((1, 1), (3, 1), (3, 2), (1, 2))], id="a rectangle"),
        pytest.param(mask_of("#.", "##"), [((0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2))], id="an L"),
        pytest.param(
            mask_of("#.#"), [((0, 0), (1, 0), (1, 1), (0, 1)), ((2, 0), (3, 0), (3, 1), (2, 1))], id="two pieces"
        ),
        pytest.param(
            mask_of("#.", ".#"),
            [((0, 0), (1, 0), (1, 1), (0, 1)), ((1, 1), (2, 1), (2, 2), (1, 2))],
            id="corners that touch",
        ),
        pytest.param(
            mask_of(".#", "#."),
            [((1, 0), (2, 0), (2, 1), (1, 1)), ((0, 1), (1, 1), (1, 2), (0, 2))],
            id="corners that touch, the other way",
        ),
    ],
)
def test_an_outline_runs_along_the_edges_of_the_pixels(mask: Mask, outlines: list[Polygon]) -> None:
    assert [from_top(outline) for outline in trace(mask)] == outlines


def test_a_hole_has_an_outline_that_runs_the_other_way() -> None:
    outer, hole = sorted(trace(mask_of("###", "#.#", "###")), key=signed_area, reverse=True)
    assert signed_area(outer) == 9
    assert signed_area(hole) == -1
    assert set(hole) == {(1, 1), (2, 1), (2, 2), (1, 2)}


def test_an_island_in_a_hole_has_an_outline_of_its_own() -> None:
    outlines = trace(mask_of("#####", "#...#", "#.#.#", "#...#", "#####"))
    assert sorted(map(signed_area, outlines)) == [-9, 1, 25]


@settings(max_examples=150, deadline=None)
@given(masks())
def test_traced_outlines_painted_again_are_the_mask(mask: Mask) -> None:
    painted = np.zeros(mask.shape, dtype=bool)
    outlines = trace(mask)
    for outline in outlines:
        painted ^= inside(outline, (mask.shape[1], mask.shape[0]))
    np.testing.assert_array_equal(painted, mask)
    assert sum(map(signed_area, outlines)) == mask.sum()


@settings(max_examples=100, deadline=None)
@given(masks())
def test_a_traced_outline_turns_at_each_of_its_points(mask: Mask) -> None:
    for outline in trace(mask):
        before, after = (*outline[-1:], *outline[:-1]), (*outline[1:], outline[0])
        for (x0, y0), (x1, y1), (x2, y2) in zip(before, outline, after, strict=True):
            assert (x0 == x1) != (y0 == y1)
            assert (x0 == x1) != (x1 == x2)
            assert (y0 == y1) != (y1 == y2)


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        pytest.param(CLOCKWISE, 8, id="clockwise"),
        pytest.param(CLOCKWISE[::-1], -8, id="the other way"),
        pytest.param(((0, 0), (3, 0), (0, 2)), 3, id="a triangle"),
        pytest.param(((0, 0), (5, 0)), 0, id="a line"),
        pytest.param(((1, 1),), 0, id="a point"),
    ],
)
def test_the_area_is_positive_clockwise(polygon: Polygon, expected: float) -> None:
    assert signed_area(polygon) == expected


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("step", [1, -1], ids=["clockwise", "the other way"])
def test_from_top_begins_at_the_leftmost_of_the_topmost_points_and_runs_clockwise(start: int, step: int) -> None:
    turned = (CLOCKWISE[start:] + CLOCKWISE[:start])[::step]
    assert from_top(turned) == CLOCKWISE


def test_simplify_leaves_out_what_is_nearly_straight() -> None:
    polygon = ((0, 0), (5, 0.4), (10, 0), (10, 10), (5, 9.7), (0, 10))
    assert simplify(polygon, 0.5) == ((0, 0), (10, 0), (10, 10), (0, 10))
    assert simplify(polygon, 0.35) == ((0, 0), (5, 0.4), (10, 0), (10, 10), (0, 10))
    assert simplify(polygon, 0.1) == polygon


@pytest.mark.parametrize("polygon", [(), ((0, 0),), ((0, 0), (9, 0), (4, 0.1))], ids=["none", "a point", "three"])
def test_simplify_keeps_what_has_less_than_four_points(polygon: Polygon) -> None:
    assert simplify(polygon, 5) == polygon


def test_simplify_bears_a_point_that_occurs_twice() -> None:
    assert simplify(((0, 0), (5, 5), (0, 0), (10, 0), (10, 1)), 0.5) == ((0, 0), (5, 5), (0, 0), (10, 0), (10, 1))


@pytest.mark.parametrize("tolerance", [1.0, 2.5, 6.0])
def test_no_point_is_farther_from_the_simpler_outline_than_the_tolerance(tolerance: float) -> None:
    canvas = Image.new("1", (200, 150))
    ImageDraw.Draw(canvas).ellipse((20, 10, 180, 140), fill=1)
    (outline,) = trace(np.asarray(canvas))
    simple = simplify(outline, tolerance)
    assert 4 <= len(simple) < len(outline) / 4
    assert set(simple) <= set(outline)
    ends = np.array([*simple, simple[0]], dtype=float)
    for point in np.array(outline):
        starts, sides = ends[:-1], np.diff(ends, axis=0)
        along = np.clip(((point - starts) * sides).sum(axis=1) / (sides**2).sum(axis=1), 0, 1)
        distances = np.hypot(*(starts + along[:, None] * sides - point).T)
        assert distances.min() <= tolerance + 1e-9
