"""Scenes in which things move: they come in, pass each other and go out, with who is where at every moment.

Knows no video file and no model.
"""

import math
import random
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from playground.regions import Box, Region, polygon_area
from playground.scenes.backgrounds import BACKGROUNDS, paint_background
from playground.scenes.composition import SIGN, PlacedThing
from playground.scenes.painting import paint_things
from playground.scenes.things import COLORS, DRAWINGS, KINDS, Habitat

_EDGES_PER_SIDE = 200
_SIDES = (0.15, 0.26)  # of a thing, the square root of width times height, in scene units
_SPEEDS = (0.06, 0.16)  # scene units a second
_SWAY = 0.02  # scene units up and down
_MASK_SIDE = 256  # pixels of the masks that decide what is visible
_NUM_KINDS = 4  # fewer than things, so that some look alike


@dataclass(frozen=True, slots=True)
class SeenThing:
    """A thing at a moment: who it is, what can be seen of it, and which share of it that is."""

    number: int
    region: Region
    visible: float


@dataclass(frozen=True, slots=True)
class _Mover:
    """A thing where it is at `start`, in seconds, and how it goes on from there, in scene units a second."""

    thing: PlacedThing
    start: float
    speed: float
    phase: float

    def at(self, seconds: float) -> PlacedThing:
        right = self.speed * (seconds - self.start)
        down = _SWAY * math.sin(self.phase + seconds)
        x_min, y_min, x_max, y_max = self.thing.box
        return replace(self.thing, box=(x_min + right, y_min + down, x_max + right, y_max + down))


@dataclass(frozen=True, slots=True)
class MovingScene:
    """A scene of so many seconds. Any moment of it can be painted, and what is true of it is known."""

    seed: int
    resolution_wh: tuple[int, int]
    background: str
    horizon: float
    movers: tuple[_Mover, ...]  # from back to front

    def picture_at(self, seconds: float) -> Image.Image:
        """Paint a moment."""
        width, height = self.resolution_wh
        canvas = _background(self.seed, self.background, self.horizon, (2 * width, 2 * height)).copy()
        edge = max(1, round(2 * min(self.resolution_wh) / _EDGES_PER_SIDE))
        paint_things(canvas, [mover.at(seconds) for mover in self.movers], edge)
        return canvas.reduce(2)

    def truth_at(self, seconds: float) -> tuple[SeenThing, ...]:
        """Return all of which anything can be seen."""
        width, height = self.resolution_wh
        scale = _MASK_SIDE / max(width, height)
        size, unit = (round(width * scale), round(height * scale)), math.sqrt(width * height) * scale
        covered = np.zeros(size[::-1], dtype=bool)
        seen: list[SeenThing] = []
        for number, mover in reversed(list(enumerate(self.movers, start=1))):
            thing = mover.at(seconds)
            outline = thing.outline(unit)
            mask = Image.new("1", size)
            ImageDraw.Draw(mask).polygon(outline, fill=1)
            shape = np.asarray(mask)
            visible = shape & ~covered
            covered |= shape
            if visible.any():
                share = min(1.0, float(visible.sum()) / max(1.0, polygon_area(outline)))
                seen.append(SeenThing(number, Region(thing.kind, _bounds(visible, scale)), share))
        return tuple(reversed(seen))


def make_moving_scene(
    seed: int, *, seconds: float, count: int = 5, resolution_wh: tuple[int, int] = (512, 512)
) -> MovingScene:
    """Choose `count` things that pass through a scene in so many seconds, half of them from either side.

    Some are of the same kind and color, and those at the same height pass each other.
    """
    rng = random.Random(f"moving {seed}")
    scale = math.sqrt(resolution_wh[0] * resolution_wh[1])
    extent = resolution_wh[0] / scale, resolution_wh[1] / scale
    background, horizon = rng.choice(list(BACKGROUNDS)), rng.uniform(0.4, 0.6)
    kinds = rng.sample([kind for kind in KINDS if kind != SIGN], _NUM_KINDS)
    movers = [
        _mover(rng, rng.choice(kinds), extent, horizon * extent[1], seconds, from_left=number % 2 == 0)
        for number in range(count)
    ]
    movers.sort(key=lambda mover: mover.thing.box[3])
    return MovingScene(seed, resolution_wh, background, horizon, tuple(movers))


def _mover(
    rng: random.Random, kind: str, extent: tuple[float, float], horizon: float, seconds: float, *, from_left: bool
) -> _Mover:
    side, aspect = rng.uniform(*_SIDES), DRAWINGS[kind].aspect
    width, height = side * math.sqrt(aspect), side / math.sqrt(aspect)
    bottom = _bottom(rng, DRAWINGS[kind].habitat, height, extent[1], horizon)
    color = rng.choice(list(COLORS))
    speed = rng.uniform(*_SPEEDS) * (1 if from_left else -1)
    # Some are there at the beginning; the rest come in while there is time to cross the picture.
    start = rng.uniform(-4, max(0.0, seconds - 6))
    x = -width if from_left else extent[0]
    thing = PlacedThing(kind, color, COLORS[color], "medium", (x, bottom - height, x + width, bottom),
                        is_mirrored=not from_left)  # fmt: skip
    return _Mover(thing, start, speed, rng.uniform(0, math.tau))


def _bottom(rng: random.Random, habitat: Habitat, height: float, picture_height: float, horizon: float) -> float:
    """Return the lower edge of a thing that stands on the ground, floats in the air, or may be anywhere."""
    margin = 0.01 + _SWAY
    if habitat is Habitat.GROUND:
        return rng.uniform(max(horizon + 0.05, height + margin), picture_height - margin)
    lowest = horizon + 0.1 if habitat is Habitat.SKY else picture_height - margin
    return max(height + margin, rng.uniform(height + margin, max(height + margin, lowest)))


@lru_cache(maxsize=2)
def _background(seed: int, name: str, horizon: float, size: tuple[int, int]) -> Image.Image:
    return paint_background(random.Random(seed), BACKGROUNDS[name], horizon, size)


def _bounds(mask: npt.NDArray[np.bool_], scale: float) -> Box:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return columns[0] / scale, rows[0] / scale, (columns[-1] + 1) / scale, (rows[-1] + 1) / scale
