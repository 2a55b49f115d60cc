"""What is measured of a checkpoint on a data set: the figures of all its answers, and its worst pictures.

Knows no model and no file. `to_dict` is the report in JSON.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from playground.evaluation import metrics
from playground.evaluation.asking_data import Outcome, named_alike
from playground.evaluation.detection import BACKGROUND, IOU_BOUND, DetectionFigures, FoundPicture, measure_found
from playground.evaluation.wording import TextFigures, WrittenText, errors_of, measure_texts
from playground.regions import Region
from playground.tasks import Group, OutputKind, Task, get_task

NUM_WORST = 20
_UNNAMED = (OutputKind.BOXES, OutputKind.QUADS)  # whose labels are no classes
_NO_TRUTH = "The data set says nothing of this picture that the answer could be held against."


@dataclass(frozen=True, slots=True)
class BadPicture:
    """A picture whose answer is among the worst; `error` is 0 for one that is right, `says` what is wrong in words."""

    outcome: Outcome
    found: tuple[Region, ...]
    truth: tuple[Region, ...]
    error: float
    says: str


@dataclass(frozen=True, slots=True)
class MeasuredData:
    """The figures of one checkpoint. `strange` counts names that it said and the data set does not have, `unsaid` are
    classes of what is there that it never said, `notices` counts the pictures of whose answers a sentence was said.
    `seconds` is the time of a picture."""

    checkpoint: str
    num_asked: int
    seconds: float
    detection: DetectionFigures | None
    texts: TextFigures | None
    mask_iou: float
    strange: dict[str, int]
    unsaid: tuple[str, ...]
    worst: tuple[BadPicture, ...]
    broken: tuple[tuple[str, str], ...]  # names of pictures, and why there is no answer
    notices: dict[str, int]


def measure_outcomes(
    checkpoint: str, outcomes: Sequence[Outcome], classes: Sequence[str], *, seconds: float = 0.0
) -> MeasuredData:
    """Return the figures of the answers to a data set with these classes, which may be none."""
    broken = [(one.labeled.name, one.error) for one in outcomes if one.error]
    found: list[tuple[Outcome, FoundPicture]] = []
    written: list[tuple[Outcome, WrittenText]] = []
    strange: Counter[str] = Counter()
    is_unnamed, as_captions = False, False
    for one in outcomes:
        if one.error:
            continue
        task = get_task(one.questions[0].task)
        is_unnamed |= task.output_kind in _UNNAMED
        as_captions |= task.group is Group.DESCRIBE
        if _is_found(task, one):
            picture, names = _as_found(one, classes, is_unnamed=task.output_kind in _UNNAMED)
            strange.update(names)
            found.append((one, picture))
        if text := _as_written(task, one):
            written.append((one, text))
        elif not _is_found(task, one):
            broken.append((one.labeled.name, _NO_TRUTH))
    detection = measure_found([picture for _, picture in found], class_agnostic=is_unnamed) if found else None
    said = {region.label for _, picture in found for region in picture.found}
    there = {region.label for _, picture in found for region in picture.truth}
    threshold = detection.best.threshold if detection else 0.0
    worst = [*_badly_found(found, threshold, class_agnostic=is_unnamed), *_badly_written(written)]
    return MeasuredData(
        checkpoint=checkpoint,
        num_asked=len(outcomes),
        seconds=seconds / max(1, len(outcomes)),
        detection=detection,
        texts=measure_texts([text for _, text in written], as_captions=as_captions) if written else None,
        mask_iou=_mask_iou(found),
        strange=dict(strange.most_common(50)),
        unsaid=tuple(name for name in classes if name in there - said) if not is_unnamed else (),
        worst=tuple(sorted(worst, key=lambda bad: -bad.error)[:NUM_WORST]),
        broken=tuple(broken),
        notices=dict(Counter(chain.from_iterable(map(_notices, outcomes)))),
    )


def _notices(outcome: Outcome) -> set[str]:
    return {notice for prediction in outcome.predictions for notice in prediction.notices}


def _is_found(task: Task, outcome: Outcome) -> bool:
    """Whether the answer is regions: a prompt of somebody's own may be answered by text as well."""
    if task.output_kind.is_text:
        return False
    return bool(outcome.labeled.regions) or not outcome.labeled.texts


def _as_found(outcome: Outcome, classes: Sequence[str], *, is_unnamed: bool) -> tuple[FoundPicture, tuple[str, ...]]:
    if is_unnamed or not classes:
        return FoundPicture(outcome.regions, outcome.labeled.regions, outcome.labeled.ignored), ()
    found, strange = named_alike(outcome.regions, classes)
    truth, ignored = (named_alike(side, classes)[0] for side in (outcome.labeled.regions, outcome.labeled.ignored))
    return FoundPicture(found, truth, ignored), strange


