"""Scenes that are made by hand, and the plans of small drawn ones."""

from functools import cache

from playground.regions import Box, Region
from playground.scenes.scene import SIGN, ScenePlan, Thing, plan_scene


def thing(color: str, kind: str, xyxy: Box, *, size: str = "medium", hidden: float = 0.0, word: str = "") -> Thing:
    x_min, y_min, x_max, y_max = xyxy
    triangle = ((x_min, y_max), ((x_min + x_max) / 2, y_min), (x_max, y_max))
    quad = (x_min + 2, y_min + 2, x_max - 2, y_min + 2, x_max - 2, y_max - 2, x_min + 2, y_max - 2)
    writing = Region(word, (x_min + 2, y_min + 2, x_max - 2, y_max - 2), xyxyxyxy=quad) if word else None
    return Thing(kind, color, size, Region(kind, xyxy, polygons=(triangle,)), writing, hidden)


def scene_of(*things: Thing, background: str = "beach") -> ScenePlan:
    return ScenePlan(seed=1, background=background, things=things, resolution_wh=(100, 100))


ORANGE_FISH = thing("orange", "fish", (20, 10, 50, 30))
RED_CAR = thing("red", "car", (10, 40, 60, 70))
BLUE_CAR = thing("blue", "car", (62, 80, 80, 95), size="small", hidden=0.2)
OPEN_SIGN = thing("white", SIGN, (70, 5, 95, 25), size="large", word="OPEN")
BEACH = scene_of(OPEN_SIGN, ORANGE_FISH, RED_CAR, BLUE_CAR)
EMPTY = scene_of()


@cache
def drawn_scenes(count: int = 70) -> tuple[ScenePlan, ...]:
    """Return scenes of the first seeds, square and wide by turns."""
    resolutions = ((64, 64), (90, 40))
    return tuple(plan_scene(seed, resolution_wh=resolutions[seed % 2]) for seed in range(count))
