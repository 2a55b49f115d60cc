"""What is measured of a checkpoint: which figures for which task, and their targets. Knows no model and no file."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from playground.evaluation import metrics
from playground.regions import Region
from playground.scenes.examples import Example

AS_DRAWN, AS_JPEG, IN_OTHER_PROPORTIONS = "as drawn", "as JPEG", "in other proportions"

_SURVEYS = ("<OD>", "<DENSE_REGION_CAPTION>", "<REGION_PROPOSAL>", "<OCR>")  # whose answer to an empty scene is empty
_SEARCHES = ("<OPEN_VOCABULARY_DETECTION>", "<REFERRING_EXPRESSION_SEGMENTATION>")

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Answered:
    """An example about a scene, the condition of its picture, and the answer. Regions are in pixels of the scene."""

    seed: int
    condition: str
    truth: Example
    resolution_wh: tuple[int, int]
    text: str
    regions: tuple[Region, ...]
    seconds: float

    @property
    def is_empty(self) -> bool:
        return not self.text and not self.regions

    @property
    def should_be_empty(self) -> bool:
        return not self.truth.text and not self.truth.regions


# Figures of one task


def _sides(answers: Sequence[Answered]) -> tuple[list[tuple[Region, ...]], list[tuple[Region, ...]]]:
    return [a.regions for a in answers], [a.truth.regions for a in answers]


def _named(precision: metrics.AveragePrecision) -> Figures:
    return {"mAP@50": precision.at_50, "mAP@50:95": precision.at_50_95}


def _labeled_boxes(answers: Sequence[Answered]) -> Figures:
    return _named(metrics.mean_average_precision(*_sides(answers)))


def _boxes(answers: Sequence[Answered]) -> Figures:
    return _named(metrics.mean_average_precision(*_sides(answers), class_agnostic=True))


def _phrases(answers: Sequence[Answered]) -> Figures:
    return _named(metrics.average_precision_by_phrase(*_sides(answers)))


def _masks(answers: Sequence[Answered]) -> Figures:
    ious = [metrics.mask_iou(a.regions, a.truth.regions, a.resolution_wh) for a in answers]
    return {"mask IoU": metrics.mean(ious)}


def _names(answers: Sequence[Answered]) -> Figures:
    return {"accuracy": metrics.mean([a.text == a.truth.text for a in answers])}


def _wording(answers: Sequence[Answered]) -> Figures:
    pairs = [(a.text, a.truth.text) for a in answers]
    return {
        "exact": metrics.mean([answer == truth for answer, truth in pairs]),
        "F1": metrics.mean([metrics.token_f1(*pair) for pair in pairs]),
    }


def _reading(answers: Sequence[Answered]) -> Figures:
    return {
        "error rate": metrics.error_rate([(a.text, a.truth.text) for a in answers if a.truth.text]),
        **_wordless(answers),
    }


def _reading_with_quads(answers: Sequence[Answered]) -> Figures:
    matches = [
        (*match, word.label)
        for a in answers
        for match, word in zip(metrics.match_quads(a.regions, a.truth.regions), a.truth.regions, strict=True)
    ]
    return {
        "quad IoU": metrics.mean([iou for iou, _, _ in matches]),
        "error rate": metrics.error_rate([(found.label, truth) for _, found, truth in matches if found]),
        **_wordless(answers),
    }


def _wordless(answers: Sequence[Answered]) -> Figures:
    return {"wordless answered empty": metrics.mean([a.is_empty for a in answers if a.should_be_empty])}


@dataclass(frozen=True, slots=True)
class Metric:
    """What is computed from all answers to a task in a condition. A figure is called by `name` and what it measures."""

    name: str
    task: str
    figures: Callable[[Sequence[Answered]], Figures]
    condition: str = AS_DRAWN


METRICS: tuple[Metric, ...] = (
    Metric("detection", "<OD>", _labeled_boxes),
    Metric("open vocabulary", "<OPEN_VOCABULARY_DETECTION>", _phrases),
    Metric("grounding", "<CAPTION_TO_PHRASE_GROUNDING>", _phrases),
    Metric("dense captions", "<DENSE_REGION_CAPTION>", _phrases),
    Metric("proposals", "<REGION_PROPOSAL>", _boxes),
    Metric("referring", "<REFERRING_EXPRESSION_SEGMENTATION>", _masks),
    Metric("region", "<REGION_TO_SEGMENTATION>", _masks),
    Metric("region category", "<REGION_TO_CATEGORY>", _names),
    Metric("region description", "<REGION_TO_DESCRIPTION>", _names),
    Metric("caption", "<CAPTION>", _wording),
    Metric("detailed caption", "<DETAILED_CAPTION>", _wording),
    Metric("more detailed caption", "<MORE_DETAILED_CAPTION>", _wording),
    Metric("OCR", "<OCR>", _reading),
    Metric("OCR with region", "<OCR_WITH_REGION>", _reading_with_quads),
    Metric("region OCR", "<REGION_TO_OCR>", _reading),
    Metric("other proportions detection", "<OD>", _labeled_boxes, IN_OTHER_PROPORTIONS),
    Metric("JPEG detection", "<OD>", _labeled_boxes, AS_JPEG),
)


@dataclass(frozen=True, slots=True)
class Target:
    """The bound that a figure is to reach: at least, or at most."""

    bound: float
    at_most: bool = False

    def is_reached(self, figure: float) -> bool:
        return figure <= self.bound if self.at_most else figure >= self.bound

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:.2f}"


TARGETS: dict[str, Target] = {
    "detection mAP@50": Target(0.97),
    "detection mAP@50:95": Target(0.87),
    "open vocabulary mAP@50": Target(0.97),
    "grounding mAP@50": Target(0.97),
    "referring mask IoU": Target(0.88),
    "region mask IoU": Target(0.88),
    "region category accuracy": Target(0.99),
    "region description accuracy": Target(0.98),
    "caption exact": Target(0.85),
    "detailed caption F1": Target(0.95),
    "more detailed caption F1": Target(0.95),
    "OCR error rate": Target(0.05, at_most=True),
    "OCR with region quad IoU": Target(0.75),
    "empty scenes answered empty": Target(0.98),
    "JPEG detection loss of mAP@50": Target(0.03, at_most=True),
}


# Figures of all


def compute(answers: Sequence[Answered]) -> Figures:
    """Return the figures by name, without those for which there are not enough answers."""
    measured: Figures = {}
    for row in METRICS:
        chosen = [a for a in answers if (a.truth.task, a.condition) == (row.task, row.condition)]
        if chosen:
            measured |= {f"{row.name} {what}": figure for what, figure in row.figures(chosen).items()}
    if "JPEG detection mAP@50" in measured:
        measured["JPEG detection loss of mAP@50"] = measured["detection mAP@50"] - measured["JPEG detection mAP@50"]
    measured |= _nothing_there([a for a in answers if a.condition == AS_DRAWN])
    measured |= _trust(_detections(answers))
    measured["seconds per answer"] = metrics.mean([a.seconds for a in answers])
    return {name: float(figure) for name, figure in measured.items() if not math.isnan(figure)}


def detection_reliability(answers: Sequence[Answered]) -> tuple[metrics.Bin, ...]:
    """Return how many of the detected regions match at an IoU of 0.5, by score."""
    return metrics.reliability(*_scores_and_hits(_detections(answers)))


def _detections(answers: Sequence[Answered]) -> list[Answered]:
    return [a for a in answers if (a.truth.task, a.condition) == ("<OD>", AS_DRAWN)]


def _nothing_there(answers: Sequence[Answered]) -> Figures:
    """How often nothing is found where nothing is: by four tasks in an empty scene, and of things that are absent."""
    empty_scenes = {a.seed for a in answers if a.truth.task == "<OD>" and a.should_be_empty}
    fooled = {a.seed for a in answers if a.truth.task in _SURVEYS and not a.is_empty}
    absent = [a for a in answers if a.truth.task in _SEARCHES and a.should_be_empty]
    return {
        "empty scenes answered empty": metrics.mean([seed not in fooled for seed in empty_scenes]),
        "absent things answered empty": metrics.mean([a.is_empty for a in absent]),
    }


def _trust(detections: Sequence[Answered]) -> Figures:
    """How good detection is without its scores, and how far these are from the share of matches."""
    if not detections:
        return {}
    found, truths = _sides(detections)
    constant = metrics.mean_average_precision([[replace(r, score=1.0) for r in regions] for regions in found], truths)
    return {
        "detection mAP@50 with constant scores": constant.at_50,
        "detection calibration error": metrics.calibration_error(*_scores_and_hits(detections)),
    }


def _scores_and_hits(detections: Sequence[Answered]) -> tuple[metrics.Floats, metrics.Bools]:
    scores = np.array([region.score or 0.0 for a in detections for region in a.regions], dtype=np.float64)
    hits = [hit for a in detections for hit in metrics.matches(a.regions, a.truth.regions, 0.5)]
    return scores, np.array(hits, dtype=bool)
