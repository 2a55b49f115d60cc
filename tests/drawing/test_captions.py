"""Captions: what is written, in which font, and where the chips lie."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from playground.drawing import captions, score_text
from playground.drawing.captions import Caption, caption_text, font_for, write_captions

GREEN = "#79d93b"
ONLY_STIX = "\u2312"  # an arc; DejaVu Sans has none


def written(*captions: Caption, clearance: int = 1) -> Image.Image:
    """Captions of 12 pixels on black."""
    picture = Image.new("RGB", (640, 480))
    write_captions(picture, captions, text_size=12, clearance=clearance)
    return picture


def inked(picture: Image.Image) -> int:
    return int(np.asarray(picture).any(axis=2).sum())


@pytest.mark.parametrize(("score", "text"), [(0.0, "0%"), (0.004, "0%"), (0.125, "13%"), (0.874, "87%"), (1.0, "100%")])
def test_a_score_reads_as_on_the_page(score, text):
    assert score_text(score) == text  # 0.125 is a half, which JavaScript's Math.round rounds up


@pytest.mark.parametrize(
    ("label", "score", "text"),
    [
        pytest.param("car", None, "car", id="label"),
        pytest.param("car", 0.876, "car 88%", id="label and score"),
        pytest.param("", 0.5, "50%", id="score"),
        pytest.param(" \n\t", None, "", id="blank"),
        pytest.param("two\r\nlines\u2028and more", None, "two lines and more", id="line breaks"),
        pytest.param("a\x00\x07\ud800\u202eb", None, "ab", id="control characters and half a surrogate"),
        pytest.param("w" * 500, None, "w" * 200, id="500 characters"),
    ],
)
def test_a_caption_is_one_line_of_what_can_be_printed(label, score, text):
    assert caption_text(label, score) == text


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


def test_a_text_is_written_in_the_first_font_that_has_all_its_characters(monkeypatch):
    folder = Path(mpl.get_data_path(), "fonts/ttf")
    names = ("missing.ttf", str(folder / "cmr10.ttf"), str(folder / "STIXGeneral.ttf"))
    monkeypatch.setattr(captions, "FALLBACK_FONTS", names)
    assert font_for("dog", 20).getname()[0] == "DejaVu Sans"
    assert font_for(ONLY_STIX, 20).getname()[0] == "STIXGeneral"
    assert font_for(f"dog {ONLY_STIX}", 20).getname()[0] == "STIXGeneral"


def test_a_text_that_no_font_can_write_is_written_in_the_font_of_the_rest():
    assert font_for("dog \U0010fffe", 20).getname()[0] == "DejaVu Sans"
