"""Draw seeded picture-book scenes and say what is on them, exactly.

Knows no task, no token, no model and no training.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from playground.regions import Quad, Region
from playground.scenes.composition import (
    MAX_THINGS,
    SIGN,
    SIGN_SHARE,
    Composition,
    Guest,
    PlacedThing,
    Visible,
    bounds,
    compose,
    scatter,
)
from playground.scenes.painting import paint

__all__ = [
    "MAX_THINGS",
    "SIGN",
    "TRAINING_SEEDS",
    "Guest",
    "Scene",
    "ScenePlan",
    "Thing",
    "make_scattered_scene",
    "make_scene",
    "plan_scene",
]

TRAINING_SEEDS = 1_000_000  # the seeds below are for training; nothing is ever learned from the others


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a scene.

    `region` is what can be seen of it: the box, and the outline as polygons (one, or more where another thing divides
    it), which is off by at most half a percent of the picture's side. Scraps of less than a fiftieth of the thing do
    not count. `writing` is the printed word and its quad.
    """

    kind: str
    color: str
    size: str
    region: Region
    writing: Region | None = None
    hidden: float = 0.0  # share of the thing that others cover

    @property
    def description(self) -> str:
        """Size, color and kind: "small red car". A medium size is not worth a word."""
        return f"{'' if self.size == 'medium' else self.size + ' '}{self.color} {self.kind}"


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """All that is true of a scene in a picture of `resolution_wh` pixels; its things from back to front."""

    seed: int
    background: str
    things: tuple[Thing, ...]
    resolution_wh: tuple[int, int]

    def from_left(self) -> list[Thing]:
        """Return the things from left to right, by their left edges."""
        return sorted(self.things, key=lambda thing: thing.region.xyxy[:2])


@dataclass(frozen=True, slots=True)
class Scene(ScenePlan):
    """What is true of a scene, and its picture."""

    image: Image.Image


def make_scene(
    seed: int,
    *,
    resolution_wh: tuple[int, int] = (512, 512),
    supersampling: int = 2,
    sign_share: float = SIGN_SHARE,
    guests: Sequence[Guest] = (),
) -> Scene:
    """Draw the scene of a seed: 0 to MAX_THINGS things, `sign_share` of them signs beside those that come up anyway.

    `guests` are wanted beside these; one for which there is no room is not there.
    Pictures of the same proportions and the same share have the same composition.

    Raises ValueError unless both sides are at least one pixel.
    """
    plan, composition, rng = _plan(seed, resolution_wh, sign_share, guests)
    image = paint(rng, composition, resolution_wh, supersampling=supersampling)
    return Scene(plan.seed, plan.background, plan.things, plan.resolution_wh, image)


def make_scattered_scene(
    seed: int, *, resolution_wh: tuple[int, int], side: float, count: int, num_kinds: int | None = None
) -> Scene:
    """Draw `count` things of `side` pixels, the square root of width times height, in a picture of any size.

    With `num_kinds` they are of so many kinds, and of as many colors.
    """
    rng, scale = random.Random(f"scattered {seed}"), math.sqrt(resolution_wh[0] * resolution_wh[1])
    composition = scatter(
        rng, (resolution_wh[0] / scale, resolution_wh[1] / scale), side / scale, count, num_kinds=num_kinds
    )
    pairs = zip(composition.things, composition.visible, strict=True)
    things = tuple(_to_thing(placed, visible, resolution_wh) for placed, visible in pairs)
    image = paint(rng, composition, resolution_wh, edge=side / 40)
    return Scene(seed, composition.background, things, resolution_wh, image)


def plan_scene(seed: int, *, resolution_wh: tuple[int, int] = (512, 512), sign_share: float = SIGN_SHARE) -> ScenePlan:
    """Return what is true of the scene that `make_scene` would draw, without painting it."""
    return _plan(seed, resolution_wh, sign_share)[0]


def _plan(
    seed: int, resolution_wh: tuple[int, int], sign_share: float, guests: Sequence[Guest] = ()
) -> tuple[ScenePlan, Composition, random.Random]:
    """Return a scene before it is painted, and the random generator that goes on to decorate its background."""
    width, height = resolution_wh
    if min(resolution_wh) < 1:
        raise ValueError(f"resolution_wh must be a width and a height of at least 1, but got {resolution_wh}.")
    rng, scale = random.Random(seed), math.sqrt(width * height)
    composition = compose(rng, (width / scale, height / scale), sign_share, guests)
    pairs = zip(composition.things, composition.visible, strict=True)
    things = tuple(_to_thing(placed, visible, resolution_wh) for placed, visible in pairs)
    return ScenePlan(seed, composition.background, things, resolution_wh), composition, rng


def _to_thing(placed: PlacedThing, visible: Visible, resolution_wh: tuple[int, int]) -> Thing:
    width, height = resolution_wh
    scale = math.sqrt(width * height)
    polygons = tuple(
        tuple((min(x * scale, float(width)), min(y * scale, float(height))) for x, y in polygon)
        for polygon in visible.polygons
    )
    box = bounds([point for polygon in polygons for point in polygon])
    region = Region(label=placed.kind, xyxy=box, polygons=polygons)
    writing = _writing(placed, scale) if placed.word else None
    return Thing(placed.kind, placed.color, placed.size, region, writing, visible.hidden)


def _writing(sign: PlacedThing, scale: float) -> Region:
    """Return the word of a sign with the corners of its print, clockwise from the top left of the text."""
    left, top, right, bottom = sign.word_box()
    corners = sign.project(((left, top), (right, top), (right, bottom), (left, bottom)), scale)
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners
    quad: Quad = (x1, y1, x2, y2, x3, y3, x4, y4)
    return Region(label=sign.word, xyxy=bounds(corners), xyxyxyxy=quad)
