"""A labeled picture seen otherwise: nearer, farther, mirrored, in another light. What is true of it moves along."""

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from playground.export.outlines import clip
from playground.finetune.lessons import Lesson
from playground.outlines import from_top
from playground.regions import Box, Point, Region
from playground.scenes.augment import degrade
from playground.tasks import OutputKind

_MOVED_KINDS = (
    OutputKind.LABELED_BOXES,
    OutputKind.BOXES,
    OutputKind.POLYGONS,
    OutputKind.BOXES_OR_POLYGONS,
    OutputKind.TEXT_WITH_BOX,
)
NAMES_A_SIDE = re.compile(r"\b(left|right|leftmost|rightmost)\b", re.IGNORECASE)
NAMES_A_COLOR = re.compile(
    r"\b(red|orange|yellow|green|blue|purple|violet|pink|brown|white|black|gr[ae]y|gold|golden|silver|beige|tan|"
    r"turquoise|teal|colou?red|colou?rful)\b",
    re.IGNORECASE,
)
# Powers of two: so far apart that what is labeled only where it is small is learned where it is large, too.
_SCALES = (-1.3, 0.5)
# In some views one thing is looked at, so that it takes such a share of a side; what is seen is the nearest then.
_NEAR_SHARE, _NEAR_SIDES, _NEAREST = 0.4, (0.1, 0.6), -2.2
_MIN_SHARE, _WHOLE_SHARE = 0.25, 0.6  # of a region that is seen: below the one it is gone, between the two unclear
_TRIES = 12
_HUE_SHARE = 0.7  # of the views whose colors are others, where no answer names one


def resized(image: Image.Image, lesson: Lesson, size: tuple[int, int]) -> tuple[Image.Image, Lesson]:
    """Return a picture in another size, and the lesson about it."""
    if size == image.size:
        return image, lesson
    x, y = size[0] / image.width, size[1] / image.height
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0), lesson.scaled(x, y)


def view(
    rng: random.Random, image: Image.Image, lesson: Lesson, size: tuple[int, int] | None = None
) -> tuple[Image.Image, Lesson]:
    """Return another view of a picture, of its own or another size, and the lesson about it.

    Nothing is mirrored where something is said to be left or right, no color is changed where one is named, and where
    the answer is text the picture is not moved.
    """
    words = " ".join((lesson.question.phrase, lesson.text, *(region.label for region in lesson.regions)))
    size = size or image.size
    if lesson.output_kind in _MOVED_KINDS and not lesson.is_answered_by_text:
        window = _window(rng, image.size, lesson)
        is_mirrored = rng.random() < 0.5 and not NAMES_A_SIDE.search(words)
        image, lesson = _look_through(image, lesson, window, size, is_mirrored=is_mirrored)
    else:
        image, lesson = resized(image, lesson, size)
    if rng.random() < _HUE_SHARE and not NAMES_A_COLOR.search(words):
        image = recolored(rng, image)
    return degrade(rng, image), lesson


def _window(rng: random.Random, size: tuple[int, int], lesson: Lesson) -> Box:
    """Return the part of the plane that is seen, in pixels: larger or smaller than the picture."""
    width, height = size
    whole = (0.0, 0.0, float(width), float(height))
    if rng.random() < 0.2:
        return whole
    for _ in range(_TRIES):
        window = _somewhere(rng, size, lesson.regions)
        shares = [_share_seen(region.xyxy, window) for region in lesson.regions]
        is_asked = all(_share_seen(box, window) >= 1 for box in lesson.question.regions)
        shows = not shares or max(shares) >= _WHOLE_SHARE
        if is_asked and shows and not any(_MIN_SHARE <= share < _WHOLE_SHARE for share in shares):
            return window
    return whole


