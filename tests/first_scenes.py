"""The scenes that the bundled checkpoint was trained on: fifteen kinds of things, stretched to the picture.

`playground.tiny` draws richer ones; issue #3 trains the checkpoint that knows them, and then this file goes.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from playground.results import Box, Point, Polygon, Region

Rgb = tuple[int, int, int]

MAX_THINGS = 6
_SUPERSAMPLING = 3
_EDGE: Rgb = (60, 60, 60)
_EDGES_PER_SIDE = 256  # the dark edge of a thing is this fraction of the picture's shorter side wide


@dataclass(frozen=True, slots=True)
class Background:
    """Two bands of color, and the words that a caption ends with."""

    upper: Rgb
    lower: Rgb
    place: str


@dataclass(frozen=True, slots=True)
class Part:
    """A filled polygon. `fill` None stands for the color of the thing, and gives the part a dark edge."""

    polygon: Polygon
    fill: Rgb | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a kind of thing looks: its parts from back to front and its outline, in the unit square with y down.

    `aspect` is width over height in a square picture. The box of the outline is the box of the parts together.
    """

    aspect: float
    outline: Polygon
    parts: tuple[Part, ...]


def _ellipse(x: float, y: float, x_radius: float, y_radius: float) -> Polygon:
    angles = [math.tau * step / 20 for step in range(20)]
    return tuple((x + x_radius * math.cos(angle), y + y_radius * math.sin(angle)) for angle in angles)


def _rectangle(x_min: float, y_min: float, x_max: float, y_max: float) -> Polygon:
    return ((x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max))


def _star() -> Polygon:
    spokes = [(0.5 if step % 2 == 0 else 0.2, math.pi * (step / 5 - 0.5)) for step in range(10)]
    return tuple((0.5 + radius * math.cos(angle), 0.5 + radius * math.sin(angle)) for radius, angle in spokes)


def _heart() -> Polygon:
    """The heart curve x = 16 sin³t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t (Weisstein, MathWorld), scaled."""
    points = []
    for t in (math.tau * step / 24 for step in range(24)):
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((0.5 + 16 * math.sin(t) ** 3 / 34, 0.47 - y / 34))
    return tuple(points)


def _petals() -> tuple[Part, ...]:
    angles = [math.tau * step / 6 for step in range(6)]
    return tuple(Part(_ellipse(0.5 + 0.28 * math.cos(a), 0.3 + 0.2 * math.sin(a), 0.2, 0.144)) for a in angles)


_WHITE: Rgb = (255, 255, 255)
_BLACK: Rgb = (0, 0, 0)
_TIRE: Rgb = (30, 30, 30)
_WOOD: Rgb = (90, 60, 40)

_BALL = _ellipse(0.5, 0.5, 0.5, 0.5)
_BOX = _rectangle(0, 0, 1, 1)
_FISH = ((0, 0.5), (0.15, 0.25), (0.45, 0.1), (0.7, 0.35), (1, 0.1), (1, 0.9), (0.7, 0.65), (0.45, 0.9), (0.15, 0.75))

