"""The page of one picture, between form and domain: each handler reads the form, makes one call, and writes the form.

Parameters and results are named after components; see `wiring`. Where a component stands is `layout`'s business.
"""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import gradio as gr

from playground.errors import InputRejected, UnknownTask
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Box
from playground.results import Prediction
from playground.scenes.scene import Scene
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, InputKind, get_task
from playground.ui import scene, text
from playground.ui.components import CloseupData, StageData
from playground.ui.link import Link
from playground.ui.memory import Memory
from playground.ui.one_picture.chosen import Chosen, Follower
from playground.ui.one_picture.controls import Controls
from playground.ui.one_picture.correcting import Correcting
from playground.ui.one_picture.examples import Welcome, examples_for, greeted
from playground.ui.one_picture.finding import Finder
from playground.ui.one_picture.history import history_of
from playground.ui.one_picture.linked import checkpoint_of, item_of, linked_checkpoint, not_here
from playground.ui.one_picture.looks import KeptLooks, Liked
from playground.ui.one_picture.names import NamesData, joined, names_asked
from playground.ui.one_picture.region_asks import RegionAsks
from playground.ui.one_picture.saving import Saving
from playground.ui.one_picture.showing import (
    Showing,
    drawing,
    pages_of,
    plain,
    scenes_for,
    way_back,
)
from playground.ui.one_picture.wording import Wording, fields_for, filled_again, filled_with
from playground.ui.parts import PHOTOGRAPHS, SCENES, buttons, checkpoint_choices, strip
from playground.ui.picture import Upload
from playground.ui.running import PageRuns, session_of
from playground.ui.runs import Ending
from playground.ui.server.failures import sentence_of
from playground.ui.server.files import check_kept, save_bytes
from playground.ui.server.run_messages import silence
from playground.ui.session import Item, Shown, Tab, is_there
from playground.ui.streams import errors_for_the_user, paced, runner_of
from playground.ui.tabs import Held, Tabs
from playground.ui.taking import remember
from playground.ui.task_list import listing
from playground.ui.wiring import Problems, Updates

RUN_NAME = "run_on_page"  # to Gradio; `run` is the public endpoint's
_SAID_AT = {"regions": "draw", "names": "phrase"}  # what is wrong with a field, where the page can say it


