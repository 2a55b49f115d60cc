"""Captions: what is written, in which ink and font, and where the chips lie."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from playground.drawing.captions import Caption, caption_text, font_for, ink_on, write_captions

GREEN = "#79d93b"


def written(*captions: Caption, clearance: int = 1) -> Image.Image:
    """Captions of 12 pixels on black."""
    picture = Image.new("RGB", (640, 480))
    write_captions(picture, captions, text_size=12, clearance=clearance)
    return picture


def inked(picture: Image.Image) -> int:
    return int(np.asarray(picture).any(axis=2).sum())


@pytest.mark.parametrize(
    ("label", "score", "text"),
    [
        pytest.param("car", None, "car", id="label"),
        pytest.param("car", 0.876, "car 0.88", id="label and score"),
        pytest.param("", 0.5, "0.50", id="score"),
        pytest.param(" \n\t", None, "", id="blank"),
        pytest.param("two\r\nlines\u2028and more", None, "two lines and more", id="line breaks"),
        pytest.param("a\x00\x07\ud800\u202eb", None, "ab", id="control letters and half a surrogate"),
        pytest.param("w" * 500, None, "w" * 200, id="500 letters"),
    ],
)
def test_a_caption_is_one_line_of_what_can_be_printed(label, score, text):
    assert caption_text(label, score) == text


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


def test_a_chip_stands_on_the_top_left_of_its_box():
    left, top, right, bottom = written(Caption("dog", (100, 200, 300, 400), GREEN), clearance=3).getbbox()
    assert (left, top, bottom) == (97, 180, 197)  # a chip of 12 pixels' text is 17 high
    assert 25 < right - left < 45


def test_a_chip_has_the_color_of_its_caption():
    assert written(Caption("dog", (100, 200, 300, 400), GREEN)).getpixel((105, 184)) == (0x79, 0xD9, 0x3B)


def test_an_empty_caption_gets_no_chip():
    assert written(Caption("", (100, 200, 300, 400), GREEN)).getbbox() is None


@pytest.mark.parametrize("xyxy", [(0, 0, 8, 8), (630, 0, 640, 8), (0, 470, 8, 480), (630, 470, 640, 480)])
def test_a_chip_stays_inside_the_picture(xyxy):
    middle = (300, 200, 308, 208)
    at_edge, inside = (inked(written(Caption("umbrella", place, GREEN))) for place in (xyxy, middle))
    assert at_edge == inside > 500


def test_a_long_caption_is_cut_to_a_third_of_the_width():
    left, _, right, _ = written(Caption("a very long caption " * 20, (10, 100, 600, 400), GREEN)).getbbox()
    assert 180 < right - left <= 213


def test_chips_of_one_place_do_not_hide_each_other():
    same = Caption("umbrella", (200, 200, 400, 300), GREEN)
    assert inked(written(same, same, same, same, same)) == 5 * inked(written(same))


def test_a_chip_without_a_free_place_hides_as_little_as_it_can():
    # The five places of a chip of the second box lie on the chips of the first, which are two pixels above them.
    first, second = Caption("umbrella", (200, 200, 400, 300), GREEN), Caption("umbrella", (200, 202, 400, 302), GREEN)
    one = inked(written(first))
    assert 5 * one < inked(written(*[first] * 5, second)) < 6 * one


def test_chips_are_equally_high():
    boxes = [written(Caption(text, (99, 99, 300, 300), GREEN)).getbbox() for text in ("noon", "dog|", "Ågå")]
    assert [bottom - top for _, top, _, bottom in boxes] == [17, 17, 17]


def test_chinese_is_written_where_the_system_has_a_font_for_it():
    font = font_for("红色", 20)
    if font.getname()[0] == "DejaVu Sans":
        pytest.skip("this system has no font with Chinese letters")
    canvas, missing = Image.new("L", (40, 40)), Image.new("L", (40, 40))
    ImageDraw.Draw(canvas).text((0, 0), "红", 255, font)
    ImageDraw.Draw(missing).text((0, 0), "\U0010ffff", 255, font)
    assert canvas.tobytes() != missing.tobytes()


def test_letters_that_no_font_has_are_written_in_the_font_of_the_rest():
    assert font_for("dog \U0010fffe", 20).getname()[0] == "DejaVu Sans"
