"""How many pictures a minute: a job, one after another, and the plain transformers pipeline in a loop."""

import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playground.bench.paths import Ours, Plain, Worker, picture

_MAX_PLAIN = 8  # pictures of a round of the slowest
_QUALITY = 85


def compare_rates(
    folder: Path, count: int, rounds: int, device: str, precision: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Let each way answer about new pictures in turn, print the rates, and return what was measured."""
    ours, plain = Worker(Ours, folder, device, precision), Worker(Plain, folder, device)
    ways = {
        "job": (ours, "job_seconds", count),
        "one by one": (ours, "loop_seconds", count),
        "plain loop": (plain, "loop_seconds", min(count, _MAX_PLAIN)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    processor_ms: dict[str, list[float]] = {name: [] for name in ways}
    seed = 0
    for number in range(rounds + 1):  # the first one warms up, with two pictures
        for name, (worker, method, some) in ways.items():
            asked = some if number else 2
            with TemporaryDirectory() as pictures:
                seconds = worker.call(method, 0, _write(Path(pictures), seed, asked))
            seed += asked
            if number:
                rates[name].append(60 * asked / seconds.wall)
                processor_ms[name].append(1000 * seconds.processor / asked)
        say(f"round {number} of {rounds}")
    ours.close()
    plain.close()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    taken = {name: statistics.median(values) for name, values in processor_ms.items()}
    for name, values in rates.items():
        spread = f"({min(values):.1f} to {max(values):.1f})"
        print(f"{name:12}{medians[name]:8.1f} pictures a minute {spread}, {taken[name]:.0f} ms of the processors each")
    others = ("one by one", "plain loop")
    ratios = {name: round(medians["job"] / medians[name], 2) for name in others}
    processor_ratios = {name: round(taken[name] / taken["job"], 2) for name in others}
    for name in others:
        print(f"the job beside {name:12}{ratios[name]:8.2f}, by the processors' time {processor_ratios[name]:.2f}")
    return {
        "placement": str(ours.placement),
        "pictures": count,
        "rounds": rounds,
        "pictures_a_minute": {name: round(value, 1) for name, value in medians.items()},
        "processor_ms_a_picture": {name: round(value) for name, value in taken.items()},
        "ratios": ratios,
        "processor_ratios": processor_ratios,
    }


def _write(folder: Path, first_seed: int, count: int) -> list[Path]:
    """Write pictures that nobody has seen; returns their paths."""
    paths = [folder / f"{seed}.jpg" for seed in range(first_seed, first_seed + count)]
    for seed, path in enumerate(paths, start=first_seed):
        picture(seed).save(path, quality=_QUALITY)
    return paths
