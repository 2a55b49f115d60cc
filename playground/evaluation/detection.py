"""How well regions were found in pictures whose truth is known: figures of all, of sizes, of classes and of scores.

Knows no data set and no model. The figures of COCO are supervision's, which are those of pycocotools.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import supervision as sv
from supervision.config import AREA_DATA_FIELD, ISCROWD_DATA_FIELD
from supervision.metrics import MeanAveragePrecision, MeanAveragePrecisionResult

from playground.evaluation import metrics
from playground.evaluation.metrics import AveragePrecision, Bin, Bools, Floats
from playground.regions import Region

IOU_BOUND = 0.5  # from which on a region counts as found, where one bound is needed
BACKGROUND = "background"
_STEPS = np.round(np.linspace(0, 1, 101), 2)
_TEMPERATURES = np.geomspace(0.1, 10, 201)
_LEAST = 1e-4  # of a score that is taken as a probability


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """What was found in a picture and what is there; labels are names of classes. Nobody judges what is `ignored`."""

    found: tuple[Region, ...]
    truth: tuple[Region, ...]
    ignored: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """The figures of one class. Precision and recall are those at the threshold that is best for all classes."""

    name: str
    precisions: AveragePrecision
    num_true: int
    num_found: int
    num_right: int

    @property
    def precision(self) -> float:
        """The share of what was found that is right."""
        return self.num_right / self.num_found if self.num_found else math.nan

    @property
    def recall(self) -> float:
        """The share of what is there that was found."""
        return self.num_right / self.num_true if self.num_true else math.nan


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """Precision, recall and F1 of what scores at least so much."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Trust:
    """How far scores say how often regions are right: before, and after division of their logits by a temperature."""

    bins: tuple[Bin, ...]
    error: float
    temperature: float
    bins_after: tuple[Bin, ...]
    error_after: float


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """All figures of what was found. Sizes are COCO's: small is below 32 x 32 pixels, large from 96 x 96 on."""

    num_pictures: int
    num_true: int
    num_found: int
    all_sizes: AveragePrecision
    by_size: dict[str, AveragePrecision]
    by_class: tuple[ClassFigures, ...]
    curve: tuple[AtThreshold, ...]
    best: AtThreshold
    class_names: tuple[str, ...] = ()
    confusion: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((1, 1), dtype=np.int32))
    trust: Trust | None = None


def measure_found(pictures: Sequence[FoundPicture], *, class_agnostic: bool = False) -> DetectionFigures:
    """Return the figures of all pictures. Without a single true region, the precisions are NaN."""
    names = sorted({region.label for picture in pictures for region in (*picture.truth, *picture.found)})
    numbers = {name: number for number, name in enumerate(names)}
    scored = [_judged(picture, class_agnostic=class_agnostic) for picture in pictures]
    result = _coco(pictures, numbers, class_agnostic=class_agnostic)
    scores = np.array([score for one in scored for score, _, _ in one], dtype=np.float64)
    hits = np.array([hit for one in scored for _, hit, _ in one], dtype=bool)
    num_true = sum(len(picture.truth) for picture in pictures)
    curve = tuple(_curve(scores, hits, num_true))
    # Where nothing is right at any, whoever looks is to see all that was found.
    best = max(curve, key=lambda point: (point.f1, point.threshold if point.f1 else -point.threshold))
    sizes = {"small": result.small_objects, "medium": result.medium_objects, "large": result.large_objects}
    return DetectionFigures(
        num_pictures=len(pictures),
        num_true=num_true,
        num_found=len(scores),
        all_sizes=_precision(result),
        by_size={name: _precision(of_size) for name, of_size in sizes.items() if of_size},
        by_class=() if class_agnostic else tuple(_classes(pictures, scored, names, result, best.threshold)),
        curve=curve,
        best=best,
        class_names=tuple(names),
        confusion=_confusion(pictures, numbers, best.threshold),
        trust=trust_in(scores, hits) if len(scores) else None,
    )


# The figures of COCO


def _coco(
    pictures: Sequence[FoundPicture], numbers: dict[str, int], *, class_agnostic: bool
) -> MeanAveragePrecisionResult:
    metric = MeanAveragePrecision(class_agnostic=class_agnostic)
    known = {region.label for picture in pictures for region in picture.truth}
    for picture in pictures:
        ignored = [region for region in picture.ignored if region.label in known]
        metric.update(_detections(picture.found, numbers), _targets(picture.truth, ignored, numbers))
    return metric.compute()


def _detections(regions: Sequence[Region], numbers: dict[str, int]) -> sv.Detections:
    return sv.Detections(
        xyxy=_boxes(regions),
        confidence=np.array([region.score or 0.0 for region in regions], dtype=np.float64),
        class_id=np.array([numbers[region.label] for region in regions], dtype=int),
    )


def _targets(truth: Sequence[Region], crowds: Sequence[Region], numbers: dict[str, int]) -> sv.Detections:
    everything = [*truth, *crowds]
    return sv.Detections(
        xyxy=_boxes(everything),
        class_id=np.array([numbers[region.label] for region in everything], dtype=int),
        data={
            AREA_DATA_FIELD: np.array([region.area for region in everything], dtype=np.float64),
            ISCROWD_DATA_FIELD: np.array([0] * len(truth) + [1] * len(crowds), dtype=np.int64),
        },
    )


