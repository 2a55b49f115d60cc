"""Outlines for readers: cut off at the edges of the picture, and joined to one piece."""

import cv2
import numpy as np
import pytest

from playground.export.outlines import box_inside, clip, in_one_piece, outline_inside
from playground.regions import Polygon, Region, polygon_area
from tests.export.samples import LEFT, RIGHT, WHEELS

SIZE = (160, 120)
DIAMOND = ((0.0, -20.0), (20.0, 0.0), (0.0, 20.0), (-20.0, 0.0))
TRIANGLE = ((150.0, 50.0), (170.0, 60.0), (150.0, 70.0))


def filled(polygon: Polygon) -> int:
    """The number of pixels that OpenCV fills, at a tenfold scale."""
    canvas = np.zeros((1400, 1800), dtype=np.uint8)
    cv2.fillPoly(canvas, [np.array(polygon).__mul__(10).round().astype(np.int32)], 1)
    return int(canvas.sum())


@pytest.mark.parametrize(
    ("polygon", "clipped"),
    [
        pytest.param(LEFT, LEFT, id="inside"),
        pytest.param(DIAMOND, ((0, 0), (20, 0), (0, 20)), id="a corner of the picture"),
        pytest.param(TRIANGLE, ((150, 50), (160, 55), (160, 65), (150, 70)), id="over the right edge"),
        pytest.param(((-9.0, -9.0), (900.0, -9.0), (900.0, 900.0), (-9.0, 900.0)),
                     ((0, 0), (160, 0), (160, 120), (0, 120)), id="larger than the picture"),
        pytest.param(((-1.7e308, -1.7e308), (1.7e308, -1.7e308), (1.7e308, 1.7e308), (-1.7e308, 1.7e308)),
                     ((0, 0), (160, 0), (160, 120), (0, 120)), id="as large as numbers are"),
        pytest.param(((-9.0, 5.0), (-5.0, 5.0), (-5.0, 9.0)), (), id="outside"),
    ],
)  # fmt: skip
def test_an_outline_is_cut_off_at_the_edges(polygon: Polygon, clipped: Polygon) -> None:
    cut = clip(polygon, SIZE)
    assert set(cut) == set(clipped)
    assert polygon_area(cut) == pytest.approx(polygon_area(clipped)) if cut else not clipped


@pytest.mark.parametrize(
    ("region", "outline"),
    [
        pytest.param(Region("box", (5, 6, 30, 170)), (((5, 6), (30, 6), (30, 120), (5, 120)),), id="box"),
        pytest.param(Region("far", (-50, -50, -10, -10), polygons=(((-50, -50), (-10, -50), (-10, -10)),)),
                     (((0, 0), (0, 0), (0, 0), (0, 0)),), id="all of it outside"),
        pytest.param(Region("two", (20, 20, 200, 60), polygons=(LEFT, ((180, 20), (200, 20), (200, 60)))), (LEFT,),
                     id="one part outside"),
    ],
)  # fmt: skip
def test_every_region_has_an_outline_inside(region: Region, outline: tuple[Polygon, ...]) -> None:
    inside = outline_inside(region, SIZE)
    assert [set(part) for part in inside] == [set(part) for part in outline]
    assert all(len(part) >= 3 for part in inside)
    assert box_inside(region, SIZE)[2] <= 160


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((LEFT,), id="one"),
        pytest.param((LEFT, RIGHT), id="two"),
        pytest.param((LEFT, RIGHT[::-1], tuple((x, y + 60) for x, y in TRIANGLE)), id="three, one the other way round"),
        pytest.param((tuple((100 + 50 * np.cos(a), 60 + 50 * np.sin(a)) for a in np.linspace(0, 6.28, 3000)), LEFT),
                     id="many points"),
    ],
)  # fmt: skip
def test_one_piece_covers_what_the_parts_cover(parts: tuple[Polygon, ...]) -> None:
    whole = in_one_piece(parts)
    assert {point for part in parts for point in part} == set(whole)
    assert polygon_area(whole) == pytest.approx(sum(map(polygon_area, parts)))
    assert filled(whole) == pytest.approx(sum(map(filled, parts)), rel=0.02)


def test_the_bridge_is_short() -> None:
    whole = np.array(in_one_piece(WHEELS.polygons))
    assert np.hypot(*np.diff(whole, axis=0).T).max() == 40  # from wheel to wheel
