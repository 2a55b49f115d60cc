"""Choose what is in a scene, where it is, and what of it can be seen: everything but the pixels.

A scene is composed in units of the square root of the picture's area, so that things keep their proportions in every
format. Knows neither how a background is painted nor what is said about a thing.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from playground import outlines
from playground.regions import Box, Point, Polygon
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.things import COLORS, KINDS, Habitat, Rgb, drawing_of
from playground.scenes.words import choose_word, word_aspect

MAX_THINGS = 8
SIGN = "sign"  # the kind that has a word on it
SIGN_SHARE = 0.09  # of the things, beside the signs that come up like any other kind
MIN_CHARACTER_HEIGHT = 1 / 16  # of the picture's height

# The side of a thing, the square root of its width times its height, in scene units. The gaps tell the three apart.
SIZES: dict[str, tuple[float, float]] = {"small": (0.12, 0.16), "medium": (0.19, 0.24), "large": (0.29, 0.38)}

_COUNT_WEIGHTS = (6, 7, 10, 15, 18, 17, 13, 9, 7)  # of 0 to MAX_THINGS things
_MAX_TRIES = 30  # to find a spot for a thing
_MASK_SIDE = 512  # pixels on the longer side of the masks that decide what is visible
_OUTLINE_TOLERANCE = 2.5  # pixels of these masks
_MAX_HIDDEN = 0.4  # share of a thing that others may cover
_MAX_OVERLAP = 0.3  # of two boxes, as a share of the smaller
_MARGINS = (1.0, 0.9)  # of a board around its word, both sides together, in heights of the word


class Guest(NamedTuple):
    """A thing that is wanted in a scene."""

    kind: str
    color: str


@dataclass(frozen=True, slots=True)
class PlacedThing:
    """A thing before it has pixels: `box` is in scene units, before the turn by `angle` (radians) about its center."""

    kind: str
    color: str
    fill: Rgb
    size: str
    box: Box
    is_mirrored: bool = False
    angle: float = 0.0
    word: str = ""

    def project(self, polygon: Polygon, scale: float) -> Polygon:
        """Map a polygon of the drawing to pixels; `scale` is pixels per scene unit."""
        x_min, y_min, x_max, y_max = self.box
        center_x, center_y = (x_min + x_max) / 2 * scale, (y_min + y_max) / 2 * scale
        width, height = (x_max - x_min) * (-scale if self.is_mirrored else scale), (y_max - y_min) * scale
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        centered = [((x - 0.5) * width, (y - 0.5) * height) for x, y in polygon]
        return tuple((center_x + x * cos - y * sin, center_y + x * sin + y * cos) for x, y in centered)

    def outline(self, scale: float = 1.0) -> Polygon:
        """Return the outline of the whole thing, as if nothing hid it."""
        return outlines.from_top(self.project(drawing_of(self.kind).outline, scale))

    def outline_box(self) -> Box:
        """Return the box around the outline, in scene units."""
        return bounds(self.outline())

    def word_box(self) -> Box:
        """Return the box of the word on its board, in the board's unit square."""
        aspect = word_aspect(self.word)
        x, y = 0.5 * aspect / (aspect + _MARGINS[0]), 0.5 / (1 + _MARGINS[1])
        return 0.5 - x, 0.5 - y, 0.5 + x, 0.5 + y


@dataclass(frozen=True, slots=True)
class Visible:
    """What can be seen of a thing: its outlines in scene units, and the share that others hide."""

    polygons: tuple[Polygon, ...]
    hidden: float = 0.0


@dataclass(frozen=True, slots=True)
class Composition:
    """A scene before it has pixels, its things from back to front. `horizon` is a share of the height."""

    background: str
    horizon: float
    things: tuple[PlacedThing, ...]
    visible: tuple[Visible, ...]  # of each thing


