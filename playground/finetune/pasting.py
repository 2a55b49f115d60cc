"""Things of other pictures pasted into one (Ghiasi et al., 2021, "Simple Copy-Paste"): a few labeled pictures then show
each thing in many places and sizes, beside many others.
"""

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
    """Return a picture with a region of another one in it, where there is room, and the lesson about it."""
    box, spot = region.xyxy, _spot(rng, image.size, lesson.regions, region.xyxy)
    if spot is None:
        return image, lesson
    scale, x, y = (spot[2] - spot[0]) / (box[2] - box[0]), *(_MARGIN * side for side in _sides(box))
    cut = (max(0.0, box[0] - x), max(0.0, box[1] - y), min(source.width, box[2] + x), min(source.height, box[3] + y))
    width, height = (max(1, round(side * scale)) for side in _sides(cut))
    scrap = source.resize((width, height), Image.Resampling.BILINEAR, cut)
    if rng.random() < _RECOLORED_SHARE and not NAMES_A_COLOR.search(region.label):
        scrap = recolored(rng, scrap)

    def place(px: float, py: float) -> tuple[float, float]:
        return (px - cut[0]) * scale, (py - cut[1]) * scale

    mask = Image.new("L", scrap.size)
    for part in region.polygons:
        ImageDraw.Draw(mask).polygon([place(*point) for point in part], fill=255)
    if not region.polygons:
        mask = _fading(scrap.size, (*place(*box[:2]), *place(*box[2:])))
    corner = place(*box[:2])
    pasted = image.copy()
    pasted.paste(scrap, (round(spot[0] - corner[0]), round(spot[1] - corner[1])), mask)
    return pasted, replace(lesson, regions=(*lesson.regions, Region(region.label, spot)))


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


def _spot(rng: random.Random, size: tuple[int, int], regions: Sequence[Region], box: Box) -> Box | None:
    """Return where a box fits in, at some size, with hardly anything covered."""
    wide, high = _sides(box)
    scale = min(2 ** rng.uniform(*_SCALES), _MOST_OF_A_SIDE * size[0] / wide, _MOST_OF_A_SIDE * size[1] / high)
    width, height = wide * scale, high * scale
    for _ in range(_TRIES):
        x, y = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        spot = (x, y, x + width, y + height)
        smaller = (min(_area(spot), _area(region.xyxy)) for region in regions)
        shared = (_shared(spot, region.xyxy) for region in regions)
        if all(some <= _MAX_COVERED * most for some, most in zip(shared, smaller, strict=True)):
            return spot
    return None


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
