"""How good the answers to held-out lessons are: asked as anybody asks, of a merged copy of the model that learns."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from playground.checkpoints.loader import LoadedCheckpoint, choose_placement
from playground.evaluation.metrics import mask_iou, match_quads, mean, mean_average_precision, token_f1
from playground.finetune.lessons import Lesson
from playground.finetune.lora import merged_copy
from playground.finetune.teaching import HeldOutAnswer
from playground.inference.engine import Engine
from playground.inference.prepared import prepare
from playground.one_engine import OneEngine
from playground.predictor import Predictor
from playground.question import Question
from playground.tasks import OutputKind

_CACHE_BYTES = 32_000_000
_GROUP = 16  # pictures that are asked about together


def predictor_of(loaded: LoadedCheckpoint, adapted: Any) -> Predictor:
    """Return who answers with a copy of an adapted model as it is now, merged and prepared as it would be loaded."""
    import torch

    count = sum(weights.numel() for weights in adapted.parameters())
    placement = choose_placement(loaded.placement.device, num_parameters=count)
    dtype = getattr(torch, placement.dtype)
    model = merged_copy(adapted).to(dtype)
    model.set_attn_implementation("sdpa")
    weights = replace(loaded.weights, tensors=model.state_dict(), dtype=dtype)
    now = replace(loaded, weights=weights, make_model=lambda: model, placement=placement)
    prepared = prepare(now)
    return Predictor(OneEngine(Engine(now, prepared, image_cache_bytes=_CACHE_BYTES, prompt_cache_bytes=_CACHE_BYTES)))


def ask_lessons(
    predictor: Predictor, lessons: Sequence[Lesson], max_new_tokens: int | None
) -> Iterator[tuple[int, HeldOutAnswer]]:
    """Yield the place of each lesson and what is answered to it; those with one question are asked together."""
    places: dict[Question, list[int]] = defaultdict(list)
    for place, lesson in enumerate(lessons):
        places[lesson.question].append(place)
    for question, same in places.items():
        asked = replace(question, max_new_tokens=max_new_tokens)
        for first in range(0, len(same), _GROUP):
            some = same[first : first + _GROUP]
            predictions = predictor.predict_together([lessons[place].read() for place in some], asked)
            for place, prediction in zip(some, predictions, strict=True):
                yield place, HeldOutAnswer(lessons[place].name, prediction)


_NAMES: Mapping[OutputKind, str] = {
    OutputKind.LABELED_BOXES: "mAP@50",
    OutputKind.BOXES: "mAP@50",
    OutputKind.BOXES_OR_POLYGONS: "mAP@50",
    OutputKind.POLYGONS: "mask IoU",
    OutputKind.QUADS: "quad IoU",
    OutputKind.TEXT: "word F1",
    OutputKind.TEXT_WITH_BOX: "word F1",
}


@dataclass(frozen=True, slots=True)
class Quality:
    """How good answers are in 0..1, and by which metric."""

    name: str
    value: float


def quality_of(lessons: Sequence[Lesson], answers: Sequence[HeldOutAnswer]) -> Quality:
    """Return how good answers are; of lessons of several kinds the mean, each kind as often as it is asked."""
    by_metric: dict[str, list[int]] = defaultdict(list)
    for place, lesson in enumerate(lessons):
        by_metric["word F1" if lesson.is_answered_by_text else _NAMES[lesson.output_kind]].append(place)
    total = 0.0
    for name, places in by_metric.items():
        some = [lessons[place] for place in places]
        total += len(places) * _METRICS[name](some, [answers[place] for place in places])
    return Quality(" and ".join(by_metric), total / len(lessons))


def _boxes(lessons: Sequence[Lesson], answers: Sequence[HeldOutAnswer]) -> float:
    found = [list(answer.prediction.regions) for answer in answers]
    bare = lessons[0].output_kind is OutputKind.BOXES
    truths = [[replace(region, label="") if bare else region for region in lesson.regions] for lesson in lessons]
    if not any(truths):
        return mean([float(not regions) for regions in found])
    return mean_average_precision(found, truths).at_50


def _masks(lessons: Sequence[Lesson], answers: Sequence[HeldOutAnswer]) -> float:
    pairs = zip(lessons, answers, strict=True)
    return mean([mask_iou(a.prediction.regions, le.regions, a.prediction.resolution_wh) for le, a in pairs])


def _quads(lessons: Sequence[Lesson], answers: Sequence[HeldOutAnswer]) -> float:
    matched = [
        iou
        for lesson, answer in zip(lessons, answers, strict=True)
        for iou, _ in match_quads(answer.prediction.regions, lesson.regions)
    ]
    return mean(matched) if matched else mean([float(not answer.prediction.regions) for answer in answers])


def _words(lessons: Sequence[Lesson], answers: Sequence[HeldOutAnswer]) -> float:
    return mean([token_f1(a.prediction.text, le.text) for le, a in zip(lessons, answers, strict=True)])


_METRICS = {"mAP@50": _boxes, "mask IoU": _masks, "quad IoU": _quads, "word F1": _words}
