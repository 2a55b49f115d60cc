"""What the page of one picture shows of a picture, of an answer and of a run: updates by the names of components.

Knows what is shown; when it is, `handlers` know.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from playground.drawing.annotate import draw
from playground.drawing.closeup import draw_closeup
from playground.drawing.colors import colors_of
from playground.drawing.styles import styles_for
from playground.engines import Engines
from playground.errors import InputRejected, PlaygroundError
from playground.events import RunStage
from playground.pictures.reader import InputImage
from playground.regions import Box
from playground.results import Prediction
from playground.tasks import get_task
from playground.ui import text
from playground.ui.components import (
    BoxData,
    CloseupData,
    EditsData,
    RegionTableData,
    StageData,
    boxes_from,
    edits_from,
    truth_from,
)
from playground.ui.one_picture.formats import formats_offered
from playground.ui.one_picture.looks import Liked
from playground.ui.one_picture.names import NamesData, limits_shown
from playground.ui.one_picture.where import GlancesData
from playground.ui.reading import ReadingData, reading_from
from playground.ui.server.files import save_jpeg
from playground.ui.session import Item
from playground.ui.shown import answer_text
from playground.ui.taking import stage_of
from playground.ui.view import View
from playground.ui.wiring import Updates


class Showing:
    """What is shown of answers, each by the checkpoint that gave it and on the display copy of its picture."""

    def __init__(self, engines: Engines, read_image: Callable[[str], InputImage]) -> None:
        self._engines = engines
        self._read_image = read_image

    def status(self, checkpoint: str = "", run: text.Line | None = None) -> list[text.Line]:
        """Which checkpoint answers, on what device, and what it is doing."""
        lines = [text.checkpoint_line(self._engines.status(checkpoint))]
        return [*lines, run] if run else lines

    def partial(self, item: Item, prediction: Prediction, liked: Liked) -> Updates:
        """An answer that is being written: its regions and words so far, and nothing that only a whole one has."""
        view = self.first_view(prediction, liked)
        boxes, seen = _listed(prediction, view), prediction.keep(view.counts)
        is_new = prediction.stage is RunStage.WAITING
        hidden: list[int] | None = [] if is_new else None  # what the user hides later stays
        return {
            "stage": stage_of(item, boxes=boxes, busy=True, hidden=hidden),
            "answer": answer_text(prediction, seen),
            "reading": ReadingData(),
            "table": RegionTableData(boxes=boxes, hidden=hidden, empty=text.TABLE_EMPTY),
            "notes": [],
            "status": self.status(prediction.checkpoint, text.run_line(seen)),
            "details": gr.update(visible=False),  # they are about the answer before
        }

    def answer(self, item: Item, prediction: Prediction, liked: Liked) -> Updates:
        """A whole answer as it is seen at first, with the controls by which it can be seen in another way."""
        view = self.first_view(prediction, liked)
        labels, chosen = text.label_choices(prediction), list(view.look.styles)
        shown = self.as_seen(item, prediction, view)
        return {
            **shown,
            "stage": offering(shown["stage"], prediction).model_copy(update={"hidden": []}),
            "table": shown["table"].model_copy(update={"hidden": []}),
            "status": self.status(prediction.checkpoint, text.run_line(prediction.keep(view.counts))),
            "details": gr.update(visible=True),
            "looks": gr.update(visible=bool(prediction.regions)),
            "style": gr.update(choices=style_choices(prediction), value=chosen),
            "has_labels": view.look.labels,
            "opacity": view.look.opacity,
            "label_size": view.look.label_size,
            "min_score": view.min_score,
            "merge": view.merged is not None,
            "labels": gr.update(choices=labels, value=[label for _, label in labels]),
            "format": formats_offered(prediction, liked.looks.format),
            "raw": text.raw_segments(prediction.raw_text),
            "glances": GlancesData(),
            "timings": [text.line(text.timings_line(prediction.timings))],
        }

    def lowest_score(self, checkpoint: str, liked: Liked) -> float:
        """The score from which on regions are shown that are not there yet."""
        row = self._engines.status(checkpoint).checkpoint
        return liked.looks.min_scores.get(row.name, row.min_score)

    def min_score(self, prediction: Prediction) -> float:
        """The lowest score that is shown, as the checkpoint that answered has it."""
        return self._engines.status(prediction.checkpoint).checkpoint.min_score

    def first_view(self, prediction: Prediction, liked: Liked) -> View:
        """How an answer is seen before anybody has chosen anything for it."""
        return liked.first_view(prediction, self.min_score(prediction))

    def as_seen(self, item: Item, prediction: Prediction, view: View, *, is_drawn: bool = True) -> Updates:
        """A whole answer in a view, without the controls; `is_drawn` as a picture too."""
        listed, seen = _listed(prediction, view, item.ids), prediction.keep(view.counts)
        places = [place for place, region in enumerate(prediction.regions) if view.lists(place, region)]
        can_correct = prediction.regions or item.corrections or not get_task(prediction.task).output_kind.is_text
        stage = stage_of(
            item,
            boxes=listed,
            annotated=self._annotated(item, prediction, view) if is_drawn else None,
            answer=item.answer_id,
            edits=_edits(item) if can_correct else None,
            label_size=view.look.label_size if view.look.labels else 0,
            alt=text.alt_text(prediction, seen),
            truth=truth_from(text.truth(item.truth), item.truth.regions) if item.truth else None,
        )
        welcome = [text.line(text.WELCOME)] if item.is_welcome else []
        told = self._engines.status(prediction.checkpoint).checkpoint.note
        return {
            "stage": stage,
            "answer": answer_text(prediction, seen),
            "reading": reading_from(prediction, listed, places),
            "table": RegionTableData(boxes=listed, empty=text.table_empty(prediction), asks=bool(can_correct)),
            **limits_shown(prediction, view.min_score, view.limits),
            "notes": [*welcome, *text.notes(prediction, seen, told=told)],
        }

    def closer(self, item: Item, wanted: CloseupData, answer: Prediction | None, view: View) -> Updates:
        """A part of the picture at its own sharpness, with what is drawn there. Raises InputRejected for no part."""
        xyxy = _part_of(item.resolution_wh, wanted.xyxy)
        picture, look = self._read_image(item.path), replace(view.look, labels=False)
        shown, labels = (answer.keep(view.shows), labels_of(answer)) if answer else (None, ())
        part, where = draw_closeup(picture.pixels, item.resolution_wh, xyxy, shown, look, labels)
        closeup = CloseupData(xyxy=list(where), of=wanted.of, image=FileData(path=save_jpeg(part, "closeup")))
        return {"stage": StageData(closeup=closeup, keep=True)}

    def _annotated(self, item: Item, prediction: Prediction, view: View) -> FileData | None:
        """The picture with its regions drawn; their labels the page writes, readable at any width."""
        shown = prediction.keep(view.shows)
        if not shown.regions:
            return None
        try:
            picture, look = self._read_image(item.display_path), replace(view.look, labels=False)
            return FileData(path=save_jpeg(draw(picture.pixels, shown, look, labels_of(prediction)), "annotated"))
        except (PlaygroundError, OSError):
            return None  # the copy is gone, or there is no room for another: the answer is not lost for it


def offering(stage: StageData, prediction: Prediction) -> StageData:
    """Return what the stage shows where the labels of an answer are offered to choose from with it."""
    edits = stage.edits and stage.edits.model_copy(update={"offered": list(prediction.label_counts())})
    return stage.model_copy(update={"edits": edits})


def labels_of(prediction: Prediction) -> tuple[str, ...]:
    """The labels of a whole answer, by which its colors are chosen whatever is hidden."""
    return tuple(region.label for region in prediction.regions)


def _part_of(resolution_wh: tuple[int, int], xyxy: list[float]) -> Box:
    if len(xyxy) == 4 and all(map(math.isfinite, xyxy)):
        x_min, x_max = (min(max(x, 0.0), resolution_wh[0]) for x in xyxy[::2])
        y_min, y_max = (min(max(y, 0.0), resolution_wh[1]) for y in xyxy[1::2])
        if x_max - x_min >= 1 and y_max - y_min >= 1:
            return x_min, y_min, x_max, y_max
    raise InputRejected("The part in view must be x_min, y_min, x_max, y_max in pixels of the picture.", field="stage")


def _listed(prediction: Prediction, view: View, ids: Sequence[int] = ()) -> list[BoxData]:
    boxes = boxes_from(prediction, colors_of(labels_of(prediction)), ids)
    places = enumerate(zip(boxes, prediction.regions, strict=True))
    return [box for place, (box, region) in places if view.lists(place, region)]


def scenes_for(item: Item) -> Any:
    """The drawn scenes to choose from, folded away once there is another picture to look at."""
    return gr.update(open=item.seed is not None)


def plain(item: Item, *, is_drawing: bool, keeps_regions: bool = False) -> Updates:
    """The picture of an item alone, without any answer."""
    return {
        "stage": stage_of(item, draw=is_drawing, regions=None if keeps_regions else []),
        "answer": "",
        "reading": ReadingData(),
        "table": RegionTableData(empty=text.TABLE_EMPTY, hidden=[]),
        "names": NamesData(found=[]),
        "notes": [],
        "details": gr.update(visible=False),
    }


def style_choices(prediction: Prediction) -> list[tuple[str, str]]:
    """The styles that draw something of an answer, as choices."""
    return [(style.title, style.id) for style in styles_for(prediction)]


def way_back(put_aside: Item | None) -> Any:
    """The button that brings back a corrected answer, where one is not shown any more."""
    count = len(put_aside.corrections) if put_aside else 0
    return gr.update(value=text.way_back_label(count), visible=count > 0)


def drawing(*, is_drawing: bool) -> StageData:
    """Whether regions can be drawn on the stage, and nothing else of it."""
    return StageData(draw=is_drawing, keep=True)


def _edits(item: Item) -> EditsData:
    count = len(item.said.regions) if item.said else 0
    return edits_from(item.answer_id, count, item.version, item.corrections)


def pages_of(item: Item) -> Any:
    """The choice of a page, where the file of the picture has several."""
    choices = [(text.page_title(page, item.num_pages), page) for page in range(item.num_pages)]
    return gr.update(choices=choices, value=item.page, visible=item.num_pages > 1)