# The bundled checkpoint was trained on these very shapes and colors: whoever changes one trains it again.
DRAWINGS: dict[str, Drawing] = {
    "ball": Drawing(1, _BALL, (Part(_BALL), Part(_ellipse(0.35, 0.32, 0.1, 0.1), _WHITE))),
    "balloon": Drawing(
        0.6,
        ((0.5, 0), (0.9, 0.12), (1, 0.33), (0.85, 0.55), (0.55, 0.67), (0.52, 1), (0.48, 1), (0.45, 0.67),
         (0.15, 0.55), (0, 0.33), (0.1, 0.12)),
        (Part(_rectangle(0.48, 0.6, 0.52, 1), (80, 80, 80)), Part(_ellipse(0.5, 0.33, 0.5, 0.33))),
    ),
    "boat": Drawing(
        1.1,
        ((0, 0.6), (0.45, 0.6), (0.45, 0), (0.9, 0.55), (0.52, 0.55), (0.52, 0.6), (1, 0.6), (0.8, 1), (0.2, 1)),
        (Part(((0.52, 0.02), (0.92, 0.55), (0.52, 0.55)), (250, 250, 250)),
         Part(_rectangle(0.46, 0, 0.52, 0.6), _WOOD),
         Part(((0, 0.6), (1, 0.6), (0.8, 1), (0.2, 1)))),
    ),
    "box": Drawing(1, _BOX, (Part(_BOX), Part(_rectangle(0, 0.45, 1, 0.52), _BLACK))),
    "car": Drawing(
        1.8,
        ((0, 0.5), (0.2, 0.45), (0.32, 0.1), (0.72, 0.1), (0.86, 0.45), (1, 0.55), (1, 0.8), (0.88, 0.992),
         (0.12, 0.992), (0, 0.8)),
        (Part(((0, 0.5), (0.2, 0.45), (0.32, 0.1), (0.72, 0.1), (0.86, 0.45), (1, 0.55), (1, 0.8), (0, 0.8))),
         Part(((0.36, 0.18), (0.68, 0.18), (0.78, 0.45), (0.26, 0.45)), (200, 230, 250)),
         Part(_ellipse(0.24, 0.8, 0.12, 0.192), _TIRE),
         Part(_ellipse(0.76, 0.8, 0.12, 0.192), _TIRE)),
    ),
    "cup": Drawing(
        1.1,
        ((0, 0.1), (0.75, 0.1), (0.75, 0.25), (1, 0.3), (1, 0.7), (0.72, 0.75), (0.65, 1), (0.1, 1)),
        (Part(((0.74, 0.25), (1, 0.3), (1, 0.7), (0.72, 0.75), (0.72, 0.63), (0.88, 0.6), (0.88, 0.4), (0.74, 0.37))),
         Part(((0, 0.1), (0.75, 0.1), (0.65, 1), (0.1, 1))),
         Part(((0.05, 0.1), (0.7, 0.1), (0.69, 0.2), (0.06, 0.2)), _WOOD)),
    ),
    "fish": Drawing(1.5, _FISH, (Part(_FISH), Part(_ellipse(0.2, 0.42, 0.045, 0.0675), _BLACK))),
    "flower": Drawing(
        0.7,
        ((0.5, 0), (0.64, -0.0172), (0.85, 0.08), (0.98, 0.3), (0.85, 0.5), (0.55, 0.6), (0.53, 1), (0.47, 1),
         (0.45, 0.6), (0.15, 0.5), (0.02, 0.3), (0.15, 0.08), (0.36, -0.0172)),
        (Part(_rectangle(0.47, 0.5, 0.53, 1), (46, 140, 60)), *_petals(),
         Part(_ellipse(0.5, 0.3, 0.15, 0.108), (250, 210, 60))),
    ),
    "heart": Drawing(1, _heart(), (Part(_heart()),)),
    "house": Drawing(
        1,
        ((0.5, 0), (1, 0.45), (1, 1), (0, 1), (0, 0.45)),
        (Part(_rectangle(0.06, 0.4, 0.94, 1), (250, 235, 200)),
         Part(((0.5, 0), (1, 0.45), (0, 0.45))),
         Part(_rectangle(0.4, 0.65, 0.6, 1), _WOOD)),
    ),
    "kite": Drawing(
        0.9,
        ((0.5, 0), (1, 0.35), (0.55, 0.75), (0.7, 1), (0.45, 0.9), (0.45, 0.75), (0, 0.35)),
        (Part(((0.5, 0), (1, 0.35), (0.5, 0.8), (0, 0.35))),
         Part(_rectangle(0.5, 0, 0.52, 0.8), _BLACK),
         Part(((0.5, 0.8), (0.7, 1), (0.45, 0.92)))),
    ),
    "mushroom": Drawing(
        1,
        ((0, 0.5), (0.1, 0.2), (0.5, 0), (0.9, 0.2), (1, 0.5), (0.65, 0.55), (0.7, 1), (0.3, 1), (0.35, 0.55)),
        (Part(((0.36, 0.5), (0.64, 0.5), (0.7, 1), (0.3, 1)), (245, 235, 215)),
         Part(((0, 0.5), (0.03, 0.3), (0.2, 0.1), (0.5, 0), (0.8, 0.1), (0.97, 0.3), (1, 0.5))),
         Part(_ellipse(0.35, 0.25, 0.07, 0.07), _WHITE),
         Part(_ellipse(0.65, 0.3, 0.08, 0.08), _WHITE)),
    ),
    "star": Drawing(1, _star(), (Part(_star()),)),
    "tree": Drawing(
        0.75,
        ((0.5, 0), (0.95, 0.2), (1, 0.4), (0.8, 0.65), (0.6, 0.7), (0.6, 1), (0.4, 1), (0.4, 0.7), (0.2, 0.65),
         (0, 0.4), (0.05, 0.2)),
        (Part(_rectangle(0.4, 0.6, 0.6, 1), (110, 70, 40)), Part(_ellipse(0.5, 0.35, 0.5, 0.35))),
    ),
    "umbrella": Drawing(
        1,
        ((0, 0.45), (0.1, 0.2), (0.5, 0), (0.9, 0.2), (1, 0.45), (0.54, 0.45), (0.54, 0.95), (0.4, 1),
         (0.36, 0.9), (0.46, 0.45)),
        (Part(((0.47, 0.3), (0.53, 0.3), (0.53, 0.95), (0.4, 1), (0.4, 0.94), (0.47, 0.9)), _WOOD),
         Part(((0, 0.45), (0.1, 0.2), (0.5, 0), (0.9, 0.2), (1, 0.45), (0.83, 0.38), (0.66, 0.45), (0.5, 0.38),
               (0.33, 0.45), (0.16, 0.38)))),
    ),
}

