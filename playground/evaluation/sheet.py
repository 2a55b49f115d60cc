"""The worst pictures of a data set, small, with what is true and what was found drawn on them by supervision."""

import io
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import supervision as sv
from PIL import Image

from playground.datasets.reading import LabeledData
from playground.errors import ImageRejected
from playground.evaluation.data_figures import BadPicture
from playground.regions import Region

_SIDE = 360  # pixels
_TRUE, _FOUND = sv.Color.from_hex("#16a34a"), sv.Color.from_hex("#f97316")  # green and orange, told apart by all
_JPEG_QUALITY = 82


def draw_worst(data: LabeledData, worst: Sequence[BadPicture]) -> list[str]:
    """Return the pictures as addresses that hold them; an empty one where a picture is gone by now."""
    return [_address(data, bad) for bad in worst]


def _address(data: LabeledData, bad: BadPicture) -> str:
    with suppress(ImageRejected):
        image, _ = data.open(bad.outcome.labeled)
        drawn = draw_beside_truth(image.pixels, image.resolution_wh, bad.truth, bad.found)
        content = io.BytesIO()
        drawn.save(content, "JPEG", quality=_JPEG_QUALITY)
        return f"data:image/jpeg;base64,{b64encode(content.getvalue()).decode()}"
    return ""


def draw_beside_truth(
    pixels: Image.Image, resolution_wh: tuple[int, int], truth: Sequence[Region], found: Sequence[Region]
) -> Image.Image:
    """Return a small picture with what is true, in broad lines, under what was found, in narrow ones."""
    small = pixels.copy()
    small.thumbnail((_SIDE, _SIDE))
    scale = np.array([small.width / resolution_wh[0], small.height / resolution_wh[1]] * 2)
    scene = np.ascontiguousarray(np.asarray(small)[:, :, ::-1])  # supervision paints BGR
    for regions, color, thickness in ((truth, _TRUE, 4), (found, _FOUND, 2)):
        if regions:
            boxes = np.array([region.xyxy for region in regions]) * scale
            painter = sv.BoxAnnotator(color, thickness)
            scene = painter.annotate(
                scene, sv.Detections(boxes.astype(np.float32), class_id=np.zeros(len(boxes), dtype=int))
            )
    return Image.fromarray(scene[:, :, ::-1])
