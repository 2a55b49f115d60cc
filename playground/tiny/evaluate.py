"""Measure the bundled checkpoint on held-out scenes: how well each formula for a region's score tells right from wrong.

    python -m playground.tiny.evaluate --count 150

Half of the scenes are blurred and noisy, so that there are wrong regions to tell apart. Prints a table: for two bounds
of IoU the area under the ROC curve (how often a right region is scored above a wrong one), detection mAP@50 with the
score as confidence, and how far the scores are from the share of right regions (expected calibration error, ten bins).
"""

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import supervision as sv
from PIL import Image, ImageFilter
from supervision.metrics import MeanAveragePrecision

from playground.engine import Engine
from playground.grammar import Parser, region_score
from playground.images import read_image
from playground.predictor import Predictor
from playground.results import Region, Token
from playground.tasks import get_task
from playground.tiny.scenes import Scene, examples, make_scene

FIRST_SEED = 1_000_000  # from here on seeds are for evaluation only
TASKS = ("<OD>", "<DENSE_REGION_CAPTION>")
_IOU_BOUNDS = (0.5, 0.9)

Formula = Callable[[Sequence[Token], Sequence[Token]], float | None]


def _product(tokens: Sequence[Token]) -> float:
    return math.exp(sum(token.logprob or 0.0 for token in tokens))


def _geometric_mean(tokens: Sequence[Token]) -> float:
    return math.exp(sum(token.logprob or 0.0 for token in tokens) / max(1, len(tokens)))


def _bin_masses(tokens: Sequence[Token]) -> list[float]:
    return [token.bin_probability or 0.0 for token in tokens]


def _bin_geometric_mean(tokens: Sequence[Token]) -> float:
    return math.exp(float(np.mean(np.log(np.maximum(_bin_masses(tokens), 1e-9)))))


FORMULAS: dict[str, Formula] = {
    "all tokens, geometric mean": lambda label, bins: _geometric_mean([*label, *bins]),
    "label tokens, product": lambda label, bins: _product(label),  # noqa: ARG005
    "label tokens, geometric mean": lambda label, bins: _geometric_mean(label),  # noqa: ARG005
    "label product x location tokens, geometric mean": lambda label, bins: _product(label) * _geometric_mean(bins),
    "location mass within 5 bins, mean": lambda label, bins: float(np.mean(_bin_masses(bins))),  # noqa: ARG005
    "label product x location mass, mean": lambda label, bins: _product(label) * float(np.mean(_bin_masses(bins))),
    "label geometric mean x location mass, mean": lambda label, bins: (
        _geometric_mean(label) * float(np.mean(_bin_masses(bins)))
    ),
    "label product x location mass, geometric mean": lambda label, bins: _product(label) * _bin_geometric_mean(bins),
    "label product x location mass, least": lambda label, bins: _product(label) * min(_bin_masses(bins)),
    "as built (grammar.region_score)": region_score,
}


@dataclass(frozen=True, slots=True)
class Answered:
    """The tokens of one answer about a scene, and what would have been right."""

    task: str
    tokens: tuple[Token, ...]
    resolution_wh: tuple[int, int]
    truth: tuple[Region, ...]

    def regions(self, formula: Formula) -> tuple[Region, ...]:
        """Return the regions of the answer, scored by a formula."""
        parser = Parser(get_task(self.task).output_kind, self.resolution_wh, score=formula)
        for token in self.tokens:
            parser.feed(token)
        return parser.finish().regions


