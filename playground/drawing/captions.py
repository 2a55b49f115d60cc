"""Write captions on a picture: each a chip of its region's color, near its box and clear of the other chips.

Knows fonts and placing. Knows nothing of regions, annotators and how large a text should be.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from playground.drawing.colors import ink_on

# Looked for by name in the system's font folders, for scripts that DejaVu Sans cannot write.
FALLBACK_FONTS = (
    "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf",  # Linux
    "PingFang.ttc", "Hiragino Sans GB.ttc", "Arial Unicode.ttf",  # macOS
    "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttc",  # Windows
)  # fmt: skip

_MAX_LABEL_LENGTH = 200  # characters


@dataclass(frozen=True, slots=True)
class Caption:
    """What is written (nothing where the text is empty), the box in pixels that it is about, and "#rrggbb"."""

    text: str
    xyxy: tuple[float, float, float, float]
    color: str


def score_text(score: float) -> str:
    """Return a score of 0..1 as it is shown to a person, "87%"; halves are rounded up."""
    return f"{math.floor(100 * score + 0.5)}%"


def caption_text(label: str, score: float | None) -> str:
    """Return the printable part of a label on one line and its score, or the one of them that there is."""
    line = " ".join(label[:_MAX_LABEL_LENGTH].split())
    printable = "".join(filter(str.isprintable, line))
    return f"{printable} {'' if score is None else score_text(score)}".strip()


# supervision's RichLabelAnnotator places every text by the height of "Tg", so that "noon" sinks through the lower edge
# of its chip; its chips differ in height, and it takes 11 s to spread a thousand of them.
def write_captions(picture: Image.Image, captions: Sequence[Caption], *, text_size: int, clearance: int) -> None:
    """Write captions onto an RGB picture in pixels of `text_size`, chips `clearance` pixels off the edges of boxes."""
    canvas = ImageDraw.Draw(picture)
    padding, chip_height = round(text_size * 0.35), round(text_size * 1.45)
    widest = min(picture.width, max(picture.width / 3, 12 * text_size)) - 2 * padding
    placed = np.empty((0, 4))
    for caption in captions:
        if not caption.text:
            continue
        font = font_for(caption.text, text_size)
        text = _shorten(caption.text, font, widest)
        chip_wh = (math.ceil(font.getlength(text)) + 2 * padding, chip_height)
        x, y = _place(caption.xyxy, chip_wh, placed, clearance, picture.size)
        placed = np.vstack([placed, (x, y, x + chip_wh[0], y + chip_height)])
        canvas.rounded_rectangle((x, y, x + chip_wh[0] - 1, y + chip_height - 1), text_size // 5, caption.color)
        # Capitals are about 0.73 of the size high: this baseline centers them in the chip.
        canvas.text((x + padding, y + round(text_size * 1.08)), text, ink_on(caption.color), font, anchor="ls")


def _place(
    xyxy: tuple[float, float, float, float],
    chip_wh: tuple[int, int],
    placed: npt.NDArray[np.float64],
    clearance: int,
    resolution_wh: tuple[int, int],
) -> tuple[int, int]:
    """Return the top left of a chip inside the picture: above its box, or where it hides least of other chips."""
    x_min, y_min, x_max, y_max = map(int, xyxy)
    left, top = x_min - clearance, y_min - clearance
    right, bottom = x_max + clearance + 1 - chip_wh[0], y_max + clearance + 1
    above = top - chip_wh[1]
    wishes = [(left, above), (right, above), (left, top), (left, bottom), (right, bottom)]
    spots = np.clip(wishes, 0, np.maximum(np.subtract(resolution_wh, chip_wh), 0))
    (lefts, tops), (rights, bottoms) = spots.T[..., None], (spots + chip_wh).T[..., None]
    widths = np.minimum(rights, placed[:, 2]) - np.maximum(lefts, placed[:, 0])
    heights = np.minimum(bottoms, placed[:, 3]) - np.maximum(tops, placed[:, 1])
    hidden = (widths.clip(0) * heights.clip(0)).sum(axis=1)
    x, y = spots[hidden.argmin()].tolist()
    return x, y


@lru_cache(maxsize=256)
def _shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut a text to `width` pixels, with an ellipsis where something is missing."""
    if font.getlength(text) <= width:
        return text
    end = bisect_right(range(1, len(text)), width, key=lambda end: font.getlength(text[:end] + "…"))
    return text[:end].rstrip() + "…"


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Return the first font that has all characters of the text, or DejaVu Sans where none has."""
    default = _load_font(_default_font(), size)
    assert default is not None
    if text.isascii() or _has_characters(default, text):
        return default
    others = (_load_font(name, size) for name in FALLBACK_FONTS)
    return next((font for font in others if font and _has_characters(font, text)), default)


@cache
def _default_font() -> str:
    """Return the path of a font that matplotlib carries, on which supervision depends: it is on a bare machine too."""
    found = find_spec("matplotlib")  # without the tenth of a second that its import takes
    assert found is not None
    return str(Path(*found.submodule_search_locations or (), "mpl-data/fonts/ttf/DejaVuSans.ttf"))


@lru_cache(maxsize=64)
def _load_font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _has_characters(font: ImageFont.FreeTypeFont, text: str) -> bool:
    return all(_has_character(font, character) for character in set(text) - {" "})  # a space has no pixels


@lru_cache(maxsize=4096)
def _has_character(font: ImageFont.FreeTypeFont, character: str) -> bool:
    # U+10FFFF is a noncharacter: for it, a font draws its sign for a missing glyph.
    return bytes(font.getmask(character)) != bytes(font.getmask("\U0010ffff"))
