"""Drawing: what becomes of regions as detections, and as pixels."""

import math
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import supervision as sv
from PIL import Image, ImageChops
from supervision.config import ORIENTED_BOX_COORDINATES

from playground import drawing
from playground.drawing import PALETTE, STYLES, Look, color_of, default_styles, draw, draw_overlay, styles_for
from playground.errors import PlaygroundError
from playground.regions import Region
from playground.results import Prediction
from playground.scenes.things import KINDS

BOX = Region("car", (40.0, 60.0, 120.0, 110.0), 0.5)
QUAD = Region("STOP", (50.0, 20.0, 110.0, 60.0), 0.25, xyxyxyxy=(60.0, 20.0, 110.0, 30.0, 100.0, 60.0, 50.0, 50.0))
TWO_PARTS = Region(
    "wheels",
    (20.0, 20.0, 100.0, 40.0),
    polygons=(((20.0, 20.0), (40.0, 20.0), (40.0, 40.0), (20.0, 40.0)), ((80.0, 20.0), (100.0, 20.0), (90.0, 40.0))),
)
ALL_STYLES = tuple(style.id for style in STYLES)


def predict(*regions: Region, resolution_wh: tuple[int, int] = (160, 120)) -> Prediction:
    return Prediction("<OD>", "tiny-florence2", resolution_wh, regions=regions)


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(7).integers(60, 200, (120, 160, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    return np.any(np.asarray(before) != np.asarray(after), axis=2)


def test_boxes_become_detections_with_the_same_numbers():
    detections = drawing.to_detections(predict(BOX, QUAD))
    assert detections.xyxy.tolist() == [[40.0, 60.0, 120.0, 110.0], [50.0, 20.0, 110.0, 60.0]]
    assert detections.xyxy.dtype == np.float32
    assert detections.confidence.tolist() == [0.5, 0.25]
    assert detections.data["class_name"].tolist() == ["car", "STOP"]
    assert detections.mask is None


def test_a_region_without_a_quad_stands_in_with_the_corners_of_its_box():
    corners = drawing.to_detections(predict(QUAD, BOX)).data[ORIENTED_BOX_COORDINATES]
    assert corners.tolist() == [
        [[60.0, 20.0], [110.0, 30.0], [100.0, 60.0], [50.0, 50.0]],
        [[40.0, 60.0], [120.0, 60.0], [120.0, 110.0], [40.0, 110.0]],
    ]


def test_confidence_is_absent_where_one_region_was_not_measured():
    assert drawing.to_detections(predict(BOX, TWO_PARTS)).confidence is None


def test_a_mask_is_the_union_of_the_parts_of_an_outline():
    mask = np.asarray(drawing.to_detections(predict(TWO_PARTS)).mask)
    assert mask.shape == (1, 120, 160)
    assert mask.dtype == bool
    assert mask[0, 30, 30]
    assert mask[0, 25, 90]
    assert not mask[0, 30, 60], "between the parts"
    assert mask[0, 20:41, 20:41].all()
    assert mask.sum() == 21 * 21 + mask[0, :, 60:].sum()


def test_overlapping_parts_do_not_cancel_each_other():
    square = ((20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (20.0, 60.0))
    shifted = tuple((x + 20, y + 20) for x, y in square)
    mask = np.asarray(drawing.masks(predict(Region("a", (20.0, 20.0, 80.0, 80.0), polygons=(square, shifted)))))
    assert mask[0, 50, 50]


def test_an_outline_that_crosses_itself_has_no_holes():
    turns = [2 * point * math.tau / 5 for point in range(5)]
    star = tuple((60 + 50 * math.sin(turn), 60 - 50 * math.cos(turn)) for turn in turns)
    mask = np.asarray(drawing.masks(predict(Region("star", (10.0, 10.0, 110.0, 110.0), polygons=(star,)))))
    assert mask[0, 60, 60]
    assert not mask[0, 25, 25]


def test_a_box_among_polygons_has_its_box_as_mask():
    masks = np.asarray(drawing.to_detections(predict(TWO_PARTS, BOX)).mask)
    assert masks[1, 60:111, 40:121].all()
    assert masks[1].sum() == 51 * 81


def test_nothing_found_is_drawn_as_nothing(picture):
    empty = predict()
    assert len(drawing.to_detections(empty)) == 0
    assert styles_for(empty) == ()
    assert default_styles(empty) == ()
    assert not changed(picture, draw(picture, empty, Look(ALL_STYLES))).any()
    assert draw_overlay((160, 120), empty, Look(ALL_STYLES)).getextrema()[3] == (0, 0)


@pytest.mark.parametrize(
    ("prediction", "ids", "default"),
    [
        pytest.param(
            predict(BOX),
            ["box", "round-box", "corners", "ellipse", "blur", "pixelate", "background"],
            ("box",),
            id="boxes",
        ),
        pytest.param(
            predict(QUAD, BOX),
            ["box", "round-box", "corners", "oriented-box", "ellipse", "blur", "pixelate", "background"],
            ("oriented-box",),
            id="quads",
        ),
        pytest.param(
            predict(BOX, TWO_PARTS),
            ["box", "round-box", "corners", "polygon", "mask", "halo", "ellipse", "blur", "pixelate", "background"],
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
    red, green, blue = (int(color_of("wheels")[i : i + 2], 16) for i in (1, 3, 5))
    for opacity, expected in ((0.0, (100, 100, 100)), (1.0, (red, green, blue))):
        drawn = draw(gray, predict(TWO_PARTS), Look(("mask",), labels=False, opacity=opacity))
        assert drawn.getpixel((30, 30)) == expected


def test_regions_are_scaled_to_a_smaller_picture(picture):
    full, half = predict(BOX), picture.resize((80, 60))
    touched = np.argwhere(changed(half, draw(half, full, Look(("box",), labels=False))))
    y_min, x_min = touched.min(axis=0)
    y_max, x_max = touched.max(axis=0)
    assert (x_min, y_min, x_max, y_max) == pytest.approx((20, 30, 60, 55), abs=1)


def test_a_label_has_the_same_color_on_the_stage_and_in_the_picture():
    drawn = draw(Image.new("RGB", (160, 120)), predict(BOX), Look(("box",), labels=False))
    assert "#{:02x}{:02x}{:02x}".format(*drawn.getpixel((40, 85))) == color_of("car")


def test_colors_do_not_depend_on_the_run_or_on_other_labels():
    # Written out: whoever changes the palette, the salt or the hash changes the pictures that people compare.
    assert [color_of(label) for label in ("car", "tree", "人", "")] == ["#e5342a", "#94508c", "#e646ea", "#93640b"]
    both, alone = drawing.to_detections(predict(QUAD, BOX)), drawing.to_detections(predict(BOX))
    assert both.class_id[1] == alone.class_id[0]


def test_things_of_the_drawn_scenes_seldom_share_a_color():
    shared = Counter(map(color_of, KINDS)).values()
    assert len(KINDS) == 32
    assert sum(count * (count - 1) // 2 for count in shared) <= 16


def test_colors_of_the_palette_are_visible_on_light_and_dark_ground():
    def luminance(color: str) -> float:
        channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    assert len(set(PALETTE)) == 18
    assert all(0.07 < luminance(color) < 0.72 for color in PALETTE)


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
    ("side", "reach"),  # where a Gaussian of 8 or 16 pixels round a straight edge is an eighth: at 1.15 times that
    [(300, 9), (1001, 9), (2000, 18)],
)
def test_a_halo_glows_equally_far_on_all_sides_of_the_mask_and_not_on_it(side, reach):
    near, far = side // 3, side - side // 3
    square = ((near, near), (far, near), (far, far), (near, far))
    dog = predict(Region("dog", (near, near, far, far), polygons=(square,)), resolution_wh=(side, side))
    drawn = draw(Image.new("RGB", (side, side)), dog, Look(("halo",), labels=False, opacity=1.0))
    color = [int(color_of("dog")[at : at + 2], 16) for at in (1, 3, 5)]
    strongest = np.asarray(drawn)[:, :, color.index(max(color))]
    assert strongest[near : far + 1, near : far + 1].max() == 0
    lit = strongest > max(color) // 4
    for line in (lit[side // 2], lit[:, side // 2]):
        assert (line[:near].sum(), line[far + 1 :].sum()) == pytest.approx((reach, reach), abs=3)


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("", id="empty"),
        pytest.param("   \n\t ", id="blank"),
        pytest.param("car\nwith\r\nlines\u2028and more", id="line breaks"),
        pytest.param("w" * 500, id="500 letters"),
        pytest.param("红色的汽车和一棵树", id="Chinese"),
        pytest.param("سيارة حمراء", id="Arabic"),
        pytest.param("🚗👩‍👩‍👧", id="emoji"),
        pytest.param("<img src=x onerror=alert(1)>", id="markup"),
        pytest.param("\x00\x07\ud800\u202e", id="control letters and half a surrogate"),
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


def test_the_background_is_darkened_outside_the_masks_only():
    white = Image.new("RGB", (160, 120), "white")
    drawn = draw(white, predict(TWO_PARTS), Look(("background",), labels=False, opacity=0.5))
    assert [drawn.getpixel(point) for point in ((30, 30), (90, 25), (60, 30))] == [
        (255, 255, 255), (255, 255, 255), (128, 128, 128),
    ]  # fmt: skip


def test_supervision_accepts_the_detections():
    detections = drawing.to_detections(predict(BOX, BOX, QUAD))
    assert len(detections.with_nms(0.5)) == 2
    assert sv.Detections.merge([detections, sv.Detections.empty()]).class_id.tolist() == detections.class_id.tolist()


def test_hundreds_of_regions_with_long_labels_are_drawn_in_seconds(picture):
    regions = [
        Region("字" * 150 + str(i), (i % 100.0, i % 70.0, i % 100.0 + 20, i % 70.0 + 20)) for i in range(500)
    ]
    start = time.perf_counter()
    draw(picture, predict(*regions), Look(("box",)))
    assert time.perf_counter() - start < 10


def test_drawing_does_not_load_the_model_library():
    code = "import sys, playground.drawing, playground.export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
