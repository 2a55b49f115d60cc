"""The live page, between camera and domain: one frame at a time is asked about, and its things keep their numbers.

A page sends a frame when the last one is answered, the newest that there is: none ever waits behind another of its own.
"""

import base64
import binascii
import threading
from collections import OrderedDict
from dataclasses import replace

import gradio as gr

from playground.annotate.tracking import follow_next
from playground.drawing.colors import colors_of
from playground.engines import State
from playground.errors import ImageRejected, InputRejected
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import find_task
from playground.tracking import Tracker
from playground.ui import text
from playground.ui.components import BoxData, boxes_from
from playground.ui.live.components import LiveData
from playground.ui.running import session_of
from playground.ui.runs import RunKey, Runs
from playground.ui.server.failures import sentence_of
from playground.ui.shown import answer_text
from playground.ui.wiring import Updates

_NAME = "live"
_MOST_CAMERAS = 256
_USUAL_WH = (1000, 1000)  # to check a question before there is a frame
_ON_ZERO_GPU = (
    "On this machine each answer has a GPU for some seconds only, which is no place for a camera. Run the playground "
    "on your own machine, or in a Space with a CPU or a GPU of its own."
)


class LiveHandlers:
    """The handlers of the page, over one predictor."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._settings = settings
        self._runs = Runs()
        self._trackers: OrderedDict[str, tuple[Question, Tracker]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self) -> Updates:
        """A page was loaded: let the model be ready when the camera is."""
        self._predictor.engines.request("")
        return {"status": [text.checkpoint_line(self._predictor.engines.status(""))]}

    def choose_task(self, task: str) -> Updates:
        """Show only what the task needs."""
        row = find_task(task, self._predictor.own_tasks("") or ())
        is_text = row.input_kind.is_text
        return {"phrase": gr.update(visible=is_text, label=text.phrase_label(row), placeholder=row.input_hint)}

    def look(self, camera: LiveData, task: str, phrase: str, request: gr.Request) -> Updates:
        """Ask about a frame, and say what is in it."""
        back = LiveData(number=camera.number)
        try:
            self._check()
            status = self._predictor.engines.status("")
            if status.state is not State.READY:
                self._predictor.engines.request("")
                return {"camera": back, "status": [text.checkpoint_line(status)]}
            question = Question(task, phrase)
            check_question(question, _USUAL_WH, self._predictor.own_tasks("") or ())
            return {"camera": self._answer(camera, question, request), "status": []}
        except (ImageRejected, InputRejected) as error:  # a phrase may be on its way
            back.problem, back.is_over = str(error), self._settings.on_zero_gpu
        except Exception as error:
            back.problem, back.is_over = sentence_of(error), True
        return {"camera": back, "status": [text.line(back.problem, "error")]}

    def halt(self, request: gr.Request) -> Updates:
        """The camera was ended: what is being asked ends within one step."""
        self._runs.stop(_key(request))
        with self._lock:
            self._trackers.pop(session_of(request), None)
        return {"status": []}

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self._runs.abandon_session(session_of(request))
        self.halt(request)

    def _check(self) -> None:
        if self._settings.on_zero_gpu:
            raise InputRejected(_ON_ZERO_GPU, field="camera")

    def _answer(self, camera: LiveData, question: Question, request: gr.Request) -> LiveData:
        try:
            frame = base64.b64decode(camera.frame, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ImageRejected("This is no frame of a camera. Start the camera again.") from error
        image = self._predictor.read_image(frame)
        self._runs.expect(_key(request))
        with self._runs.run(_key(request)) as ending:
            *_, prediction = self._predictor.run(image, question, stop=ending)
        back = LiveData(number=camera.number, w=image.resolution_wh[0], h=image.resolution_wh[1])
        back.boxes, back.text = self._seen(prediction, question, camera.seconds, request)
        return back

    def _seen(
        self, prediction: Prediction, question: Question, seconds: float, request: gr.Request
    ) -> tuple[list[BoxData], str]:
        least = self._predictor.engines.status(prediction.checkpoint).checkpoint.min_score
        tracker = self._tracker(question, request)
        regions, _ = follow_next(tracker, prediction, prediction.question, seconds, least)
        seen = replace(prediction, regions=tuple(regions))
        colors, numbers = colors_of(region.label for region in regions), [region.track or 0 for region in regions]
        return boxes_from(seen, colors, numbers), answer_text(prediction, seen)

    def _tracker(self, question: Question, request: gr.Request) -> Tracker:
        """Return who follows the things of a page's camera; another question begins anew."""
        with self._lock:
            asked, tracker = self._trackers.pop(session_of(request), (question, Tracker()))
            if asked != question:
                tracker = Tracker()
            self._trackers[session_of(request)] = question, tracker
            while len(self._trackers) > _MOST_CAMERAS:
                self._trackers.popitem(last=False)
            return tracker


def _key(request: gr.Request) -> RunKey:
    return RunKey(session_of(request), _NAME)
