"""Scenes as a data set that anyone can use, and in numbers.

    python -m playground.scenes --out FOLDER --count 1000    # pictures and a COCO file
    python -m playground.scenes --stats                      # what the scenes are like

Knows no model and no training.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from playground.arguments import whole
from playground.scenes.captions import caption, detailed_caption, more_detailed_caption
from playground.scenes.scene import ScenePlan, Thing, make_scene, plan_scene
from playground.scenes.things import KINDS

_STATS_COUNT = 1000
_MIN_OVERLAP = 0.02  # share of a thing that others hide, from which on they count as overlapping


def write_scenes(folder: Path, *, count: int, first_seed: int = 0, resolution_wh: tuple[int, int] = (512, 512)) -> None:
    """Write `count` scenes as PNG, and `annotations.json` in the format of COCO (cocodataset.org/#format-data).

    Boxes and outlines are those of what is visible. Fields beyond COCO's: of an image `seed`, `background` and three
    captions; of an annotation `attributes` (color, size and the hidden share), and where a word is printed `text` and
    `quad`, the corners of the text, clockwise from its top left. Raises OSError as writing does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, seed in enumerate(range(first_seed, first_seed + count), start=1):
        scene = make_scene(seed, resolution_wh=resolution_wh)
        name = f"scene_{seed:06d}.png"
        scene.image.save(folder / name)
        images.append({"id": image_id, "file_name": name, **_image_fields(scene)})
        for thing in scene.things:
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **_annotation_fields(thing)})
    categories = [{"id": number, "name": kind, "supercategory": "thing"} for number, kind in enumerate(KINDS, start=1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")


def _image_fields(scene: ScenePlan) -> dict[str, Any]:
    width, height = scene.resolution_wh
    return {
        "width": width,
        "height": height,
        "seed": scene.seed,
        "background": scene.background,
        "caption": caption(scene)[0],
        "detailed_caption": detailed_caption(scene)[0],
        "more_detailed_caption": more_detailed_caption(scene)[0],
    }


def _annotation_fields(thing: Thing) -> dict[str, Any]:
    x_min, y_min, x_max, y_max = thing.region.xyxy
    fields = {
        "category_id": KINDS.index(thing.kind) + 1,
        "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
        "segmentation": [[value for point in polygon for value in point] for polygon in thing.region.polygons],
        "area": thing.region.area,
        "iscrowd": 0,
        "attributes": {"color": thing.color, "size": thing.size, "hidden": round(thing.hidden, 3)},
    }
    return fields | {"text": thing.writing.label, "quad": thing.writing.xyxyxyxy} if thing.writing else fields


def statistics(count: int, first_seed: int = 0, *, resolution_wh: tuple[int, int] = (512, 512)) -> dict[str, float]:
    """Return what `count` scenes are like: means, shares in 0..1, and how many kinds, colors and so on occur in them.

    Sides are shares of the picture's width or height, characters of its height; NaN where there is nothing to measure.
    """
    scenes = [plan_scene(seed, resolution_wh=resolution_wh) for seed in range(first_seed, first_seed + count)]
    things = [thing for scene in scenes for thing in scene.things]
    heights = [height for thing in things if (height := _character_height(thing))]
    return {
        "things_per_scene": len(things) / count,
        "median_side": median(_sides(things, resolution_wh)) if things else math.nan,
        "min_character_height": min(heights, default=math.nan) / resolution_wh[1],
        "scenes_with_overlap": sum(any(t.hidden > _MIN_OVERLAP for t in s.things) for s in scenes) / count,
        "scenes_with_words": sum(any(t.writing for t in s.things) for s in scenes) / count,
        "scenes_without_things": sum(not s.things for s in scenes) / count,
        "kinds": len({thing.kind for thing in things}),
        "colors": len({thing.color for thing in things}),
        "sizes": len({thing.size for thing in things}),
        "backgrounds": len({scene.background for scene in scenes}),
    }


def _sides(things: Sequence[Thing], resolution_wh: tuple[int, int]) -> list[float]:
    """Return the widths and heights of boxes as shares of the picture's."""
    boxes = [thing.region.xyxy for thing in things]
    return [(box[axis + 2] - box[axis]) / resolution_wh[axis] for box in boxes for axis in (0, 1)]


def _character_height(thing: Thing) -> float | None:
    """Return the height of a printed word, the left side of its quad, in pixels."""
    if thing.writing is None or thing.writing.xyxyxyxy is None:
        return None
    x, y, *_, x_below, y_below = thing.writing.xyxyxyxy
    return math.hypot(x_below - x, y_below - y)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a data set or print statistics; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m playground.scenes", description="Draw seeded scenes.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=Path, metavar="FOLDER", help="write pictures and a COCO file, annotations.json")
    action.add_argument("--stats", action="store_true", help="print what the scenes are like, write nothing")
    parser.add_argument("--count", type=whole(1), help=f"how many scenes; --stats takes {_STATS_COUNT} by default")
    parser.add_argument("--seed", type=whole(), default=0, help="of the first scene; the next ones count up from it")
    parser.add_argument("--size", type=_resolution, default=(512, 512), metavar="WxH", help="pixels, as 512x512")
    options = parser.parse_args(arguments)
    if options.stats:
        figures = statistics(options.count or _STATS_COUNT, options.seed, resolution_wh=options.size)
        print("\n".join(f"{name:<22}{value:>9.4g}" for name, value in figures.items()))
        return 0
    if options.count is None:
        parser.error("--out needs --count, how many scenes to write.")
    try:
        write_scenes(options.out, count=options.count, first_seed=options.seed, resolution_wh=options.size)
    except OSError as error:
        parser.error(f"{options.out} cannot be written: {error.strerror}.")
    return 0


def _resolution(text: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give width and height as 512x512.") from None
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; both sides must be at least 1 pixel.")
    return width, height
