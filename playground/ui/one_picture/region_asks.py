"""Questions about regions of an answer that is there: what is found becomes part of it, as a step of the page's own.

The question of the form stays what it is, and so does the answer, until the page has taken what was found into it.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from playground.drawing.annotate import hide
from playground.drawing.cutout import cut_out
from playground.errors import InputRejected
from playground.events import RunStage
from playground.export.names import safe_name
from playground.following import FollowUp, find_follow_up, findings
from playground.predictor import Predictor
from playground.question import MAX_INPUTS, Question
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings
from playground.ui import text
from playground.ui.components import AskData, FoundData, StageData
from playground.ui.one_picture.controls import Controls
from playground.ui.one_picture.correcting import Correcting
from playground.ui.one_picture.looks import Liked
from playground.ui.one_picture.sharpening import SHARPEN, Sharpening, found_by
from playground.ui.one_picture.showing import Showing
from playground.ui.parts import buttons
from playground.ui.running import PageRuns, session_of
from playground.ui.runs import Ending
from playground.ui.server.failures import sentence_of
from playground.ui.server.files import check_kept, save_png
from playground.ui.session import AskedRegions, Item, Tab
from playground.ui.streams import Runner, errors_for_the_user, paced
from playground.ui.tabs import Tabs
from playground.ui.wiring import Updates

ASK_NAME = "ask_on_page"  # to Gradio
MORE = "more"  # of what is like the regions: no follow-up, for it is found elsewhere


class RegionAsks:
    """Asks about regions of the answer that a tab shows."""

    def __init__(
        self,
        tabs: Tabs[Tab],
        predictor: Predictor,
        settings: Settings,
        runner: Runner,
        correcting: Correcting,
        showing: Showing,
    ) -> None:
        self._tabs = tabs
        self._predictor = predictor
        self._runner = runner
        self._correcting = correcting
        self._showing = showing
        self._on_zero_gpu = settings.on_zero_gpu
        self._sharpening = Sharpening(predictor, settings)
        self.runs = PageRuns(tabs, predictor.engines, settings, function=ASK_NAME)

    def begin(self, stage: StageData, request: gr.Request, *, is_running: bool) -> Updates:
        """Let Stop be pressed from now on. Nothing that goes on is given up for it."""
        with errors_for_the_user():
            tab = self._correcting.take(stage, session_of(request))
            ask = stage.ask or AskData()
            what = ask.what if ask.what in (MORE, SHARPEN) else find_follow_up(ask.what).id
            if what in (MORE, SHARPEN) and self._on_zero_gpu:
                raise InputRejected(text.NOT_ON_ZERO_GPU, field="stage")
            item, regions = _regions_of(tab, ask)
            # The next point of an outline takes the place of the one before, of which nobody wants to see more.
            is_next = what == SHARPEN and tab.wanted is not None and tab.wanted.what == SHARPEN
            if is_running or (self.runs.is_running(request) and not is_next):
                raise InputRejected(text.STILL_ANSWERING, field="stage")
            check_kept(item.path)
            more = self._sharpening.read(ask) if what == SHARPEN else {}
            wanted = AskedRegions(what, ask.answer, tuple(regions), **more)
            self._tabs.change(session_of(request), lambda tab: replace(tab, wanted=wanted))
        self.runs.expect(request)
        return buttons(is_running=True)

    def wait(self, checkpoint: str, request: gr.Request) -> Iterator[Updates]:
        """Follow what is to answer until it can."""
        wanted = self._tabs.of(session_of(request)).wanted
        sharpens = wanted is not None and wanted.what == SHARPEN
        waits = self._sharpening.wait(self.runs, request) if sharpens else self.runs.wait([checkpoint], request)
        for _ in waits:
            yield {"status": self._status(checkpoint, request)}

    def ask(self, checkpoint: str, decoding: str, liked: Liked, request: gr.Request) -> Iterator[Updates]:
        """Ask, and show what is found while it is written; what is alike is an answer of its own."""
        with self.runs.run(request) as ending:
            tab = self._tabs.of(session_of(request))
            item = tab.workspace.find(tab.wanted.answer_id) if tab.wanted else None
            if item is None or tab.wanted is None:
                return
            if tab.wanted.what == MORE:
                yield from self._more(item, tab.wanted, checkpoint, liked, ending, request)
                return
            if tab.wanted.what == SHARPEN:
                answers = self._sharpening.answers(item.path, regions_by_id(item), tab.wanted, ending)
            else:
                answers = self._answers(item, tab.wanted, checkpoint, decoding, ending)
            for found, line in answers:
                if ending.is_abandoned:
                    return
                self.runs.tell(request, line)
                yield {"stage": StageData(keep=True, found=found), "status": self._status(checkpoint, request)}

    def _more(
        self,
        item: Item,
        wanted: AskedRegions,
        checkpoint: str,
        liked: Liked,
        ending: Ending,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Find what is alike to regions. The slider of the lowest score is that of the likeness."""
        self.runs.tell(request, text.line(text.LOOKING_FOR_MORE, "busy"))
        yield {"status": self._status(checkpoint, request)}
        regions = regions_by_id(item)
        boxes = [regions[number].xyxy for number in wanted.ids if number in regions]
        try:
            found = self._predictor.find_more(item.path, boxes, checkpoint=checkpoint, stop=ending)
        except Exception as error:
            self.runs.tell(request, text.line(sentence_of(error), "error"))
            yield {"status": self._status(checkpoint, request)}
            return
        if ending.is_set():
            self.runs.tell(request, text.line(text.STOPPED_LOOKING, "warning"))
            yield {"status": self._status(checkpoint, request)}
            return
        line = text.run_line(found.keep(self._showing.first_view(found, liked).counts))
        tab = self._tabs.change(session_of(request), lambda tab: tab.with_answer(item.path, found, None, line))
        yield self._showing.answer(tab.item, found, liked)

    def _answers(
        self, item: Item, wanted: AskedRegions, checkpoint: str, decoding: str, ending: Ending
    ) -> Iterator[tuple[FoundData, text.Line]]:
        """Yield what is found so far, each with what is told of it; the last is final, whatever ended the questions."""
        row, started = find_follow_up(wanted.what), time.perf_counter()
        regions = regions_by_id(item)
        found: dict[int, Any] = {}
        told: list[str] = []
        try:
            asked = [number for number in wanted.ids if number in regions]
            for start in range(0, len(asked), MAX_INPUTS):
                ids = asked[start : start + MAX_INPUTS]
                boxes = tuple(regions[number].xyxy for number in ids)
                question, before = Question(row.task, "", boxes, checkpoint, decoding), found
                for prediction in paced(self._runner.run(item.path, question, stop=ending)):
                    said = {} if prediction.is_unsure else findings(row, boxes, prediction)
                    found = before | {ids[place]: value for place, value in said.items()}
                    yield (
                        found_by(wanted, _changes(row, found)),
                        text.asking_line(row.doing, len(wanted.ids), prediction),
                    )
                told += [notice for notice in _news(prediction, item) if notice not in told]
                if prediction.stage is RunStage.STOPPED or ending.is_set():
                    break
            told = [*told, "Stopped before the end"] if ending.is_set() else told
            line = text.asked_line(row.done, len(found), len(wanted.ids), time.perf_counter() - started, told)
        except Exception as error:
            line = text.line(sentence_of(error), "error")
        yield found_by(wanted, _changes(row, found), is_final=True), line

    def turned_away(self, checkpoint: str, request: gr.Request) -> Updates:
        """The queue was full before it could begin."""
        self.runs.turned_away(request)
        return {"status": self._status(checkpoint, request)}

    def cut_out(self, stage: StageData, controls: Controls, request: gr.Request) -> Updates:
        """Write the pixels of a region, at full size, as a file of Gradio's cache; what is hidden stays so."""
        with errors_for_the_user():
            tab = self._correcting.take(stage, session_of(request))
            item, regions = _regions_of(tab, stage.ask or AskData())
            check_kept(item.path)
            region = next(iter(regions.values()))
            view, answer = controls.view_of(item), item.prediction
            assert answer is not None, "its regions are known"
            image = hide(self._predictor.read_image(item.path).pixels, answer.keep(view.shows), view.look)
            name = safe_name(region.label, fallback="region", max_bytes=60)
            return {"file": save_png(cut_out(image, region), f"{item.name}-{name}")}

    def _status(self, checkpoint: str, request: gr.Request) -> list[text.Line]:
        return self._showing.status(checkpoint, self._tabs.of(session_of(request)).line)


def regions_by_id(item: Item) -> dict[int, Region]:
    regions = item.prediction.regions if item.prediction else ()
    return dict(zip(item.ids, regions, strict=True))


def _regions_of(tab: Tab, ask: AskData) -> tuple[Item, dict[int, Region]]:
    """Return what is asked about: regions by their ids. Raises InputRejected where there are none."""
    item = tab.workspace.find(ask.answer)
    known = regions_by_id(item) if item else {}
    regions = {number: known[number] for number in ask.ids if number in known and known[number].area > 0}
    if item is None or not regions:
        raise InputRejected("These regions are gone. Choose one that is on the picture.", field="stage")
    return item, regions


def _news(prediction: Prediction, item: Item) -> list[str]:
    """What is to be told of an answer, but for what the one before told already."""
    before = item.said.notices if item.said else ()
    return [notice for notice in prediction.notices if notice not in before]


def _changes(row: FollowUp, found: dict[int, Any]) -> dict[int, dict[str, Any]]:
    return {number: {row.gives: value} for number, value in found.items()}
