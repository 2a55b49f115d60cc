"""Metrics of answers whose truth is known: of boxes, scores, masks and words. Knows no scene, task or model.

A metric is NaN where there is nothing to measure.
"""

import math
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import supervision as sv
from PIL import Image, ImageDraw
from supervision.metrics import MeanAveragePrecision

from playground.regions import Region

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MASK_SIDE = 512  # pixels of the masks that are compared, in both directions
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = ("a", "an", "the")


# Boxes


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """The mean over classes of the average precision, at an IoU of 0.5, and the mean over bounds from 0.5 to 0.95."""

    at_50: float
    at_50_95: float


def mean_average_precision(
    found: Sequence[Sequence[Region]], truths: Sequence[Sequence[Region]], *, class_agnostic: bool = False
) -> AveragePrecision:
    """Return the mAP of the regions found in each picture, by supervision: the label is the class, the score orders."""
    names = {name: i for i, name in enumerate(sorted({r.label for regions in [*found, *truths] for r in regions}))}
    metric = MeanAveragePrecision(class_agnostic=class_agnostic)
    metric.update(*([_detections(regions, names) for regions in side] for side in (found, truths)))
    result = metric.compute()
    if result.map50 < 0:  # supervision's mark for a truth without regions
        return AveragePrecision(math.nan, math.nan)
    return AveragePrecision(float(result.map50), float(result.map50_95))


def average_precision_by_phrase(
    found: Sequence[Sequence[Region]], truths: Sequence[Sequence[Region]]
) -> AveragePrecision:
    """Return the average precision where labels are free text: each phrase of a picture is a search of its own.

    The searches are pooled. If phrases were classes, each would have a handful of regions and all the same weight, and
    a region for a phrase that is nowhere true would cost nothing.
    """
    searches: tuple[list[list[Region]], list[list[Region]]] = ([], [])
    for pair in zip(found, truths, strict=True):
        for phrase in sorted({region.label for side in pair for region in side}):
            for search, side in zip(searches, pair, strict=True):
                search.append([region for region in side if region.label == phrase])
    return mean_average_precision(*searches, class_agnostic=True)


def matches(regions: Sequence[Region], truth: Sequence[Region], iou_bound: float) -> Bools:
    """Return which regions match a true one that no earlier region has taken, in label and in place."""
    ious = sv.box_iou_batch(_boxes(regions), _boxes(truth))
    free = set(range(len(truth)))
    hits = np.zeros(len(regions), dtype=bool)
    for index, region in enumerate(regions):
        fitting = [j for j in free if truth[j].label == region.label and ious[index, j] >= iou_bound]
        if fitting:
            free.remove(max(fitting, key=lambda j: float(ious[index, j])))
            hits[index] = True
    return hits


def _boxes(regions: Sequence[Region]) -> Floats:
    return np.array([region.xyxy for region in regions], dtype=np.float64).reshape(-1, 4)


def _detections(regions: Sequence[Region], names: dict[str, int]) -> sv.Detections:
    return sv.Detections(
        xyxy=_boxes(regions).astype(np.float32),
        confidence=np.array([region.score or 0.0 for region in regions]),
        class_id=np.array([names[region.label] for region in regions], dtype=int),
    )


# Scores


@dataclass(frozen=True, slots=True)
class Bin:
    """The regions whose scores lie in one of ten equal intervals, from `low` on, and the share of them that match."""

    low: float
    count: int
    mean_score: float
    share_right: float


def reliability(scores: Floats, hits: Bools) -> tuple[Bin, ...]:
    """Return the bins that are not empty, the lowest first."""
    steps = np.minimum((scores * 10).astype(int), 9)
    return tuple(
        Bin(step / 10, int(inside.sum()), float(scores[inside].mean()), float(hits[inside].mean()))
        for step in range(10)
        if (inside := steps == step).any()
    )


def calibration_error(scores: Floats, hits: Bools) -> float:
    """Return the mean distance between the score and the share of matches over ten bins (Guo et al., 2017)."""
    bins = reliability(scores, hits)
    gaps = [one.count * abs(one.mean_score - one.share_right) for one in bins]
    return sum(gaps) / len(scores) if bins else math.nan


