"""The widget, between form and domain: a picture, one question that the address fixes, and its answer.

Parameters and results are named after components; see `wiring`. Where a component stands is `layout`'s business.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from playground.drawing.annotate import draw
from playground.drawing.colors import colors_of
from playground.drawing.styles import default_styles
from playground.errors import InputRejected, PlaygroundError
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import InputKind, get_task
from playground.ui import text
from playground.ui.components import StageData, boxes_from
from playground.ui.memory import Memory
from playground.ui.parts import SCENES, buttons, strip
from playground.ui.picture import Upload
from playground.ui.running import PageRuns, session_of
from playground.ui.runs import Ending
from playground.ui.server.failures import sentence_of
from playground.ui.server.files import check_kept, save_jpeg
from playground.ui.session import Item, Shown, Tab
from playground.ui.shown import answer_text, shown_at_first
from playground.ui.streams import paced, runner_of
from playground.ui.tabs import Held, Tabs
from playground.ui.taking import remember, stage_of
from playground.ui.widget.fixed import Fixed
from playground.ui.wiring import Problems, Updates

WIDGET_NAME = "run_widget"  # to Gradio


class WidgetHandlers:
    """The handlers of the widget, over one predictor."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._runner = runner_of(predictor, settings)
        self.tabs = Tabs(Tab, settings.keep_files_seconds)
        self._runs = PageRuns(self.tabs, predictor.engines, settings, function=WIDGET_NAME)

    # The widget as a whole

    def open(self, memory: str, address: str, request: gr.Request) -> Updates:
        """A page has put the widget into a frame: show what the address fixes, and after a reload what was there."""
        fixed, kept = self._fixed(address), Memory.read(memory)
        self._predictor.engines.request(fixed.checkpoint)
        tab = self.tabs.open(session_of(request), kept.before, kept.key)
        task = get_task(fixed.task)
        updates: Updates = {
            "address": address,
            "held": Held(self.tabs, session_of(request)),
            "phrase": gr.update(
                visible=task.input_kind.is_text and not fixed.has_phrase,
                label=text.phrase_label(task),
                placeholder=task.input_hint,
                value=fixed.phrase,
            ),
        }
        if not tab.item.path and fixed.example:
            path = next(str(path) for path in SCENES if path.stem == fixed.example)
            item = remember(Upload(path), self._predictor.read_image(path))
            new = Tab().with_picture(item, -1)
            tab = self.tabs.change(session_of(request), lambda tab: tab if tab.item.path else new)
        if tab.item.path:
            shown = self._whole(tab.item, tab.answer, fixed) if tab.answer else _plain(tab.item, fixed)
            updates |= {"picture": strip(), **shown}
        problems = [text.line(problem, "error") for problem in fixed.problems]
        return {**updates, "problem": problems, **self._rest_of(address, request)}

    def rest(self, address: str, request: gr.Request) -> Updates:
        """A run is over, however it ended: say what holds now. Another one may be going on."""
        tab = self.tabs.of(session_of(request))
        is_plain = bool(tab.item.path) and tab.shown is Shown.PICTURE
        alone = _plain(tab.item, self._fixed(address), regions=None) if is_plain else {}
        return {**alone, **self._rest_of(address, request)}

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self._runs.leave(request)

    def _fixed(self, address: str) -> Fixed:
        names = [name for _, name in self._predictor.engines.names()]
        return Fixed.read(address, checkpoints=names, examples=[path.stem for path in SCENES])

    def _rest_of(self, address: str, request: gr.Request) -> Updates:
        return {**buttons(is_running=self._runs.is_running(request)), "status": self._status(address, request)}

    def _status(self, address: str, request: gr.Request) -> list[text.Line]:
        line = self.tabs.of(session_of(request)).line
        status = self._predictor.engines.status(self._fixed(address).checkpoint)
        return [*([] if line else [text.checkpoint_line(status)]), *([line] if line else [])]

    # The picture

    def take_picture(self, gesture: int, picture: Upload | None, address: str, request: gr.Request) -> Updates:
        """Show a picture from the field; the run about the one before is abandoned.

        A picture that cannot be used is a sentence under the field, and nothing else changes.
        """
        tab, updates = self._runs.take(picture, gesture, self._predictor.read_image, request)
        if tab is None:
            return updates
        return {**updates, **_plain(tab.item, self._fixed(address)), **self._rest_of(address, request)}

    def take_example(self, gesture: int, examples: int, address: str, request: gr.Request) -> Updates:
        """Show one of the pictures that come with the playground."""
        return self.take_picture(gesture, Upload(str(SCENES[examples])), address, request)

    # The run

    def check(self, address: str, phrase: str, stage: StageData, request: gr.Request) -> Problems:
        """Refuse what is missing before anything is queued, each sentence at its field."""
        item = self.tabs.of(session_of(request)).item
        if not item.path:
            return {"picture": text.NO_PICTURE}
        question = self._question(address, phrase, stage)
        try:
            check_question(question, item.resolution_wh, self._predictor.own_tasks(question.checkpoint))
        except InputRejected as error:
            return {"phrase" if error.field == "phrase" else "picture": str(error)}
        except PlaygroundError as error:
            return {"picture": str(error)}
        return {}

    def _question(self, address: str, phrase: str, stage: StageData) -> Question:
        fixed, regions = self._fixed(address), stage.regions
        drawn: Any = regions or ()
        return Question(fixed.task, fixed.phrase or phrase, drawn, fixed.checkpoint)

    def begin(self, address: str, phrase: str, stage: StageData, request: gr.Request) -> Updates:
        """Let Stop be pressed from now on, while the run waits in the queue too."""
        if not self.check(address, phrase, stage, request):
            self._runs.expect(request)
        return buttons(is_running=self._runs.is_running(request))

    def wait(self, address: str, request: gr.Request) -> Iterator[Updates]:
        """Follow the checkpoint until it can answer."""
        for _ in self._runs.wait([self._fixed(address).checkpoint], request):
            yield {"status": self._status(address, request)}

    def run(self, address: str, phrase: str, stage: StageData, request: gr.Request) -> Iterator[Updates]:
        """Ask about the picture of the tab, and show the answer while it is written."""
        with self._runs.run(request) as ending:
            if ending.is_abandoned:
                return
            try:
                yield from self._answers(self._question(address, phrase, stage), address, ending, request)
            except Exception as error:
                if not ending.is_abandoned:
                    self._runs.tell(request, text.line(sentence_of(error), "error"))
                    yield {"status": self._status(address, request)}

    def _answers(self, question: Question, address: str, ending: Ending, request: gr.Request) -> Iterator[Updates]:
        item, fixed = self.tabs.of(session_of(request)).item, self._fixed(address)
        check_kept(item.path)
        for prediction in paced(self._runner.run(item.path, question, stop=ending)):
            self._note(item, prediction, ending, request)
            if ending.is_abandoned:
                return
            shown = self._whole(item, prediction, fixed) if prediction.is_final else self._growing(item, prediction)
            yield {**shown, "status": self._status(address, request)}

    def _note(self, item: Item, prediction: Prediction, ending: Ending, request: gr.Request) -> None:
        line = text.run_line(self._seen(prediction))

        def note(tab: Tab) -> Tab:
            if ending.is_abandoned:
                return tab
            if prediction.is_final:
                return tab.with_answer(item.path, prediction, None, line)
            return replace(tab, shown=Shown.PARTIAL, line=line)

        self.tabs.change(session_of(request), note)

    def turned_away(self, address: str, request: gr.Request) -> Updates:
        """The queue was full before the run could begin."""
        self._runs.turned_away(request)
        return self._rest_of(address, request)

    def stop(self, address: str, request: gr.Request) -> Updates:
        """End this tab's run within one step; what was drawn is kept."""
        self._runs.stop(request)
        return self._rest_of(address, request)

    # What is shown

    def _seen(self, prediction: Prediction) -> Prediction:
        return shown_at_first(prediction, self._predictor.engines.status(prediction.checkpoint).checkpoint.min_score)

    def _growing(self, item: Item, prediction: Prediction) -> Updates:
        seen = self._seen(prediction)
        boxes = boxes_from(seen, colors_of(region.label for region in seen.regions))
        return {"stage": stage_of(item, boxes=boxes, busy=True), "answer": answer_text(prediction, seen)}

    def _whole(self, item: Item, prediction: Prediction, fixed: Fixed) -> Updates:
        seen = self._seen(prediction)
        stage = stage_of(
            item,
            boxes=boxes_from(seen, colors_of(region.label for region in seen.regions)),
            annotated=self._annotated(item, seen, fixed),
            label_size=fixed.look.label_size if fixed.look.labels else 0,
            alt=text.alt_text(prediction, seen),
        )
        return {"stage": stage, "answer": answer_text(prediction, seen)}

    def _annotated(self, item: Item, seen: Prediction, fixed: Fixed) -> FileData | None:
        """The picture with the regions drawn in the style of the address; without one the page draws them."""
        styles = fixed.look.styles or (default_styles(seen) if get_task(seen.task).covers else ())
        if not styles or not seen.regions:
            return None
        picture = self._predictor.read_image(item.display_path).pixels
        look = replace(fixed.look, styles=styles, labels=False)
        return FileData(path=save_jpeg(draw(picture, seen, look), "annotated"))


def _plain(item: Item, fixed: Fixed, regions: list[list[float]] | None = []) -> Updates:  # noqa: B006  # never changed
    """The picture alone; `regions` as in `StageData`."""
    is_drawing = get_task(fixed.task).input_kind is InputKind.REGIONS
    return {"stage": stage_of(item, draw=is_drawing, regions=regions), "answer": ""}
