"""Regions as supervision's detections and masks, in the pixels of a picture of any size."""

from __future__ import annotations  # of a library that is imported late

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from playground.drawing.colors import class_id_of
from playground.late import Late
from playground.regions import Region
from playground.results import Prediction

if TYPE_CHECKING:
    import supervision as sv
else:
    sv = Late("supervision")

Shape = Literal["boxes", "quads", "polygons"]


def shapes_of(prediction: Prediction) -> set[Shape]:
    """Return the shapes that the regions have; each of them has a box."""
    shapes: set[Shape] = {"boxes"} if prediction.regions else set()
    if any(region.xyxyxyxy for region in prediction.regions):
        shapes.add("quads")
    if any(region.polygons for region in prediction.regions):
        shapes.add("polygons")
    return shapes


def to_detections(prediction: Prediction, *, resolution_wh: tuple[int, int] | None = None) -> sv.Detections:
    """Return the regions as detections in pixels of `resolution_wh`, by default those of the prediction.

    `class_id` is a hash of the label. `confidence` is set only where every region has a score, `mask` only where
    one has polygons, and the corners of oriented boxes only where one has a quad; a region without stands in with
    its box. What lies outside the picture is moved to its edge.
    """
    regions = prediction.regions
    if not regions:
        return sv.Detections.empty()
    from supervision.config import CLASS_NAME_DATA_FIELD, ORIENTED_BOX_COORDINATES

    shapes, scores = shapes_of(prediction), [region.score for region in regions]
    data: dict[str, Any] = {CLASS_NAME_DATA_FIELD: _object_array([region.label for region in regions])}
    if "quads" in shapes:
        fit = _fitter(prediction, resolution_wh)
        data[ORIENTED_BOX_COORDINATES] = np.array([fit(_quad(region)) for region in regions], dtype=np.float32)
    return sv.Detections(
        xyxy=boxes_inside(prediction, resolution_wh=resolution_wh),
        mask=masks(prediction, resolution_wh=resolution_wh) if "polygons" in shapes else None,
        confidence=None if None in scores else np.array(scores, dtype=np.float32),
        class_id=np.array([class_id_of(region.label) for region in regions], dtype=np.int64),
        data=data,
    )


def boxes_inside(prediction: Prediction, *, resolution_wh: tuple[int, int] | None = None) -> npt.NDArray[np.float32]:
    """Return the boxes of the regions, moved into the picture, shape (n, 4)."""
    fit = _fitter(prediction, resolution_wh)
    return np.array([fit(region.xyxy).ravel() for region in prediction.regions], dtype=np.float32).reshape(-1, 4)


def masks(prediction: Prediction, *, resolution_wh: tuple[int, int] | None = None) -> sv.CompactMask:
    """Return the pixels of each region, of at least one: of its polygons together, else of its quad, else of its box.

    Compact, since dense masks of 256 regions can take 10 GB; `np.asarray` makes them dense, shape (n, h, w).
    """
    size, fit = resolution_wh or prediction.resolution_wh, _fitter(prediction, resolution_wh)
    return sv.CompactMask.merge([_mask([fit(part) for part in region.outline], size) for region in prediction.regions])


MAX_PAINTED_MEGAPIXELS = 400  # of a picture's regions together: some ten seconds of a processor


def painted_megapixels(prediction: Prediction, *, resolution_wh: tuple[int, int] | None = None) -> float:
    """Return how many pixels the boxes of all regions and of the parts of their outlines have together, in millions."""
    fit = _fitter(prediction, resolution_wh)
    parts = (fit(part) for region in prediction.regions for part in region.polygons)
    boxes = (fit(region.xyxy) for region in prediction.regions)
    return float(sum((points.max(axis=0) - points.min(axis=0)).prod() for points in (*boxes, *parts))) / 1e6


def _quad(region: Region) -> tuple[float, ...]:
    x_min, y_min, x_max, y_max = region.xyxy
    return region.xyxyxyxy or (x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max)


def _fitter(
    prediction: Prediction, resolution_wh: tuple[int, int] | None
) -> Callable[[npt.ArrayLike], npt.NDArray[np.float64]]:
    """Return what maps points of the prediction to those inside a picture of another size, shape (n, 2)."""
    limits = np.array(resolution_wh or prediction.resolution_wh)
    scale = limits / prediction.resolution_wh
    return lambda points: np.clip(np.asarray(points, dtype=np.float64).reshape(-1, 2) * scale, 0, limits)


def _mask(parts: list[npt.NDArray[np.float64]], resolution_wh: tuple[int, int]) -> sv.CompactMask:
    """Fill the parts of one outline, which add up where they overlap.

    Florence-2 cannot write a hole. Where an outline crosses itself one would be left, which the stage does not show
    and for which supervision's writers can fail: it is filled.
    """
    width, height = resolution_wh
    pixels = [np.minimum(part.astype(np.int64), [width - 1, height - 1]) for part in parts]
    x_min, y_min = np.concatenate(pixels).min(axis=0).tolist()
    x_max, y_max = np.concatenate(pixels).max(axis=0).tolist()
    crop_wh = (x_max - x_min + 1, y_max - y_min + 1)
    crop = np.zeros(crop_wh[::-1], dtype=bool)
    for part in pixels:
        _fill(crop, part - [x_min, y_min])
    for contour in sv.mask_to_polygons(crop):
        _fill(crop, contour)
    whole = np.array([[0, 0, crop_wh[0], crop_wh[1]]])
    mask = sv.CompactMask.from_dense(crop[None], whole, crop.shape)
    return mask.with_offset(x_min, y_min, new_image_shape=(height, width))


def _fill(mask: npt.NDArray[np.bool_], polygon: npt.NDArray[Any]) -> None:
    """Fill a polygon in a mask; only the pixels of its box are touched."""
    (x_min, y_min), (x_max, y_max) = polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()
    part = sv.polygon_to_mask(polygon - [x_min, y_min], (x_max - x_min + 1, y_max - y_min + 1))
    mask[y_min : y_max + 1, x_min : x_max + 1] |= part.astype(bool)


def _object_array(values: list[str]) -> npt.NDArray[np.object_]:
    # NumPy's own text type gives every row the room of the longest, and a label may have 200,000 characters.
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
