"""Choose what is in a scene, where, and what of it can be seen: everything but the pixels.

A scene is composed in units of the square root of the picture's area, so that things keep their proportions in every
format. Knows neither how a background is painted nor what is said about a thing.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from playground.regions import Box, Point, Polygon
from playground.scenes import outlines
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.things import COLORS, DRAWINGS, KINDS, Habitat, Rgb

MAX_THINGS = 8
SIGN = "sign"  # the kind that has a word on it
SIGNS = 0.09  # of the things, beside those that come like any other kind
LEAST_LETTER = 1 / 16  # of the picture's height

# Side of a thing, the square root of its width times height, in scene units. The gaps make the three tellable.
SIZES: dict[str, tuple[float, float]] = {"small": (0.12, 0.16), "medium": (0.19, 0.24), "large": (0.29, 0.38)}

_COUNT_WEIGHTS = (6, 7, 10, 15, 18, 17, 13, 9, 7)  # of 0 to MAX_THINGS things
_TRIES = 30  # to find a spot for a thing
_MASK_SIDE = 512  # pixels on the longer side of the masks that decide what is visible
_OUTLINE_TOLERANCE = 2.5  # pixels of these masks
_MOST_HIDDEN = 0.4  # share of a thing that others may cover
_MOST_OVERLAP = 0.3  # of two boxes, as a share of the smaller

_LETTER = 48  # pixels: the height at which words are set before they are scaled
_WORDS_KEPT = 256  # masks of about 10 KB: a word is looked at several times, and there are ten thousands of them
_MARGINS = (1.0, 0.9)  # of a board around its word, both sides together, in heights of the letters

_WORDS = (  # noqa: SIM905 (a hundred words are easier to read without their quotes)
    "ART BAKERY BANK BAR BEACH BIKES BOOKS BREAD BUS CAFE CAKES CANDY CASTLE CINEMA CIRCUS CITY CLOSED COFFEE DANGER "
    "DOCK EGGS ENTER EXIT FARM FISH FIRE FLOWERS FOOD FREE FRUIT GAMES GARDEN GAS GATE GIFTS GO GOLF GYM HARBOR HELP "
    "HOME HONEY HOTEL ICE INN JAZZ JUICE KEYS KIDS LAKE LIBRARY LUNCH MARKET MENU MILK MOTEL MUSEUM MUSIC NEW NO "
    "NORTH OASIS OFFICE OPEN OUT PARK PIZZA PLAY POLICE POOL POST PUB RADIO RENT RIVER ROAD SALE SCHOOL SHOP "
    "SKI SLOW SOUP SPA STAY STOP SUMMER TAXI TEA THEATER TICKETS TOILET TOYS TRAIN VILLAGE WATER WAY WELCOME WEST "
    "WINE WORK XRAY YES ZOO"
).split()
_CONSONANTS, _VOWELS = "BCDFGHJKLMNPRSTVWXYZ", "AEIOU"


@dataclass(frozen=True, slots=True)
class Placement:
    """A thing before it has pixels: `box` is in scene units, before the turn by `angle` (radians) about its middle."""

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
        middle_x, middle_y = (x_min + x_max) / 2 * scale, (y_min + y_max) / 2 * scale
        width, height = (x_max - x_min) * (-scale if self.is_mirrored else scale), (y_max - y_min) * scale
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        around = [((x - 0.5) * width, (y - 0.5) * height) for x, y in polygon]
        return tuple((middle_x + x * cos - y * sin, middle_y + x * sin + y * cos) for x, y in around)

    def outline(self, scale: float = 1.0) -> Polygon:
        """Return the outline of the whole thing, as if nothing hid it."""
        return outlines.from_top(self.project(DRAWINGS[self.kind].outline, scale))

    def extent(self) -> Box:
        """Return the box of the outline in scene units."""
        return bounds(self.outline())

    def writing_box(self) -> Box:
        """Return the place of the letters on their board, in the board's unit square."""
        x, y = 0.5 * _reach(self.word) / (_reach(self.word) + _MARGINS[0]), 0.5 / (1 + _MARGINS[1])
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
    placements: tuple[Placement, ...]
    visible: tuple[Visible, ...]  # of each placement


