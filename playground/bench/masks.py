"""Sharper outlines: what a picture costs once, and then each click; and how much memory they take."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playground.bench.paths import peak_memory, picture
from playground.bench.skeleton import skeleton
from playground.checkpoints.catalog import resolve_masks
from playground.masks.engine import MaskEngine
from playground.masks.model import load_mask_model
from playground.masks.prompts import MaskPoint, MaskPrompt
from playground.paths import CACHE
from playground.pictures.reader import read_image

_BOXES = 8  # that are outlined together
_CACHE_BYTES = 70_000_000


def mask_skeleton(folder: Path = CACHE / "skeleton-sam2.1-tiny") -> Path:
    """Return the folder of a SAM 2.1 tiny of the true size with random weights, which is made at the first use."""
    return skeleton(folder, _write)


def _write(folder: Path) -> None:
    import torch
    from transformers import Sam2Config, Sam2Model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Sam2Model(Sam2Config())  # whose defaults are those of facebook/sam2.1-hiera-tiny
    model.save_pretrained(folder)


def measure_masks(folder: Path, rounds: int, device: str, precision: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Outline what is in boxes of pictures that nobody has seen, print the times, and return what was measured."""
    before, began = peak_memory(), time.perf_counter()
    model = load_mask_model(resolve_masks(str(folder)), folder, device=device, precision=precision)
    load_seconds = time.perf_counter() - began
    engine = MaskEngine(model, cache_bytes=_CACHE_BYTES)
    names = ("first outline of a picture", "each click", f"{_BOXES} boxes")
    times: dict[str, list[float]] = {name: [] for name in names}
    busy: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(rounds + 1):  # the first one warms up
        image = read_image(picture(seed))
        width, height = image.resolution_wh
        box = (0.2 * width, 0.2 * height, 0.7 * width, 0.6 * height)
        click = MaskPrompt(box, (MaskPoint(0.4 * width, 0.4 * height),))
        asked = ([MaskPrompt(box)], [click], [MaskPrompt(box)] * _BOXES)
        for name, prompts in zip(times, asked, strict=True):
            began, worked = time.perf_counter(), time.process_time()
            made = list(engine.outlines(image, prompts))
            assert len(made) == len(prompts), "one outline each"
            if seed:
                times[name].append(1000 * (time.perf_counter() - began))
                busy[name].append(1000 * (time.process_time() - worked))
        say(f"round {seed} of {rounds}")
    for name, values in times.items():
        print(f"{name:32}{statistics.median(values):8.0f} ms ({min(values):.0f} to {max(values):.0f}), "
              f"{statistics.median(busy[name]):.0f} ms of processors")  # fmt: skip
    print(f"{'loaded in':32}{load_seconds:8.1f} s\n{'peak memory':32}{peak_memory() / 1e6:8.0f} MB, "
          f"of which {before / 1e6:.0f} before it was loaded")  # fmt: skip
    print(f"{model.placement}")
    return {
        "placement": str(model.placement),
        "rounds": rounds,
        "medians_ms": {name: round(statistics.median(values), 1) for name, values in times.items()},
        "processor_ms": {name: round(statistics.median(values), 1) for name, values in busy.items()},
        "load_seconds": round(load_seconds, 2),
        "peak_memory_mb": round(peak_memory() / 1e6),
        "memory_before_mb": round(before / 1e6),
    }
