"""Masks that are made to outlines: where they run, in how many parts, and what becomes of holes."""

import numpy as np
import pytest

from playground.masks.outlining import outlines_of
from playground.outlines import signed_area


def logits_of(*boxes: tuple[int, int, int, int, float], side: int = 64) -> np.ndarray:
    """Cells that are outside, but for boxes x0, y0, x1, y1 of a value; a later one lies over those before."""
    logits = np.full((side, side), -4.0, dtype=np.float32)
    for x0, y0, x1, y1, value in boxes:
        logits[y0:y1, x0:x1] = value
    return logits


def bounds(polygon: tuple[tuple[float, float], ...]) -> tuple[float, float, float, float]:
    xs, ys = zip(*polygon, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@pytest.mark.parametrize(
    ("logits", "resolution_wh", "expected"),
    [
        pytest.param(logits_of(), (64, 64), [], id="empty"),
        pytest.param(logits_of((0, 0, 64, 64, 4.0)), (640, 320), [(0, 0, 640, 320)], id="all of the picture"),
        pytest.param(logits_of((8, 16, 24, 48, 4.0)), (64, 64), [(8, 16, 24, 48)], id="to the edge of its cells"),
        pytest.param(logits_of((8, 16, 24, 48, 4.0)), (640, 128), [(80, 32, 240, 96)], id="in pixels of the picture"),
        pytest.param(logits_of((0, 0, 16, 16, 4.0), (32, 32, 64, 64, 4.0)), (64, 64),
                     [(32, 32, 64, 64), (0, 0, 16, 16)], id="two parts, the larger first"),
        pytest.param(logits_of((8, 8, 40, 40, 4.0), (50, 50, 51, 51, 4.0)), (64, 64), [(8, 8, 40, 40)], id="a speck"),
        pytest.param(logits_of((8, 8, 56, 56, 4.0), (16, 16, 48, 48, -4.0), (24, 24, 40, 40, 4.0)), (64, 64),
                     [(8, 8, 56, 56)], id="a ring with an island: holes are filled"),
        pytest.param(logits_of((8, 16, 24, 48, 4.0)), (20_000, 40), [(2500, 10, 7500, 30)], id="a strip of a picture"),
        pytest.param(logits_of((8, 16, 24, 48, 4.0)), (1, 1), [(0.12, 0.25, 0.38, 0.75)], id="a single pixel"),
    ],
)  # fmt: skip
def test_outlines_run_where_the_mask_ends(logits: np.ndarray, resolution_wh: tuple[int, int], expected: list) -> None:
    outlines = outlines_of(logits, resolution_wh)
    assert [bounds(part) for part in outlines] == expected
    assert all(signed_area(part) > 0 for part in outlines), "clockwise, from the top"


def test_a_round_mask_has_its_area_and_few_points_wherever_it_crosses_the_edge() -> None:
    y, x = np.mgrid[0:256, 0:256] + 0.5
    logits = (80 - np.hypot(x - 128, y - 40)).astype(np.float32)  # of a disk that the upper edge cuts
    (outline,) = outlines_of(logits, (2560, 2560))
    assert np.count_nonzero(logits > 0) * 100 == pytest.approx(signed_area(outline), rel=0.003)
    assert len(outline) < 60
    assert bounds(outline)[1] == 0


def test_between_two_cells_an_outline_lies_nearer_to_the_one_that_is_less_sure() -> None:
    logits = np.tile(np.array([-3, -3, -3, 1, 1, 1], dtype=np.float32), (6, 1))
    (outline,) = outlines_of(logits, (600, 600))
    assert bounds(outline) == pytest.approx((325, 0, 600, 600))


def test_a_frayed_mask_has_an_outline_that_a_page_can_send() -> None:
    noise = np.random.default_rng(3).normal(0.3, 1, (256, 256)).astype(np.float32)
    parts = outlines_of(noise, (1000, 800))
    assert 100 < sum(map(len, parts)) <= 400
    assert max(x for part in parts for x, _ in part) > 900