def _boxes(regions: Sequence[Region]) -> npt.NDArray[np.float32]:
    return np.array([region.xyxy for region in regions], dtype=np.float32).reshape(-1, 4)


def _precision(result: MeanAveragePrecisionResult) -> AveragePrecision:
    """Return what supervision marks with -1 where there is nothing true as NaN."""
    values = float(result.map50), float(result.map50_95)
    return AveragePrecision(*(value if value >= 0 else math.nan for value in values))


# Right and wrong at one bound of IoU

_Scored = list[tuple[float, bool, str]]  # of each region that was found: score, whether it is right, and its class


def _judged(picture: FoundPicture, *, class_agnostic: bool) -> _Scored:
    """Return whether each region that was found is right: the surest choose first, none is judged on an ignored one."""
    found = sorted(picture.found, key=lambda region: -(region.score or 0.0))
    truth: Sequence[Region] = picture.truth
    labels = [region.label for region in found]
    if class_agnostic:
        found, truth = [_unnamed(region) for region in found], [_unnamed(region) for region in truth]
    hits = metrics.matches(found, truth, IOU_BOUND)
    judged = zip(found, hits.tolist(), labels, strict=True)
    return [
        (region.score or 0.0, hit, label)
        for region, hit, label in judged
        if hit or not any(_lies_in(region, crowd, class_agnostic) for crowd in picture.ignored)
    ]


def _unnamed(region: Region) -> Region:
    return Region("", region.xyxy, region.score)


def _lies_in(region: Region, crowd: Region, class_agnostic: bool) -> bool:
    """Whether half of a region lies in a crowd of its class."""
    if region.label != crowd.label and not class_agnostic:
        return False
    (x1, y1, x2, y2), (cx1, cy1, cx2, cy2) = region.xyxy, crowd.xyxy
    inside = max(0.0, min(x2, cx2) - max(x1, cx1)) * max(0.0, min(y2, cy2) - max(y1, cy1))
    return inside >= IOU_BOUND * (x2 - x1) * (y2 - y1)


def _curve(scores: Floats, hits: Bools, num_true: int) -> Iterator[AtThreshold]:
    for threshold in _STEPS.tolist():
        kept = scores >= threshold
        num_right, num_kept = int(hits[kept].sum()), int(kept.sum())
        precision = num_right / num_kept if num_kept else math.nan
        recall = num_right / num_true if num_true else math.nan
        f1 = 2 * num_right / (num_kept + num_true) if num_kept + num_true else 0.0
        yield AtThreshold(threshold, precision, recall, f1)


def _classes(
    pictures: Sequence[FoundPicture],
    scored: Sequence[_Scored],
    names: Sequence[str],
    result: MeanAveragePrecisionResult,
    threshold: float,
) -> Iterator[ClassFigures]:
    """Yield the figures of each class that is there, the most frequent first."""
    places = {int(number): place for place, number in enumerate(result.matched_classes)}
    true = Counter(region.label for picture in pictures for region in picture.truth)
    found = Counter(name for one in scored for score, _, name in one if score >= threshold)
    right = Counter(name for one in scored for score, hit, name in one if hit and score >= threshold)
    for name, count in true.most_common():
        place = places.get(names.index(name))
        values = result.ap_per_class[place] if place is not None else np.array([math.nan])
        precision = AveragePrecision(float(values[0]), float(np.mean(values)))
        yield ClassFigures(name, precision, count, found[name], right[name])


def _confusion(pictures: Sequence[FoundPicture], numbers: dict[str, int], threshold: float) -> npt.NDArray[np.int32]:
    """Return how often what is true (the row) was called what (the column); the last of both is the background."""
    if not numbers:
        return np.zeros((1, 1), dtype=np.int32)
    judged = [
        [region for region in picture.found if not any(_lies_in(region, crowd, False) for crowd in picture.ignored)]
        for picture in pictures
    ]
    matrix = sv.ConfusionMatrix.from_detections(
        [_detections(found, numbers) for found in judged],
        [_targets(picture.truth, (), numbers) for picture in pictures],
        list(numbers),
        conf_threshold=threshold,
        iou_threshold=IOU_BOUND,
    ).matrix
    return np.asarray(matrix, dtype=np.int32)


# Scores


def tempered(scores: Floats, temperature: float) -> Floats:
    """Return scores whose logits are divided by a temperature."""
    inside = np.clip(scores, _LEAST, 1 - _LEAST)
    return np.asarray(1 / (1 + (1 / inside - 1) ** (1 / temperature)), dtype=np.float64)


def trust_in(scores: Floats, hits: Bools) -> Trust:
    """Return how reliable scores are, and the temperature under which they fit best (Guo et al., 2017)."""

    def loss(temperature: float) -> float:
        chances = np.clip(tempered(scores, temperature), _LEAST, 1 - _LEAST)
        return -float(np.mean(np.where(hits, np.log(chances), np.log(1 - chances))))

    # Where all are right, or all wrong, the best temperature is at an end of the range: nothing was learned.
    is_mixed = bool(hits.any() and not hits.all())
    best = min(_TEMPERATURES.tolist(), key=loss) if is_mixed else 1.0
    after = tempered(scores, best) if is_mixed else scores
    return Trust(
        metrics.reliability(scores, hits),
        metrics.calibration_error(scores, hits),
        round(best, 3),
        metrics.reliability(after, hits),
        metrics.calibration_error(after, hits),
    )