def _somewhere(rng: random.Random, size: tuple[int, int], regions: Sequence[Region]) -> Box:
    """Return a window at random, or one in which a region is of some size."""
    width, height = size
    near = rng.choice(regions).xyxy if regions and rng.random() < _NEAR_SHARE else None
    scale, stretch = 2 ** rng.uniform(*_SCALES), 2 ** rng.uniform(-0.2, 0.2)
    if near:
        side = math.sqrt(max(1.0, (near[2] - near[0]) * (near[3] - near[1])) / (width * height))
        scale = min(max(side / rng.uniform(*_NEAR_SIDES), 2**_NEAREST), 2 ** _SCALES[1])
    w, h = width * scale * stretch, height * scale / stretch
    x, y = (width - w) * rng.uniform(-0.05, 1.05), (height - h) * rng.uniform(-0.05, 1.05)
    if near:
        x, y = rng.uniform(near[2] - w, near[0]), rng.uniform(near[3] - h, near[1])
    return x, y, x + w, y + h


def _share_seen(box: Box, window: Box) -> float:
    width = min(box[2], window[2]) - max(box[0], window[0])
    height = min(box[3], window[3]) - max(box[1], window[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(0.0, width) * max(0.0, height) / area if area else 0.0


def _look_through(
    image: Image.Image, lesson: Lesson, window: Box, size: tuple[int, int], *, is_mirrored: bool
) -> tuple[Image.Image, Lesson]:
    """Return what is seen in a window as a picture of this size, and the lesson about that."""
    width, height = size
    x_min, y_min, x_max, y_max = window

    def move(point: Point) -> Point:
        x = (point[0] - x_min) * width / (x_max - x_min)
        return width - x if is_mirrored else x, (point[1] - y_min) * height / (y_max - y_min)

    seen = _seen(image, window, size)
    seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if is_mirrored else seen
    kept = [region for region in lesson.regions if _share_seen(region.xyxy, window) >= _MIN_SHARE]
    regions = tuple(_moved(region, move, size) for region in kept)
    asked = tuple(_moved_box(box, move, size) for box in lesson.question.regions)
    return seen, replace(lesson, regions=regions, question=replace(lesson.question, regions=asked))


def _seen(image: Image.Image, window: Box, size: tuple[int, int]) -> Image.Image:
    """Return a window of the plane that a picture lies on, which has the picture's mean color."""
    x_scale, y_scale = size[0] / (window[2] - window[0]), size[1] / (window[3] - window[1])
    part = (max(window[0], 0.0), max(window[1], 0.0), min(window[2], image.width), min(window[3], image.height))
    left, right = (round((x - window[0]) * x_scale) for x in (part[0], part[2]))
    top, bottom = (round((y - window[1]) * y_scale) for y in (part[1], part[3]))
    shown = image.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BICUBIC, part, reducing_gap=2.0)
    if shown.size == size:
        return shown
    around = tuple(int(channel) for channel in np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0])
    seen = Image.new("RGB", size, around)
    seen.paste(shown, (left, top))
    return seen


def _moved_box(box: Box, move: Callable[[Point], Point], size: tuple[int, int]) -> Box:
    (x1, y1), (x2, y2) = move((box[0], box[1])), move((box[2], box[3]))
    width, height = size
    xs, ys = sorted((min(max(x1, 0.0), width), min(max(x2, 0.0), width))), sorted((y1, y2))
    return xs[0], min(max(ys[0], 0.0), height), xs[1], min(max(ys[1], 0.0), height)


def _moved(region: Region, move: Callable[[Point], Point], size: tuple[int, int]) -> Region:
    parts = (clip(tuple(map(move, part)), size) for part in region.polygons)
    polygons = tuple(from_top(part) for part in parts if len(part) >= 3)
    return replace(region, xyxy=_moved_box(region.xyxy, move, size), polygons=polygons, xyxyxyxy=None)


def recolored(rng: random.Random, image: Image.Image) -> Image.Image:
    """Return the picture with all hues turned on, often paler or brighter and darker or lighter too."""
    turn = rng.randrange(256)
    strength = 2 ** rng.uniform(-2.5, 0.8) if rng.random() < 0.5 else 1.0
    gamma = 2 ** rng.uniform(-0.7, 0.7) if rng.random() < 0.5 else 1.0
    steps = np.arange(256)
    tables = (steps + turn) % 256, (steps * strength).clip(0, 255), 255 * (steps / 255) ** gamma
    hsv = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2HSV_FULL)  # in half of the time that Pillow takes
    turned = cv2.LUT(hsv, np.stack(tables, -1).round().astype(np.uint8)[None])
    return Image.fromarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL))
