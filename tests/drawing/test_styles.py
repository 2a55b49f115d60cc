"""Styles: which are offered, and what each makes of the pixels."""

import numpy as np
import pytest
from PIL import Image

from playground.drawing import Look, colors_of, default_styles, draw, styles_for
from playground.drawing.styles import STYLES
from playground.errors import PlaygroundError
from playground.regions import Region
from tests.drawing.samples import BOX, QUAD, TWO_PARTS, changed, noise, predict


@pytest.fixture
def picture() -> Image.Image:
    return noise()


HIDING = ("blur", "pixelate", "cover")


@pytest.mark.parametrize(
    ("prediction", "ids", "default"),
    [
        pytest.param(
            predict(BOX),
            ["box", "round-box", "corners", "ellipse", *HIDING, "background"],
            ("box",),
            id="boxes",
        ),
        pytest.param(
            predict(QUAD, BOX),
            ["box", "round-box", "corners", "oriented-box", "ellipse", *HIDING, "background"],
            ("oriented-box",),
            id="quads",
        ),
        pytest.param(
            predict(BOX, TWO_PARTS),
            ["box", "round-box", "corners", "polygon", "mask", "halo", "ellipse", *HIDING, "background"],
            ("mask", "polygon"),
            id="polygons",
        ),
    ],
)
def test_only_styles_that_draw_something_are_offered(prediction, ids, default):
    assert [style.id for style in styles_for(prediction)] == ids
    assert default_styles(prediction) == default


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.id)
def test_each_style_draws_where_it_applies_and_leaves_the_input_alone(picture, style):
    region = {"boxes": BOX, "quads": QUAD, "polygons": TWO_PARTS}[style.needs]
    before = picture.copy()
    drawn = draw(picture, predict(region), Look((style.id,), labels=False))
    assert (drawn.mode, drawn.size) == ("RGB", (160, 120))
    assert changed(before, drawn).sum() > 50
    assert not changed(before, picture).any()


@pytest.mark.parametrize("style", [style for style in STYLES if style.needs != "boxes"], ids=lambda style: style.id)
def test_a_style_that_does_not_apply_draws_nothing(picture, style):
    assert not changed(picture, draw(picture, predict(BOX), Look((style.id,), labels=False))).any()


def test_an_unknown_style_is_refused_with_the_names_of_the_others():
    with pytest.raises(PlaygroundError, match=r"'sparkles' is not a style of drawing\. Styles: box, round-box,"):
        Look(("box", "sparkles"))


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_an_opacity_out_of_range_is_refused(opacity):
    with pytest.raises(PlaygroundError, match="opacity must be between 0 and 1"):
        Look(("mask",), opacity=opacity)


def test_opacity_is_how_much_of_the_color_is_mixed_in():
    gray = Image.new("RGB", (160, 120), (100, 100, 100))
    red, green, blue = (int(colors_of(["wheels"])["wheels"][i : i + 2], 16) for i in (1, 3, 5))
    for opacity, expected in ((0.0, (100, 100, 100)), (1.0, (red, green, blue))):
        drawn = draw(gray, predict(TWO_PARTS), Look(("mask",), labels=False, opacity=opacity))
        assert drawn.getpixel((30, 30)) == expected


@pytest.mark.parametrize(
    ("side", "reach"),  # where a Gaussian of 8 or 16 pixels round a straight edge is an eighth: at 1.15 times that
    [(300, 9), (1001, 9), (2000, 18)],
)
def test_a_halo_glows_equally_far_on_all_sides_of_the_mask_and_not_on_it(side, reach):
    near, far = side // 3, side - side // 3
    square = ((near, near), (far, near), (far, far), (near, far))
    dog = predict(Region("dog", (near, near, far, far), polygons=(square,)), resolution_wh=(side, side))
    drawn = draw(Image.new("RGB", (side, side)), dog, Look(("halo",), labels=False, opacity=1.0))
    color = [int(colors_of(["dog"])["dog"][at : at + 2], 16) for at in (1, 3, 5)]
    strongest = np.asarray(drawn)[:, :, color.index(max(color))]
    assert strongest[near : far + 1, near : far + 1].max() == 0
    lit = strongest > max(color) // 4
    for line in (lit[side // 2], lit[:, side // 2]):
        assert (line[:near].sum(), line[far + 1 :].sum()) == pytest.approx((reach, reach), abs=3)


def test_the_background_is_darkened_outside_the_masks_only():
    white = Image.new("RGB", (160, 120), "white")
    drawn = draw(white, predict(TWO_PARTS), Look(("background",), labels=False, opacity=0.5))
    assert [drawn.getpixel(point) for point in ((30, 30), (90, 25), (60, 30))] == [
        (255, 255, 255), (255, 255, 255), (128, 128, 128),
    ]  # fmt: skip
