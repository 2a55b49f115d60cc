"""Draw seeded picture-book scenes and say what is on them, exactly.

Knows no task, no token, no model and no training.
"""

import math
import random
from dataclasses import dataclass

from PIL import Image

from playground.regions import Quad, Region
from playground.scenes.composition import MAX_THINGS, SIGN, SIGNS, Composition, Placement, Visible, bounds, compose
from playground.scenes.painting import paint

__all__ = ["MAX_THINGS", "SIGN", "TRAINING_SEEDS", "Scene", "ScenePlan", "Thing", "make_scene", "plan_scene"]

TRAINING_SEEDS = 1_000_000  # the seeds below are for training; nothing is ever learned from the others


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a scene.

    `region` is what can be seen of it: the box, and the outline as polygons (one, or more where another thing divides
    it) of at most a half percent of the picture's side beside the pixels. Scraps of less than a fiftieth of the thing
    do not count. `writing` is the printed word and its quad.
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
    """What is on a picture of `resolution_wh` pixels, from back to front; all that there is to say about it."""

    seed: int
    background: str
    things: tuple[Thing, ...]
    resolution_wh: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scene(ScenePlan):
    """A drawn picture and what is on it."""

    image: Image.Image


def make_scene(
    seed: int, *, resolution_wh: tuple[int, int] = (512, 512), supersampling: int = 2, signs: float = SIGNS
) -> Scene:
    """Draw the scene of a seed: 0 to MAX_THINGS things, a share of `signs` among them at least.

    Pictures of the same proportions and the same share have the same composition.

    Raises ValueError unless both sides are at least one pixel.
    """
    plan, composition, rng = _plan(seed, resolution_wh, signs)
    image = paint(rng, composition, resolution_wh, supersampling=supersampling)
    return Scene(plan.seed, plan.background, plan.things, plan.resolution_wh, image)


def plan_scene(seed: int, *, resolution_wh: tuple[int, int] = (512, 512), signs: float = SIGNS) -> ScenePlan:
    """Return what `make_scene` would draw, without painting it."""
    plan, _, _ = _plan(seed, resolution_wh, signs)
    return plan


def _plan(seed: int, resolution_wh: tuple[int, int], signs: float) -> tuple[ScenePlan, Composition, random.Random]:
    """Return a scene before it is painted, and the chance that decorates its background."""
    width, height = resolution_wh
    if min(resolution_wh) < 1:
        raise ValueError(f"resolution_wh must be a width and a height of at least 1, but got {resolution_wh}.")
    rng, scale = random.Random(seed), math.sqrt(width * height)
    composition = compose(rng, (width / scale, height / scale), signs)
    pairs = zip(composition.placements, composition.visible, strict=True)
    things = tuple(_to_thing(placement, visible, resolution_wh) for placement, visible in pairs)
    return ScenePlan(seed, composition.background, things, resolution_wh), composition, rng


def _to_thing(placement: Placement, visible: Visible, resolution_wh: tuple[int, int]) -> Thing:
    width, height = resolution_wh
    scale = math.sqrt(width * height)
    polygons = tuple(
        tuple((min(x * scale, float(width)), min(y * scale, float(height))) for x, y in polygon)
        for polygon in visible.polygons
    )
    box = bounds([point for polygon in polygons for point in polygon])
    region = Region(label=placement.kind, xyxy=box, polygons=polygons)
    writing = _writing(placement, scale) if placement.word else None
    return Thing(placement.kind, placement.color, placement.size, region, writing, visible.hidden)


def _writing(placement: Placement, scale: float) -> Region:
    """Return the word of a sign with the corners of its letters, clockwise from the top left of the text."""
    left, top, right, bottom = placement.writing_box()
    corners = placement.project(((left, top), (right, top), (right, bottom), (left, bottom)), scale)
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners
    quad: Quad = (x1, y1, x2, y2, x3, y3, x4, y4)
    return Region(label=placement.word, xyxy=bounds(corners), xyxyxyxy=quad)
