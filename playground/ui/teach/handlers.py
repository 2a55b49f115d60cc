"""The teaching page, between form and domain: pictures are chosen and checked, taught, looked at, and kept or not.

Parameters and results are named after components; see `wiring`. Where a component stands is `layout`'s business.
"""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from playground.annotate.answers import Verdict
from playground.annotate.jobs import Jobs
from playground.datasets.reading import LabeledData, read_dataset
from playground.errors import JobRejected, TeachingRejected
from playground.predictor import Predictor
from playground.settings import Settings
from playground.teachings import ServedTeaching, Teachings, lessons_of
from playground.ui import text
from playground.ui.memory import kept_object
from playground.ui.plumbing import told_in_the_status
from playground.ui.teach.showing import board_of, report_lines, revision_of, teach_controls, teaching_line
from playground.ui.wiring import Updates

FROM_JOB, FROM_ZIP = "job", "zip"
EACH_ITS_OWN = "each"  # in the place of a task: what the data itself asks


class TeachHandlers:
    """The handlers of the page, over the teachings and the jobs of a server."""

    def __init__(self, predictor: Predictor, jobs: Jobs, teachings: Teachings, settings: Settings) -> None:
        self._predictor = predictor
        self._jobs = jobs
        self._teachings = teachings
        self._settings = settings

    def open(self, memory: str) -> Updates:
        """A page was loaded: show the teaching whose key the browser has kept, and offer the pictures of its job."""
        kept = kept_object(memory)
        job, key = (value if isinstance(value := kept.get(name), str) else "" for name in ("job", "teaching"))
        updates = {"job": job, **self._bases(), **self._source(job)}
        try:
            teaching = self._teachings.find(key) if key else None
        except TeachingRejected as error:
            return {**updates, "teaching": "", **teach_controls(None), "status": [text.line(str(error), "warning")]}
        if teaching is None:
            return {**updates, "teaching": "", **teach_controls(None)}
        report = report_lines(teaching.lessons)
        return {**updates, "teaching": key, "report": report, **self._seen(teaching, "")}

    def choose_source(self, source: str) -> Updates:
        """Show only what the source needs."""
        is_zip = source == FROM_ZIP
        return {"zip": gr.update(visible=is_zip), "task": gr.update(visible=is_zip)}

    @told_in_the_status
    def check(self, source: str, job: str, zip: Sequence[str], task: str, base: str, teaching: str) -> Updates:
        """Read the pictures, and say what can be taught with them."""
        data, others = self._data(source, job, zip)
        with self._predictor.engines.acquire(base) as engine:
            asked = task if source == FROM_ZIP and task != EACH_ITS_OWN else ""
            lessons = lessons_of(data, asked, engine, self._settings, others)
            key = self._teachings.create(engine.checkpoint, lessons, instead_of=teaching)
        report = report_lines(lessons)
        return {"teaching": key, "report": report, **self._seen(self._teachings.find(key), "")}

    @told_in_the_status
    def teach(self, teaching: str, minutes: float, board: str) -> Updates:
        """Begin, or go on."""
        self._teachings.start(teaching, float(minutes or 0))
        return self._seen(self._teachings.find(teaching), board)

    @told_in_the_status
    def stop(self, teaching: str) -> Updates:
        """End within a step."""
        found = self._teachings.find(teaching)
        found.stop()
        return {"status": [teaching_line(found)]}

    @told_in_the_status
    def look(self, teaching: str, board: str) -> Updates:
        """Show how far it is."""
        return self._seen(self._teachings.find(teaching), board) if teaching else teach_controls(None)

    @told_in_the_status
    def keep(self, teaching: str, name: str, board: str) -> Updates:
        """Keep what was learned, and offer it on all pages."""
        _, folder = self._teachings.keep(teaching, name)
        found = self._teachings.find(teaching)
        lines = [teaching_line(found)]
        if self._settings.is_for_one_user:
            command = f"python app.py --checkpoint {found.base.name} --adapter {folder}"
            lines.append(text.line("Another time, start with it:", details=command))
        return {**self._seen(found, board), "status": lines}

    @told_in_the_status
    def throw_away(self, teaching: str) -> Updates:
        """Forget what was learned."""
        self._teachings.throw_away(teaching)
        return {
            "teaching": "",
            "report": [],
            "board": None,
            **teach_controls(None),
            "status": [text.line("Thrown away.")],
        }

    def _data(self, source: str, job: str, zip: Sequence[str]) -> tuple[LabeledData, LabeledData | None]:
        """Return what is to be taught, and what a job has answered about its other pictures."""
        if source == FROM_JOB:
            folder = self._jobs.find(job).folder
            seen, others = (read_dataset(folder, read=self._jobs.read, reviewed=which) for which in (True, False))
            return seen, others
        if not zip:
            raise TeachingRejected("There is no ZIP. Give the ZIP of a data set, such as one that was saved here.")
        if Path(zip[0]).suffix.lower() != ".zip":
            raise TeachingRejected(f"{Path(zip[0]).name[:80]!r} is no ZIP. Give the ZIP of a data set.")
        return read_dataset(zip[0], read=self._jobs.read), None

    def _bases(self) -> Updates:
        engines = self._predictor.engines
        names = [(title, name) for title, name in engines.names() if engines.status(name).checkpoint.base is None]
        current = engines.status("").checkpoint
        chosen = (current.base or current).name
        return {"base": gr.update(choices=names, value=chosen if chosen in dict(names).values() else names[0][1])}

    def _source(self, job: str) -> Updates:
        """Offer the pictures of a job, where there is one with corrected or approved pictures."""
        count = 0
        try:
            rows = self._jobs.find(job).findings.read() if job else []
            count = sum(row.is_corrected or row.verdict is Verdict.APPROVED for row in rows)
        except JobRejected:
            pass
        pictures = f"{count} pictures" if count != 1 else "1 picture"
        choices = [(f"My job: {pictures} corrected or approved", FROM_JOB), ("The ZIP of a data set", FROM_ZIP)]
        source = FROM_JOB if count else FROM_ZIP
        return {"source": gr.update(choices=choices, value=source), **self.choose_source(source)}

    def _seen(self, teaching: ServedTeaching, board: str) -> Updates:
        seen: Updates = {"status": [teaching_line(teaching)], **teach_controls(teaching)}
        return seen if board == revision_of(teaching) else {**seen, "board": board_of(teaching)}
