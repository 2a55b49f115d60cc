"""What a mask is asked for by, what comes of it, and how such points are read from outside. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from playground.errors import InputRejected
from playground.regions import Box, Number, Polygon, Region
from playground.wire import what_is_wrong

MAX_MASK_POINTS = 64  # of one region


@dataclass(frozen=True, slots=True)
class MaskPoint:
    """A point that a mask is to hold, or with a minus to leave out, in pixels of the upright original."""

    x: Number
    y: Number
    is_plus: bool = True


@dataclass(frozen=True, slots=True)
class MaskPrompt:
    """A box, and points that say more of what in it is meant."""

    box: Box
    points: tuple[MaskPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class MaskOutline:
    """The parts of an outline, none where the mask is empty.

    `predicted_iou` is how far the model expects its mask to overlap the true one, from 0 to 1: its own guess, which is
    no score of what is in the mask.
    """

    polygons: tuple[Polygon, ...]
    predicted_iou: float


@dataclass(frozen=True, slots=True)
class Sharpened:
    """A region with its sharper outline; as it was where there is none, and then `why_not` says why."""

    region: Region
    predicted_iou: float | None = None
    why_not: str = ""


_POINTS = TypeAdapter(Annotated[tuple[tuple[Number, Number, bool], ...], Field(max_length=MAX_MASK_POINTS)])


def read_points(points: Any) -> tuple[MaskPoint, ...]:
    """Read points, each as [x, y, whether it is a plus]. Raises InputRejected."""
    if isinstance(points, Sequence) and all(isinstance(point, MaskPoint) for point in points):
        points = [(point.x, point.y, point.is_plus) for point in points]
    try:
        return tuple(MaskPoint(*point) for point in _POINTS.validate_python(() if points is None else points))
    except ValidationError as error:
        raise InputRejected(
            f"These points cannot be used: {what_is_wrong(error)}. Give up to {MAX_MASK_POINTS}, each as "
            "[x, y, true for plus or false for minus] in pixels.",
            field="points",
        ) from error