def compose(rng: random.Random, extent: tuple[float, float], signs: float = SIGNS) -> Composition:
    """Choose a scene of 0 to MAX_THINGS things; `extent` is its width and height in scene units.

    `signs` is the share of the things that are signs, beside those that come like any other kind.
    """
    background, horizon = rng.choice(list(BACKGROUNDS)), rng.uniform(0.4, 0.65)
    count = rng.choices(range(MAX_THINGS + 1), _COUNT_WEIGHTS)[0]
    placements, visible = _uncover(_place_things(rng, count, extent, horizon * extent[1], signs), extent)
    return Composition(background, horizon, tuple(placements), tuple(visible))


def bounds(points: Sequence[Point]) -> Box:
    """Return the smallest box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


# Placing


def _place_things(
    rng: random.Random, count: int, extent: tuple[float, float], horizon: float, signs: float
) -> list[Placement]:
    """Choose things and their spots; those that stand lower are nearer and come later."""
    placements: list[Placement] = []
    for _ in range(count):
        kind = SIGN if rng.random() < signs else rng.choice(KINDS)
        near = rng.choice(placements) if placements and rng.random() < 0.3 else None
        for _ in range(_TRIES):
            placement = _place_thing(rng, kind, extent, horizon, near)
            if placement and all(_fits(placement, other) for other in placements):
                placements.append(placement)
                break
    return sorted(placements, key=lambda placement: placement.box[3])


def _place_thing(
    rng: random.Random, kind: str, extent: tuple[float, float], horizon: float, near: Placement | None
) -> Placement | None:
    """Return a thing somewhere in its habitat, within the picture; None when it came to lie outside."""
    color, size = rng.choice(list(COLORS)), rng.choice(list(SIZES))
    fill = _shift(COLORS[color], [rng.randint(-14, 14) for _ in range(3)])
    word, angle = "", 0.0
    side = rng.uniform(*SIZES[size])
    aspect = DRAWINGS[kind].aspect
    if kind == SIGN:
        word = _make_word(rng)
        angle = 0.0 if rng.random() < 0.5 else math.radians(rng.choice((-1, 1)) * rng.uniform(4, 20))
        aspect = (_reach(word) + _MARGINS[0]) / (1 + _MARGINS[1])
        if side / math.sqrt(aspect) / (1 + _MARGINS[1]) < LEAST_LETTER * extent[1]:
            return None
    width, height = side * math.sqrt(aspect), side / math.sqrt(aspect)
    if width > 0.85 * extent[0] or height > 0.7 * extent[1]:
        return None
    x = rng.uniform(0, extent[0] - width)
    y = _choose_height(rng, DRAWINGS[kind].habitat, height, extent[1], horizon)
    if near:
        x = rng.uniform(near.box[0] - 0.6 * width, near.box[2] - 0.4 * width)
    is_mirrored = kind != SIGN and rng.random() < 0.5
    placement = Placement(kind, color, fill, size, (x, y, x + width, y + height), is_mirrored, angle, word)
    x_min, y_min, x_max, y_max = placement.extent()
    margin = 0.008
    is_inside = min(x_min, y_min) > margin and x_max < extent[0] - margin and y_max < extent[1] - margin
    return placement if is_inside else None


def _choose_height(rng: random.Random, habitat: Habitat, height: float, picture: float, horizon: float) -> float:
    """Return the top edge of a thing: on the ground, in the air, or anywhere."""
    if habitat is Habitat.GROUND:
        return rng.uniform(max(horizon + 0.03, height), picture - 0.01) - height
    lowest = min(horizon + 0.1, picture) if habitat is Habitat.SKY else picture
    return rng.uniform(0.01, max(0.02, lowest - height))


def _fits(placement: Placement, other: Placement) -> bool:
    share = _shared(placement.extent(), other.extent())
    return share == 0 if SIGN in (placement.kind, other.kind) else share < _MOST_OVERLAP


def _shared(a: Box, b: Box) -> float:
    """Return the intersection over the smaller of the two areas."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / smaller


