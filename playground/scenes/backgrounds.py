"""The places of the scenes: sky or wall, ground, and what belongs to a place without being a thing."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from playground.scenes.things import Rgb

Band = tuple[Rgb, Rgb]  # the colors of its upper and its lower edge

_Decorate = Callable[[random.Random, Image.Image, int], None]  # the canvas and the height of its ground line


@dataclass(frozen=True, slots=True)
class Background:
    """A place: its bands of color, the words that a caption ends with, and the caption of a scene without things.

    `far` is painted on the sky or wall before the ground hides its lower edge, `near` on the ground.
    """

    sky: Band
    ground: Band
    place: str
    empty: str
    far: _Decorate
    near: _Decorate


def paint_background(rng: random.Random, background: Background, horizon: float, size: tuple[int, int]) -> Image.Image:
    """Paint a place of `size` pixels with its ground line at the share `horizon` of the height."""
    width, height = size
    line, shade = int(height * horizon), rng.randint(-10, 10)
    canvas = _band(background.sky, (width, height), line, shade)
    background.far(rng, canvas, line)
    canvas.paste(_band(background.ground, (width, height - line), height - line, shade), (0, line))
    background.near(rng, canvas, line)
    return canvas


def _band(ends: Band, size: tuple[int, int], length: int, shade: int) -> Image.Image:
    """Fill a picture with a gradient over its first `length` rows; the rest has the last color."""
    share = np.minimum(np.arange(size[1]) / max(1, length - 1), 1)[:, None]
    rows = np.array(ends[0]) * (1 - share) + np.array(ends[1]) * share + shade
    return Image.fromarray(np.clip(rows, 0, 255).astype(np.uint8)[:, None]).resize(size)


def _tinted(canvas: Image.Image, y: int, by: int) -> Rgb:
    """Return the color of the canvas at a row, every channel changed."""
    red, green, blue = (max(0, min(255, int(value) + by)) for value in canvas.getpixel((0, y)))  # type: ignore[union-attr]
    return red, green, blue


def _nothing(_rng: random.Random, _canvas: Image.Image, _line: int) -> None:
    """Leave the band as it is."""


def _hills(rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, (width, height) = ImageDraw.Draw(canvas), canvas.size
    for by in (-12, -22):
        x, rise, reach = rng.uniform(0, width), rng.uniform(0.04, 0.12) * height, rng.uniform(0.25, 0.5) * width
        draw.ellipse((x - reach, line - rise, x + reach, line + rise), fill=_tinted(canvas, max(0, line - 1), by))


def _sea(rng: random.Random, canvas: Image.Image, line: int) -> None:
    top = line - int(rng.uniform(0.06, 0.14) * canvas.height)
    ImageDraw.Draw(canvas).rectangle((0, top, canvas.width, line), fill=(92, 160, 205))


def _stars(rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, unit = ImageDraw.Draw(canvas), min(canvas.size) / 300
    for _ in range(24):
        x, y, radius = rng.uniform(0, canvas.width), rng.uniform(0, line), rng.uniform(0.5, 1.0) * unit
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(226, 226, 240))


def _wallpaper(rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, step = ImageDraw.Draw(canvas), max(4, canvas.width // rng.randint(7, 12))
    for x in range(step // 2, canvas.width, 2 * step):
        draw.rectangle((x, 0, x + step, line), fill=_tinted(canvas, 0, -7))


def _tufts(rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, unit = ImageDraw.Draw(canvas), min(canvas.size) / 100
    for _ in range(14):
        x, y = rng.uniform(0, canvas.width), rng.uniform(line, canvas.height - 1)
        color = _tinted(canvas, int(y), -18)
        draw.polygon(
            [(x - unit, y), (x - 0.7 * unit, y - 2 * unit), (x, y), (x + 0.7 * unit, y - 2 * unit), (x + unit, y)],
            fill=color,
        )


def _ripples(rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, unit = ImageDraw.Draw(canvas), min(canvas.size) / 100
    for _ in range(10):
        x, y, reach = rng.uniform(0, canvas.width), rng.uniform(line, canvas.height - 1), rng.uniform(3, 9) * unit
        draw.ellipse((x - reach, y - 0.5 * unit, x + reach, y + 0.5 * unit), fill=_tinted(canvas, int(y), -10))


def _boards(_rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, (width, height) = ImageDraw.Draw(canvas), canvas.size
    for row in range(1, 5):
        y = line + (height - line) * row / 5
        draw.line((0, y, width, y), fill=_tinted(canvas, int(y), -14), width=max(1, min(width, height) // 200))


def _stripes(rng: random.Random, canvas: Image.Image, line: int) -> None:
    draw, (width, height) = ImageDraw.Draw(canvas), canvas.size
    y, dash = line + (height - line) * rng.uniform(0.4, 0.7), width / 9
    thickness = max(1, min(width, height) // 70)
    for number in range(5):
        x = (2 * number + 0.2) * dash
        draw.rectangle((x, y, x + dash, y + thickness), fill=(204, 204, 198))


BACKGROUNDS: dict[str, Background] = {
    "meadow": Background(
        ((150, 205, 245), (215, 236, 250)),
        ((170, 215, 130), (120, 180, 95)),
        "in a meadow",
        "An empty meadow.",
        _hills,
        _tufts,
    ),
    "beach": Background(
        ((130, 195, 235), (200, 228, 240)),
        ((245, 228, 180), (228, 202, 145)),
        "on a beach",
        "An empty beach.",
        _sea,
        _ripples,
    ),
    "night": Background(
        ((22, 26, 62), (56, 62, 116)),
        ((48, 66, 84), (34, 48, 62)),
        "at night",
        "An empty night.",
        _stars,
        _tufts,
    ),
    "room": Background(
        ((240, 226, 205), (232, 214, 190)),
        ((196, 152, 112), (172, 128, 92)),
        "in a room",
        "An empty room.",
        _wallpaper,
        _boards,
    ),
    "snow": Background(
        ((186, 202, 222), (222, 230, 240)),
        ((246, 249, 252), (222, 231, 240)),
        "in the snow",
        "An empty field of snow.",
        _hills,
        _ripples,
    ),
    "desert": Background(
        ((250, 205, 150), (252, 228, 190)),
        ((226, 172, 104), (205, 146, 84)),
        "in a desert",
        "An empty desert.",
        _hills,
        _ripples,
    ),
    "street": Background(
        ((186, 196, 206), (216, 222, 226)),
        ((138, 140, 146), (112, 114, 120)),
        "on a street",
        "An empty street.",
        _nothing,
        _stripes,
    ),
}
