"""Things of other pictures pasted into one (Ghiasi et al., 2021, "Simple Copy-Paste"): a few labeled pictures then show
each thing in many places and sizes, beside many others, before and behind them.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from playground.finetune.lessons import Lesson
from playground.finetune.views import NAMES_A_COLOR, NAMES_A_SIDE, recolored
from playground.regions import Box, Region
from playground.tasks import OutputKind

_KINDS = (OutputKind.LABELED_BOXES, OutputKind.BOXES)
_SCALES = (-0.8, 1.3)  # powers of two: of what is labeled where it is small, large ones are shown too
_MOST_OF_A_SIDE = 0.6  # of the picture, that a pasted thing takes
_MARGIN = 0.15  # of a thing's sides, around its box, in which it fades into its new surroundings
_MAX_COVERED = 0.1  # of the smaller of two boxes, that a pasted thing shares with another
_MAX_CROWDED = 0.05  # of a box that is to be pasted, that another reaches into
_MAX_OVERLAP = 0.3  # the same where both are outlined, so that what is covered is known
_MIN_SEEN = 0.6  # of a thing, that others leave of it
_BESIDE_SHARE = 0.4  # of what is outlined, that is pasted beside another thing
_SHARE, _RECOLORED_SHARE = 0.7, 0.5
_NEW_SHARE = 0.3  # of what is pasted, that has labels which the checkpoint does not use by itself
_TRIES = 10


class Scrap(NamedTuple):
    """A thing that can be pasted: the place of its lesson, and that of its region in the lesson."""

    lesson: int
    region: int
    label: str


class Scraps:
    """What of some lessons can be pasted into others: boxes that hardly another one reaches into.

    Only where a question is about all that is in a picture. One about a phrase, a region or a text would have another
    answer with one thing more, and "left" would be said of what is at the right.
    """

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self._lessons = lessons
        self._of_task: dict[str, list[Scrap]] = {}
        known = {region.label for lesson in lessons if lesson.is_rehearsed for region in lesson.regions}
        self._new = {region.label for lesson in lessons for region in lesson.regions} - known if known else set()
        for place, lesson in enumerate(lessons):
            if _asks_of_all(lesson):
                alone = [Scrap(place, at, lesson.regions[at].label) for at in _alone(lesson.regions)]
                self._of_task.setdefault(lesson.question.task, []).extend(alone)

    def choose(self, rng: random.Random, place: int, most: int) -> list[Scrap]:
        """Return up to so many things to paste into the picture of a lesson, of each label as many as of any other.

        What is shown once beside many of another kind would be taken for that. Where others are rehearsed, labels that
        are new are chosen more often.
        """
        lesson = self._lessons[place]
        scraps = self._of_task.get(lesson.question.task, []) if _asks_of_all(lesson) else []
        new = [scrap for scrap in scraps if scrap.label in self._new]
        return [_one_of(rng, scraps, new) for _ in range(most) if scraps and rng.random() < _SHARE]


def paste(
    rng: random.Random, image: Image.Image, lesson: Lesson, source: Image.Image, region: Region
) -> tuple[Image.Image, Lesson]:
    """Return a picture with a region of another one in it, where there is room, and the lesson about it.

    What is outlined may stand before or behind what is outlined there, and each box is around what is left to see.
    """
    spot = _spot(rng, image.size, lesson.regions, region)
    if spot is None:
        return image, lesson
    scrap, mask, corner, thing = _cut_out(rng, source, region, spot)
    others, before = lesson.regions, tuple[Region, ...]()
    if thing.polygons:
        seen = _both_seen(rng, lesson.regions, thing)
        if seen is None:
            return image, lesson
        others, thing, before = seen
    for other in before:
        mask.paste(0, mask=_mask(other, corner, mask.size))
    pasted = image.copy()
    pasted.paste(scrap, corner, mask)
    return pasted, replace(lesson, regions=(*others, thing))


def _cut_out(
    rng: random.Random, source: Image.Image, region: Region, spot: Box
) -> tuple[Image.Image, Image.Image, tuple[int, int], Region]:
    """Return a region, with what is around it, as it is to be at a spot: pixels, mask, corner and itself."""
    box = region.xyxy
    scale, x, y = (spot[2] - spot[0]) / (box[2] - box[0]), *(_MARGIN * side for side in _sides(box))
    cut = (max(0.0, box[0] - x), max(0.0, box[1] - y), min(source.width, box[2] + x), min(source.height, box[3] + y))
    width, height = (max(1, round(side * scale)) for side in _sides(cut))
    scrap = source.resize((width, height), Image.Resampling.BILINEAR, cut)
    if rng.random() < _RECOLORED_SHARE and not NAMES_A_COLOR.search(region.label):
        scrap = recolored(rng, scrap)

    def place(px: float, py: float) -> tuple[float, float]:
        return (px - cut[0]) * scale, (py - cut[1]) * scale

    inside = (*place(*box[:2]), *place(*box[2:]))
    corner = (round(spot[0] - inside[0]), round(spot[1] - inside[1]))
    outline = [[place(*point) for point in part] for part in region.polygons]
    polygons = tuple(tuple((px + corner[0], py + corner[1]) for px, py in part) for part in outline)
    thing = Region(region.label, spot, polygons=polygons)
    mask = _mask(thing, corner, scrap.size) if polygons else _fading(scrap.size, inside)
    return scrap, mask, corner, thing


def _both_seen(
    rng: random.Random, regions: Sequence[Region], thing: Region
) -> tuple[tuple[Region, ...], Region, tuple[Region, ...]] | None:
    """Return regions with a thing before or behind them, as they are seen then, and which stand before it.

    None where too little of one would be left.
    """
    touched = tuple(region for region in regions if _shared(region.xyxy, thing.xyxy) > 0)
    if rng.random() < 0.5:
        rest = _uncovered(thing, touched)
        return (tuple(regions), rest, touched) if rest else None
    left = (_uncovered(region, [thing]) if region in touched else region for region in regions)
    kept = tuple(region for region in left if region)
    return (kept, thing, ()) if len(kept) == len(regions) else None


def _uncovered(region: Region, others: Sequence[Region]) -> Region | None:
    """Return a region with the box around what others leave of it; None where that is too little."""
    corner = (math.floor(region.xyxy[0]), math.floor(region.xyxy[1]))
    size = (math.ceil(region.xyxy[2]) - corner[0], math.ceil(region.xyxy[3]) - corner[1])
    mask = _mask(region, corner, size)
    whole = mask.histogram()[255]
    for other in others:
        mask.paste(0, mask=_mask(other, corner, size))
    left, extent = mask.histogram()[255], mask.getbbox()
    if left == whole:
        return region
    if extent is None or left < _MIN_SEEN * whole:
        return None
    (x, y), (x_min, y_min, x_max, y_max) = corner, map(float, extent)
    return replace(region, xyxy=(x_min + x, y_min + y, x_max + x, y_max + y))


def _mask(region: Region, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Return where a region is, in a window of the picture."""
    mask = Image.new("L", size)
    for part in region.outline:
        ImageDraw.Draw(mask).polygon([(x - corner[0], y - corner[1]) for x, y in part], fill=255)
    return mask