def _as_written(task: Task, outcome: Outcome) -> WrittenText | None:
    """Return what was written beside what is true, where words are asked for; None where none are known."""
    truths = outcome.labeled.texts
    if task.output_kind is OutputKind.QUADS:
        lines = "\n".join(region.label for region in outcome.labeled.regions)
        return WrittenText(outcome.text, truths or (lines,)) if truths or lines else None
    return WrittenText(outcome.text, truths) if truths and not _is_found(task, outcome) else None


def _mask_iou(found: Iterable[tuple[Outcome, FoundPicture]]) -> float:
    """Return how far outlines fit, over the pictures in which there are some on both sides."""
    return metrics.mean(
        [
            metrics.mask_iou(picture.found, picture.truth, outcome.predictions[0].resolution_wh)
            for outcome, picture in found
            if any(region.polygons for region in picture.truth) and any(region.polygons for region in picture.found)
        ]
    )


def _badly_found(
    found: Iterable[tuple[Outcome, FoundPicture]], threshold: float, *, class_agnostic: bool
) -> Iterator[BadPicture]:
    for outcome, picture in found:
        kept = tuple(region for region in picture.found if (region.score or 0.0) >= threshold)
        truth = picture.truth
        if class_agnostic:
            truth = tuple(Region("", region.xyxy) for region in truth)
            compared: Sequence[Region] = [Region("", region.xyxy, region.score) for region in kept]
        else:
            compared = kept
        num_right = int(metrics.matches(sorted(compared, key=lambda r: -(r.score or 0)), truth, IOU_BOUND).sum())
        missed, extra = len(truth) - num_right, len(kept) - num_right
        if missed or extra:
            f1 = 2 * num_right / (len(truth) + len(kept))
            says = f"{num_right} of {len(truth)} found, {missed} missed, {extra} too many"
            # Of two that are equally wrong, the one with more mistakes.
            yield BadPicture(outcome, kept, picture.truth, 1 - f1 + 1e-6 * (missed + extra), says)


def _badly_written(written: Iterable[tuple[Outcome, WrittenText]]) -> Iterator[BadPicture]:
    for outcome, text in written:
        if error := errors_of(text):
            says = f"“{_short(text.answer)}” instead of “{_short(text.truths[0])}”"
            yield BadPicture(outcome, (), (), error if math.isfinite(error) else 1.0, says)


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


# The report in JSON


def to_dict(measured: MeasuredData) -> dict[str, Any]:
    """Return what was measured as values that JSON can carry; what could not be measured is null."""
    detection, texts = measured.detection, measured.texts
    wire = {
        "checkpoint": measured.checkpoint,
        "pictures": measured.num_asked,
        "seconds_per_picture": measured.seconds,
        "detection": _detection(detection, measured) if detection else None,
        "text": {**asdict(texts)} if texts else None,
        "worst": [{"picture": bad.outcome.labeled.name, "says": bad.says} for bad in measured.worst],
        "notices": measured.notices,
        "broken": [{"picture": name, "why": why} for name, why in measured.broken],
    }
    cleaned: dict[str, Any] = _clean(wire)
    return cleaned


def _detection(figures: DetectionFigures, measured: MeasuredData) -> dict[str, Any]:
    trust = figures.trust
    return {
        "pictures": figures.num_pictures,
        "true_regions": figures.num_true,
        "found_regions": figures.num_found,
        "ap_50": figures.all_sizes.at_50,
        "ap_50_95": figures.all_sizes.at_50_95,
        "mask_iou": measured.mask_iou,
        "by_size": {name: {"ap_50": ap.at_50, "ap_50_95": ap.at_50_95} for name, ap in figures.by_size.items()},
        "by_class": [
            {
                "class": one.name, "ap_50": one.precisions.at_50, "ap_50_95": one.precisions.at_50_95,
                "precision": one.precision, "recall": one.recall, "true": one.num_true, "found": one.num_found,
            }
            for one in figures.by_class
        ],
        "best_threshold": asdict(figures.best),
        "curve": [asdict(point) for point in figures.curve],
        "confusion": {"classes": [*figures.class_names, BACKGROUND], "true_by_found": figures.confusion.tolist()},
        "calibration": trust and asdict(trust),
        "names_not_in_the_data": measured.strange,
        "classes_never_named": list(measured.unsaid),
    }  # fmt: skip


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
