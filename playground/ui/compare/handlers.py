"""The comparing page, between form and domain: one picture, asked twice, the second time in another way.

Parameters and results are named after components; see `wiring`. Where a component stands is `layout`'s business.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import gradio as gr

from playground.engines import State
from playground.errors import InputRejected, PlaygroundError, UnknownTask
from playground.events import RunStage
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import InputKind, get_task
from playground.ui import text
from playground.ui.compare.comparison import Comparison
from playground.ui.compare.components import OverData
from playground.ui.compare.form import Form
from playground.ui.compare.showing import LEFT, ON_TOP, RIGHT, SIDES, ShowingTwo
from playground.ui.components import StageData
from playground.ui.memory import Memory
from playground.ui.parts import SCENES, buttons, chosen_checkpoint, strip
from playground.ui.picture import Upload
from playground.ui.running import PageRuns, session_of
from playground.ui.runs import Ending
from playground.ui.server.failures import sentence_of
from playground.ui.server.files import check_kept
from playground.ui.server.run_messages import silence
from playground.ui.session import Shown, Tab, is_there
from playground.ui.streams import errors_for_the_user, paced, runner_of
from playground.ui.tabs import Held, Tabs
from playground.ui.wiring import Problems, Updates

COMPARE_NAME = "compare_on_page"  # to Gradio


class CompareHandlers:
    """The handlers of the page, over one predictor."""

    def __init__(self, predictor: Predictor, settings: Settings, first: Tabs[Tab]) -> None:
        self._predictor = predictor
        self._first = first  # of the page of one picture
        self._runner = runner_of(predictor, settings)
        self._showing = ShowingTwo(predictor.engines, predictor.read_image)
        self.tabs = Tabs(Comparison, settings.keep_files_seconds)
        self._runs = PageRuns(self.tabs, predictor.engines, settings, function=COMPARE_NAME)

    # The picture

    def take_picture(self, gesture: int, picture: Upload | None, form: Form, request: gr.Request) -> Updates:
        """Show a picture on both sides; the run about the one before is abandoned.

        A picture that cannot be used is a sentence under the field, and nothing else changes.
        """
        tab, updates = self._runs.take(picture, gesture, self._predictor.read_image, request)
        if tab is None:
            return updates
        return {
            **updates,
            "scenes": gr.update(open=False),
            **self._showing.tab(tab, is_drawing=_wants_regions(form)),
            **self._rest_of(form, request),
        }

    def take_example(self, gesture: int, examples: int, form: Form, request: gr.Request) -> Updates:
        """Show one of the pictures that come with the playground."""
        return self.take_picture(gesture, Upload(str(SCENES[examples])), form, request)

    # The page as a whole

    def open(self, memory: str, request: gr.Request) -> Updates:
        """A page was loaded: give it back what it showed before, if this is a reload.

        A first visit goes on with what was asked on the page of one picture.
        """
        kept = Memory.read(memory)
        form = Form.read(kept.form)
        tab = self.tabs.open(session_of(request), kept.before, kept.key)
        asked = self._first.kept_by(kept.first).item
        if not tab.item.path and is_there(asked):
            tab = self.tabs.change(session_of(request), lambda tab: tab if tab.item.path else Comparison(asked.unasked))
            form = form.after(asked.prediction.question) if asked.prediction else form
        updates: Updates = {"held": Held(self.tabs, session_of(request)), **self._filled(form)}
        for name in ("checkpoint", "right_checkpoint"):
            updates[name] = chosen_checkpoint(self._predictor.engines, updates[name])
        if tab.item.path:
            updates |= {"picture": strip(), "scenes": gr.update(open=False)}
            updates |= self._showing.tab(tab, is_drawing=_wants_regions(form))
        return {**updates, **self._rest_of(form, request)}

    def _filled(self, form: Form) -> Updates:
        known = [task.id for task in self._predictor.tasks(form.checkpoint)]
        names = [name for _, name in self._predictor.engines.names()]
        form = replace(
            form,
            task=form.task if form.task in known else Form().task,
            right_task=form.right_task if form.right_task in known else "",
            checkpoint=form.checkpoint if form.checkpoint in names else "",
            right_checkpoint=form.right_checkpoint if form.right_checkpoint in names else "",
        )
        fields = {name: getattr(form, name) for name in ("task", "checkpoint", "decoding")}
        others = {f"right_{name}": getattr(form, f"right_{name}") for name in ("task", "checkpoint", "decoding")}
        return {**fields, **others, **_phrases(form, with_values=True)}

    def rest(self, form: Form, request: gr.Request) -> Updates:
        """A run is over, however it ended: say what holds now. Another one may be going on."""
        tab = self.tabs.of(session_of(request))
        is_plain = bool(tab.item.path) and tab.shown is Shown.PICTURE
        alone = self._showing.tab(tab, is_drawing=_wants_regions(form), keeps_regions=True) if is_plain else {}
        return {**alone, **self._rest_of(form, request)}

    def poll(self, form: Form, request: gr.Request) -> Updates:
        """Follow the checkpoints that are chosen, and say whether to look again."""
        states = [self._predictor.engines.status(name).state for name in form.checkpoints]
        is_settled = all(state in (State.READY, State.FAILED) for state in states)
        return {"status": self._rest_of(form, request)["status"], "timer": gr.Timer(active=not is_settled)}

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self._runs.leave(request)

    def _told(self, form: Form, request: gr.Request) -> Updates:
        return {"status": self._rest_of(form, request)["status"]}

    def _rest_of(self, form: Form, request: gr.Request) -> Updates:
        line = self.tabs.of(session_of(request)).line
        status = self._showing.status(form.checkpoints, line)
        return {**buttons(is_running=self._runs.is_running(request)), "status": status}

    # The form

    def choose(self, form: Form, request: gr.Request) -> Updates:
        """The question was changed: show what it needs, and end the run about the old one."""
        tab = self.tabs.of(session_of(request))
        updates = _phrases(form)
        if self._runs.abandon(request):
            after = self.tabs.change(session_of(request), Comparison.without_partial)
            if after.shown is not tab.shown:
                alone = self._showing.tab(after, is_drawing=_wants_regions(form), keeps_regions=True)
                return {**updates, **alone, **self._rest_of(form, request)}
        return {**updates, "left": StageData(draw=_wants_regions(form), keep=True), **self._rest_of(form, request)}

    def choose_checkpoint(self, form: Form, request: gr.Request) -> Updates:
        """Begin loading in the background."""
        for name in dict.fromkeys(form.checkpoints):
            self._predictor.engines.request(name)
        return {**self.choose(form, request), "timer": gr.Timer(active=True)}

    # The run

    def check(self, form: Form, left: StageData, request: gr.Request) -> Problems:
        """Refuse what is missing before anything is queued, each sentence at its field."""
        item = self.tabs.of(session_of(request)).item
        if not item.path:
            return {"picture": text.NO_PICTURE}
        for prefix, question in zip(("", "right_"), form.questions(left), strict=True):
            try:
                check_question(question, item.resolution_wh, self._predictor.own_tasks(question.checkpoint))
            except InputRejected as error:
                if error.field == "regions":
                    return {"task": str(error)}
                return {f"{prefix}{error.field}": str(error)}
            except UnknownTask as error:
                return {f"{prefix}task": str(error)}
        return {}

    def begin(self, form: Form, left: StageData, request: gr.Request) -> Updates:
        """Let Stop be pressed from now on, while the run waits in the queue too."""
        if not self.check(form, left, request):
            self._runs.expect(request)
        return buttons(is_running=self._runs.is_running(request))

    def wait(self, form: Form, request: gr.Request) -> Iterator[Updates]:
        """Follow the checkpoints until they can answer."""
        for _ in self._runs.wait(form.checkpoints, request):
            yield self._told(form, request)

    def run(self, form: Form, left: StageData, request: gr.Request) -> Iterator[Updates]:
        """Ask about the picture of the tab twice, and show both answers while they are written."""
        with self._runs.run(request) as ending:
            if ending.is_abandoned:
                return
            try:
                yield from self._answers(form, form.questions(left), ending, request)
            except Exception as error:
                if not ending.is_abandoned:
                    self._runs.tell(request, text.line(sentence_of(error), "error"))
                    yield self._told(form, request)

    def _answers(
        self, form: Form, questions: tuple[Question, Question], ending: Ending, request: gr.Request
    ) -> Iterator[Updates]:
        item = self.tabs.of(session_of(request)).item
        check_kept(item.path)
        answers = []
        for side, question in enumerate(questions):
            for prediction in paced(self._runner.run(item.path, question, stop=ending)):
                if not self._note(request, ending, _line(side, prediction)):
                    return
                yield {**self._showing.growing(item, side, prediction), **self._told(form, request)}
            answers.append(prediction)
            if prediction.stage is RunStage.STOPPED:
                return  # what was drawn stays, but half an answer is compared with nothing
        both = answers[LEFT], answers[RIGHT]
        line = text.line(f"Done: {', '.join(_seconds(side, both[side]) for side in (LEFT, RIGHT))}", "good")
        if self._note(request, ending, line, lambda tab: tab.with_answers(both, line)):
            yield {**self._showing.whole(item, both), **self._told(form, request)}

    def _note(
        self,
        request: gr.Request,
        ending: Ending,
        line: text.Line,
        change: Callable[[Comparison], Comparison] = lambda tab: replace(tab, shown=Shown.PARTIAL),
    ) -> bool:
        """Keep what a run has said, unless it was abandoned; says whether it was kept."""
        self.tabs.change(session_of(request), lambda tab: tab if ending.is_abandoned else change(tab).saying(line))
        return not ending.is_abandoned

    def turned_away(self, form: Form, request: gr.Request) -> Updates:
        """The queue was full before the run could begin."""
        self._runs.turned_away(request)
        return self._rest_of(form, request)

    def stop(self, form: Form, request: gr.Request) -> Updates:
        """End this tab's run within one step; what was drawn is kept."""
        self._runs.stop(request)
        return self._rest_of(form, request)

    # The answers, seen in another way: never runs the model

    def choose_view(self, view: str, request: gr.Request) -> Updates:
        """Show both drawn pictures one over the other, or side by side again; not those of answers that have gone."""
        tab = self.tabs.of(session_of(request))
        if view != ON_TOP or not tab.whole:
            return {"over": OverData()}
        silence(lambda: self.tabs.of(session_of(request)).whole is not tab.whole)
        with errors_for_the_user():
            return self._showing.over(tab.item, tab.whole)


def _line(side: int, prediction: Prediction) -> text.Line:
    line = text.run_line(prediction)
    return line | {"text": f"{SIDES[side].capitalize()}: {line['text'][:1].lower()}{line['text'][1:]}"}


def _seconds(side: int, prediction: Prediction) -> str:
    return f"{SIDES[side]} {text.seconds(prediction.timings.total)}"


def _wants_regions(form: Form) -> bool:
    return any(_input_of(task) is InputKind.REGIONS for task in form.tasks)


def _input_of(task: str) -> InputKind:
    try:
        return get_task(task).input_kind
    except PlaygroundError:
        return InputKind.NONE


def _phrases(form: Form, *, with_values: bool = False) -> Updates:
    """The text fields, each shown where its side's task asks for a text."""
    updates = {}
    for prefix, task, hint in zip(("", "right_"), form.tasks, ("", "As on the left"), strict=True):
        name = f"{prefix}phrase"
        values = {"value": getattr(form, name)} if with_values else {}
        row = get_task(task)
        is_same = prefix and get_task(form.task).input_kind is row.input_kind
        updates[name] = gr.update(
            visible=row.input_kind.is_text,
            label=text.phrase_label(row),
            placeholder=hint if is_same else row.input_hint,
            **values,
        )
    return updates
