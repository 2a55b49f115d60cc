"""Compare formulas for a region's score: how well each tells matches from mistakes on held-out scenes.

    python -m playground.evaluation.calibrate --count 150

Half of the scenes are blurred and noisy, so that there are mistakes to tell apart. Prints a table: for two bounds of
IoU the area under the ROC curve (how often a match is scored above a mistake), detection mAP@50 with the score as
confidence, and how far the scores are from the share of matches (expected calibration error, ten bins).
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from statistics import mean

import numpy as np
from PIL import Image, ImageFilter

from playground.arguments import whole
from playground.checkpoints import catalog
from playground.engines import Ask, AskedEngine
from playground.errors import CheckpointUnavailable
from playground.evaluation.metrics import area_under_roc, calibration_error, matches, mean_average_precision
from playground.events import Token
from playground.grammar import Parser, region_score
from playground.pictures.reader import read_image
from playground.predictor import Predictor
from playground.regions import Region
from playground.scenes.examples import examples
from playground.scenes.scene import TRAINING_SEEDS, Scene, make_scene
from playground.tasks import get_task

_TASKS = ("<OD>", "<DENSE_REGION_CAPTION>")
_IOU_BOUNDS = (0.5, 0.9)

Formula = Callable[[Sequence[Token], Sequence[Token]], float | None]


def _chances(tokens: Sequence[Token]) -> list[float]:
    return [math.exp(token.logprob or 0.0) for token in tokens]


def _masses(tokens: Sequence[Token]) -> list[float]:
    return [token.bin_probability or 0.0 for token in tokens]


def _geometric_mean(values: Sequence[float]) -> float:
    return prod(values) ** (1 / len(values))


FORMULAS: dict[str, Formula] = {
    "all tokens, geometric mean": lambda label, bins: _geometric_mean(_chances([*label, *bins])),
    "label tokens, product": lambda label, _: prod(_chances(label)),
    "label tokens, geometric mean": lambda label, _: _geometric_mean(_chances(label)),
    "label product x location tokens, geometric mean": lambda label, bins: (
        prod(_chances(label)) * _geometric_mean(_chances(bins))
    ),
    "location mass within 5 bins, mean": lambda _, bins: mean(_masses(bins)),
    "label geometric mean x location mass, mean": region_score,
    "label product x location mass, mean": lambda label, bins: prod(_chances(label)) * mean(_masses(bins)),
    "label product x location mass, geometric mean": lambda label, bins: (
        prod(_chances(label)) * _geometric_mean(_masses(bins))
    ),
    "label product x location mass, least": lambda label, bins: prod(_chances(label)) * min(_masses(bins)),
}


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The tokens of one answer about a scene, and the true regions."""

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


def blur_and_add_noise(scene: Scene, seed: int) -> Image.Image:
    """Return the scene's picture blurred and noisy; the seed decides how much."""
    rng = np.random.default_rng(seed)
    blurred = scene.image.filter(ImageFilter.GaussianBlur(float(rng.uniform(2, 9))))
    noisy = np.asarray(blurred, dtype=np.float64) + rng.normal(0, float(rng.uniform(5, 50)), (*blurred.size[::-1], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def collect_answers(engine: AskedEngine, count: int) -> Iterator[AnswerTokens]:
    """Ask about held-out scenes, every second one blurred and noisy."""
    for seed in range(TRAINING_SEEDS, TRAINING_SEEDS + count):
        scene = make_scene(seed)
        image = read_image(blur_and_add_noise(scene, seed) if seed % 2 else scene.image)
        truth = examples(scene)
        for task in _TASKS:
            events = engine.generate([Ask(image, truth[task].prompt(scene.resolution_wh))])
            tokens = tuple(event for event in events if isinstance(event, Token))
            yield AnswerTokens(task, tokens, scene.resolution_wh, truth[task].regions)


def print_formulas(answers: Sequence[AnswerTokens]) -> None:
    """Print a row for each formula."""
    truths = [a.truth for a in answers]
    bounds = [f"AUC {bound:.2f}" for bound in _IOU_BOUNDS]
    print(f"{'formula':50} {' '.join(f'{name:>9}' for name in [*bounds, 'mAP@50', 'ECE'])}")
    for name, formula in FORMULAS.items():
        found = [a.regions(formula) for a in answers]
        scores = np.array([region.score for regions in found for region in regions], dtype=np.float64)
        pairs = list(zip(found, truths, strict=True))
        hits = [np.concatenate([matches(*pair, bound) for pair in pairs]) for bound in _IOU_BOUNDS]
        figures = [area_under_roc(scores, hit) for hit in hits]
        figures += [mean_average_precision(found, truths).at_50, calibration_error(scores, hits[0])]
        print(f"{name:50} {' '.join(f'{figure:9.3f}' for figure in figures)}")
    shares = ", ".join(f"{hit.mean():.3f} at IoU {bound}" for hit, bound in zip(hits, _IOU_BOUNDS, strict=True))
    print(f"{len(scores)} regions of {len(answers)} answers; right: {shares}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, ask, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.evaluation.calibrate", description="Compare formulas for a region's score."
    )
    parser.add_argument("--count", type=whole(1), default=150, help="how many scenes")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, or a folder")
    chosen = parser.parse_args(arguments)
    try:
        predictor = Predictor.load(chosen.checkpoint, offline=True)
    except CheckpointUnavailable as error:
        parser.error(str(error))
    with predictor.engines.acquire(chosen.checkpoint) as engine:
        print_formulas(list(collect_answers(engine, chosen.count)))


if __name__ == "__main__":
    main()
