"""A band under a picture with what was said of it: black on white, in lines that fit. Knows fonts, no predictions."""

import math
from bisect import bisect_right
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from playground.drawing.captions import font_for

_GROUND, _INK = "white", "#1a1a1a"
_MAX_LINES, _MAX_CHARACTERS = 60, 6000
_FEWEST_LETTERS = 16  # in a line: a smaller picture stands on a wider ground


def with_band(picture: Image.Image, text: str) -> Image.Image:
    """Return an RGB picture with a text in a band under it, or the picture itself where there is no text.

    Of a text that is very long the beginning is written.
    """
    text = "".join(filter(lambda character: character.isprintable() or character == "\n", text[:_MAX_CHARACTERS]))
    if not text.strip():
        return picture
    size = max(14, round(math.sqrt(picture.width * picture.height) * 0.026))
    padding, line_height = round(size * 0.8), round(size * 1.4)
    width = max(picture.width, _FEWEST_LETTERS * size)
    font = font_for(text.replace("\n", " "), size)
    lines = list(_lines(text, font, width - 2 * padding))
    if len(lines) > _MAX_LINES:
        lines = [*lines[: _MAX_LINES - 1], "…"]
    whole = Image.new("RGB", (width, picture.height + len(lines) * line_height + 2 * padding), _GROUND)
    whole.paste(picture, ((width - picture.width) // 2, 0))
    canvas = ImageDraw.Draw(whole)
    for index, line in enumerate(lines):
        top = picture.height + padding + index * line_height
        # Capitals are about 0.73 of the size high: this baseline centers them in the line.
        canvas.text((padding, top + round(size * 1.06)), line, _INK, font, anchor="ls")
    return whole


def _lines(text: str, font: ImageFont.FreeTypeFont, width: float) -> Iterator[str]:
    """Yield lines that are no wider; one more than can be written at most."""
    count = 0
    for paragraph in text.splitlines():
        for line in _wrapped(paragraph, font, width):
            yield line
            count += 1
            if count > _MAX_LINES:
                return


def _wrapped(paragraph: str, font: ImageFont.FreeTypeFont, width: float) -> Iterator[str]:
    line = ""
    for word in _words(paragraph, font, width):
        wider = f"{line} {word}" if line else word
        if font.getlength(wider) <= width:
            line = wider
        else:
            yield line
            line = word
    yield line


def _words(paragraph: str, font: ImageFont.FreeTypeFont, width: float) -> Iterator[str]:
    """Yield the words; one that is wider than a line in pieces, as in scripts that write without spaces."""
    for word in paragraph.split():
        rest = word
        while font.getlength(rest) > width:
            end = _fitting(rest, font, width)
            yield rest[:end]
            rest = rest[end:]
        yield rest


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> int:
    """Return how many characters fit, at least one."""
    return max(1, bisect_right(range(1, len(text)), width, key=lambda end: font.getlength(text[:end])))
