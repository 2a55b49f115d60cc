"""Measure a checkpoint on held-out scenes, asked as anybody asks it: through the predictor.

    python -m playground.evaluation --count 1000 --write

With `--data` it is `on_data` that measures, on somebody's own pictures.

Prints a table of figures beside the targets, how far scores can be trusted, and one line of JSON. `--write` puts the
figures into RECIPE.json beside the weights.
"""

import argparse
import hashlib
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from playground.arguments import whole
from playground.checkpoints import catalog
from playground.checkpoints.catalog import RECIPE
from playground.errors import CheckpointUnavailable
from playground.evaluation import figures
from playground.evaluation.figures import AS_DRAWN, AS_JPEG, IN_OTHER_PROPORTIONS, Answered, Figures
from playground.evaluation.metrics import Bin
from playground.predictor import Predictor
from playground.regions import Region
from playground.scenes.augment import jpeg
from playground.scenes.examples import EXAMPLE_TASKS, examples
from playground.scenes.scene import TRAINING_SEEDS, Scene, make_scene

FIRST_SEED = TRAINING_SEEDS  # from here on seeds are for evaluation only

_MAX_NEW_TOKENS = 256  # far more than any right answer has: one that babbles must not take hours
_AREA = 512 * 512  # of a picture in other proportions, as of one in the default size

# Asking


def ask_about_scene(predictor: Predictor, seed: int, tasks: Sequence[str] = EXAMPLE_TASKS) -> Iterator[Answered]:
    """Ask about the scene of a seed: all tasks about the picture as drawn, detection in the other conditions too."""
    scene = make_scene(seed)
    yield from _ask(predictor, AS_DRAWN, scene, scene.image, tasks)
    if "<OD>" in tasks:
        yield from _ask(predictor, AS_JPEG, scene, saved(scene), ("<OD>",))
        stretched = in_other_proportions(seed)
        yield from _ask(predictor, IN_OTHER_PROPORTIONS, stretched, stretched.image, ("<OD>",))


def saved(scene: Scene) -> Image.Image:
    """Return the picture resized by 0.5 to 3, evenly on a logarithmic scale, and saved as JPEG at quality 50."""
    factor = 2 ** random.Random(f"size of {scene.seed}").uniform(-1, math.log2(3))
    width, height = scene.resolution_wh
    size = (round(width * factor), round(height * factor))
    return jpeg(scene.image.resize(size, Image.Resampling.BICUBIC), 50)


def in_other_proportions(seed: int) -> Scene:
    """Return the scene of a seed in a picture from twice as high as wide to twice as wide as high."""
    aspect = 2 ** random.Random(f"proportions of {seed}").uniform(-1, 1)
    return make_scene(seed, resolution_wh=(round(math.sqrt(_AREA * aspect)), round(math.sqrt(_AREA / aspect))))


def _ask(
    predictor: Predictor, condition: str, scene: Scene, picture: Image.Image, tasks: Sequence[str]
) -> Iterator[Answered]:
    image = predictor.read_image(picture)
    for task, truth in examples(scene).items():
        if task in tasks:
            question = replace(truth.question, max_new_tokens=_MAX_NEW_TOKENS)
            prediction = predictor.predict(image, question)
            regions = prediction.regions
            if image.resolution_wh != scene.resolution_wh:
                regions = tuple(_rescale(region, image.resolution_wh, scene.resolution_wh) for region in regions)
            seconds = (prediction.timings.total or 0.0) / 1000
            yield Answered(scene.seed, condition, truth, scene.resolution_wh, prediction.text, regions, seconds)


def _rescale(region: Region, from_wh: tuple[int, int], to_wh: tuple[int, int]) -> Region:
    """Scale a box to a picture of another size."""
    x, y = to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]
    x_min, y_min, x_max, y_max = region.xyxy
    return Region(region.label, (x_min * x, y_min * y, x_max * x, y_max * y), region.score)


