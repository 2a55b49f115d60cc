"""Jobs of a server: each in a folder and a thread of its own, found again by a key that only its owner has.

Jobs take turns with each other, a group of pictures at a time, so that whoever asks one question waits for one group
at most. Knows no page: who a visitor is, and where files lie, is told.
"""

import hashlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from playground.annotate.given import FOLDER, GivenFiles
from playground.annotate.options import SourceOptions
from playground.annotate.served import ServedJob
from playground.errors import JobRejected, PlaygroundError, SourceRejected
from playground.fair_lock import FairLock
from playground.pictures.limits import Limits
from playground.pictures.reader import InputImage
from playground.pictures.workers import PictureWorkers
from playground.predictor import Predictor
from playground.question import Question
from playground.settings import Settings

_AT_WORK_IN_ALL = 16
_KEPT_IN_ALL = 256
_MEGABYTE = 1_000_000
_WORKERS = 3  # processes that read pictures
_SECONDS_TO_END = 2.0  # for what is at work when the server ends
_SECONDS_TO_DELETE = 10.0  # that whoever deletes a job waits for what is in work
_MOST_TITLES = 3  # in a sentence


class Jobs:
    """All jobs of a server, in the folders of its visitors under one folder. Safe to use from several threads."""

    def __init__(
        self,
        predictor: Predictor,
        settings: Settings,
        folder: Path,
        delete_files: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        """Find the jobs that are left in a folder; `delete_files` deletes what a job was given, if nobody needs it."""
        self._predictor = predictor
        self._settings = settings
        self._folder = folder
        self._delete_files = delete_files
        self._turn = FairLock()
        limits = Limits(max_megapixels=settings.max_megapixels, max_megabytes=settings.max_megabytes)
        self._workers = PictureWorkers(limits, count=_WORKERS)  # its own: whoever gives one picture is not to wait
        self._lock = threading.RLock()
        self._jobs: dict[str, ServedJob] = {}  # by the name of the folder
        for left in folder.glob(f"*/{FOLDER}/*"):
            self._left(left.name)

    @property
    def read(self) -> Callable[..., InputImage]:
        """What reads the pictures of jobs, in processes of its own."""
        return self._workers.read

    def create(
        self,
        paths: Sequence[str],
        visitor_folder: Path,
        known: Sequence[str] = (),
        *,
        begins_with: tuple[Question, SourceOptions] | None = None,
    ) -> str:
        """Make a job of uploaded files; returns the key by which it is found. Raises SourceRejected or JobRejected.

        Of jobs whose keys are `known` to whoever asks, the sentence that there is no room for another has the titles.
        One that is to begin at once and may not is not kept: nobody would know its key. Then raises what `start` does.
        """
        self._check_files(paths)
        key = secrets.token_urlsafe(18)
        folder = visitor_folder / FOLDER / _name_of(key)
        given = GivenFiles(tuple(paths), visitor_folder.name)
        with self._lock:
            self._check_room(given.visitor, known)
            folder.mkdir(parents=True)
            self._jobs[folder.name] = self._job(folder, given)
        if begins_with:
            try:
                self.start(self.find(key), *begins_with)
            except PlaygroundError:
                with self._lock:
                    self._drop(folder.name)
                raise
        return key

    def find(self, key: str) -> ServedJob:
        """Return the job of a key, one that an earlier server has left in the folder too. Raises JobRejected."""
        name = _name_of(key)
        with self._lock:
            self._let_go()
            job = self._jobs.get(name) or self._left(name)
            if job is None:
                raise JobRejected(
                    f"There is no such job here: it was deleted, nobody has looked at it for "
                    f"{self._settings.hours_kept}, or another browser began it. Give the pictures again."
                )
            job.touched = time.monotonic()
            return job

    def titles(self, keys: Sequence[str]) -> dict[str, str]:
        """Return what people know the jobs of these keys by, of those that are there; none is looked at by that."""
        with self._lock:
            self._let_go()
            found = {key: self._jobs.get(_name_of(key)) for key in keys}
            return {key: job.title for key, job in found.items() if job is not None}

    def delete(self, key: str) -> bool:
        """Stop a job, and delete its folder and what it was given. Raises JobRejected where there is none.

        Nobody finds it from now on. Returns whether all is gone already: what is in work may take a while to end.
        """
        with self._lock:
            job = self.find(key)
            job.give_up()
            self._jobs.pop(job.folder.name)
        deleting = threading.Thread(target=self._delete, args=(job,), name="deleting a job", daemon=True)
        deleting.start()
        deleting.join(_SECONDS_TO_DELETE)
        return not deleting.is_alive()

    def start(
        self,
        job: ServedJob,
        question: Question,
        options: SourceOptions | None = None,
        *,
        limit: int | None = None,
        retry_errors: bool = False,
    ) -> None:
        """Let a job ask, where its visitor and the server may have one more. Raises what `ServedJob.start` raises."""
        if self._settings.on_zero_gpu:
            raise JobRejected(
                "On this machine each answer has a GPU for some seconds only, which is no place for jobs. Run the "
                "playground on your own machine, or in a Space with a CPU or a GPU of its own."
            )
        with self._lock:
            working = [one for one in self._jobs.values() if one.is_working]
            most = self._settings.jobs_per_visitor
            if not job.is_working and sum(one.visitor == job.visitor for one in working) >= most:
                at_work = "A job of yours is" if most == 1 else f"{most} jobs of yours are"
                raise JobRejected(f"{at_work} at work already. Wait until one ends, or pause one.")
            if len(working) >= _AT_WORK_IN_ALL:
                raise JobRejected("So many jobs are at work here that this one has to wait. Try again in some minutes.")
            job.start(question, options, limit=limit, retry_errors=retry_errors)

    def held_files(self) -> Collection[str]:
        """Return the files that jobs need, once those that are too old are let go of."""
        with self._lock:
            self._let_go()
            return {path for job in self._jobs.values() for path in job.files}

    def close(self) -> None:
        """End what is at work; the next server over the same folder lets it go on."""
        working = [job for job in list(self._jobs.values()) if job.is_working]
        for job in working:
            job.stop()
        latest = time.monotonic() + _SECONDS_TO_END
        for job in working:
            job.wait(max(0.0, latest - time.monotonic()))
        self._workers.close()

    def _check_files(self, paths: Sequence[str]) -> None:
        if not paths:
            raise SourceRejected("There is no file. Give pictures, or a ZIP, a PDF or a video of them.")
        for path in paths:
            # A list of paths would have the server read whatever it names.
            if path.lower().endswith(".txt") or not Path(path).is_file():
                raise SourceRejected(
                    f"{Path(path).name[:80]!r} is no file of pictures. Give pictures, or a ZIP, a PDF or a video of "
                    "them."
                )
        limit, has = self._settings.job_megabytes, GivenFiles(tuple(paths), "").num_bytes
        if has > limit * _MEGABYTE:
            raise SourceRejected(
                f"These files have {has / _MEGABYTE:.0f} MB; {limit} MB are accepted. Give some of them, and the rest "
                "to another job."
            )

    def _job(self, folder: Path, given: GivenFiles) -> ServedJob:
        return ServedJob(folder, given, self._predictor, self._workers, self._turn, self._settings.job_pictures)

    def _left(self, name: str) -> ServedJob | None:
        """Return a job whose folder is there, though this server has not made it."""
        for folder in self._folder.glob(f"*/{FOLDER}/{name}"):
            if given := GivenFiles.read(folder):
                self._jobs[name] = self._job(folder, given)
                return self._jobs[name]
        return None

    def _check_room(self, visitor: str, known: Sequence[str]) -> None:
        """Raise JobRejected where there are so many jobs that there is no room for another: none goes by itself."""
        self._let_go()
        most, count = self._settings.kept_jobs_per_visitor, sum(job.visitor == visitor for job in self._jobs.values())
        if count >= most:
            titles = [f"“{title}”" for title in self.titles(known).values()][:_MOST_TITLES]
            such = f", such as {', '.join(titles)}" if titles else ""
            raise JobRejected(
                f"{count} jobs from your address are kept here, the most there may be{such}. Delete one that you do "
                f"not need any more, and try again; one that nobody looks at for {self._settings.hours_kept} goes by "
                "itself."
            )
        if len(self._jobs) >= _KEPT_IN_ALL:
            raise JobRejected("So many jobs are kept here that there is no room for another. Try again later.")

    def _delete(self, job: ServedJob) -> None:
        job.wait()
        shutil.rmtree(job.folder, ignore_errors=True)
        visitor_folder = job.folder.parents[1]
        if self._delete_files:
            self._delete_files([path for path in job.given_files if Path(path).is_relative_to(visitor_folder)])

    def _let_go(self) -> None:
        latest = time.monotonic() - self._settings.keep_jobs_seconds
        for name, job in list(self._jobs.items()):
            if not job.is_working and job.touched <= latest:
                self._drop(name)

    def _drop(self, name: str) -> None:
        shutil.rmtree(self._jobs.pop(name).folder, ignore_errors=True)


def _name_of(key: str) -> str:
    """Return the name of the folder of a job: whoever sees that has no key."""
    return hashlib.blake2b(str(key).encode("utf-8", "replace"), digest_size=16).hexdigest()
