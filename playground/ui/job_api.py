"""The public endpoints for many pictures: start a job, follow it, take its files, delete it.

Their docstrings document them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from playground.annotate.jobs import Jobs
from playground.annotate.options import SourceOptions
from playground.annotate.outputs import read_formats
from playground.annotate.served import JobProgress, JobState, ServedJob
from playground.errors import InputRejected, JobRejected
from playground.question import Question
from playground.tasks import DEFAULT_TASK
from playground.ui.given_files import GivenFilesField
from playground.ui.parts import TextAsSent
from playground.ui.server.calls import no_tool
from playground.ui.server.disk import disk_of
from playground.ui.streams import errors_for_the_user

_SECONDS_BETWEEN_LOOKS = 0.5
_NUM_LAST = 5  # answers that are told with the progress
_DEEDS = ("follow", "resume", "pause", "stop", "delete")
_FOLLOWING: dict[str, Any] = {"concurrency_id": "jobs", "concurrency_limit": 64}  # each only waits

Told = tuple[dict[str, Any], list[str] | None]


class JobApi:
    """What programs can ask about many pictures."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    @no_tool
    async def annotate(
        self,
        files: list[str],
        task: str,
        phrase: str = "",
        question: dict[str, Any] | None = None,
        format: str = "jsonl",
        options: dict[str, Any] | None = None,
        request: gr.Request | None = None,
    ) -> AsyncIterator[Told]:
        """Ask the same about many pictures. Streams the progress; the last one comes with the files.

        The first value has the key of the `job`, by which `/job` finds it again; it goes on when nobody listens.

        Args:
            files: Pictures, ZIPs of pictures, PDFs, TIFFs and videos.
            task: A task id of `/tasks`, such as "<OD>"; not one about regions.
            phrase: Text for the tasks that need it: a sentence, or names separated by commas.
            question: The question as one object, as `/run` takes it; it takes the place of task and phrase.
            format: What to write at the end, with commas between: coco, yolo, voc, csv, jsonl, or any other format.
            options: Which pictures of documents and videos, such as {"pages": "1-30", "password": "secret",
                "own_text": true, "every": "0.5s", "start": "10", "end": "1:30"}.
        """
        with errors_for_the_user():
            formats = read_formats(str(format))
            asked = Question(task, phrase) if question is None else Question.from_dict(question, is_asked=True)
            of_sources = SourceOptions.from_dict(options, is_asked=True)
            of_sources.check(asked)
            folder = disk_of(get_upload_folder()).folder_of(request)
            key = await asyncio.to_thread(self._jobs.create, files, folder, begins_with=(asked, of_sources))
            async for told in self._follow(key, formats, request):
                yield told

    @no_tool
    async def job(
        self,
        job: str,
        do: str = "follow",
        format: str = "jsonl",
        only_approved: bool = False,
        request: gr.Request | None = None,
    ) -> AsyncIterator[Told]:
        """Follow a job, or pause, stop, resume or delete it. Streams as `/annotate` does, until it is not at work.

        Args:
            job: The key that `/annotate` gave.
            do: "follow", "resume", "pause" after the pictures in work, "stop" at once, or "delete", with the answers
                and the files that were given, which nobody can bring back.
            format: What to write at the end, as for `/annotate`.
            only_approved: Whether only what somebody has approved goes into the files.
        """
        with errors_for_the_user():
            if do not in _DEEDS:
                raise InputRejected(f"{str(do)[:80]!r} cannot be done. Choose one of {', '.join(_DEEDS)}.", field="do")
            if not isinstance(only_approved, bool):
                raise InputRejected(
                    f"only_approved must be true or false, but got {str(only_approved)[:80]!r}.", field="only_approved"
                )
            formats, found = read_formats(str(format)), self._jobs.find(job)
            if do == "delete":
                await asyncio.to_thread(self._jobs.delete, job)
                yield {"job": job, **JobProgress(JobState.DELETED).to_dict(), "last": []}, None
                return
            if do == "resume" and not found.is_working:
                self._resume(found)
            elif do in ("pause", "stop"):
                found.pause() if do == "pause" else found.stop()
            async for told in self._follow(job, formats, request, only_approved=only_approved):
                yield told

    def _resume(self, job: ServedJob) -> None:
        if job.wanted is None:
            raise JobRejected("Nothing was asked in this job yet. Start another with `/annotate`.")
        self._jobs.start(job, job.wanted)

    async def _follow(
        self, key: str, formats: Sequence[str], request: gr.Request | None, *, only_approved: bool = False
    ) -> AsyncIterator[Told]:
        told: dict[str, Any] = {}
        while True:
            job = self._jobs.find(key)
            is_working, before = job.is_working, told
            told = await asyncio.to_thread(_told, key, job)
            if not is_working:
                break
            if told != before:
                yield told, None
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        if told["state"] == JobState.FAILED.value and not told["answered"]:
            raise JobRejected(told["message"])
        files = await asyncio.to_thread(self._write, job, formats, only_approved, request)
        yield told, files

    def _write(self, job: ServedJob, formats: Sequence[str], only_approved: bool, request: Any) -> list[str]:
        disk = disk_of(get_upload_folder())
        folder = disk.folder_of(request)
        written = [
            job.write(one, only_approved=only_approved, take_room=lambda size: disk.make_room(folder, size))
            for one in formats
        ]
        return [str(file.path) for file in written if file]


def _told(key: str, job: ServedJob) -> dict[str, Any]:
    last = [
        {"name": row.source.stem, "labels": list(row.labels), "error": row.error}
        for row in job.findings.read()[-_NUM_LAST:]
    ]
    return {"job": key, **job.progress().to_dict(), "last": last}


def add_job_api(jobs: Jobs) -> None:
    """Add the endpoints to the app that is being built; their components are never shown."""
    api = JobApi(jobs)
    with gr.Column(visible=False):
        files = GivenFilesField(label="files", file_count="multiple")
        task = gr.Textbox(label="task", value=DEFAULT_TASK.id)
        phrase = TextAsSent(label="phrase", value="")
        question = gr.JSON(label="question", value=None)
        format_ = gr.Textbox(label="format", value="jsonl")
        options = gr.JSON(label="options", value=None)
        job = gr.Textbox(label="job")
        do = gr.Textbox(label="do", value=_DEEDS[0])
        only_approved = gr.Checkbox(False, label="only_approved")
        progress = gr.JSON(label="progress")
        written = gr.File(label="written", file_count="multiple")
        ask = gr.Button()
        results = [progress, written]
        asked = [files, task, phrase, question, format_, options]
        ask.click(api.annotate, asked, results, api_name="annotate", **_FOLLOWING)
        ask.click(api.job, [job, do, format_, only_approved], results, api_name="job", **_FOLLOWING)
