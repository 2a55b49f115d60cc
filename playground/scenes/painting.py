"""Paint a composition: the background, then its things from back to front. Knows nothing of what is true of it."""

import math
import random

from PIL import Image, ImageDraw

from playground.scenes import backgrounds
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.composition import Composition, Placement, letters
from playground.scenes.things import DRAWINGS, Rgb

_EDGE: Rgb = (60, 60, 60)
_EDGES_PER_SIDE = 200  # the dark edge of a thing is this fraction of the picture's shorter side wide


def paint(
    rng: random.Random, composition: Composition, resolution_wh: tuple[int, int], *, supersampling: int = 1
) -> Image.Image:
    """Return the picture, painted `supersampling` times as large and reduced; `rng` decorates the background."""
    size = (resolution_wh[0] * supersampling, resolution_wh[1] * supersampling)
    canvas = backgrounds.paint(rng, BACKGROUNDS[composition.background], composition.horizon, size)
    for placement in composition.placements:
        _paint_thing(canvas, placement, math.sqrt(resolution_wh[0] * resolution_wh[1]) * supersampling)
    return canvas.reduce(supersampling) if supersampling > 1 else canvas


def _paint_thing(canvas: Image.Image, placement: Placement, scale: float) -> None:
    draw = ImageDraw.Draw(canvas)
    edge_width = max(1, round(min(canvas.size) / _EDGES_PER_SIDE))
    for part in DRAWINGS[placement.kind].parts:
        polygon = placement.project(part.polygon, scale)
        if part.fill is None and part.tone == 0:
            draw.polygon(polygon, fill=placement.fill, outline=_EDGE, width=edge_width)
        else:
            draw.polygon(polygon, fill=part.fill or _toned(placement.fill, part.tone))
    if placement.word:
        _paint_word(canvas, placement, scale)


def _paint_word(canvas: Image.Image, placement: Placement, scale: float) -> None:
    """Print the word of a sign, in black or in white, whichever stands out."""
    left, top, right, bottom = placement.writing_box()
    board_width, board_height = placement.box[2] - placement.box[0], placement.box[3] - placement.box[1]
    size = max(1, round((right - left) * board_width * scale)), max(1, round((bottom - top) * board_height * scale))
    mask = letters(placement.word).resize(size, Image.Resampling.LANCZOS)
    # Image.rotate turns against the clock, and the scene's y axis points down.
    turned = mask.rotate(-math.degrees(placement.angle), Image.Resampling.BICUBIC, expand=True)
    middle_x, middle_y = (placement.box[0] + placement.box[2]) / 2, (placement.box[1] + placement.box[3]) / 2
    corner = (round(middle_x * scale - turned.width / 2), round(middle_y * scale - turned.height / 2))
    ink = (30, 30, 35) if sum(placement.fill) > 330 else (252, 252, 252)
    canvas.paste(ink, corner, turned)


def _toned(color: Rgb, tone: float) -> Rgb:
    """Return the color mixed with white by `tone`, or with black by its negative."""
    target = 255 if tone > 0 else 0
    red, green, blue = (round(value + (target - value) * abs(tone)) for value in color)
    return red, green, blue
