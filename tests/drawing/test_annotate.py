"""Annotated pictures and overlays: any region, any label, any size."""

import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageChops

from playground.drawing import Look, colors_of, default_styles, draw, styles_for
from playground.drawing.annotate import draw_overlay
from playground.drawing.detections import to_detections
from playground.drawing.styles import STYLES
from playground.regions import Region
from tests.drawing.samples import BOX, QUAD, TWO_PARTS, changed, noise, predict

ALL_STYLES = tuple(style.id for style in STYLES)


@pytest.fixture
def picture() -> Image.Image:
    return noise()


def test_nothing_found_is_drawn_as_nothing(picture):
    empty = predict()
    assert len(to_detections(empty)) == 0
    assert styles_for(empty) == ()
    assert default_styles(empty) == ()
    assert not changed(picture, draw(picture, empty, Look(ALL_STYLES))).any()
    assert draw_overlay((160, 120), empty, Look(ALL_STYLES)).getextrema()[3] == (0, 0)


def test_regions_are_scaled_to_a_smaller_picture(picture):
    full, half = predict(BOX), picture.resize((80, 60))
    touched = np.argwhere(changed(half, draw(half, full, Look(("box",), labels=False))))
    y_min, x_min = touched.min(axis=0)
    y_max, x_max = touched.max(axis=0)
    assert (x_min, y_min, x_max, y_max) == pytest.approx((20, 30, 60, 55), abs=1)


def test_a_label_has_the_same_color_on_the_stage_and_in_the_picture():
    drawn = draw(Image.new("RGB", (160, 120)), predict(BOX), Look(("box",), labels=False))
    assert "#{:02x}{:02x}{:02x}".format(*drawn.getpixel((40, 85))) == colors_of(["car"])["car"]


@pytest.mark.parametrize(
    ("resolution_wh", "chip_height"),  # 1.45 times the size of the text: 12, 17, 26 and 64 pixels
    [((400, 300), 17), ((900, 900), 25), ((1600, 1200), 38), ((4000, 3000), 93)],
)
def test_labels_grow_with_the_picture(resolution_wh, chip_height):
    region = Region("dog", (200.0, 150.0, 300.0, 250.0))
    drawn = draw(Image.new("RGB", resolution_wh), predict(region, resolution_wh=resolution_wh), Look(()))
    _, top, _, bottom = drawn.getbbox()
    assert bottom - top == chip_height


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("", id="empty"),
        pytest.param("   \n\t ", id="blank"),
        pytest.param("car\nwith\r\nlines\u2028and more", id="line breaks"),
        pytest.param("w" * 500, id="500 characters"),
        pytest.param("红色的汽车和一棵树", id="Chinese"),
        pytest.param("سيارة حمراء", id="Arabic"),
        pytest.param("🚗👩‍👩‍👧", id="emoji"),
        pytest.param("<img src=x onerror=alert(1)>", id="markup"),
        pytest.param("\x00\x07\ud800\u202e", id="control characters and half a surrogate"),
    ],
)
@pytest.mark.parametrize(
    "xyxy",
    [
        pytest.param((0.0, 0.0, 20.0, 10.0), id="top left corner"),
        pytest.param((150.0, 115.0, 160.0, 120.0), id="bottom right corner"),
        pytest.param((60.0, 50.0, 60.0, 50.0), id="no area"),
    ],
)
def test_any_label_is_drawn_at_any_place(picture, label, xyxy):
    drawn = draw(picture, predict(Region(label, xyxy, 0.5)), Look(("box",), scores=True))
    assert changed(picture, drawn).any()


def test_a_region_without_a_label_gets_no_chip(picture):
    nameless = predict(Region("", BOX.xyxy))
    with_labels, without = (draw(picture, nameless, Look(("box",), labels=labels)) for labels in (True, False))
    assert not changed(with_labels, without).any()


@pytest.mark.parametrize(
    "region",
    [
        pytest.param(Region("far", (-1e30, -1e30, 1e30, 1e30)), id="box beyond the picture"),
        pytest.param(Region("thin", (50.0, 10.0, 50.0, 100.0)), id="no width"),
        pytest.param(Region("point", (159.9, 119.9, 160.0, 120.0)), id="in the last pixel"),
        pytest.param(
            Region("far", (0.0, 0.0, 160.0, 120.0), polygons=(((-1e30, 0.0), (1e30, 5.0), (0.0, 1e30)),)),
            id="polygon beyond the picture",
        ),
        pytest.param(
            Region("line", (9.0, 9.0, 20.0, 9.0), polygons=(((9.0, 9.0), (20.0, 9.0), (9.0, 9.0)),)), id="flat polygon"
        ),
        pytest.param(Region("dot", (5.0, 5.0, 5.0, 5.0), xyxyxyxy=(5.0,) * 8), id="quad without area"),
    ],
)
def test_degenerate_regions_are_drawn_in_every_style(picture, region):
    for look in (Look((style,)) for style in ALL_STYLES):
        assert draw(picture, predict(region), look).size == (160, 120)
        assert draw_overlay((160, 120), predict(region), look).size == (160, 120)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3)])
def test_tiny_pictures_are_drawn(size):
    prediction = predict(BOX, TWO_PARTS)
    assert draw(Image.new("RGB", size), prediction, Look(ALL_STYLES, scores=True)).size == size


def test_an_overlay_on_the_picture_is_the_annotated_picture(picture):
    prediction = predict(BOX, TWO_PARTS, QUAD)
    look = Look(("box", "oriented-box", "mask", "polygon", "halo", "ellipse"), opacity=0.3)
    composed = Image.alpha_composite(picture.convert("RGBA"), draw_overlay((160, 120), prediction, look))
    difference = ImageChops.difference(composed.convert("RGB"), draw(picture, prediction, look))
    assert max(high for _, high in difference.getextrema()) <= 3, "rounding to bytes"


def test_an_overlay_leaves_out_what_changes_the_picture():
    overlay = draw_overlay((160, 120), predict(BOX), Look(("blur", "pixelate", "background"), labels=False))
    assert overlay.mode == "RGBA"
    assert overlay.getextrema()[3] == (0, 0)


def test_hundreds_of_regions_with_long_labels_are_drawn_in_seconds(picture):
    regions = [Region("字" * 150 + str(i), (i % 100.0, i % 70.0, i % 100.0 + 20, i % 70.0 + 20)) for i in range(500)]
    start = time.perf_counter()
    draw(picture, predict(*regions), Look(("box",)))
    assert time.perf_counter() - start < 10


def test_drawing_does_not_load_the_model_library():
    code = "import sys, playground.drawing, playground.export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_part_of_an_answer_has_the_colors_of_the_whole():
    ground, box = Image.new("RGB", (160, 120)), (60.0, 60.0, 90.0, 90.0)
    others = [Region(str(number), (1, 1, 9, 9)) for number in range(17)]  # all colors but one
    look, blank = Look(("box",), labels=False), colors_of(["blank"])["blank"]
    whole = draw(ground, predict(*others, Region("blank", box)), look)
    part = draw(ground, predict(Region("blank", box)), look, [region.label for region in others])
    assert whole.getpixel((60, 75)) == part.getpixel((60, 75))
    assert "#{:02x}{:02x}{:02x}".format(*part.getpixel((60, 75))) != blank


def test_the_size_of_labels_is_that_of_the_look():
    car = predict(Region("car", (20, 100, 200, 250)), resolution_wh=(400, 300))
    ground = Image.new("RGB", (400, 300))
    small, large = (np.asarray(draw(ground, car, Look((), label_size=size))).any(axis=2).sum() for size in (1.0, 2.0))
    assert large > 3 * small