def area_under_roc(scores: Floats, hits: Bools) -> float:
    """Return the chance that a match is scored above a mistake; ties count half (Mann and Whitney, 1947).

    NaN unless there are both.
    """
    if hits.all() or not hits.any():
        return math.nan
    difference = scores[hits][:, None] - scores[~hits][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


# Outlines and quads


def mask_iou(found: Sequence[Region], truth: Sequence[Region], resolution_wh: tuple[int, int]) -> float:
    """Return the IoU of the polygons of all regions together, in a square of 512 pixels; 1 if there are none at all."""
    masks = [_mask(side, resolution_wh) for side in (found, truth)]
    if not any(mask.any() for mask in masks):
        return 1.0
    return float(sv.mask_iou_batch(masks[0][None], masks[1][None])[0, 0])


def _mask(regions: Sequence[Region], resolution_wh: tuple[int, int]) -> Bools:
    x_scale, y_scale = _MASK_SIDE / resolution_wh[0], _MASK_SIDE / resolution_wh[1]
    mask = Image.new("1", (_MASK_SIDE, _MASK_SIDE))
    draw = ImageDraw.Draw(mask)
    for region in regions:
        for polygon in region.polygons:
            draw.polygon([(x * x_scale, y * y_scale) for x, y in polygon], fill=1)
    return np.asarray(mask)


def match_quads(found: Sequence[Region], truth: Sequence[Region]) -> list[tuple[float, Region | None]]:
    """Return for each true quad the IoU with the found one that is matched to it; 0 and None where there is none.

    The best fitting pair is matched first. Corners that make no convex quad fit nothing.
    """
    usable = [region for region in found if region.xyxyxyxy and _is_convex(_quads([region])[0])]
    ious = sv.oriented_box_iou_batch(_quads(truth), _quads(usable))
    matches: list[tuple[float, Region | None]] = [(0.0, None)] * len(truth)
    while ious.any():
        i, j = np.unravel_index(int(ious.argmax()), ious.shape)
        matches[i] = (float(ious[i, j]), usable[j])
        ious[i, :] = ious[:, j] = 0
    return matches


def _quads(regions: Sequence[Region]) -> Floats:
    return np.array([region.xyxyxyxy for region in regions], dtype=np.float64).reshape(-1, 4, 2)


def _is_convex(corners: Floats) -> bool:
    sides = np.roll(corners, -1, axis=0) - corners
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    return bool((turns >= 0).all() or (turns <= 0).all())


# Words


def token_f1(answer: str, truth: str) -> float:
    """Return the F1 of the bags of words, without case, punctuation and articles (Rajpurkar et al., 2016)."""
    written, wanted = _words(answer), _words(truth)
    total = written.total() + wanted.total()
    return 2 * (written & wanted).total() / total if total else 1.0


def _words(text: str) -> Counter[str]:
    words = text.lower().translate(_WITHOUT_PUNCTUATION).split()
    return Counter(word for word in words if word not in _ARTICLES)


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many characters, or words, to insert, delete or replace (Levenshtein, 1966)."""
    numbers = {piece: number for number, piece in enumerate(dict.fromkeys([*a, *b]))}
    wanted = np.array([numbers[piece] for piece in b], dtype=np.int64)
    places = np.arange(len(b) + 1)
    row = places
    for i, piece in enumerate(a, start=1):
        replaced_or_deleted = np.minimum(row[:-1] + (wanted != numbers[piece]), row[1:] + 1)
        # An insertion takes one from the best place before: a running minimum of what is left after the steps.
        row = np.minimum.accumulate(np.concatenate(([i], replaced_or_deleted)) - places) + places
    return int(row[-1])


def error_rate(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Return the edit distance of all answers to their truths, as a share of the true characters: (answer, truth), ...

    Of lists of words it is the share of words. More than 1 is possible: an answer may be longer than the truth.
    """
    total = sum(len(truth) for _, truth in pairs)
    return sum(edit_distance(*pair) for pair in pairs) / total if total else math.nan


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values) if values else math.nan
