"""Colors of labels, and the ink on them."""

from collections import Counter

import numpy as np
import pytest

from playground.drawing import colors_of, ink_on
from playground.drawing.colors import PALETTE
from playground.drawing.detections import to_detections
from playground.scenes.things import KINDS
from tests.drawing.samples import BOX, QUAD, predict


def test_colors_do_not_depend_on_the_run():
    # Written out: whoever changes the palette, the salt or the hash changes the pictures that people compare.
    assert list(colors_of(["car", "tree", "人", ""]).values()) == ["#e5342a", "#94508c", "#e646ea", "#93640b"]
    both, alone = to_detections(predict(QUAD, BOX)), to_detections(predict(BOX))
    assert both.class_id[1] == alone.class_id[0]


def test_things_of_the_drawn_scenes_seldom_share_a_color():
    shared = Counter(color for kind in KINDS for color in colors_of([kind]).values()).values()
    assert len(KINDS) == 32
    assert sum(count * (count - 1) // 2 for count in shared) <= 16


def test_a_label_of_a_picture_shares_its_color_with_none_and_keeps_it_while_the_answer_grows():
    labels = [*KINDS, "car", *map(str, range(40))]
    for end in range(len(labels)):
        colors = colors_of(labels[:end])
        assert len(set(colors.values())) == min(len(colors), len(PALETTE))
        assert colors == {label: color for label, color in colors_of(labels).items() if label in colors}


def test_colors_of_the_palette_are_visible_on_light_and_dark_ground():
    def luminance(color: str) -> float:
        channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    assert len(set(PALETTE)) == 18
    assert all(0.07 < luminance(color) < 0.72 for color in PALETTE)


@pytest.mark.parametrize(
    ("color", "ink"),
    [
        pytest.param("#ffffff", "black", id="white"),
        pytest.param("#000000", "white", id="black"),
        pytest.param("#767676", "black", id="gray with 4.54 to white and 4.62 to black"),
        pytest.param("#3f53f5", "white", id="blue"),
        pytest.param("#ffcc2e", "black", id="yellow"),
    ],
)
def test_the_ink_is_the_one_with_the_larger_contrast(color, ink):
    assert ink_on(color) == ink
