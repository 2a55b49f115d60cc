"""Regions of each shape, predictions of them, and a picture to draw on."""

import numpy as np
from PIL import Image

from playground.question import Question
from playground.regions import Region
from playground.results import Prediction

BOX = Region("car", (40.0, 60.0, 120.0, 110.0), 0.5)
QUAD = Region("STOP", (50.0, 20.0, 110.0, 60.0), 0.25, xyxyxyxy=(60.0, 20.0, 110.0, 30.0, 100.0, 60.0, 50.0, 50.0))
TWO_PARTS = Region(
    "wheels",
    (20.0, 20.0, 100.0, 40.0),
    polygons=(((20.0, 20.0), (40.0, 20.0), (40.0, 40.0), (20.0, 40.0)), ((80.0, 20.0), (100.0, 20.0), (90.0, 40.0))),
)


def predict(*regions: Region, resolution_wh: tuple[int, int] = (160, 120)) -> Prediction:
    return Prediction(Question("<OD>"), "tiny-florence2", resolution_wh, regions=regions)


def noise() -> Image.Image:
    """A picture of 160 x 120 pixels."""
    return Image.fromarray(np.random.default_rng(7).integers(60, 200, (120, 160, 3), dtype=np.uint8))


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    return np.any(np.asarray(before) != np.asarray(after), axis=2)
