"""A part of a picture seen close up: where it is, how sharp, and what is drawn on it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from playground.drawing import Look
from playground.drawing.closeup import SIDE, draw_closeup
from playground.regions import Region
from playground.results import Prediction
from tests.drawing.samples import predict

W, H = 4000, 3000
SPOT = (3000, 1200, 3010, 1210)
PLAIN = Look(("box",), labels=False)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    picture = Image.new("RGB", (W, H), "white")
    picture.paste((255, 0, 0), SPOT)
    return picture


def answer(*regions: Region) -> Prediction:
    return replace(predict(), regions=regions, resolution_wh=(W, H))


def where(mask: np.ndarray, part: tuple[float, float, float, float]) -> tuple[float, ...]:
    """The box of what is true, in pixels of the original."""
    ys, xs = np.nonzero(mask)
    across, down = (part[2] - part[0]) / mask.shape[1], (part[3] - part[1]) / mask.shape[0]
    corners = (xs.min() * across, ys.min() * down, (xs.max() + 1) * across, (ys.max() + 1) * down)
    return tuple(corner + offset for corner, offset in zip(corners, (*part[:2], *part[:2]), strict=True))


@pytest.mark.parametrize("shrunk", [1, 2], ids=["the file", "a smaller copy of it"])
def test_a_spot_of_ten_pixels_is_large_and_where_it_is(picture: Image.Image, shrunk: int) -> None:
    image = picture.resize((W // shrunk, H // shrunk))
    closeup, part = draw_closeup(image, (W, H), (2950, 1170, 3050, 1240), None, PLAIN)
    assert part == (2925, 1152.5, 3075, 1257.5)
    assert max(closeup.size) == SIDE
    red = np.asarray(closeup)[:, :, 1] < 128
    assert where(red, part) == pytest.approx(SPOT, abs=0.5 * shrunk)


@pytest.mark.parametrize(
    ("xyxy", "part"),
    [
        ((0, 0, 40, 40), (0, 0, 50, 50)),
        ((3990, 2990, 4000, 3000), (3987.5, 2987.5, 4000, 3000)),
        ((0, 0, 4000, 3000), (0, 0, 4000, 3000)),
    ],
    ids=["the first corner", "the last corner", "all of it"],
)
def test_it_ends_where_the_picture_does(
    picture: Image.Image, xyxy: tuple[float, float, float, float], part: tuple[float, float, float, float]
) -> None:
    assert draw_closeup(picture, (W, H), xyxy, None, PLAIN)[1] == part


def test_regions_are_drawn_where_they_are_with_lines_of_the_usual_width(picture: Image.Image) -> None:
    regions = (
        Region("spot", SPOT),
        Region("far", (10, 10, 200, 200)),
        Region("large", (100, 100, 3005, 2900), polygons=(((100, 100), (3005, 100), (3005, 2900)),)),
    )
    seen = (2950, 1170, 3050, 1240)
    plain, part = draw_closeup(picture, (W, H), seen, None, PLAIN)
    drawn, _ = draw_closeup(picture, (W, H), seen, answer(regions[0]), PLAIN)
    painted = (np.asarray(plain) != np.asarray(drawn)).any(axis=2)
    assert where(painted, part) == pytest.approx(SPOT, abs=1)
    assert 2 <= painted[painted.shape[0] // 2].sum() / 2 <= 12  # two lines, of so many pixels each
    elsewhere, _ = draw_closeup(picture, (W, H), seen, answer(regions[1]), PLAIN)
    assert (np.asarray(elsewhere) == np.asarray(plain)).all()
    draw_closeup(picture, (W, H), seen, answer(*regions), Look(("polygon", "mask", "background"), labels=False))
