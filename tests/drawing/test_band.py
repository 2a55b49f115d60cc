"""The band under a picture: its text is readable, whole words, and inside."""

import numpy as np
import pytest
from PIL import Image

from playground.drawing.band import with_band


def ink(picture: Image.Image, below: int) -> tuple[int, int, int, int]:
    """The box of what is dark in a band."""
    band = Image.fromarray(np.asarray(picture.convert("L"))[below:] < 128)
    box = band.getbbox()
    assert box
    return box


WHITE = Image.new("RGB", (600, 400), "white")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("A short caption.", id="short"),
        pytest.param("A long caption that says much. " * 12, id="long"),
        pytest.param("https://example.org/" + "nobreak" * 40, id="a long word"),
        pytest.param("没有空格的文字" * 30, id="a script without spaces"),
        pytest.param("one\ntwo\n\nfour", id="lines"),
        pytest.param("\x00a\ud800b\u202ec", id="what cannot be printed"),
    ],
)
def test_a_text_stays_in_its_band(text: str) -> None:
    whole = with_band(WHITE, text)
    left, top, right, bottom = ink(whole, 400)
    assert 8 <= left < right <= 600 - 8
    assert 4 <= top < bottom <= whole.height - 400 - 4


def test_lines_are_kept_and_words_are_whole() -> None:
    heights = [with_band(WHITE, text).height for text in ("one", "one\ntwo", "one\n\nthree")]
    assert heights[1] - heights[0] == (heights[2] - heights[0]) / 2


def test_a_very_long_text_is_cut_and_quickly() -> None:
    assert with_band(WHITE, "w" * 200_000).height == with_band(WHITE, "word\n" * 500).height < 2000


def test_a_small_picture_stands_in_the_middle_of_a_wider_ground() -> None:
    whole = with_band(Image.new("RGB", (60, 40), "black"), "A caption of some words.")
    assert whole.width == 224
    assert [whole.getpixel((x, 20)) for x in (81, 82, 141, 142)] == [(255,) * 3, (0,) * 3, (0,) * 3, (255,) * 3]