def _shift(color: Rgb, by: Sequence[int]) -> Rgb:
    red, green, blue = (max(0, min(255, channel + step)) for channel, step in zip(color, by, strict=True))
    return red, green, blue


# Words


def _make_word(rng: random.Random) -> str:
    """Return a word of the list, a number, or syllables that nobody knows by heart."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(_WORDS)
    if kind < 0.85:
        return str(rng.randrange(10 ** rng.randint(1, 4)))
    syllables = [rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.randint(1, 2))]
    return "".join(syllables) + rng.choice(("", rng.choice(_CONSONANTS)))


def _reach(word: str) -> float:
    """Return the width of a word in heights of its letters."""
    mask = letters(word)
    return mask.width / mask.height


@lru_cache(_WORDS_KEPT)
def letter_middles(word: str) -> tuple[float, ...]:
    """Return the middle of each letter, as a share of the word's width."""
    font = _typeface()
    ends = [font.getlength(word[:length]) for length in range(len(word) + 1)]
    return tuple((start + end) / 2 / ends[-1] for start, end in pairwise(ends))


def _typeface() -> ImageFont.FreeTypeFont:
    """Return Pillow's own typeface, in which capitals have this share of the size."""
    font = ImageFont.load_default(_LETTER / 0.72)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow must be built with FreeType"
    return font


@lru_cache(_WORDS_KEPT)
def letters(word: str) -> Image.Image:
    """Return the word as a mask that its letters touch on all sides, the capitals about `_LETTER` pixels high."""
    font = _typeface()
    weight = round(_LETTER / 24)
    left, top, right, bottom = font.getbbox(word, stroke_width=weight)
    mask = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), word, fill=255, font=font, stroke_width=weight)
    return mask.crop(mask.getbbox())


# What is visible


def _uncover(placements: list[Placement], extent: tuple[float, float]) -> tuple[list[Placement], list[Visible]]:
    """Return the placements and what is visible of each, without those that hide too much or cut a hole."""
    while True:
        visible = [_visible(index, placements, extent) for index in range(len(placements))]
        spoiled = next((index for index, seen in enumerate(visible) if seen is None), None)
        if spoiled is None:
            return placements, [seen for seen in visible if seen is not None]
        placements = placements[:spoiled] + placements[spoiled + 1 :]


def _visible(index: int, placements: list[Placement], extent: tuple[float, float]) -> Visible | None:
    """Return what the later things leave of one; None when that is too little, or has a hole."""
    placement, nearer = placements[index], placements[index + 1 :]
    nearer = [other for other in nearer if _shared(placement.extent(), other.extent()) > 0]
    whole = Visible((placement.outline(),))
    if not nearer:
        return whole
    scale = _MASK_SIDE / max(extent)
    size = (round(extent[0] * scale), round(extent[1] * scale))
    own = _mask(placement, size, scale)
    seen = own & ~np.logical_or.reduce([_mask(other, size, scale) for other in nearer])
    total, rest = int(own.sum()), int(seen.sum())
    if rest == total:
        return whole
    pieces = sorted(outlines.trace(seen), key=outlines.area, reverse=True)
    if rest < (1 - _MOST_HIDDEN) * total or any(outlines.area(piece) < 0 for piece in pieces):
        return None
    pieces = [piece for piece in pieces if outlines.area(piece) > 0.02 * total]
    simple = [outlines.from_top(outlines.simplify(piece, _OUTLINE_TOLERANCE)) for piece in pieces]
    polygons = tuple(tuple((x / scale, y / scale) for x, y in polygon) for polygon in simple if len(polygon) > 2)
    return Visible(polygons, 1 - rest / total)


def _mask(placement: Placement, size: tuple[int, int], scale: float) -> outlines.Mask:
    mask = Image.new("1", size)
    ImageDraw.Draw(mask).polygon(placement.outline(scale), fill=1)
    return np.asarray(mask)
