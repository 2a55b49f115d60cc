"""Sharper outlines of regions of an answer that is there: each is a step of the page's own, as what is asked is."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from playground.engines import State
from playground.errors import CheckpointUnavailable, InputRejected
from playground.masks.prompts import read_points
from playground.predictor import Predictor
from playground.regions import Box, Region
from playground.settings import Settings
from playground.ui import text
from playground.ui.components import AskData, FoundData
from playground.ui.running import PageRuns
from playground.ui.runs import Ending
from playground.ui.server.failures import sentence_of
from playground.ui.session import AskedRegions
from playground.ui.streams import errors_for_the_user

SHARPEN = "sharpen"  # what is asked, beside the follow-ups
_SECONDS_BETWEEN_LOOKS = 0.3
_SECONDS_BETWEEN_UPDATES = 0.1


class Sharpening:
    """Asks what makes masks."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._sharpener = predictor.sharpener
        self._run_seconds = settings.run_seconds

    def read(self, ask: AskData) -> dict[str, Any]:
        """Return what of an ask is for an outline. Raises InputRejected."""
        if not self._sharpener.is_on:
            raise InputRejected(text.NOT_SHARPENED, field="stage")
        points = read_points([(*point[:2], bool(point[2])) if len(point) == 3 else point for point in ask.points])
        return {"points": points, "box": _box_of(ask)}

    def wait(self, runs: PageRuns[Any], request: gr.Request) -> Iterator[None]:
        """Follow what makes masks until it is there: not in the model's queue, so that a download holds nobody up.

        Raises gr.Error where it cannot be had; the run ends with it, and the status says how it can.
        """
        ending = runs.expected(request)
        if ending is None:
            return
        status = self._sharpener.request()
        while status.is_busy and not ending.is_set():
            runs.tell(request, text.line(status.message, "busy"))
            yield
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            status = self._sharpener.status
        if status.state is State.FAILED and not ending.is_set():
            runs.tell(request, text.line(status.message, "error", status.details))
            yield
            with errors_for_the_user(), runs.run(request):  # which ends with this sentence
                raise CheckpointUnavailable(status.message)

    def answers(
        self, path: str, regions: Mapping[int, Region], wanted: AskedRegions, ending: Ending
    ) -> Iterator[tuple[FoundData, text.Line]]:
        """Yield the outlines so far, each with what is told of them; the last is final, whatever ended it."""
        started = shown_at = time.perf_counter()
        ids = [number for number in wanted.ids if number in regions]
        found: dict[int, dict[str, Any]] = {}
        ious: list[float] = []
        told: list[str] = []
        try:
            yield found_by(wanted, {}), text.sharpening_line(len(ids))
            picture = self._predictor.read_image(path)
            deadline = time.monotonic() + self._run_seconds
            rows = self._sharpener.sharpen_each(
                picture, [_with_box(regions[number], wanted.box) for number in ids], wanted.points,
                stop=ending, deadline=deadline,
            )  # fmt: skip
            for place, row in rows:
                if row.why_not:
                    told = [*told, row.why_not] if row.why_not not in told else told
                    continue
                found[ids[place]] = _fields(row.region)
                ious += [] if row.predicted_iou is None else [row.predicted_iou]
                if time.perf_counter() - shown_at > _SECONDS_BETWEEN_UPDATES and len(ids) > 1:
                    shown_at = time.perf_counter()
                    yield found_by(wanted, found), text.sharpening_line(len(ids))
            told = [*told, "Stopped before the end"] if ending.is_set() and len(found) < len(ids) else told
            line = text.sharpened_line(len(found), len(ids), time.perf_counter() - started, ious, told)
        except Exception as error:
            line = text.line(sentence_of(error), "error")
        yield found_by(wanted, found, is_final=True), line


def found_by(wanted: AskedRegions, found: Mapping[int, Mapping[str, Any]], *, is_final: bool = False) -> FoundData:
    """Return what was found about regions, as the page takes it: by id, the fields of a box that are others now."""
    changes = [{"id": number, **fields} for number, fields in found.items()]
    points = [[point.x, point.y, float(point.is_plus)] for point in wanted.points]
    return FoundData(answer=wanted.answer_id, changes=changes, points=points, is_final=is_final)


def _box_of(ask: AskData) -> Box | None:
    """Return the box that an outline began with, where the page says it."""
    if ask.box is None:
        return None
    if len(ask.box) != 4 or not all(map(math.isfinite, ask.box)):
        raise InputRejected("The box of this outline cannot be used. Choose Sharpen outline again.", field="stage")
    x0, y0, x1, y1 = ask.box
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _fields(region: Region) -> dict[str, Any]:
    """Return what of a region is another, to a tenth of a pixel, as the page has all that it shows."""
    polygons = [[[round(number, 1) for number in point] for point in part] for part in region.polygons]
    xs, ys = zip(*(point for part in polygons for point in part), strict=True)
    return {"xyxy": [min(xs), min(ys), max(xs), max(ys)], "polygons": polygons}


def _with_box(region: Region, box: Box | None) -> Region:
    return region if box is None else Region(region.label, box, region.score)
