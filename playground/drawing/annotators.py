"""What supervision's annotators lack for the styles: a bright halo, a cover, and one mask for all regions."""

from __future__ import annotations  # of a library that is imported late

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from playground.drawing.colors import PALETTE
from playground.late import Late

if TYPE_CHECKING:
    import supervision as sv
else:
    sv = Late("supervision")

_COVER_MARGIN = 0.05  # of the side of a box, on each side


@cache
def sv_palette() -> sv.ColorPalette:
    """Return the palette as supervision's annotators take it."""
    return sv.ColorPalette.from_hex(list(PALETTE))


class Annotator(Protocol):
    """What supervision's annotators have in common."""

    def annotate(self, scene: Any, detections: sv.Detections) -> Any:
        """Draw detections on a BGR picture."""


@dataclass(frozen=True, slots=True)
class HaloAnnotator:
    """A glow round each mask. supervision's own blends its colors with black, so that it comes out as a dark smear."""

    opacity: float
    radius: int

    def annotate(self, scene: npt.NDArray[np.uint8], detections: sv.Detections) -> npt.NDArray[np.uint8]:
        """Return the picture with the glow; the masks themselves stay as they are."""
        masks = detections.mask
        assert isinstance(masks, sv.CompactMask), "the style needs polygons"
        height, width = masks.image_shape
        step = max(1, self.radius // 3)  # a glow has no detail, and a small one is painted and blurred faster
        small = replace(detections, mask=masks.resize((math.ceil(height / step), math.ceil(width / step))))
        shape = union(small).mask[0].astype(np.uint8) * 255
        colors = sv.MaskAnnotator(sv_palette(), 1).annotate(np.zeros((*shape.shape, 3), dtype=np.uint8), small)
        glow = Image.fromarray(np.dstack([colors, shape])).convert("RGBa")
        glow = glow.filter(ImageFilter.GaussianBlur(self.radius / step)).convert("RGBA")
        light = np.minimum(np.asarray(glow.getchannel("A")), 127) * (2 * self.opacity)
        size, smooth = (width, height), Image.Resampling.BILINEAR
        mask = np.array(Image.fromarray(light.astype(np.uint8)).resize(size, smooth))
        mask[union(detections).mask[0]] = 0
        picture = Image.fromarray(scene)
        picture.paste(glow.convert("RGB").resize(size, smooth), mask=Image.fromarray(mask))
        return np.array(picture)


class CoverAnnotator:
    """Black over each box and a margin round it, which makes up for a box that is a little too small."""

    def annotate(self, scene: npt.NDArray[np.uint8], detections: sv.Detections) -> npt.NDArray[np.uint8]:
        """Return the picture with the boxes filled; no pixel of it stays under them."""
        height, width = scene.shape[:2]
        sides = detections.xyxy[:, 2:] - detections.xyxy[:, :2]
        margins = np.maximum(_COVER_MARGIN * sides, 1)
        least = np.floor(np.clip(detections.xyxy[:, :2] - margins, 0, None)).astype(int)
        most = np.ceil(np.clip(detections.xyxy[:, 2:] + margins, None, (width, height))).astype(int)
        covered = scene.copy()
        for (x_min, y_min), (x_max, y_max) in zip(least.tolist(), most.tolist(), strict=True):
            covered[y_min:y_max, x_min:x_max] = 0
        return covered


def union(detections: sv.Detections) -> Any:
    """Return one detection whose mask, shape (1, h, w), is that of all together; boxes without masks as they are."""
    masks = detections.mask
    if not isinstance(masks, sv.CompactMask):
        return detections
    together = np.zeros(masks.image_shape, dtype=bool)
    for index, (x, y) in enumerate(masks.offsets.tolist()):
        crop = masks.crop(index)
        together[y : y + crop.shape[0], x : x + crop.shape[1]] |= crop
    height, width = together.shape
    return sv.Detections(xyxy=np.array([[0, 0, width, height]]), mask=together[None])


def halve_width(detections: sv.Detections) -> sv.Detections:
    """Return the detections with boxes of half the width and the same centers."""
    x_min, y_min, x_max, y_max = detections.xyxy.T
    inset = (x_max - x_min) / 4
    return replace(detections, xyxy=np.stack([x_min + inset, y_min, x_max - inset, y_max], axis=1))
