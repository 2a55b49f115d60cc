"""A picture of a data set with what is true of it, whatever format says so."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from playground.annotate.sources import PictureSource
from playground.errors import ImageRejected
from playground.export.outlines import box_inside, clip
from playground.question import Question
from playground.regions import Box, Polygon, Quad, Region
from playground.tasks import InputKind, OutputKind, Task, get_task

_SLACK = 0.01  # of a side: by so much a box may reach out of a picture without being called wrong
_RATIO_SLACK = 0.02  # by which the sides of a picture may be in another ratio than its labels say

_READS = (OutputKind.QUADS, OutputKind.TEXT)  # what answers in the words of a place

FrameSize = tuple[float, float]  # a width and a height


@dataclass(frozen=True, slots=True)
class Labeled:
    """A picture, or why there is none, and what is true of it.

    `name` says which picture it is, within its data set, `source` where it is; `source.problem` is a sentence where it
    cannot be had at all. `regions` lie in a frame of `frame_wh`, without one in the picture's own pixels;
    `LabeledData.open` returns them in those. `ignored` are regions of which nobody may say whether they were found:
    crowds, and what is marked as difficult. `texts` are captions, what is to be read, or answers, each as good as
    another. `question` is what was asked, where the data says so; its regions lie in the frame too. `subset` is train,
    val, test, or a name of the data's own. `said_by` names the file and the place where all that stands. `faults` are
    sentences about what of it was left out.
    """

    name: str
    source: PictureSource
    regions: tuple[Region, ...] = ()
    texts: tuple[str, ...] = ()
    question: Question | None = None
    subset: str = ""
    said_by: str = ""
    frame_wh: FrameSize | None = None
    ignored: tuple[Region, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """Why there is no picture, as a sentence; nothing where there is one."""
        return self.source.problem

    def regions_answer(self, task: Task) -> bool:
        """Whether its regions may be an answer to a task, which need not be the one that the data asks.

        What was read is nothing that was found, what is in one region not all of a picture, and what has no name gives
        none.
        """
        if self.question is None or self.question.task == task.id:
            return True
        own = get_task(self.question.task)
        is_part = own.input_kind is InputKind.REGIONS and task.input_kind is not InputKind.REGIONS
        is_unnamed = task.output_kind is OutputKind.LABELED_BOXES and not all(region.label for region in self.regions)
        is_read = own.output_kind is OutputKind.QUADS
        return is_read is (task.output_kind in _READS) and not is_part and not is_unnamed

    def checked(self) -> "Labeled":
        """Return it without what lies outside the frame, if there is one, and what stands twice; and say so."""
        once = tuple(dict.fromkeys(self.regions))
        faults: list[str] = []
        if len(once) < len(self.regions):
            faults.append(f"{len(self.regions)} regions are {len(once)}: what stands there again was taken once.")
        if self.frame_wh is None:
            return replace(self, regions=once, faults=(*self.faults, *faults))
        regions = tuple(_inside(once, self.frame_wh, faults))
        ignored = tuple(_inside(self.ignored, self.frame_wh, []))
        return replace(self, regions=regions, ignored=ignored, faults=(*self.faults, *faults))

    def in_pixels(self, resolution_wh: tuple[int, int]) -> "Labeled":
        """Return it in the pixels of its picture, which has this size. Raises ImageRejected where that is another."""
        width, height = resolution_wh
        if self.frame_wh is None:
            return replace(self, frame_wh=(width, height)).checked()
        x, y = width / self.frame_wh[0], height / self.frame_wh[1]
        is_shares = self.frame_wh[0] == self.frame_wh[1]  # as YOLO and Florence-2 count: of each side for itself
        if not is_shares and abs(x / y - 1) > _RATIO_SLACK:
            raise ImageRejected(
                f"The picture has {width} x {height} pixels, but {self.said_by} is about one of "
                f"{self.frame_wh[0]:g} x {self.frame_wh[1]:g}. Label the picture as it is seen upright."
            )
        if x == y == 1:
            return self
        question = self.question and replace(
            self.question, regions=tuple(_scaled_box(box, x, y) for box in self.question.regions)
        )
        return replace(
            self,
            regions=tuple(_scaled_region(region, x, y) for region in self.regions),
            ignored=tuple(_scaled_region(region, x, y) for region in self.ignored),
            question=question,
            frame_wh=(width, height),
        )


def unusable(name: str, problem: str, *, subset: str = "", said_by: str = "") -> Labeled:
    """Return what stands for a place of a data set that holds no picture: a sentence."""
    return Labeled(name, PictureSource(name, problem=problem), subset=subset, said_by=said_by)


def region_of(label: str, box: Box | None, parts: Iterable[Polygon] = (), *, text: str = "") -> Region | None:
    """Return a region with its outline, or with its box alone where the outline says no more; None without area."""
    polygons = tuple(part for part in parts if len(part) >= 3)
    if box is None:
        points = [point for part in polygons for point in part]
        if not points:
            return None
        xs, ys = [x for x, _ in points], [y for _, y in points]
        box = min(xs), min(ys), max(xs), max(ys)
    if box[2] <= box[0] or box[3] <= box[1]:
        return None
    if len(polygons) == 1 and _is_rectangle(polygons[0]):
        polygons = ()
    return Region(label, box, polygons=polygons, source="added", text=text)


def _is_rectangle(polygon: Polygon) -> bool:
    """Whether a polygon is a box with upright sides, as formats without boxes write one."""
    corners = {(round(x, 3), round(y, 3)) for x, y in polygon}
    return len(corners) == 4 and len({x for x, _ in corners}) == 2 and len({y for _, y in corners}) == 2


def _inside(regions: Iterable[Region], frame_wh: FrameSize, faults: list[str]) -> Iterable[Region]:
    width, height = frame_wh
    whole = f"the picture of {width:g} x {height:g}" if frame_wh != (1, 1) else "the picture, whose sides are 1,"
    size = cast(tuple[int, int], frame_wh)
    for region in regions:
        x_min, y_min, x_max, y_max = region.xyxy
        out_x, out_y = max(-x_min, x_max - width) / width, max(-y_min, y_max - height) / height
        if out_x <= 0 and out_y <= 0:
            yield region
            continue
        box = box_inside(region, size)
        what = f"A box of “{region.label}” ({x_min:g}, {y_min:g}, {x_max:g}, {y_max:g})"
        if box[2] <= box[0] or box[3] <= box[1]:
            faults.append(f"{what} lies outside {whole} and was left out.")
            continue
        if max(out_x, out_y) > _SLACK:
            faults.append(f"{what} reaches out of {whole} and was cut off at its edge.")
        parts = (clip(part, size) for part in region.polygons)
        yield replace(region, xyxy=box, polygons=tuple(part for part in parts if len(part) >= 3))


def _scaled_box(box: Box, x: float, y: float) -> Box:
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def _scaled_region(region: Region, x: float, y: float) -> Region:
    quad = region.xyxyxyxy and tuple(value * (y if index % 2 else x) for index, value in enumerate(region.xyxyxyxy))
    polygons = tuple(tuple((px * x, py * y) for px, py in part) for part in region.polygons)
    return replace(
        region, xyxy=_scaled_box(region.xyxy, x, y), xyxyxyxy=cast(Quad | None, quad or None), polygons=polygons
    )