def measure_on_scenes(predictor: Predictor, count: int, tasks: Sequence[str] = EXAMPLE_TASKS) -> Figures:
    """Ask about that many held-out scenes and return the figures by name; see the module `figures`."""
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    return figures.compute([answered for seed in seeds for answered in ask_about_scene(predictor, seed, tasks)])


# Reporting


def print_table(measured: Figures, bins: Sequence[Bin]) -> None:
    """Print the figures beside their targets, and how reliable the scores are."""
    print(f"{'metric':40} {'figure':>8}  target")
    for name, figure in measured.items():
        target = figures.TARGETS.get(name)
        verdict = f"{target}  {'ok' if target.is_reached(figure) else 'short'}" if target else ""
        print(f"{name:40} {figure:8.4f}  {verdict}".rstrip())
    print(f"\n{'scores':12} {'regions':>8} {'mean score':>11} {'share right':>12}")
    for one in bins:
        span = f"{one.low:.1f} to {one.low + 0.1:.1f}"
        print(f"{span:12} {one.count:8} {one.mean_score:11.3f} {one.share_right:12.3f}")
    print()


def write_recipe(folder: Path, measured: Figures, count: int) -> None:
    """Put the figures into the recipe of a checkpoint, beside what the training wrote there."""
    file = folder / RECIPE
    recipe = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    recipe |= {
        "sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "evaluation": {
            "scenes": count,
            "first_seed": FIRST_SEED,
            "versions": {name: version(name) for name in ("torch", "transformers", "supervision")},
        },
        "metrics": _rounded(measured),
    }
    file.write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, ask, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.evaluation",
        description="Measure a checkpoint on drawn scenes; with --data FOLDER on your own pictures (--data x --help).",
    )
    parser.add_argument("--count", type=whole(1), default=1000, help="how many scenes")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, or a folder")
    parser.add_argument(
        "--tasks", nargs="+", default=EXAMPLE_TASKS, choices=EXAMPLE_TASKS, metavar="TASK", help="only these tasks"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the line of JSON to a file too")
    parser.add_argument("--write", action="store_true", help=f"put the figures into the checkpoint's {RECIPE}")
    chosen = parser.parse_args(arguments)
    try:
        checkpoint = catalog.resolve(chosen.checkpoint)
        _check(chosen, checkpoint)
        predictor = Predictor.load(checkpoint.name, offline=True)
    except (CheckpointUnavailable, ValueError) as error:
        parser.error(str(error))
    answers = _ask_with_progress(predictor, chosen.count, chosen.tasks)
    measured, bins = figures.compute(answers), figures.detection_reliability(answers)
    print_table(measured, bins)
    if chosen.write:
        write_recipe(Path(checkpoint.source), measured, chosen.count)
    report = {
        "checkpoint": checkpoint.name,
        "scenes": chosen.count,
        "metrics": _rounded(measured),
        "reliability": [_rounded(asdict(one)) for one in bins],
    }
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report))


def _check(chosen: argparse.Namespace, checkpoint: catalog.Checkpoint) -> None:
    """Refuse what cannot be done, rather than after hours. Raises ValueError."""
    if chosen.write and set(chosen.tasks) != set(EXAMPLE_TASKS):
        raise ValueError("--write needs the figures of all tasks; leave out --tasks.")
    if chosen.write and not checkpoint.is_local:
        raise ValueError(f"--write needs a checkpoint in a folder, but {checkpoint.name} is on the hub.")


def _ask_with_progress(predictor: Predictor, count: int, tasks: Sequence[str]) -> list[Answered]:
    answers: list[Answered] = []
    for number in range(1, count + 1):
        answers += ask_about_scene(predictor, FIRST_SEED + number - 1, tasks)
        if number % 50 == 0:
            print(f"{number} of {count} scenes", file=sys.stderr, flush=True)
    return answers


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