class Handlers:
    """The handlers of the page, over one predictor."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._engines = predictor.engines
        self._settings = settings
        self.tabs = Tabs(Tab, settings.keep_files_seconds)
        self.runs = PageRuns(self.tabs, predictor.engines, settings, function=RUN_NAME)
        self._runner = runner_of(predictor, settings)
        self._showing = Showing(self._engines, predictor.read_image)
        self._follower = Follower(predictor, settings, self._showing)
        self._finder = Finder(predictor.engines, settings)
        self.correcting = Correcting(self.tabs, self._showing)
        self.saving = Saving(predictor, self.correcting)
        self.asks = RegionAsks(self.tabs, predictor, settings, self._runner, self.correcting, self._showing)
        self._welcome = Welcome(predictor.engines)

    # The picture

    def take_picture(self, gesture: int, picture: Upload | None, task: str, request: gr.Request) -> Updates:
        """Show a picture from the field, which becomes a strip that takes the next one.

        A picture that cannot be used is a sentence under the field, and nothing else changes.
        """
        tab, updates = self.runs.take(picture, gesture, self._predictor.read_image, request)
        return updates | self._begun(tab.item, task, request) if tab else updates

    def take_page(self, gesture: int, page: int, task: str, request: gr.Request) -> Updates:
        """Show another page of the file that the picture is of."""
        before = self.tabs.of(session_of(request)).item
        try:
            check_kept(before.file)
            image = self._predictor.read_image(before.file, page=page)
            content = BytesIO()
            image.pixels.save(content, "PNG", compress_level=1)
            upload = Upload(save_bytes(content.getvalue(), f"{before.name}.png"), f"{before.name}.png")
            size = image.pixels.size  # that of what was written, which may be scaled down
            item = replace(remember(upload, image), file=before.file, page=page, resolution_wh=size)
        except Exception as error:
            return {"problem": [text.line(sentence_of(error), "error")]}
        return self._take(item, gesture, task, request)

    def take_example(self, gesture: int, examples: int, task: str, request: gr.Request) -> Updates:
        """Show one of the pictures that come with the demo model."""
        return self.take_picture(gesture, Upload(str(SCENES[examples])), task, request)

    def take_photograph(self, gesture: int, photographs: int, task: str, request: gr.Request) -> Updates:
        """Show one of the photographs that come with the playground."""
        return self.take_picture(gesture, Upload(str(PHOTOGRAPHS[photographs])), task, request)

    def take_new_scene(self, gesture: int, task: str, request: gr.Request) -> Updates:
        """Draw a scene that nobody chose, and show it like any picture."""
        return self._take_scene(scene.draw_any_scene(), gesture, task, request)

    def take_scene(self, gesture: int, seed: float | None, task: str, request: gr.Request) -> Updates:
        """Draw the scene of a seed. A bad seed is a sentence, and nothing else changes."""
        try:
            drawn = scene.draw_scene(scene.read_seed(seed))
        except InputRejected as error:
            return {"problem": [text.line(str(error), "error")]}
        return self._take_scene(drawn, gesture, task, request)

    def _take_scene(self, drawn: Scene, gesture: int, task: str, request: gr.Request) -> Updates:
        path = scene.save_scene(drawn)
        item = remember(Upload(path), self._predictor.read_image(path), seed=drawn.seed)
        return {"seed": drawn.seed, **self._take(item, gesture, task, request)}

    def _take(self, item: Item, gesture: int, task: str, request: gr.Request) -> Updates:
        tab, updates = self.runs.show(item, gesture, request)
        return updates | self._begun(item, task, request) if tab else updates

    def _begun(self, item: Item, task: str, request: gr.Request) -> Updates:
        """What is shown of a new picture beside its field."""
        self.asks.runs.abandon(request)
        return {
            "scenes": scenes_for(item),
            "page": pages_of(item),
            **plain(item, is_drawing=_wants_regions(task)),
            **self._rest_of(request),
        }

    # The page as a whole

    def open(self, memory: str, checkpoint: str, looks_kept: str, listed: str, request: gr.Request) -> Updates:
        """A page was loaded: give it back what it showed before, if this is a reload."""
        kept = Memory.read(memory)
        if link := Link.read(kept.link):
            kept = replace(kept, before="", task=link.question.task, phrase=link.question.phrase)
        tab = self.tabs.open(session_of(request), kept.before, kept.key)
        if link and (item := item_of(link, self._predictor.read_image)).path:
            tab = self.tabs.change(session_of(request), lambda tab: tab if tab.item.path else tab.with_picture(item, 0))
        elif not link and not kept.before:
            tab = self._greet(tab, checkpoint, request)
        choices = checkpoint_choices(self._engines)
        tasks = self._predictor.tasks(linked_checkpoint(link, choices) or checkpoint)
        task = next((row for row in tasks if row.id == kept.task), DEFAULT_TASK)
        updates: Updates = {"held": Held(self.tabs, session_of(request))}
        if link:
            updates |= filled_with(replace(link.question, task=task.id))
            if link.question.merge:
                looks_kept = replace(KeptLooks.read(looks_kept), merge=True).write()
        elif kept.task:  # whoever comes for the first time may have chosen one already
            updates |= {"task": task.id, "phrase": gr.update(value=kept.phrase), **filled_again(kept.form)}
        updates |= {"looks_kept": looks_kept, "asks": tab.item.is_welcome and tab.answer is None}
        updates |= checkpoint_of(link, choices)
        updates |= examples_for(self._engines.status(checkpoint))
        if listing_now := listing(tasks, listed, task.id):
            updates |= {**listing_now, "task": {**listing_now["task"], **({"value": task.id} if kept.task else {})}}
        lines = not_here(link, kept.link, tasks, choices)
        problem = {"problem": lines} if lines else {}
        if not tab.item.path:
            return updates | problem
        liked = Liked(looks_kept, updates.get("names", NamesData()))
        regions = link.question.regions if link else ()
        return joined(updates, self._whole(tab, task.id, checkpoint, liked, request, regions)) | problem

    def _greet(self, tab: Tab, checkpoint: str, request: gr.Request) -> Tab:
        """Begin with an example, where this is a first visit; what is known of it already is shown at once."""
        picture = self._welcome.picture(checkpoint) if self._settings.welcome and not tab.item.path else None
        if picture is None:
            return tab
        seen = self._predictor.read_image(str(picture))
        item = replace(remember(Upload(str(picture)), seen), is_welcome=True)
        answer = self._welcome.answer(checkpoint)
        line = self._line_of(answer, Liked()) if answer else {}
        return self.tabs.change(session_of(request), lambda tab: greeted(tab, item, answer, line))

    def rest(self, task: str, draw: bool, checkpoint: str, request: gr.Request) -> Updates:
        """A run is over, however it ended: say what holds now. Another one may be going on.

        What the run had sent when it was given up may have reached the page after what took its place.
        """
        tab = self.tabs.of(session_of(request))
        is_plain = tab.item.path and tab.shown is Shown.PICTURE
        alone = plain(tab.item, is_drawing=draw and _wants_regions(task), keeps_regions=True) if is_plain else {}
        return {**alone, **self._rest_of(request, checkpoint)}

    def _whole(
        self,
        tab: Tab,
        task: str,
        checkpoint: str,
        liked: Liked,
        request: gr.Request,
        regions: tuple[Box, ...] = (),
    ) -> Updates:
        """All that a page shows of a tab; `regions` are those that a question is about."""
        given = {} if tab.item.is_welcome else {"picture": strip(), "scenes": scenes_for(tab.item)}
        updates = {**given, "page": pages_of(tab.item), **plain(tab.item, is_drawing=_wants_regions(task))}
        if tab.item.seed is not None:
            updates["seed"] = tab.item.seed
        if tab.answer:
            updates |= self._showing.answer(tab.item, tab.answer, liked)
        drawn = {"draw": _wants_regions(task), "regions": [list(xyxy) for xyxy in regions]}
        updates["stage"] = updates["stage"].model_copy(update=drawn)
        return {**updates, **self._rest_of(request, checkpoint)}

    def _rest_of(self, request: gr.Request, checkpoint: str = "") -> Updates:
        """The buttons and the status, as they are to be at this moment."""
        is_running = self._is_running(request)
        tab = self.tabs.of(session_of(request))
        return {
            **buttons(is_running=is_running),
            "status": self._showing.status(checkpoint, tab.line),
            "back": way_back(tab.put_aside),
            **history_of(tab),
        }

    def _is_running(self, request: gr.Request) -> bool:
        return self.runs.is_running(request) or self.asks.runs.is_running(request)

    def _give_up(self, task: str, checkpoint: str, request: gr.Request) -> Updates:
        """The question was changed: the run about the old one ends, and what it has shown goes."""
        if not self.runs.abandon(request):
            return {}
        before = self.tabs.of(session_of(request))
        tab = self.tabs.change(session_of(request), Tab.without_partial)
        is_cleared = before.shown is not tab.shown
        alone = plain(tab.item, is_drawing=_wants_regions(task), keeps_regions=True) if is_cleared else {}
        return {**alone, **self._rest_of(request, checkpoint)}

    # The form

    def choose_task(self, task: str, checkpoint: str, looks_kept: str, request: gr.Request) -> Updates:
        """Show only what the task needs. The answer to the question before stays, whole; one in the making ends."""
        listed = (row for row in self._predictor.tasks(checkpoint) if row.id == task)
        row = next(listed, None) or get_task(task)  # the checkpoint may have been changed at the same moment
        is_drawing = _wants_regions(task)
        return {
            "phrase": gr.update(
                visible=row.input_kind.is_text, label=text.phrase_label(row), placeholder=row.input_hint
            ),
            **fields_for(row, self._showing.lowest_score(checkpoint, Liked(looks_kept))),
            "draw": gr.update(visible=is_drawing, value=True),
            "stage": drawing(is_drawing=is_drawing),
            **self._give_up(task, checkpoint, request),
        }

    def choose_drawing(self, draw: bool) -> Updates:
        """Draw on the picture, or scroll over it."""
        return {"stage": drawing(is_drawing=draw)}

    def choose_checkpoint(self, chosen: Chosen, request: gr.Request) -> Updates:
        """Begin loading in the background, and follow it; a run that another one was asked for ends."""
        with errors_for_the_user():
            self._follower.choose(chosen)
        given_up = self._give_up(chosen.task, chosen.checkpoint, request)
        return {**given_up, **self.poll(chosen, request)}

    def find(self, hub_name: str, request: gr.Request) -> Iterator[Updates]:
        """Look for checkpoints on the hub."""
        yield from self._finder.find(hub_name, request)

    def take_found(self, found: str, chosen: Chosen, request: gr.Request) -> Updates:
        """Choose a checkpoint that was found on the hub, which is fetched then."""
        with errors_for_the_user():
            name, updates = self._finder.take(found, request)
        return {**self.choose_checkpoint(replace(chosen, checkpoint=name), request), **updates}

    def accept_offer(self, chosen: Chosen, request: gr.Request) -> Updates:
        """Get the checkpoint that is offered in place of the demo model, and follow it."""
        with errors_for_the_user():
            self._follower.accept_offer()
        return self.poll(replace(chosen, is_wanted=True), request)

    def poll(self, chosen: Chosen, request: gr.Request) -> Updates:
        """Follow the checkpoint that is chosen."""
        return self._follower.follow(chosen, self.tabs.of(session_of(request)).line)

    # The run

    def check(self, wording: Wording, stage: StageData, request: gr.Request) -> Problems:
        """Refuse what is missing before anything is queued, each sentence at its field."""
        item = self.tabs.of(session_of(request)).item
        if not item.path:
            return {"picture": text.NO_PICTURE}
        try:
            own_tasks = self._predictor.own_tasks(wording.checkpoint)
            check_question(wording.question(_drawn(stage)), item.resolution_wh, own_tasks)
        except InputRejected as error:
            return {_SAID_AT.get(error.field, error.field): str(error)}
        except UnknownTask as error:
            return {"task": str(error)}
        return {}

    def begin(self, wording: Wording, stage: StageData, request: gr.Request) -> Updates:
        """Let Stop be pressed from now on, while the run waits in the queue too; a run that goes on is abandoned."""
        self.correcting.take(stage, session_of(request))
        if self.check(wording, stage, request):
            return buttons(is_running=self._is_running(request))
        given_up = {"stage": StageData(keep=True)} if self.asks.runs.abandon(request) else {}  # without what it showed
        self.runs.expect(request)
        return buttons(is_running=True) | given_up

    def wait(self, checkpoint: str, request: gr.Request) -> Iterator[Updates]:
        """Follow the checkpoint until it can answer: not in the model's queue, so that a download holds nobody up."""
        for _ in self.runs.wait([checkpoint], request):
            yield {"status": self._status(checkpoint, request)}

    def _status(self, checkpoint: str, request: gr.Request) -> list[text.Line]:
        return self._showing.status(checkpoint, self.tabs.of(session_of(request)).line)

    def turned_away(self, checkpoint: str, request: gr.Request) -> Updates:
        """The queue was full before the run could begin."""
        self.runs.turned_away(request)
        return self._rest_of(request, checkpoint)

    def run(
        self,
        wording: Wording,
        stage: StageData,
        decoding: str,
        max_new_tokens: float,
        longest: int,
        liked: Liked,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Ask about the picture of the tab, and show the answer while it is written."""
        limit = int(max_new_tokens) if max_new_tokens < longest else None
        question = wording.question(_drawn(stage), decoding, limit)
        with self.runs.run(request) as ending:
            if not ending.is_abandoned:
                yield from self._answers(question, ending, liked, request)

    def _answers(self, question: Question, ending: Ending, liked: Liked, request: gr.Request) -> Iterator[Updates]:
        item, shown = self.tabs.of(session_of(request)).item, None
        try:
            check_kept(item.path)
            for prediction in paced(self._runner.run(item.path, question, stop=ending)):
                tab = self._note(request, ending, item, prediction, liked)
                if ending.is_abandoned:
                    return
                show = self._showing.answer if prediction.is_final else self._showing.partial
                updates = show(tab.item if prediction.is_final else item, prediction, liked)
                shown = updates["stage"]
                yield updates
        except Exception as error:
            if not ending.is_abandoned:
                self.runs.tell(request, text.line(sentence_of(error), "error"))
                yield self._failed(shown, self._status(question.checkpoint, request))

    def _note(self, request: gr.Request, ending: Ending, item: Item, prediction: Prediction, liked: Liked) -> Tab:
        """Keep what a run has said, unless it was abandoned; returns the tab."""
        line = self._line_of(prediction, liked)
        truth = scene.truth_about(item.seed, prediction) if prediction.is_final else None

        def note(tab: Tab) -> Tab:
            if ending.is_abandoned:
                return tab
            if prediction.is_final:
                self._welcome.keep(item, prediction)
                return tab.with_answer(item.path, prediction, truth, line)
            return replace(tab, shown=Shown.PARTIAL, line=line)

        return self.tabs.change(session_of(request), note)

    def _line_of(self, prediction: Prediction, liked: Liked) -> text.Line:
        return text.run_line(prediction.keep(self._showing.first_view(prediction, liked).counts))

    def stop(self, checkpoint: str, request: gr.Request) -> Updates:
        """End this tab's run within one step; what was drawn is kept. One that waits in the queue ends at once."""
        for runs in (self.runs, self.asks.runs):
            runs.stop(request)
        return self._rest_of(request, checkpoint) if not self._is_running(request) else {}

    def ask_on(self, stage: StageData, request: gr.Request) -> Updates:
        """Begin to ask about regions of the answer."""
        return self.asks.begin(stage, request, is_running=self.runs.is_running(request))

    def leave(self, request: gr.Request) -> None:
        """The tab was closed: end all that runs for it."""
        self.runs.leave(request)
        self.asks.runs.leave(request)

    def _failed(self, shown: StageData | None, status: list[text.Line]) -> Updates:
        """The run ended in a sentence; what was drawn is kept, and where nothing was, the answer before stays."""
        if shown is None:
            return {"status": status}
        return {"stage": shown.model_copy(update={"busy": False}), "notes": [], "status": status}

    # The answer, seen in another way: never runs the model

    def redraw(self, controls: Controls, looks_kept: str, stage: StageData, request: gr.Request) -> Updates:
        """Show the answer after a change of style, score, labels or hidden rows; not one that has gone meanwhile.

        What the user likes is kept for the answers that follow.
        """
        with errors_for_the_user():
            tab = self.correcting.take(stage, session_of(request))
            answer = tab.answer
            if answer is None or stage.answer != tab.item.answer_id:
                return {}
            silence(lambda: self.tabs.of(session_of(request)).answer is not answer)
            view = controls.view_of(tab.item)
            looks = KeptLooks.read(looks_kept).changed_to(view, answer, self._showing.min_score(answer))
            return {**self._showing.as_seen(tab.item, answer, view), "looks_kept": looks.write()}

    def look_closer(self, stage: StageData, controls: Controls, request: gr.Request) -> Updates:
        """Show the part that is in view at the picture's own sharpness, in the look of the whole."""
        with errors_for_the_user():
            tab = self.correcting.take(stage, session_of(request))
            silence(lambda: self.tabs.of(session_of(request)).item is not tab.item)
            check_kept(tab.item.path)
            answer = None if stage.edits and stage.edits.is_going_on else tab.answer
            return self._showing.closer(tab.item, stage.closeup or CloseupData(), answer, controls.view_of(tab.item))

    def bring_back(self, task: str, checkpoint: str, liked: Liked, request: gr.Request) -> Updates:
        """Show the corrected answer again that was put aside when something else was asked."""
        self.runs.abandon(request)
        self.asks.runs.abandon(request)
        tab = self.correcting.bring_back(session_of(request))
        return self._whole(tab, task, checkpoint, liked, request) if tab.item.path else {}

    def pick(self, history: str, checkpoint: str, liked: Liked, request: gr.Request) -> Updates:
        """Show an answer that was given before, with its picture and its question; what is going on is abandoned."""
        past = self.tabs.of(session_of(request)).workspace.find(history)
        if past is None or past.prediction is None or not is_there(past):
            return self._rest_of(request, checkpoint)
        self.runs.abandon(request)
        self.asks.runs.abandon(request)
        asked = past.prediction.question
        liked = replace(liked, names=names_asked(asked).over(liked.names))
        line = self._line_of(past.prediction, liked)
        tab = self.tabs.change(session_of(request), lambda tab: tab.with_past(history, line))
        shown = self._whole(tab, asked.task, checkpoint, liked, request, asked.regions)
        return joined(filled_with(asked), shown)

    def drop(self, history: str, checkpoint: str, request: gr.Request) -> Updates:
        """Forget an answer that was given before."""
        self.tabs.change(session_of(request), lambda tab: tab.without_past(history))
        return self._rest_of(request, checkpoint)

    def reset_looks(self, request: gr.Request) -> Updates:
        """Show this answer, and all that follow, as they are shown to whoever has changed nothing."""
        tab = self.tabs.of(session_of(request))
        shown = self._showing.answer(tab.item, tab.answer, Liked()) if tab.answer else {}
        return joined({"looks_kept": "", "names": NamesData(limits={})}, shown)


def _wants_regions(task: str) -> bool:
    return get_task(task).input_kind is InputKind.REGIONS


def _drawn(stage: StageData) -> Any:
    """The regions that were drawn, as the question takes them."""
    return stage.regions or ()
