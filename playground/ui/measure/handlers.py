"""The page for measuring, between a data set and its report. One measurement goes on at a time, beside all questions.

A run asks groups of pictures, between which it can be stopped, and single questions of others come in between.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from playground.engines import WaitCancelled
from playground.errors import InputRejected, PlaygroundError
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui import text
from playground.ui.running import session_of
from playground.ui.runs import Ending, RunKey, Runs
from playground.ui.server.failures import sentence_of
from playground.ui.server.files import save_bytes
from playground.ui.wiring import Updates

if TYPE_CHECKING:
    from playground.datasets.labeled import Labeled
    from playground.datasets.reading import LabeledData
    from playground.evaluation.asking_data import DataQuestions
    from playground.evaluation.data_figures import MeasuredData

_NAME = "measure"
_LABEL_MEGABYTES = 64  # of one file of labels, unpacked: they are read in this process
_MOST_CHECKPOINTS = 3
_SECONDS_BETWEEN_LINES = 0.5
_ON_ZERO_GPU = (
    "On this machine each answer has a GPU for some seconds only, which is too short to measure. Run the playground on "
    "your own machine, or use `python -m playground.evaluation --data`."
)


@dataclass(frozen=True, slots=True)
class MeasureForm:
    """What is asked for, as the page gives it."""

    files: list[str]
    checkpoints: list[str]
    task: str
    limit: float | None


class MeasureHandlers:
    """The handlers of the page, over one predictor."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._settings = settings
        self._runs = Runs()

    def open(self) -> Updates:
        """A page was loaded."""
        engines = self._predictor.engines
        engines.request("")
        return self._rest() | {
            "checkpoints": gr.update(choices=engines.names()),  # some may have come since the start
            "status": [text.checkpoint_line(engines.status(""))],
        }

    def begin(self, request: gr.Request) -> Updates:
        """A run was asked for: it can be stopped from now on."""
        self._runs.expect(_key(request))
        return {
            "run": gr.update(interactive=False), "stop": gr.update(interactive=True),
            "status": [text.line("Waiting for the measurement before this one.", "busy")],
        }  # fmt: skip

    def run(self, form: MeasureForm, request: gr.Request) -> Iterator[Updates]:
        """Read the data set, ask, say how far it is, and show the report."""
        with self._runs.run(_key(request)) as ending:
            if ending.is_abandoned:  # it was stopped, or its tab closed, while it waited for the one before
                return
            try:
                yield from self._run(form, ending)
            except WaitCancelled:
                yield {"status": [text.line("Stopped before a picture was answered.")]}
            except Exception as error:
                yield {"status": [text.line(sentence_of(error), "error")]}

    def rest(self) -> Updates:
        """Show what holds when no run goes on."""
        return self._rest()

    def fail(self, request: gr.Request) -> Updates:
        """What was given could not be taken at all: the page has said why."""
        self._runs.abandon(_key(request))
        return {"status": [text.line("Nothing was measured.", "error")], **self._rest()}

    def stop(self, request: gr.Request) -> Updates:
        """Stop: the report is about what was answered."""
        if self._runs.stop(_key(request)):
            return {"status": [text.line("Stopped before it began.")], **self._rest()}
        return {"status": [text.line("Stopping after the pictures that are being answered.", "busy")]}

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self._runs.abandon_session(session_of(request))

    def _rest(self) -> Updates:
        return {"run": gr.update(interactive=True), "stop": gr.update(interactive=False)}

    def _run(self, form: MeasureForm, ending: Ending) -> Iterator[Updates]:
        from playground.datasets.reading import read_dataset  # with supervision, which takes a second to import
        from playground.evaluation.asking_data import choose_pictures, choose_questions, choose_subset
        from playground.evaluation.data_report import make_report

        path = self._check(form)
        yield {"status": [text.line("Reading the data set.", "busy")]}
        data = read_dataset(path, read=self._read, label_megabytes=_LABEL_MEGABYTES)
        subset = choose_subset(data, "")
        asks = choose_questions(data, subset, form.task)
        pictures = choose_pictures(data, subset, asks, int(form.limit or 1))
        names = form.checkpoints or [""]
        measured: list[MeasuredData] = []
        problem = ""  # of a checkpoint after one that was measured: what there is of that is not thrown away
        try:
            for checkpoint in names:
                if not ending.is_set():
                    yield from self._measure(data, pictures, asks, checkpoint, ending, measured)
        except (WaitCancelled, PlaygroundError) as error:
            if not measured:
                raise
            problem = str(error)
        if ending.is_abandoned:
            return
        if not measured:
            raise InputRejected("Stopped before a picture was answered.", field="status")
        yield _said(data, "Writing the report.")
        name = Path(path).stem
        report = make_report(data, name, subset, asks, pictures, measured)
        yield {
            "report": report.page,
            "page_file": save_bytes(report.page.encode("utf-8", "replace"), f"{name}-report.html"),
            "json_file": save_bytes(json.dumps(report.wire, indent=1).encode(), f"{name}-report.json"),
            "results": gr.update(visible=True),
            "status": [self._outcome(measured, len(names), len(pictures), problem), *_notice(data)],
        }  # fmt: skip

    def _measure(
        self,
        data: "LabeledData",
        pictures: "Sequence[Labeled]",
        asks: "DataQuestions",
        checkpoint: str,
        ending: Ending,
        measured: "list[MeasuredData]",
    ) -> Iterator[Updates]:
        """Ask one checkpoint about all pictures, and add its figures."""
        from playground.evaluation.asking_data import Outcome, ask_in_groups
        from playground.evaluation.data_figures import measure_outcomes

        name = checkpoint or self._predictor.engines.current_name
        yield _said(data, f"Waiting for {name}.")
        with self._predictor.engines.acquire(checkpoint, cancelled=ending.is_set) as engine:
            size = engine.max_asks
        began = said = time.monotonic()
        outcomes = list[Outcome]()
        for some in ask_in_groups(
            self._predictor, data, pictures, asks, checkpoint=checkpoint, group_size=size, is_stopped=ending.is_set
        ):
            outcomes += some
            if (now := time.monotonic()) - said > _SECONDS_BETWEEN_LINES and not ending.is_set():
                said = now
                left = (now - began) / len(outcomes) * (len(pictures) - len(outcomes))
                line = f"{name}: {len(outcomes)} of {len(pictures)} pictures, about {text.duration(left)} left."
                yield _said(data, line)
        if outcomes:
            seconds = time.monotonic() - began
            measured.append(measure_outcomes(name, outcomes, asks.classes, seconds=seconds))

    def _read(self, file: bytes | Path, *, page: int = 0, **_password: str) -> InputImage:
        return self._predictor.read_image(file, page=page)

    def _check(self, form: MeasureForm) -> str:
        """Return the data set that was given. Raises PlaygroundError."""
        if self._settings.on_zero_gpu:
            raise PlaygroundError(_ON_ZERO_GPU)
        if not self._settings.measure_pictures:
            raise PlaygroundError("Nothing is measured on this playground. Run it on your own machine.")
        if len(form.files) != 1:
            what = "There is no data set yet" if not form.files else f"Those are {len(form.files)} files"
            raise PlaygroundError(f"{what}. Give one ZIP: COCO, YOLO, Pascal VOC or JSON Lines, with its pictures.")
        if len(form.checkpoints) > _MOST_CHECKPOINTS:
            raise PlaygroundError(f"At most {_MOST_CHECKPOINTS} checkpoints stand beside one another. Choose fewer.")
        most = self._settings.measure_pictures
        if form.limit is None or not 1 <= form.limit <= most:
            came = "nothing" if form.limit is None else f"{form.limit:g}"
            raise PlaygroundError(f"“Pictures, at most” must be a number from 1 to {most}, but got {came}.")
        return form.files[0]

    def _outcome(
        self, measured: "Sequence[MeasuredData]", num_wanted: int, num_pictures: int, problem: str
    ) -> text.Line:
        """Say what the report is about."""
        done = " and ".join(one.checkpoint for one in measured)
        if problem:
            return text.line(f"The report is about {done} alone. {problem}", "warning")
        short = [one for one in measured if one.num_asked < num_pictures]
        if short:
            rest = ", and what comes after it about none" if len(measured) < num_wanted else ""
            asked = f"{short[0].checkpoint} was asked about {short[0].num_asked} of {num_pictures} pictures"
            return text.line(f"Stopped: {asked}{rest}.", "warning")
        if len(measured) < num_wanted:
            return text.line(f"Stopped: the report is about {done} alone.", "warning")
        if broken := max(len(one.broken) for one in measured):
            return text.line(
                f"Done. {broken} of {num_pictures} pictures have no answer; the report says why.", "warning"
            )
        done = f"{num_pictures} pictures were" if num_pictures != 1 else "1 picture was"
        return text.line(f"Done. {done} measured.", "good")


def _said(data: "LabeledData", doing: str) -> Updates:
    """Say what is done, and of the data set what is no truth in it."""
    return {"status": [text.line(doing, "busy"), *_notice(data)]}


def _notice(data: "LabeledData") -> list[text.Line]:
    return [text.line(data.notice, "warning")] if data.notice else []


def _key(request: gr.Request) -> RunKey:
    return RunKey(session_of(request), _NAME)