def _asks_of_all(lesson: Lesson) -> bool:
    is_of_something = lesson.question.phrase or lesson.question.regions or lesson.is_answered_by_text
    return lesson.output_kind in _KINDS and not is_of_something


def _alone(regions: Sequence[Region]) -> list[int]:
    """Return the places of regions that can be cut out as they are."""

    def can_be_cut(region: Region) -> bool:
        box, others = region.xyxy, (other.xyxy for other in regions if other is not region)
        free = all(_shared(box, other) <= _MAX_CROWDED * _area(box) for other in others)
        return min(_sides(box)) >= 1 and free and not NAMES_A_SIDE.search(region.label)

    return [place for place, region in enumerate(regions) if can_be_cut(region)]


def _one_of(rng: random.Random, scraps: Sequence[Scrap], new: Sequence[Scrap]) -> Scrap:
    some = new if new and rng.random() < _NEW_SHARE else scraps
    label = rng.choice(sorted({scrap.label for scrap in some}))
    return rng.choice([scrap for scrap in some if scrap.label == label])


def _spot(rng: random.Random, size: tuple[int, int], regions: Sequence[Region], region: Region) -> Box | None:
    """Return where a region fits in, at some size: anywhere with hardly anything covered, or beside another."""
    wide, high = _sides(region.xyxy)
    scale = min(2 ** rng.uniform(*_SCALES), _MOST_OF_A_SIDE * size[0] / wide, _MOST_OF_A_SIDE * size[1] / high)
    width, height = wide * scale, high * scale
    outlined = [other.xyxy for other in regions if other.polygons and region.polygons]
    near = rng.choice(outlined) if outlined and rng.random() < _BESIDE_SHARE else None
    for _ in range(_TRIES):
        x, y = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        if near:
            x = min(max(0.0, rng.uniform(near[0] - width, near[2])), size[0] - width)
            y = min(max(0.0, rng.uniform(near[1] - height, near[3])), size[1] - height)
        spot = (x, y, x + width, y + height)
        if all(_fits(spot, other, bool(region.polygons)) for other in regions):
            return spot
    return None


def _fits(spot: Box, other: Region, is_outlined: bool) -> bool:
    most = _MAX_OVERLAP if is_outlined and other.polygons else _MAX_COVERED
    return _shared(spot, other.xyxy) <= most * min(_area(spot), _area(other.xyxy))


def _fading(size: tuple[int, int], box: Box) -> Image.Image:
    """Return a mask that is opaque in a box and ends at the edges of the picture."""

    def along(length: int, start: float, end: float) -> npt.NDArray[np.float64]:
        at = np.arange(length) + 0.5
        opacity: npt.NDArray[np.float64] = np.minimum(at / max(start, 0.5), (length - at) / max(length - end, 0.5))
        return opacity.clip(0, 1)

    across, down = along(size[0], box[0], box[2]), along(size[1], box[1], box[3])
    return Image.fromarray((255 * np.minimum(across, down[:, None])).astype(np.uint8))


def _sides(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _area(box: Box) -> float:
    width, height = _sides(box)
    return width * height


def _shared(box: Box, other: Box) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0.0, width) * max(0.0, height)
