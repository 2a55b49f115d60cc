"""Where things are in a picture: boxes, quads, polygons, and `Region`, one located thing.

The types say what pydantic accepts of a value from outside; a value that is made here is checked by its class alone.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, TypeAdapter

MAX_REGIONS = 5000  # of a prediction from outside, and parts of an outline
MAX_POINTS = 100_000  # of a polygon
MAX_TEXT = 200_000  # characters


def _whole_characters(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):  # JSON carries half a surrogate pair, no file does
        raise ValueError("it must hold whole characters")
    return text


Text = Annotated[str, Field(strict=True, max_length=MAX_TEXT), AfterValidator(_whole_characters)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]

Box = tuple[Number, Number, Number, Number]
Quad = tuple[Number, Number, Number, Number, Number, Number, Number, Number]
Point = tuple[Number, Number]
Polygon = Annotated[tuple[Point, ...], Field(max_length=MAX_POINTS)]

Source = Literal["model", "edited", "added"]
Cover = Literal["", "cover", "blur", "pixelate"]  # styles that hide


@dataclass(frozen=True, slots=True)
class Region:
    """One located thing. Coordinates are pixels of the upright original, as floats.

    `score` is in 0..1, or None where it was not measured. `xyxyxyxy` holds the corners of a quad, clockwise from
    the top left of the text; `polygons` the parts of one outline, each of at least three points. `source` says who
    drew it: the model, the model and then a person ("edited"), or a person alone ("added"). `original` is what the
    model had said, where a person has changed it; `text` what was asked about the region afterwards. `cover` is the
    style under which a person has hidden it, wherever its picture goes.
    """

    label: Text
    xyxy: Box
    score: Number | None = None
    xyxyxyxy: Quad | None = None
    polygons: Annotated[tuple[Polygon, ...], Field(max_length=MAX_REGIONS)] = ()
    source: Source = "model"
    text: Text = ""
    original: "Region | None" = None
    cover: Cover = ""
    track: Annotated[int, Field(strict=True, ge=1)] | None = None

    def __post_init__(self) -> None:
        if len(self.xyxy) != 4:
            raise ValueError(f"xyxy must have 4 numbers, but got {len(self.xyxy)}.")
        if self.xyxyxyxy is not None and len(self.xyxyxyxy) != 8:
            raise ValueError(f"xyxyxyxy must have 8 numbers, but got {len(self.xyxyxyxy)}.")
        if any(len(polygon) < 3 for polygon in self.polygons):
            raise ValueError("a polygon must have at least 3 points.")
        points = [value for polygon in self.polygons for point in polygon for value in point]
        numbers = [*self.xyxy, *(self.xyxyxyxy or ()), *points]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("coordinates must be finite numbers.")
        x_min, y_min, x_max, y_max = self.xyxy
        if x_max < x_min or y_max < y_min:
            raise ValueError(f"xyxy must be ordered as x_min, y_min, x_max, y_max, but got {self.xyxy}.")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score must be in 0..1 or None, but got {self.score}.")
        if self.source not in ("model", "edited", "added"):
            raise ValueError(f"source must be model, edited or added, but got {self.source!r}.")
        if self.cover not in get_args(Cover):
            raise ValueError(f"cover must be cover, blur, pixelate or nothing, but got {self.cover!r}.")
        if self.original is not None and self.original.original is not None:
            raise ValueError("original must be what the model said, which has no original.")

    @property
    def outline(self) -> tuple[Polygon, ...]:
        """The finest shape of the region, as parts: its polygons, else its quad, else the corners of its box."""
        if self.polygons:
            return self.polygons
        x_min, y_min, x_max, y_max = self.xyxy
        corners = self.xyxyxyxy or (x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max)
        return (tuple(zip(corners[::2], corners[1::2], strict=True)),)

    @property
    def area(self) -> float:
        """Area of the outline in square pixels, its parts added up."""
        return sum(polygon_area(part) for part in self.outline)

    def is_sure(self, min_score: float) -> bool:
        """Whether it is shown from a score on; what has no score, or a person has changed, is not judged by it."""
        return self.source != "model" or bool(self.cover) or self.score is None or self.score >= min_score

    def moved(self, x: float, y: float) -> "Region":
        """Return the region so many pixels farther right and down."""
        by = (x, y) * 4
        quad: Any = self.xyxyxyxy and tuple(map(sum, zip(self.xyxyxyxy, by, strict=True)))
        box: Any = tuple(map(sum, zip(self.xyxy, by, strict=False)))
        polygons = tuple(tuple((point[0] + x, point[1] + y) for point in part) for part in self.polygons)
        return replace(self, xyxy=box, xyxyxyxy=quad, polygons=polygons)

    def moved_to(self, end: Box, share: float = 1.0) -> "Region":
        """Return the region that share of the way to where its box will be, its shape with it."""
        x, y, x_max, y_max = self.xyxy
        new_x, new_y, new_x_max, new_y_max = (
            now + share * (then - now) for now, then in zip(self.xyxy, end, strict=True)
        )
        x_scale, y_scale = (new_x_max - new_x) / max(x_max - x, 1e-6), (new_y_max - new_y) / max(y_max - y, 1e-6)

        def moved(point: Point) -> Point:
            return new_x + (point[0] - x) * x_scale, new_y + (point[1] - y) * y_scale

        corners = zip(self.xyxyxyxy[::2], self.xyxyxyxy[1::2], strict=True) if self.xyxyxyxy else ()
        quad: Any = tuple(value for corner in corners for value in moved(corner)) or None
        polygons = tuple(tuple(map(moved, part)) for part in self.polygons)
        return replace(self, xyxy=(new_x, new_y, new_x_max, new_y_max), xyxyxyxy=quad, polygons=polygons)

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form; what only some regions have is there only where this one has it."""
        wire: dict[str, Any] = _WIRE.dump_python(self, mode="json", exclude={"original"})
        if self.original is not None:
            wire["original"] = self.original.to_dict()
        return {name: value for name, value in wire.items() if value or name not in _OF_SOME}


_OF_SOME = ("xyxyxyxy", "polygons", "text", "original", "cover", "track")  # fields of the wire form

_WIRE = TypeAdapter(Region)


def polygon_area(polygon: Polygon) -> float:
    """Return the area inside a polygon in square pixels (the shoelace formula)."""
    next_points = (*polygon[1:], polygon[0])
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(polygon, next_points, strict=True))) / 2
