"""Finding more like one thing: how alike places look, and what comes of it."""

import numpy as np
import pytest

from playground.errors import InputRejected
from playground.likeness import likeness
from playground.predictor import Predictor
from playground.scenes.scene import make_scattered_scene

RED, BLUE, NONE = (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)


def test_a_place_is_as_alike_as_what_lies_under_it():
    grid = np.array([[RED, NONE, BLUE], [NONE, NONE, NONE], [RED, BLUE, NONE]], dtype=np.float32) + 5
    boxes = [(0.0, 60.0, 30.0, 90.0), (60.0, 0.0, 90.0, 30.0), (0.0, 60.0, 60.0, 90.0)]
    red, blue, half = likeness(grid, (90, 90), [(2.0, 2.0, 28.0, 28.0)], boxes)
    assert red == pytest.approx(1)
    assert blue < half < red
    assert likeness(grid, (90, 90), [boxes[1], boxes[0]], [boxes[1]]) == [pytest.approx(1)]  # the most alike counts


def test_things_of_the_same_kind_and_color_are_most_alike(predictor: Predictor) -> None:
    scene = make_scattered_scene(1_000_000, resolution_wh=(512, 512), side=80, count=7, num_kinds=2)
    one = scene.things[0]
    found = predictor.find_more(scene.image, [one.region.xyxy])
    assert {region.label for region in found.regions} == {one.kind}
    best = max(found.regions, key=lambda region: region.score or 0.0)
    assert best.score is not None
    assert best.score > 0.9
    with pytest.raises(InputRejected, match="Mark a region"):
        predictor.find_more(scene.image, [])
