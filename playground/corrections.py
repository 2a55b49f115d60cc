"""What a person makes of an answer: regions changed, added and deleted.

The answer of the model stays what it was; `Corrections` say what is different, and `corrected` what comes of both.
Knows no page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from playground.choosing import text_with
from playground.errors import InputRejected
from playground.regions import MAX_REGIONS, Box, Cover, Polygon, Quad, Region, Source, Text
from playground.results import Prediction
from playground.wire import what_is_wrong

_SLACK = 0.1  # pixels: the page rounds to that


@dataclass(frozen=True, slots=True)
class Corrections:
    """The regions that are not as the model said.

    Each is known by its id: its place in the model's answer, or one beyond the end of it where a person added it.
    None is a region that was deleted.
    """

    by_id: tuple[tuple[int, Region | None], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def __len__(self) -> int:
        return len(self.by_id)


NO_CORRECTIONS = Corrections()


def corrected(said: Prediction, corrections: Corrections) -> Prediction:
    """Return the answer as a person has corrected it; `said` is the model's."""
    if not corrections:
        return said
    regions = tuple(region for _, region in _numbered(said, corrections))
    return replace(said, regions=regions, text=text_with(said, regions))


def ids_of(said: Prediction, corrections: Corrections) -> tuple[int, ...]:
    """Return the ids of the regions of the corrected answer, in their order."""
    return tuple(number for number, _ in _numbered(said, corrections))


def _numbered(said: Prediction, corrections: Corrections) -> list[tuple[int, Region]]:
    by_id: dict[int, Region | None] = {**dict(enumerate(said.regions)), **dict(corrections.by_id)}
    return [(number, region) for number, region in sorted(by_id.items(), key=lambda row: row[0]) if region]


@dataclass(frozen=True, slots=True)
class _Change:
    """One correction as the page sends it."""

    id: Annotated[int, Field(strict=True, ge=0, le=100 * MAX_REGIONS)]
    gone: bool = False
    label: Text = ""
    xyxy: Box | None = None
    quad: Quad | None = None
    polygons: Annotated[tuple[Polygon, ...], Field(max_length=MAX_REGIONS)] = ()
    text: Text = ""
    source: Source = "edited"
    cover: Cover = ""


_CHANGES = TypeAdapter(Annotated[list[_Change], Field(max_length=MAX_REGIONS)])


def read_corrections(changes: Sequence[Mapping[str, Any]], said: Prediction) -> Corrections:
    """Read what a page says is different from an answer. Raises InputRejected with what is wrong."""
    try:
        read = _CHANGES.validate_python(changes)
        return Corrections(tuple(sorted({row.id: _region(row, said) for row in read}.items())))
    except ValidationError as error:
        raise _refused(what_is_wrong(error)) from error
    except ValueError as error:
        raise _refused(str(error).rstrip(".")) from error


def _region(change: _Change, said: Prediction) -> Region | None:
    if change.gone:
        return None
    if change.xyxy is None:
        raise ValueError("xyxy is missing")
    before = said.regions[change.id] if change.id < len(said.regions) else None
    label = " ".join(change.label.split())
    region = Region(label, change.xyxy, None, change.quad, change.polygons, "added", change.text, cover=change.cover)
    _check_within(region, said.resolution_wh)
    if before is None:
        return region
    is_as_said = change.source == "model" or (region.label == before.label and region.outline == before.outline)
    source: Source = "model" if is_as_said else "edited"
    is_reshaped = change.source == "model" and not _are_alike(region.outline, before.outline)  # by a model, when asked
    original = before if is_reshaped or not is_as_said else None
    return replace(region, source=source, score=before.score, original=original)


def _are_alike(outline: tuple[Polygon, ...], other: tuple[Polygon, ...]) -> bool:
    """Whether two outlines are the same but for how the page rounds them."""
    points, others = ([number for part in one for point in part for number in point] for one in (outline, other))
    return list(map(len, outline)) == list(map(len, other)) and all(
        abs(a - b) <= _SLACK for a, b in zip(points, others, strict=True)
    )


def _check_within(region: Region, resolution_wh: tuple[int, int]) -> None:
    points = [*(point for part in region.outline for point in part), region.xyxy[:2], region.xyxy[2:]]
    for point in points:
        if any(not -_SLACK <= value <= side + _SLACK for value, side in zip(point, resolution_wh, strict=True)):
            width, height = resolution_wh
            raise ValueError(f"the point {point} is outside of the picture, which has {width} x {height} pixels")


def _refused(reason: str) -> InputRejected:
    return InputRejected(f"These corrections cannot be kept: {reason}. Reload the page and try again.", field="stage")