def harm(scene: Scene, seed: int) -> Image.Image:
    """Return the scene's picture blurred and with noise, by amounts of the seed."""
    rng = np.random.default_rng(seed)
    blurred = scene.image.filter(ImageFilter.GaussianBlur(float(rng.uniform(2, 9))))
    noisy = np.asarray(blurred, dtype=np.float64) + rng.normal(0, float(rng.uniform(5, 50)), (*blurred.size[::-1], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def answer(engine: Engine, count: int) -> Iterable[Answered]:
    """Ask about held-out scenes, every second one harmed."""
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = make_scene(seed)
        image = read_image(harm(scene, seed) if seed % 2 else scene.image)
        truth = examples(scene)
        for task in TASKS:
            events = engine.generate(image, get_task(task).prompt)
            tokens = tuple(event for event in events if isinstance(event, Token))
            yield Answered(task, tokens, scene.resolution_wh, truth[task].regions)


def right(regions: Sequence[Region], truth: Sequence[Region], iou_bound: float) -> npt.NDArray[np.bool_]:
    """Which regions have the label and the place of a true one that no earlier region has taken."""
    if not regions or not truth:
        return np.zeros(len(regions), dtype=bool)
    ious = sv.box_iou_batch(_boxes(truth), _boxes(regions)).T
    free = [True] * len(truth)
    hits = np.zeros(len(regions), dtype=bool)
    for index, region in enumerate(regions):
        fitting = [
            j for j, true in enumerate(truth) if free[j] and true.label == region.label and ious[index, j] >= iou_bound
        ]
        if fitting:
            free[max(fitting, key=lambda j: float(ious[index, j]))] = False
            hits[index] = True
    return hits


def area_under_roc(scores: npt.NDArray[np.float64], hits: npt.NDArray[np.bool_]) -> float:
    """Return the chance that a right region is scored above a wrong one; ties count half (Mann and Whitney, 1947)."""
    difference = scores[hits][:, None] - scores[~hits][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def calibration_error(scores: npt.NDArray[np.float64], hits: npt.NDArray[np.bool_]) -> float:
    """Return the mean distance of score and share of right regions over ten bins (Guo et al., 2017)."""
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [abs(scores[bins == b].mean() - hits[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(sum(gaps))


def _boxes(regions: Sequence[Region]) -> npt.NDArray[np.float64]:
    return np.array([region.xyxy for region in regions], dtype=np.float64).reshape(-1, 4)


def _detections(regions: Sequence[Region], names: list[str]) -> sv.Detections:
    return sv.Detections(
        xyxy=_boxes(regions).astype(np.float32),
        confidence=np.array([region.score or 0.0 for region in regions]),
        class_id=np.array([names.index(region.label) for region in regions], dtype=int),
    )


def mean_average_precision(answers: Sequence[Answered], formula: Formula) -> float:
    """Return mAP@50 of the answers with the formula's scores as confidence, by supervision."""
    metric = MeanAveragePrecision()
    pairs = [(a.regions(formula), tuple(replace(true, score=1.0) for true in a.truth)) for a in answers]
    names = sorted({region.label for pair in pairs for regions in pair for region in regions})
    metric.update([_detections(found, names) for found, _ in pairs], [_detections(true, names) for _, true in pairs])
    return float(metric.compute().map50)


def compare(answers: Sequence[Answered]) -> None:
    """Print how each formula does."""
    bounds = [f"AUC {bound:.2f}" for bound in _IOU_BOUNDS]
    print(f"{'formula':50} {' '.join(f'{name:>9}' for name in [*bounds, 'mAP@50', 'ECE'])}")
    for name, formula in FORMULAS.items():
        scored = [(a.regions(formula), a.truth) for a in answers]
        scores = np.array([region.score for regions, _ in scored for region in regions], dtype=np.float64)
        hits = [np.concatenate([right(r, t, bound) for r, t in scored]) for bound in _IOU_BOUNDS]
        figures = [area_under_roc(scores, hit) for hit in hits]
        figures += [mean_average_precision(answers, formula), calibration_error(scores, hits[0])]
        print(f"{name:50} {' '.join(f'{figure:9.3f}' for figure in figures)}")
    shares = ", ".join(f"{hit.mean():.3f} at IoU {bound}" for hit, bound in zip(hits, _IOU_BOUNDS, strict=True))
    print(f"{len(scores)} regions of {len(answers)} answers; right: {shares}")


def main() -> None:
    """Read the command line, ask, and print the table."""
    parser = argparse.ArgumentParser(description="Compare formulas for a region's score on held-out scenes.")
    parser.add_argument("--count", type=int, default=150, help="how many scenes")
    parser.add_argument("--checkpoint", default="tiny-florence2")
    arguments = parser.parse_args()
    predictor = Predictor.load(arguments.checkpoint, offline=True)
    with predictor.pool.acquire(arguments.checkpoint) as engine:
        compare(list(answer(engine, arguments.count)))


if __name__ == "__main__":
    main()
