"""What can be asked about the regions of an answer once they are there, and what each of them gets of it.

A pure table over the tasks that ask about regions. Knows no engine and no page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from playground.errors import InputRejected
from playground.regions import Box, Region
from playground.results import Prediction
from playground.tasks import Task


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One thing to ask about regions: `task` is what is asked, `gives` the field of a region that its answer fills."""

    id: str
    task: str
    gives: Literal["label", "text", "polygons"]
    doing: str  # a word for the one that goes on
    done: str


FOLLOW_UPS = (
    FollowUp("name", "<REGION_TO_CATEGORY>", "label", "Naming", "Named"),
    FollowUp("describe", "<REGION_TO_DESCRIPTION>", "text", "Describing", "Described"),
    FollowUp("read", "<REGION_TO_OCR>", "text", "Reading", "Read"),
    FollowUp("outline", "<REGION_TO_SEGMENTATION>", "polygons", "Outlining", "Outlined"),
)


def find_follow_up(name: str) -> FollowUp:
    """Return a row of the table. Raises InputRejected for a name that has none."""
    for row in FOLLOW_UPS:
        if row.id == name:
            return row
    known = ", ".join(row.id for row in FOLLOW_UPS)
    raise InputRejected(f"{name[:40]!r} is nothing that is asked about a region. Ask one of: {known}.", field="stage")


def given_by(task: Task) -> Literal["label", "text", "polygons"]:
    """Return which field of a region the answer to a task about it fills."""
    return next((row.gives for row in FOLLOW_UPS if row.task == task.id), "text")


def findings(row: FollowUp, asked: Sequence[Box], prediction: Prediction) -> dict[int, Any]:
    """Return what an answer says about each of the regions that were asked about, by its place among them.

    A region about which it says nothing has no entry.
    """
    found: dict[int, Any] = {}
    for region in prediction.regions:
        value = region.polygons if row.gives == "polygons" else region.label
        free = [place for place in range(len(asked)) if place not in found]
        if value and free:
            found[min(free, key=lambda place: _distance(asked[place], region))] = value
    return found


def _distance(asked: Box, region: Region) -> float:
    """How far a region is from where it was asked about: a box comes back through bins, an outline lies inside."""
    return sum(abs(a - b) for a, b in zip(asked, region.xyxy, strict=True))
