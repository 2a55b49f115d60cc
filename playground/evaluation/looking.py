"""Measure what ways of asking find on held-out scenes: names together or one by one, a closer look, more of a kind.

    python -m playground.evaluation.looking --count 300

Prints for each way how many of the true things are found and how much of what is found is true.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image

from playground.arguments import whole
from playground.checkpoints import catalog
from playground.errors import CheckpointUnavailable
from playground.evaluation import metrics
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.scenes.scene import TRAINING_SEEDS, Scene, ScenePlan, make_scattered_scene, make_scene

_SMALL_WH, _SMALL_SIDE, _NUM_SMALL = (3000, 3000), 40, 12  # pictures of small things
_LARGE_WH = (1000, 1000)  # pictures of the usual large ones


@dataclass(slots=True)
class HitCount:
    """How many regions were found in one way, how many of them are true, and how many there are to find."""

    hits: int = 0
    found: int = 0
    there: int = 0
    seconds: float = 0.0
    scenes: int = 0

    def add(self, found: "Sighting") -> None:
        """Add what was found in a scene; the surest is matched first, at an IoU of 0.5."""
        surest = sorted(found.regions, key=lambda region: -(region.score or 0.0))
        self.hits += int(metrics.matches(surest, found.truth, 0.5).sum())
        self.found += len(found.regions)
        self.there += len(found.truth)
        self.seconds += found.seconds
        self.scenes += 1

    def __str__(self) -> str:
        recall, precision = self.hits / max(1, self.there), self.hits / max(1, self.found)
        return f"{recall:7.3f} {precision:10.3f} {self.there:7} {self.seconds / max(1, self.scenes):8.2f}"


class Sighting(NamedTuple):
    """What was found in a scene, in which way, and what is true."""

    way: str
    regions: Sequence[Region]
    truth: Sequence[Region]
    seconds: float


def by_name(predictor: Predictor, seed: int) -> Iterator[Sighting]:
    """Name all kinds of a scene and as many that are not there, together and one by one."""
    scene = make_scene(seed)
    kinds = list(dict.fromkeys(thing.kind for thing in scene.from_left()))
    others = [thing.kind for other in range(1, 9) for thing in make_scene(seed + other).things]
    absent = [kind for kind in dict.fromkeys(others) if kind not in kinds][: len(kinds)]
    for way, one_by_one in (("together", False), ("one by one", True)):
        if kinds:
            names = ", ".join(sorted([*kinds, *absent]))
            question = Question("<OPEN_VOCABULARY_DETECTION>", names, one_by_one=one_by_one)
            yield _found(way, predictor, scene, scene.image, question)


def small_things(predictor: Predictor, seed: int) -> Iterator[Sighting]:
    """Find everything in large pictures of small things, at once and with a closer look."""
    scene = make_scattered_scene(seed, resolution_wh=_SMALL_WH, side=_SMALL_SIDE, count=_NUM_SMALL)
    return _with_tiles(predictor, scene)


def large_things(predictor: Predictor, seed: int) -> Iterator[Sighting]:
    """The same in pictures of the usual things, which a tile cuts."""
    return _with_tiles(predictor, make_scene(seed, resolution_wh=_LARGE_WH))


def _with_tiles(predictor: Predictor, scene: Scene) -> Iterator[Sighting]:
    for way, tiles in (("the whole", None), ("tiles too", 0)):
        yield _found(way, predictor, scene, scene.image, Question("<OD>", tiles=tiles))


def more_like_one(predictor: Predictor, seed: int) -> Iterator[Sighting]:
    """Find more like one thing: true is what is of its kind and color, at several likenesses."""
    scene = make_scattered_scene(seed, resolution_wh=(512, 512), side=80, count=7, num_kinds=2)
    one = scene.things[0]
    truth = [thing.region.xyxy for thing in scene.things[1:] if (thing.kind, thing.color) == (one.kind, one.color)]
    started = time.perf_counter()
    found = predictor.find_more(scene.image, [one.region.xyxy]).regions
    seconds = time.perf_counter() - started
    own = Region("", one.region.xyxy)
    others = [region for region in found if not metrics.matches([replace(region, label="")], [own], 0.5).any()]
    for least in (0.0, 0.5, 0.6, 0.7, 0.8, 0.9):
        alike = [replace(region, label="") for region in others if (region.score or 0.0) >= least]
        yield Sighting(f"likeness from {least:.1f}", alike, [Region("", box) for box in truth], seconds)


def _found(way: str, predictor: Predictor, scene: ScenePlan, picture: Image.Image, question: Question) -> Sighting:
    """Ask, and hold what the page would show against the truth."""
    min_score = predictor.engines.status().checkpoint.min_score
    started = time.perf_counter()
    prediction = predictor.predict(picture, replace(question, min_scores=(("", min_score),)))
    seconds = time.perf_counter() - started
    truth = [Region(thing.kind, thing.region.xyxy) for thing in scene.things]
    return Sighting(way, prediction.regions, truth, seconds)


MEASUREMENTS: dict[str, Callable[[Predictor, int], Iterator[Sighting]]] = {
    "names": by_name,
    "small-things": small_things,
    "large-things": large_things,
    "more-like-one": more_like_one,
}


def measure(predictor: Predictor, what: str, seeds: Sequence[int]) -> dict[str, HitCount]:
    """Return the tally of each way of asking."""
    tallies: dict[str, HitCount] = {}
    for number, seed in enumerate(seeds, start=1):
        for found in MEASUREMENTS[what](predictor, seed):
            tallies.setdefault(found.way, HitCount()).add(found)
        if number % 50 == 0:
            print(f"{what}: {number} of {len(seeds)} scenes", file=sys.stderr, flush=True)
    return tallies


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, ask, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.evaluation.looking", description="Measure what is found."
    )
    parser.add_argument("--count", type=whole(1), default=300, help="how many scenes")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, or a folder")
    parser.add_argument("--only", choices=list(MEASUREMENTS), help="only one of the measurements")
    chosen = parser.parse_args(arguments)
    try:
        predictor = Predictor.load(catalog.resolve(chosen.checkpoint).name, offline=True)
    except CheckpointUnavailable as error:
        parser.error(str(error))
    for what in [chosen.only] if chosen.only else MEASUREMENTS:
        print(f"{what:28} {'recall':>7} {'precision':>10} {'things':>7} {'seconds':>8}")
        for way, tally in measure(predictor, what, range(TRAINING_SEEDS, TRAINING_SEEDS + chosen.count)).items():
            print(f"{way:28} {tally}")
        print(flush=True)


if __name__ == "__main__":
    main()