KINDS: tuple[str, ...] = tuple(DRAWINGS)
COLORS: dict[str, Rgb] = {
    "red": (214, 48, 49),
    "orange": (243, 156, 18),
    "yellow": (247, 220, 72),
    "green": (46, 160, 67),
    "blue": (52, 120, 219),
    "purple": (142, 68, 173),
    "pink": (240, 130, 180),
    "brown": (130, 84, 50),
    "white": (245, 245, 245),
    "black": (40, 40, 45),
}
BACKGROUNDS: dict[str, Background] = {
    "sky": Background((170, 215, 245), (150, 200, 240), "in the sky"),
    "meadow": Background((190, 225, 160), (160, 205, 130), "in a meadow"),
    "beach": Background((240, 225, 180), (225, 205, 150), "on a beach"),
    "night": Background((35, 40, 80), (55, 60, 110), "at night"),
    "room": Background((225, 215, 205), (205, 190, 180), "in a room"),
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a scene. `region` bounds all that is drawn of it, also where a later thing covers it."""

    kind: str
    color: str
    region: Region

    @property
    def description(self) -> str:
        return f"{self.color} {self.kind}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn picture and what is on it, in the order in which it was drawn."""

    seed: int
    background: str
    things: tuple[Thing, ...]
    image: Image.Image

    @property
    def resolution_wh(self) -> tuple[int, int]:
        return self.image.size


@dataclass(frozen=True, slots=True)
class _Placement:
    """A thing before it has pixels: `box` is in the unit square."""

    kind: str
    color: str
    fill: Rgb
    box: Box
    is_mirrored: bool

    def project(self, polygon: Polygon, resolution_wh: tuple[int, int]) -> Polygon:
        """Map a polygon of the drawing to pixels."""
        x_min, y_min, x_max, y_max = self.box
        width, height = resolution_wh

        def pixel(point: Point) -> Point:
            x = 1 - point[0] if self.is_mirrored else point[0]
            return (x_min + x * (x_max - x_min)) * width, (y_min + point[1] * (y_max - y_min)) * height

        return tuple(pixel(point) for point in polygon)

    def to_thing(self, resolution_wh: tuple[int, int]) -> Thing:
        outline = self.project(DRAWINGS[self.kind].outline, resolution_wh)
        xs, ys = zip(*outline, strict=True)
        box = (min(xs), min(ys), max(xs), max(ys))
        return Thing(self.kind, self.color, Region(label=self.kind, xyxy=box, polygons=(outline,)))


def make_scene(seed: int, *, resolution_wh: tuple[int, int] = (512, 512), max_things: int = MAX_THINGS) -> Scene:
    """Draw the scene of a seed: one to `max_things` things, the same composition at every resolution.

    Raises ValueError unless `max_things` is in 1..MAX_THINGS and both sides are at least one pixel.
    """
    if not 1 <= max_things <= MAX_THINGS:
        raise ValueError(f"max_things must be in 1..{MAX_THINGS}, but got {max_things}.")
    if min(resolution_wh) < 1:
        raise ValueError(f"resolution_wh must be a width and a height of at least 1, but got {resolution_wh}.")
    rng = random.Random(seed)
    background = rng.choice(list(BACKGROUNDS))
    horizon, shade = rng.uniform(0.4, 0.8), rng.randint(-12, 12)
    placements = _place_things(rng, rng.randint(1, max_things))
    width, height = resolution_wh
    canvas = Image.new("RGB", (width * _SUPERSAMPLING, height * _SUPERSAMPLING), BACKGROUNDS[background].upper)
    _paint_ground(canvas, horizon, _shift(BACKGROUNDS[background].lower, [shade] * 3))
    for placement in placements:
        _paint_thing(canvas, placement)
    things = tuple(placement.to_thing(resolution_wh) for placement in placements)
    return Scene(seed, background, things, canvas.reduce(_SUPERSAMPLING))


def _place_things(rng: random.Random, count: int) -> list[_Placement]:
    placements: list[_Placement] = []
    for _ in range(count):
        spot = _find_spot(rng, [placement.box for placement in placements])
        if spot is None:
            continue
        kind, box = spot
        color, is_mirrored = rng.choice(list(COLORS)), rng.random() < 0.5
        fill = _shift(COLORS[color], [rng.randint(-14, 14) for _ in range(3)])
        placements.append(_Placement(kind, color, fill, box, is_mirrored))
    return placements


def _find_spot(rng: random.Random, taken: Sequence[Box]) -> tuple[str, Box] | None:
    """Return a kind and a box for it that hides little of the others; None when twelve tries found none."""
    for _ in range(12):
        kind, height = rng.choice(KINDS), rng.uniform(0.14, 0.5)
        width = height * DRAWINGS[kind].aspect
        if width > 0.8:
            continue
        x, y = rng.uniform(0.01, 0.99 - width), rng.uniform(0.01, 0.99 - height)
        box = (x, y, x + width, y + height)
        if all(_covered_share(box, other) < 0.15 for other in taken):
            return kind, box
    return None


def _covered_share(a: Box, b: Box) -> float:
    """Return the intersection over the smaller of the two areas."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / smaller


def _shift(color: Rgb, by: Sequence[int]) -> Rgb:
    red, green, blue = (max(0, min(255, channel + step)) for channel, step in zip(color, by, strict=True))
    return red, green, blue


def _paint_ground(canvas: Image.Image, horizon: float, color: Rgb) -> None:
    canvas.paste(color, (0, int(canvas.height * horizon), canvas.width, canvas.height))


def _paint_thing(canvas: Image.Image, placement: _Placement) -> None:
    draw = ImageDraw.Draw(canvas)
    edge_width = max(1, round(min(canvas.size) / _EDGES_PER_SIDE))
    for part in DRAWINGS[placement.kind].parts:
        polygon = placement.project(part.polygon, canvas.size)
        if part.fill is None:
            draw.polygon(polygon, fill=placement.fill, outline=_EDGE, width=edge_width)
        else:
            draw.polygon(polygon, fill=part.fill)


@dataclass(frozen=True, slots=True)
class Example:
    """A question about a scene and its right answer, in the order in which the model is to write it.

    `prompt_input` is the phrase or the box in pixels that the task asks for. Regions carry what the answer spells:
    equal labels are neighbors, and the label is empty where the answer has none.
    """

    prompt_input: str | Box | None
    regions: tuple[Region, ...] = ()
    text: str = ""


def examples(scene: Scene, *, about: Thing | None = None) -> dict[str, Example]:
    """Return an example for each task that the bundled checkpoint learns, by the task's id.

    `about` is the thing that is asked for, one that the scene's seed chooses where it is None. The referring
    expression is missing when it would fit more than one thing.
    """
    rng = random.Random(f"examples of {scene.seed}")
    thing = rng.choice(scene.things) if about is None else about
    things = _by_kind(scene)
    caption, grounding = _caption(scene)
    box = thing.region.xyxy
    outlines = (Region(label="", xyxy=box, polygons=thing.region.polygons),)
    by_task = {
        "<OD>": Example(None, tuple(_boxed(t.kind, t) for t in things)),
        "<DENSE_REGION_CAPTION>": Example(None, _dense_regions(scene)),
        "<REGION_PROPOSAL>": Example(None, tuple(_boxed("", t) for t in things)),
        "<CAPTION>": Example(None, text=caption),
        "<DETAILED_CAPTION>": Example(None, text=_detailed_caption(scene)),
        "<CAPTION_TO_PHRASE_GROUNDING>": Example(caption, grounding),
        "<OPEN_VOCABULARY_DETECTION>": Example(
            thing.kind, tuple(_boxed(t.kind, t) for t in things if t.kind == thing.kind)
        ),
        "<REGION_TO_SEGMENTATION>": Example(box, outlines),
        "<REGION_TO_CATEGORY>": Example(box, (_boxed(thing.kind, thing),), thing.kind),
        "<REGION_TO_DESCRIPTION>": Example(box, (_boxed(thing.description, thing),), thing.description),
    }
    expression = _referring_expression(scene, thing, prefers_color=rng.random() < 0.5)
    if expression is not None:
        by_task["<REFERRING_EXPRESSION_SEGMENTATION>"] = Example(expression, outlines)
    return by_task


def _boxed(label: str, thing: Thing) -> Region:
    return Region(label=label, xyxy=thing.region.xyxy)


def _grouped(scene: Scene, key: Callable[[Thing], str]) -> dict[str, list[Thing]]:
    """Group things by a label: in the order of their top edges, then left edges, in bins of a thousandth."""
    width, height = scene.resolution_wh

    def place(thing: Thing) -> tuple[int, int]:
        x_min, y_min, *_ = thing.region.xyxy
        return round(y_min / height * 1000), round(x_min / width * 1000)

    groups: dict[str, list[Thing]] = {}
    for thing in sorted(scene.things, key=place):
        groups.setdefault(key(thing), []).append(thing)
    return groups


def _by_kind(scene: Scene) -> list[Thing]:
    return [thing for group in _grouped(scene, lambda thing: thing.kind).values() for thing in group]


def _dense_regions(scene: Scene) -> tuple[Region, ...]:
    groups = _grouped(scene, lambda thing: thing.description)
    return tuple(_boxed(label, thing) for label, group in groups.items() for thing in group)


def _caption(scene: Scene) -> tuple[str, tuple[Region, ...]]:
    """Return the caption and the regions of its phrases."""
    groups = [(_count(kind, len(group)), group) for kind, group in _grouped(scene, lambda t: t.kind).items()]
    sentence = f"{_enumerate([phrase for phrase, _ in groups])} {BACKGROUNDS[scene.background].place}."
    regions = tuple(_boxed(phrase, thing) for phrase, group in groups for thing in group)
    return sentence[0].upper() + sentence[1:], regions


def _detailed_caption(scene: Scene) -> str:
    phrases = [_with_article(thing.description) for thing in _by_kind(scene)]
    return f"The image shows {_enumerate(phrases)} {BACKGROUNDS[scene.background].place}."


def _referring_expression(scene: Scene, thing: Thing, *, prefers_color: bool) -> str | None:
    same_kind = [other for other in scene.things if other.kind == thing.kind]
    if sum(other.color == thing.color for other in same_kind) > 1:
        return None
    return f"the {thing.description if len(same_kind) > 1 or prefers_color else thing.kind}"


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_PLURALS = {"box": "boxes", "fish": "fish"}


def _count(kind: str, number: int) -> str:
    return _with_article(kind) if number == 1 else f"{_NUMBERS[number]} {_PLURALS.get(kind, f'{kind}s')}"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _enumerate(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