def compose(
    rng: random.Random, extent: tuple[float, float], sign_share: float = SIGN_SHARE, guests: Sequence[Guest] = ()
) -> Composition:
    """Choose a scene of 0 to MAX_THINGS things; `extent` is its width and height in scene units.

    `sign_share` of the things are signs, beside those that come up like any other kind. `guests` come beside
    them, where there is room.
    """
    background, horizon = rng.choice(list(BACKGROUNDS)), rng.uniform(0.4, 0.65)
    count = rng.choices(range(MAX_THINGS + 1), _COUNT_WEIGHTS)[0]
    things, visible = _uncover(_place_things(rng, count, extent, horizon * extent[1], sign_share, guests), extent)
    return Composition(background, horizon, tuple(things), tuple(visible))


def scatter(
    rng: random.Random, extent: tuple[float, float], side: float, count: int, *, num_kinds: int | None = None
) -> Composition:
    """Choose a scene of `count` things of one size, each in its habitat and none on another; no signs.

    They are fewer where no more find room. With `num_kinds` they are of so many kinds, and of as many colors.
    """
    kinds, colors = [kind for kind in KINDS if kind != SIGN], list(COLORS)
    if num_kinds:
        kinds, colors = rng.sample(kinds, num_kinds), rng.sample(colors, num_kinds)
    background, horizon = rng.choice(list(BACKGROUNDS)), rng.uniform(0.4, 0.65)
    things: list[PlacedThing] = []
    for _ in range(_MAX_TRIES * count):
        if len(things) == count:
            break
        kind, color = rng.choice(kinds), rng.choice(colors)
        fill = _shift(COLORS[color], [rng.randint(-14, 14) for _ in range(3)])
        width, height = side * math.sqrt(drawing_of(kind).aspect), side / math.sqrt(drawing_of(kind).aspect)
        x = rng.uniform(0, extent[0] - width)
        y = _choose_top(rng, drawing_of(kind).habitat, height, extent[1], horizon * extent[1])
        thing = PlacedThing(kind, color, fill, "small", (x, y, x + width, y + height), rng.random() < 0.5)
        if all(_overlap(thing.outline_box(), other.outline_box()) == 0 for other in things):
            things.append(thing)
    return Composition(background, horizon, tuple(things), tuple(Visible((thing.outline(),)) for thing in things))


def bounds(points: Sequence[Point]) -> Box:
    """Return the smallest box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


# Placing


def _place_things(
    rng: random.Random,
    count: int,
    extent: tuple[float, float],
    horizon: float,
    sign_share: float,
    guests: Sequence[Guest],
) -> list[PlacedThing]:
    """Choose things and their spots; those that stand lower are nearer and come later."""
    things: list[PlacedThing] = []
    for number in range(count + len(guests)):
        kind, color = guests[number - count] if number >= count else (_choose_kind(rng, sign_share), "")
        neighbor = rng.choice(things) if things and rng.random() < 0.3 else None
        for _ in range(_MAX_TRIES):
            thing = _place_thing(rng, kind, color, extent, horizon, neighbor)
            if thing and all(_fit_together(thing, other) for other in things):
                things.append(thing)
                break
    return sorted(things, key=lambda thing: thing.box[3])


def _choose_kind(rng: random.Random, sign_share: float) -> str:
    return SIGN if rng.random() < sign_share else rng.choice(KINDS)


def _place_thing(
    rng: random.Random,
    kind: str,
    color: str,
    extent: tuple[float, float],
    horizon: float,
    neighbor: PlacedThing | None,
) -> PlacedThing | None:
    """Return a thing somewhere in its habitat, near its neighbor if it has one; None if it does not fit there.

    It has some color, unless one is given.
    """
    color, size = color or rng.choice(list(COLORS)), rng.choice(list(SIZES))
    fill = _shift(COLORS[color], [rng.randint(-14, 14) for _ in range(3)])
    word, angle = "", 0.0
    side = rng.uniform(*SIZES[size])
    aspect = drawing_of(kind).aspect
    if kind == SIGN:
        word = choose_word(rng)
        angle = 0.0 if rng.random() < 0.5 else math.radians(rng.choice((-1, 1)) * rng.uniform(4, 20))
        aspect = (word_aspect(word) + _MARGINS[0]) / (1 + _MARGINS[1])
        if side / math.sqrt(aspect) / (1 + _MARGINS[1]) < MIN_CHARACTER_HEIGHT * extent[1]:
            return None
    width, height = side * math.sqrt(aspect), side / math.sqrt(aspect)
    if width > 0.85 * extent[0] or height > 0.7 * extent[1]:
        return None
    x = rng.uniform(0, extent[0] - width)
    y = _choose_top(rng, drawing_of(kind).habitat, height, extent[1], horizon)
    if neighbor:
        x = rng.uniform(neighbor.box[0] - 0.6 * width, neighbor.box[2] - 0.4 * width)
    is_mirrored = kind != SIGN and rng.random() < 0.5
    thing = PlacedThing(kind, color, fill, size, (x, y, x + width, y + height), is_mirrored, angle, word)
    x_min, y_min, x_max, y_max = thing.outline_box()
    margin = 0.008
    is_inside = min(x_min, y_min) > margin and x_max < extent[0] - margin and y_max < extent[1] - margin
    return thing if is_inside else None


def _choose_top(rng: random.Random, habitat: Habitat, height: float, picture_height: float, horizon: float) -> float:
    """Return the top edge of a thing that stands on the ground, floats in the air, or may be anywhere."""
    if habitat is Habitat.GROUND:
        return rng.uniform(max(horizon + 0.03, height), picture_height - 0.01) - height
    lowest = min(horizon + 0.1, picture_height) if habitat is Habitat.SKY else picture_height
    return rng.uniform(0.01, max(0.02, lowest - height))


def _fit_together(thing: PlacedThing, other: PlacedThing) -> bool:
    share = _overlap(thing.outline_box(), other.outline_box())
    return share == 0 if SIGN in (thing.kind, other.kind) else share < _MAX_OVERLAP


def _overlap(a: Box, b: Box) -> float:
    """Return the intersection over the smaller of the two areas."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / smaller


