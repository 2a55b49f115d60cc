"""The page of many pictures, between form and domain: a job is made, asked, followed, looked through and saved.

Parameters and results are named after components; see `wiring`. Where a component stands is `layout`'s business.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from playground.annotate.answers import Row, Verdict
from playground.annotate.findings import PictureSummary, select
from playground.annotate.jobs import Jobs
from playground.annotate.served import ServedJob
from playground.errors import ExportRejected, ImageRejected, JobRejected, PlaygroundError
from playground.predictor import Predictor
from playground.tasks import InputKind, find_task
from playground.ui import text
from playground.ui.components import StageData
from playground.ui.given_files import uploaded
from playground.ui.many.components import FilesData, GridData, WantedData
from playground.ui.many.form import ManyForm, id_of, kept_key, kept_keys
from playground.ui.many.showing import (
    PREVIEW,
    answer_of,
    controls,
    grid_of,
    job_line,
    saved_line,
    sieve_of,
    stage_of_row,
    told_lines,
)
from playground.ui.many.sources import format_for, shown_for
from playground.ui.parts import chosen_checkpoint
from playground.ui.plumbing import told_in_the_status
from playground.ui.server.disk import disk_of
from playground.ui.wiring import Updates


class ManyHandlers:
    """The handlers of the page, over the jobs of a server."""

    def __init__(self, predictor: Predictor, jobs: Jobs) -> None:
        self._predictor = predictor
        self._jobs = jobs

    # The job

    def open(self, memory: str) -> Updates:
        """A page was loaded: show the job of which the browser has kept the key."""
        key, engines = kept_key(memory), self._predictor.engines
        listed = self.list_jobs(memory, key)
        nothing: Updates = {"job": "", "checkpoint": chosen_checkpoint(engines, ""), **controls(None), **listed}
        if not key:
            return nothing
        try:
            job = self._jobs.find(key)
        except JobRejected as error:
            return {**nothing, "status": [text.line(str(error), "warning")]}
        form = self._asked_form(job)
        return {"job": key, **form, **shown_for(job.given_files), **self._seen(job, WantedData()), **listed}

    def list_jobs(self, memory: str, job: str) -> Updates:
        """Offer the jobs that the browser knows, where there is one beside that of the page."""
        titles = self._jobs.titles(kept_keys(memory))
        times: Counter[str] = Counter()  # that a title was there before
        choices = []
        for key, title in titles.items():
            times[title] += 1
            choices.append((f"{title} ({times[title]})" if times[title] > 1 else title, id_of(key)))
        current = id_of(job) if job in titles else None
        is_choice = any(key != job for key in titles)
        return {"memory": memory, "jobs": gr.update(choices=choices, value=current, visible=is_choice)}

    @told_in_the_status
    def bring(self, files: FilesData, format: str, memory: str, request: gr.Request) -> Updates:
        """Make a job of what was uploaded, which stays where there is no room for one yet."""
        folder = disk_of(get_upload_folder()).folder_of(request)
        try:
            key = self._jobs.create(uploaded(files.paths), folder, known=kept_keys(memory))
        except PlaygroundError as error:
            waits = isinstance(error, JobRejected)
            return {"files": files.model_copy(update={"waits": waits}), "status": [text.line(str(error), "error")]}
        job = self._jobs.find(key)
        shown = {**self._closed(), **shown_for(job.given_files, format), **self._seen(job, WantedData())}
        return {"job": key, "files": files.model_copy(update={"paths": [], "waits": False}), **shown}

    def ask_to_delete(self) -> Updates:
        """Ask whether the job is really to go."""
        return {"doubt": gr.update(visible=True)}

    def keep_job(self) -> Updates:
        """It stays."""
        return {"doubt": gr.update(visible=False)}

    def delete_job(self, job: str, format: str) -> Updates:
        """Delete the job, with the pictures that were given."""
        try:
            is_gone = self._jobs.delete(job)
        except JobRejected as error:  # deleted in another tab
            line = text.line(str(error), "warning")
        else:
            when = "are deleted" if is_gone else "go as soon as what is in work has ended"
            line = text.line(f"The job and its pictures {when}.", "good")
        return {**self._gone(), **shown_for((), format), "status": [line]}

    @told_in_the_status
    def preview(self, form: ManyForm, job: str, grid: WantedData) -> Updates:
        """Ask about the first pictures."""
        return self._asked(self._jobs.find(job), form, grid, limit=PREVIEW)

    @told_in_the_status
    def run(self, form: ManyForm, job: str, grid: WantedData) -> Updates:
        """Ask about all pictures that are not answered; where all are, about those that failed."""
        found = self._jobs.find(job)
        return self._asked(found, form, grid, retry_errors=not found.progress().has_more)

    @told_in_the_status
    def pause(self, job: str, grid: WantedData) -> Updates:
        """End after the pictures in work."""
        found = self._jobs.find(job)
        found.pause()
        return self._ending(found, grid, "Ending after the pictures in work…")

    @told_in_the_status
    def stop(self, job: str, grid: WantedData) -> Updates:
        """End at once."""
        found = self._jobs.find(job)
        found.stop()
        return self._ending(found, grid, "Stopping…")

    @told_in_the_status
    def want(self, form: ManyForm, job: str, grid: WantedData) -> Updates:
        """Names or lowest scores were changed: make that of the answers that are there."""
        if not job:
            return {}
        found = self._jobs.find(job)
        question = form.question
        try:
            found.want(question)
        except JobRejected:  # the question is another one as well, and is asked when a button is pressed
            return {}
        return self._seen(found, grid)

    @told_in_the_status
    def hold(self, form: ManyForm, job: str, grid: WantedData) -> Updates:
        """A lowest score was chosen in the histogram."""
        scores = dict(form.question.min_scores)
        scores[grid.label] = round(min(max(grid.threshold, 0.0), 1.0), 2)
        written = ", ".join(f"{name}={score:g}" if name else f"{score:g}" for name, score in scores.items())
        changed = ManyForm(**{**form.updates(), "min_scores": written})  # type: ignore[arg-type]  # the fields of a form
        return {"min_scores": written, **self.want(changed, job, grid)}

    @told_in_the_status
    def look(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Show how far the job is, and the rows that are in view."""
        if not job:
            return controls(None)
        try:
            found = self._jobs.find(job)
        except JobRejected as error:  # deleted in another tab
            return {**self._gone(), "status": [text.line(str(error), "warning")]}
        return self._seen(found, grid, opened)

    @told_in_the_status
    def come_back(self, job: str, grid: WantedData, opened: str, stage: StageData) -> Updates:
        """The page is looked at again: show what other tabs have made of the job meanwhile."""
        seen = self.look(job, grid, opened)
        if not job or "job" in seen:  # deleted in another tab
            return seen if job else {}
        found = self._jobs.find(job)
        if grid.num_begun != found.findings.num_begun:  # the form asks what was asked there, or would begin it anew
            seen |= self._asked_form(found)
        if not opened:
            return seen
        here = _summary(found.findings.read(), opened)
        if here is None:  # its picture is asked about anew
            return {**seen, **self._closed()}
        row = found.findings.row(here.number)
        is_behind = row.version > (stage.edits.version if stage.edits else 0)
        return {**seen, **(self._opened(found, opened, grid) if is_behind else {"about": _about(found, row)})}

    def window(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Show other rows."""
        try:
            return {"grid": grid_of(self._jobs.find(job), grid, opened)} if job else {}
        except PlaygroundError:
            return {}

    def choose_task(self, task: str, checkpoint: str, format: str) -> Updates:
        """Show only what the task needs, and choose the kind of file that its answers are mostly wanted as."""
        row = find_task(task, self._predictor.own_tasks(checkpoint) or ())
        is_text, has_names = row.input_kind.is_text, row.input_kind is InputKind.CLASSES
        finds = row.then is not None or not row.output_kind.is_text
        return {
            "phrase": gr.update(visible=is_text, label=text.phrase_label(row), placeholder=row.input_hint),
            "then": gr.update(visible=finds, **_off(not finds, "")),
            "one_by_one": gr.update(visible=has_names, **_off(not has_names, False)),
            "tiles": gr.update(visible=row.can_tile, **_off(not row.can_tile, False)),
            "format": format_for(row, format),
        }

    # One picture

    @told_in_the_status
    def pick(self, job: str, grid: WantedData) -> Updates:
        """Open a picture."""
        return self._opened(self._jobs.find(job), grid.picture, grid)

    @told_in_the_status
    def approve(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Say that the answer is right, and go on to the next picture."""
        return self._said(job, grid, opened, Verdict.APPROVED)

    @told_in_the_status
    def skip(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Leave the picture out, and go on to the next one."""
        return self._said(job, grid, opened, Verdict.SKIPPED)

    @told_in_the_status
    def next(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Go on to the next picture."""
        found = self._jobs.find(job)
        return self._opened(found, _beside(found, grid, opened, 1), grid)

    @told_in_the_status
    def previous(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Go back to the picture before."""
        found = self._jobs.find(job)
        return self._opened(found, _beside(found, grid, opened, -1), grid)

    @told_in_the_status
    def close(self, job: str, grid: WantedData, opened: str) -> Updates:
        """Go back to the grid."""
        return {**self._closed(), "grid": grid_of(self._jobs.find(job), grid, opened)}

    @told_in_the_status
    def correct(self, stage: StageData, job: str, grid: WantedData, opened: str) -> Updates:
        """Keep what was corrected, also of pictures that were left before it was told."""
        found = self._jobs.find(job)
        rows = {answer_of(found, row.answer_id): row for row in found.findings.read()}
        shown: Updates = {}
        for edits in filter(None, (*stage.late, stage.edits)):
            if here := rows.get(edits.answer):
                row = found.findings.row(here.number)
                if edits.version > row.version:
                    row = found.findings.review(here.number, changes=edits.changes, version=edits.version)
                shown |= {"about": _about(found, row)} if here.answer_id == opened else {}
            elif edits is stage.edits:
                found.findings.number_of(opened)  # says that it is not there any more
        return {"grid": grid_of(found, grid, opened), **shown}

    # Saving

    @told_in_the_status
    def save(self, job: str, format: str, only_approved: bool, request: gr.Request) -> Updates:
        """Write a data set over all pictures."""
        disk, found = disk_of(get_upload_folder()), self._jobs.find(job)
        folder = disk.folder_of(request)
        written = found.write(format, only_approved=only_approved, take_room=lambda size: disk.make_room(folder, size))
        if written is None:
            what = "approved yet, and answered" if only_approved else "answered yet"
            raise ExportRejected(f"No picture is {what}, so there is nothing to save.")
        return {"file": str(written.path), "status": [saved_line(written)]}

    # What is shown

    def _asked_form(self, job: ServedJob) -> Updates:
        form: Updates = ManyForm.of(job.wanted, job.options).updates() if job.wanted else {}
        name = job.wanted.checkpoint if job.wanted else ""
        return {**form, "checkpoint": chosen_checkpoint(self._predictor.engines, name)}

    def _seen(self, job: ServedJob, grid: WantedData, opened: str = "") -> Updates:
        progress = job.progress()
        return {"grid": grid_of(job, grid, opened), "status": [job_line(progress)], **controls(progress)}

    def _ending(self, job: ServedJob, grid: WantedData, sentence: str) -> Updates:
        seen = self._seen(job, grid)  # it may have ended by itself, or in another tab
        return {**seen, "status": [text.line(sentence, "busy")]} if job.is_working else seen

    def _asked(self, job: ServedJob, form: ManyForm, grid: WantedData, **how: Any) -> Updates:
        try:
            self._jobs.start(job, form.question, form.options, **how)
        except JobRejected as error:  # another tab has started it: it can be paused from here too
            seen = {**self._seen(job, grid), "status": [text.line(str(error), "error")]}
            return {name: value for name, value in seen.items() if name != "timer"}  # which would write over that
        return self._seen(job, grid)

    def _closed(self) -> Updates:
        hidden = gr.update(visible=False)
        return {"opened": "", "review": hidden, "stage": StageData(), "doubt": hidden}

    def _gone(self) -> Updates:
        return {"job": "", "grid": GridData(), **self._closed(), **controls(None)}

    def _said(self, key: str, grid: WantedData, opened: str, verdict: Verdict) -> Updates:
        job = self._jobs.find(key)
        following = _beside(job, grid, opened, 1)
        row = job.findings.review(job.findings.number_of(opened), verdict)
        if following == opened:
            return {"grid": grid_of(job, grid, opened), "about": _about(job, row)}
        return self._opened(job, following, grid)

    def _opened(self, job: ServedJob, opened: str, grid: WantedData) -> Updates:
        row = job.findings.row(job.findings.number_of(opened))
        try:
            stage = stage_of_row(row, job, job.reader.read(row.source))
        except ImageRejected:
            stage = StageData()
        about = _about(job, row)
        about += [text.line(row.error, "error")] if row.error else []
        is_answered = row.prediction is not None
        return {
            "opened": opened,
            "review": gr.update(visible=True),
            "stage": stage,
            "about": about,
            "told": told_lines(row, job),
            "approve": gr.update(interactive=is_answered),
            "skip": gr.update(interactive=is_answered),
            "grid": grid_of(job, grid, opened),
        }


def _off(is_hidden: bool, value: object) -> dict[str, Any]:
    """Return the value of a choice that is hidden: what nobody sees is not asked for."""
    return {"value": value} if is_hidden else {}


def _about(job: ServedJob, row: Row) -> list[text.Line]:
    rows = job.findings.read()
    states = [row.verdict.value, "corrected" if row.is_corrected else ""]
    said = ", ".join(filter(None, states))
    where = ""
    if here := _summary(rows, row.answer_id):
        place = 1 + sum(one.given < here.given for one in rows)
        where = f"{row.source.stem}: {place} of {len(rows)}"
    tone = "good" if row.verdict is Verdict.APPROVED else "plain"
    return [text.line(f"{where}, {said}" if said else where, tone)]


def _summary(rows: Sequence[PictureSummary], answer_id: str) -> PictureSummary | None:
    return next((row for row in rows if row.answer_id == answer_id), None)


def _beside(job: ServedJob, grid: WantedData, opened: str, step: int) -> str:
    """Return the picture after this one, or before it, among those that are wanted; itself where there is none."""
    rows = job.findings.read()
    wanted = select(rows, sieve_of(grid))
    ids = [row.answer_id for row in wanted]
    if opened in ids:
        place = ids.index(opened) + step
        return ids[place] if 0 <= place < len(ids) else opened
    here = _summary(rows, opened)
    if here is None:
        return opened
    beside = sorted((row for row in wanted if (row.given > here.given) == (step > 0)), key=_given)
    return beside[0 if step > 0 else -1].answer_id if beside else opened


def _given(row: PictureSummary) -> tuple[int, int]:
    return row.given
