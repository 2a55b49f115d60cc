"""The drawn scenes that come with the page, and what is right to find in them."""

import json
from typing import Any

from playground import paths

TRUTH: dict[str, Any] = json.loads((paths.EXAMPLES / "truth.json").read_text("utf-8"))
MEADOW = paths.EXAMPLES / "meadow.png"  # 720 x 720: a white kite, a white star, a red tree and a brown car
BOXES = {thing["label"]: thing["xyxy"] for thing in TRUTH["meadow.png"]["things"]}
BEACH = paths.EXAMPLES / "beach.png"  # 900 x 900: a rocket, a ball and an umbrella
LABELS = ["rocket", "ball", "umbrella"]  # in the order of the answer


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(x_max - x_min) * (y_max - y_min) for x_min, y_min, x_max, y_max in (a, b)]
    return shared / (sum(areas) - shared)


def assert_finds(prediction: dict[str, Any], name: str) -> None:
    """Every thing of an example has exactly one region, with its label and nearly its box."""
    regions, things = prediction["regions"], TRUTH[name]["things"]
    assert sorted(region["label"] for region in regions) == sorted(thing["label"] for thing in things)
    for thing in things:
        assert max(iou(r["xyxy"], thing["xyxy"]) for r in regions if r["label"] == thing["label"]) > 0.7, thing