def _shift(color: Rgb, by: Sequence[int]) -> Rgb:
    red, green, blue = (max(0, min(255, channel + step)) for channel, step in zip(color, by, strict=True))
    return red, green, blue


# What is visible


def _uncover(things: list[PlacedThing], extent: tuple[float, float]) -> tuple[list[PlacedThing], list[Visible]]:
    """Return the things and what is visible of each, without those that are hidden too much or have a hole."""
    while True:
        visible = [_visible(index, things, extent) for index in range(len(things))]
        spoiled = next((index for index, seen in enumerate(visible) if seen is None), None)
        if spoiled is None:
            return things, [seen for seen in visible if seen is not None]
        things = things[:spoiled] + things[spoiled + 1 :]


def _visible(index: int, things: list[PlacedThing], extent: tuple[float, float]) -> Visible | None:
    """Return what later things leave of one; None when that is too little, or has a hole."""
    thing, nearer = things[index], things[index + 1 :]
    nearer = [other for other in nearer if _overlap(thing.outline_box(), other.outline_box()) > 0]
    whole = Visible((thing.outline(),))
    if not nearer:
        return whole
    scale = _MASK_SIDE / max(extent)
    size = (round(extent[0] * scale), round(extent[1] * scale))
    own = _mask(thing, size, scale)
    seen = own & ~np.logical_or.reduce([_mask(other, size, scale) for other in nearer])
    total, rest = int(own.sum()), int(seen.sum())
    if rest == total:
        return whole
    pieces = sorted(outlines.trace(seen), key=outlines.signed_area, reverse=True)
    if rest < (1 - _MAX_HIDDEN) * total or any(outlines.signed_area(piece) < 0 for piece in pieces):
        return None
    pieces = [piece for piece in pieces if outlines.signed_area(piece) > 0.02 * total]
    simple = [outlines.from_top(outlines.simplify(piece, _OUTLINE_TOLERANCE)) for piece in pieces]
    polygons = tuple(tuple((x / scale, y / scale) for x, y in polygon) for polygon in simple if len(polygon) > 2)
    return Visible(polygons, 1 - rest / total)


def _mask(thing: PlacedThing, size: tuple[int, int], scale: float) -> outlines.Mask:
    mask = Image.new("1", size)
    ImageDraw.Draw(mask).polygon(thing.outline(scale), fill=1)
    return np.asarray(mask)
