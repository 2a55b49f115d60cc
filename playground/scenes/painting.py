"""Paint a composition: the background, then its things from back to front. Knows nothing of what is true of it."""

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

from playground.scenes.backgrounds import BACKGROUNDS, paint_background
from playground.scenes.composition import Composition, PlacedThing
from playground.scenes.things import Rgb, drawing_of
from playground.scenes.words import word_mask

_EDGE: Rgb = (60, 60, 60)
_EDGES_PER_SIDE = 200  # the dark edge of a thing is this fraction of the picture's shorter side wide
_DARK_INK, _LIGHT_INK = (30, 30, 35), (252, 252, 252)


def paint(
    rng: random.Random,
    composition: Composition,
    resolution_wh: tuple[int, int],
    *,
    supersampling: int = 1,
    edge: float | None = None,
) -> Image.Image:
    """Return the picture, painted `supersampling` times as large and reduced; `rng` decorates the background.

    The dark edges of things are `edge` pixels wide, or as wide as suits things that are large in the picture.
    """
    edge = min(resolution_wh) / _EDGES_PER_SIDE if edge is None else edge
    size = (resolution_wh[0] * supersampling, resolution_wh[1] * supersampling)
    canvas = paint_background(rng, BACKGROUNDS[composition.background], composition.horizon, size)
    paint_things(canvas, composition.things, max(1, round(edge * supersampling)))
    return canvas.reduce(supersampling) if supersampling > 1 else canvas


def paint_things(canvas: Image.Image, things: Sequence[PlacedThing], edge_width: int) -> None:
    """Paint things from back to front onto a background; what lies outside of it is cut off."""
    scale = math.sqrt(canvas.width * canvas.height)
    for thing in things:
        _paint_thing(canvas, thing, scale, edge_width)


def _paint_thing(canvas: Image.Image, thing: PlacedThing, scale: float, edge_width: int) -> None:
    draw = ImageDraw.Draw(canvas)
    for part in drawing_of(thing.kind).parts:
        polygon = thing.project(part.polygon, scale)
        if part.fill is None and part.tone == 0:
            draw.polygon(polygon, fill=thing.fill, outline=_EDGE, width=edge_width)
        else:
            draw.polygon(polygon, fill=part.fill or _toned(thing.fill, part.tone))
    if thing.word:
        _paint_word(canvas, thing, scale)


def _paint_word(canvas: Image.Image, sign: PlacedThing, scale: float) -> None:
    """Print the word of a sign, in dark or in light ink, whichever stands out."""
    left, top, right, bottom = sign.word_box()
    x_min, y_min, x_max, y_max = sign.box
    width, height = (right - left) * (x_max - x_min) * scale, (bottom - top) * (y_max - y_min) * scale
    size = max(1, round(width)), max(1, round(height))
    mask = word_mask(sign.word).resize(size, Image.Resampling.LANCZOS)
    # Image.rotate turns counterclockwise, and the scene's y axis points down.
    turned = mask.rotate(-math.degrees(sign.angle), Image.Resampling.BICUBIC, expand=True)
    center_x, center_y = (x_min + x_max) / 2 * scale, (y_min + y_max) / 2 * scale
    corner = (round(center_x - turned.width / 2), round(center_y - turned.height / 2))
    canvas.paste(_DARK_INK if sum(sign.fill) > 330 else _LIGHT_INK, corner, turned)


def _toned(color: Rgb, tone: float) -> Rgb:
    """Return the color mixed with white by `tone`, or with black by its negative."""
    target = 255 if tone > 0 else 0
    red, green, blue = (round(value + (target - value) * abs(tone)) for value in color)
    return red, green, blue
