"""A part of a picture seen close up, with what is drawn on that part. Knows nothing of the page that shows it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from playground.drawing.annotate import draw
from playground.drawing.styles import Look
from playground.regions import Box, Region
from playground.results import Prediction

SIDE = 2000  # pixels of the longer side: lines are as thick as on a whole picture, however small the part
_MARGIN = 0.25  # of the part, on each side: a small move shows what is there already


def draw_closeup(
    image: Image.Image,
    original_wh: tuple[int, int],
    xyxy: Box,
    prediction: Prediction | None,
    look: Look,
    labels: Iterable[str] = (),
) -> tuple[Image.Image, Box]:
    """Return a part of an RGB picture with some of what is around it, and where that is.

    Coordinates, those of the prediction too, are pixels of the upright original of size `original_wh`, of which `image`
    may be a smaller copy. The regions of the prediction are drawn as `draw` does; `labels` as there.
    """
    left, top, right, bottom = part = _widened(xyxy, original_wh)
    scale = SIDE / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    across, down = image.width / original_wh[0], image.height / original_wh[1]
    box = (left * across, top * down, right * across, bottom * down)
    closeup = image.resize(size, Image.Resampling.BICUBIC, box)
    if prediction is not None:
        closeup = draw(closeup, _within(prediction, part, size), look, labels)
    return closeup, part


def _widened(xyxy: Box, resolution_wh: tuple[int, int]) -> Box:
    (x_min, y_min, x_max, y_max), (width, height) = xyxy, resolution_wh
    margin_x, margin_y = _MARGIN * (x_max - x_min), _MARGIN * (y_max - y_min)
    left, top = max(0.0, x_min - margin_x), max(0.0, y_min - margin_y)
    return left, top, min(float(width), x_max + margin_x), min(float(height), y_max + margin_y)


def _within(prediction: Prediction, part: Box, size: tuple[int, int]) -> Prediction:
    """Return the regions that reach into a part, in pixels of it; what is outside lies on its edge."""
    left, top, right, bottom = part
    scale = np.array(size) / (right - left, bottom - top)

    def moved(numbers: Iterable[float]) -> tuple[float, ...]:
        points = (np.asarray(tuple(numbers), float).reshape(-1, 2) - (left, top)) * scale
        return tuple(np.clip(points, 0, size).ravel().tolist())

    def move(region: Region) -> Region:
        x_min, y_min, x_max, y_max = moved(region.xyxy)
        quad: Any = moved(region.xyxyxyxy) if region.xyxyxyxy else None
        flat = [moved(number for point in polygon for number in point) for polygon in region.polygons]
        polygons = tuple(tuple(zip(numbers[::2], numbers[1::2], strict=True)) for numbers in flat)
        return replace(region, xyxy=(x_min, y_min, x_max, y_max), xyxyxyxy=quad, polygons=polygons)

    seen = [
        region
        for region in prediction.regions
        if region.xyxy[0] < right and region.xyxy[2] > left and region.xyxy[1] < bottom and region.xyxy[3] > top
    ]
    return replace(prediction, regions=tuple(move(region) for region in seen), resolution_wh=size)
