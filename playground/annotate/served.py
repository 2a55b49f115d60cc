"""One job of a server: in a folder and a thread of its own, started, paused and looked at by whoever has its key."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

from playground.annotate.answers import Answers, question_of
from playground.annotate.findings import Findings
from playground.annotate.given import GivenFiles
from playground.annotate.job import AnswersTogether, PictureAnswered, question_for_many, run_job
from playground.annotate.journal import Journal
from playground.annotate.options import SourceOptions
from playground.annotate.outputs import WrittenFile, write_output
from playground.annotate.own_text import OwnTextFirst
from playground.annotate.reading import SourceReader
from playground.annotate.sources import PictureSource, count_sources, find_sources
from playground.annotate.thumbnails import Thumbnails, thumbnail_key
from playground.annotate.turns import InTurn, WatchedAnswers
from playground.engines import WaitCancelled
from playground.errors import CheckpointUnavailable, ExportRejected, JobRejected, PlaygroundError
from playground.fair_lock import FairLock
from playground.pictures.workers import PictureWorkers
from playground.predictor import Predictor
from playground.question import Question

FILM_SECONDS = 600.0  # that a film may take to be written: it ends with what it has by then
_GIVEN_UP = "This job was deleted. Give the pictures again."

_logger = logging.getLogger(__name__)


class JobState(Enum):
    """How far a job is. Whatever is not at work can be started, and goes on where it was."""

    NEW = "new"
    WORKING = "working"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is; `message` says why it failed. A number is None where it is not known yet.

    `num_wanted` are the pictures that are to be answered now, of a preview a few of all.
    """

    state: JobState
    num_pictures: int | None = None
    num_wanted: int | None = None
    num_answered: int = 0
    num_failed: int = 0
    a_minute: float | None = None
    seconds_left: float | None = None
    message: str = ""

    @property
    def num_done(self) -> int:
        """How many pictures have a line in the journal."""
        return self.num_answered + self.num_failed

    @property
    def has_more(self) -> bool:
        """Whether there are pictures that nobody has asked about."""
        return self.num_pictures is None or self.num_done < self.num_pictures

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can carry."""
        return {
            "state": self.state.value, "pictures": self.num_pictures, "answered": self.num_answered,
            "failed": self.num_failed,
            "a_minute": None if self.a_minute is None else round(self.a_minute, 1),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left),
            "message": self.message,
        }  # fmt: skip


class ServedJob:
    """One job. Safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        given: GivenFiles,
        predictor: Predictor,
        workers: PictureWorkers,
        turn: FairLock,
        max_pictures: int,
    ) -> None:
        self.folder = folder
        self.visitor = given.visitor
        self.touched = time.monotonic()
        self.findings = Findings(Answers(folder))
        self._predictor = predictor
        self._workers = workers
        self.reader = self._reader("")
        self._turn = turn
        self._max_pictures = max_pictures
        self._thumbnails = Thumbnails(folder)
        self._lock = threading.RLock()
        self._is_given_up = False
        self._pausing, self._ending = threading.Event(), threading.Event()
        self._password = ""  # in memory alone
        self._begins_anew = False
        self._state = JobState.PAUSED if self.question else JobState.NEW
        self._message = ""
        self._limit: int | None = None
        self._began: tuple[float, int] | None = None  # when, and with how many rows
        self._thread: threading.Thread | None = None
        self._keep(given)

    # What somebody wants of it

    def start(
        self,
        question: Question,
        options: SourceOptions | None = None,
        *,
        limit: int | None = None,
        retry_errors: bool = False,
    ) -> None:
        """Ask about all pictures, or the first ones, that are not answered yet; another question begins anew.

        So do other options, of which those that were given last hold; a password stays until another one is given.
        Raises UnknownTask, InputRejected, SourceRejected, SettingsInvalid or JobRejected.
        """
        own_tasks = self._predictor.own_tasks(question.checkpoint)
        if own_tasks is not None:
            question = question_for_many(question, own_tasks)
        options = options or self._given.options
        options.check(question)
        with self._lock:
            if self._is_given_up:
                raise JobRejected(_GIVEN_UP)
            if self._state is JobState.WORKING:
                raise JobRejected("This job is at work. Pause it before it is asked for something else.")
            if is_other_password := bool(options.password) and options.password != self._password:
                self._password, self.reader = options.password, self._reader(options.password)
            is_other = options.to_dict() != self._given.options.to_dict()
            self._begins_anew |= is_other
            if is_other or is_other_password:
                self._keep(replace(self._given, options=replace(options, password=""), num_pictures=None))
            retry_errors |= is_other_password
            self._state, self._message, self._limit, self._began = JobState.WORKING, "", limit, None
            self._pausing, self._ending = threading.Event(), threading.Event()
            work = (question, retry_errors, self._pausing, self._ending)
            self._thread = threading.Thread(target=self._work, args=work, name="job", daemon=True)
            self._thread.start()

    def want(self, question: Question) -> None:
        """Make something else of the answers that are there, and of those that follow. Raises JobRejected."""
        asked = self.question
        if asked is None or replace(question.without_choices(), checkpoint=asked.checkpoint) != asked:
            raise JobRejected("The answers that are there are to another question. Ask this one first.")
        self._keep(replace(self._given, wanted=replace(question, checkpoint=asked.checkpoint)))

    def pause(self) -> None:
        """End after the pictures in work."""
        self._pausing.set()

    def stop(self) -> None:
        """End at once; the pictures in work are as if they had not been asked about."""
        self._pausing.set()
        self._ending.set()

    def give_up(self) -> None:
        """Stop for good: nobody finds it again, and its folder can be deleted once what is in work has ended."""
        with self._lock:
            self._is_given_up = True
            GivenFiles.forget(self.folder)
        self.stop()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for it to end what it was told to end, but no longer than so."""
        if self._thread is not None:
            self._thread.join(seconds)

    # What it has

    @property
    def is_working(self) -> bool:
        """Whether it is at work."""
        return self._state is JobState.WORKING

    @property
    def question(self) -> Question | None:
        """What was asked last, if anything was."""
        with suppress(JobRejected):
            return question_of(self.folder)
        return None

    @property
    def wanted(self) -> Question | None:
        """What was asked last, with what is to be made of the answers."""
        return self._given.wanted

    @property
    def options(self) -> SourceOptions:
        """What of its files is wanted, without the password."""
        return self._given.options

    @property
    def title(self) -> str:
        """What people know it by."""
        return self._given.title

    @property
    def given_files(self) -> tuple[str, ...]:
        """The files that it was made with."""
        return self._given.paths

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it reads, and those that it has written."""
        written = [str(path) for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return (*self._given.paths, *written)

    def progress(self) -> JobProgress:
        """Return how far it is."""
        self.touched = time.monotonic()
        rows = self.findings.read()
        failed = sum(bool(row.error) for row in rows)
        total, began = self._given.num_pictures, self._began
        wanted = total if self._limit is None or total is None else min(total, self._limit)
        pace = left = None
        if began and self.is_working:
            asked = len(rows) - began[1]
            pace = 60 * asked / max(time.monotonic() - began[0], 1e-3) if asked > 0 else None
            left = 60 * max(0, wanted - len(rows)) / pace if wanted is not None and pace else None
        return JobProgress(self._state, total, wanted, len(rows) - failed, failed, pace, left, self._message)

    def write(
        self, format_id: str, *, only_approved: bool = False, take_room: Callable[[int], None]
    ) -> WrittenFile | None:
        """Write what is answered so far as a file; returns None where there is nothing to write.

        `take_room` is told of bytes before there are many more of them. Raises ExportRejected, and what it raises.
        """
        wanted = self.wanted
        if wanted is None:
            return None
        answers, begun = WatchedAnswers(self.folder, take_room), time.monotonic()
        try:
            written = write_output(
                answers,
                self.reader,
                format_id,
                wanted,
                shown_from=self._shown_from(wanted),
                only_approved=only_approved,
                name=self._given.name,
                is_stopped=lambda: time.monotonic() - begun > FILM_SECONDS,
            )
        except ExportRejected as error:
            if self._is_given_up:
                raise JobRejected(_GIVEN_UP) from error
            raise ExportRejected(self._told(str(error))) from error
        if written:
            written.left_out = [self._told(sentence) for sentence in written.left_out]
        return written

    def _told(self, sentence: str) -> str:
        """Return a sentence without the folders of the server."""
        for path in (*map(Path, self._given.paths), self.folder):
            sentence = sentence.replace(f"{path.parent}{os.sep}", "")
        return sentence

    def thumbnail(self, source: PictureSource) -> bytes:
        """Return a small picture as JPEG; nothing where there is none."""
        return self._thumbnails.get(thumbnail_key(source))

    # The work

    def _work(self, question: Question, retry_errors: bool, pausing: threading.Event, ending: threading.Event) -> None:
        state, message = JobState.DONE, ""
        try:
            if not self._answer(question, retry_errors, pausing, ending):
                state = JobState.STOPPED if ending.is_set() else JobState.PAUSED
        except WaitCancelled:
            state = JobState.STOPPED
        except PlaygroundError as error:
            state, message = JobState.FAILED, self._told(str(error))
        except Exception as error:  # a bug, or no room on the disk: whoever looks at the job must not wait for ever
            _logger.exception("A job has failed.")
            state = JobState.FAILED
            message = f"Something is wrong with the playground itself ({type(error).__name__}). Start the job again."
            if isinstance(error, OSError):
                why = error.strerror or type(error).__name__
                message = f"The server has trouble with its files ({why}). Start the job again once that is mended."
        with self._lock:
            self.touched = time.monotonic()
            self._state, self._message = state, message

    def _answer(
        self, question: Question, retry_errors: bool, pausing: threading.Event, ending: threading.Event
    ) -> bool:
        """Ask about the pictures; returns whether all were answered."""
        with self._predictor.engines.acquire(question.checkpoint, cancelled=ending.is_set) as engine:
            question, group_size = replace(question, checkpoint=engine.checkpoint.name), engine.max_asks
            wanted = question_for_many(question, engine.checkpoint.tasks or ())
        self._keep(replace(self._given, wanted=wanted))
        question = wanted.without_choices()
        is_anew = self._begins_anew or question_of(self.folder) not in (None, question)
        with closing(Journal(self.folder, question, overwrite=is_anew)) as journal:
            self._begins_anew = False
            if retry_errors:
                journal.forget_errors()
            self._began = time.monotonic(), len(self.findings.read(anew=True))
            self._count()
            answers: AnswersTogether = InTurn(self._predictor, self._turn, ending)
            if self._given.options.own_text:
                answers = OwnTextFirst(answers, question)
            sources = islice(self._sources(), self._limit)
            events = run_job(
                answers,
                self.reader,
                sources,
                question,
                journal=journal,
                group_size=group_size,
                is_stopped=pausing.is_set,
            )
            with closing(events):
                for event in events:
                    if isinstance(event, PictureAnswered):
                        self._thumbnails.put(thumbnail_key(event.source), event.image.pixels)
        return not pausing.is_set()

    def _sources(self) -> Iterator[PictureSource]:
        options = replace(self._given.options, password=self._password)
        wanted = options.wanted(num_pages=self._workers.num_pages, frame_times=self._workers.frame_times)
        return find_sources(self._given.paths, wanted)

    def _reader(self, password: str) -> SourceReader:
        return SourceReader(self._workers.read, password=password, videos=self._workers)

    def _count(self) -> None:
        """Find out how many pictures there are. Raises JobRejected."""
        if self._given.num_pictures is not None:
            return
        count = count_sources(self._sources(), self._max_pictures + 1)
        if count > self._max_pictures:
            raise JobRejected(
                f"These files hold more than {self._max_pictures} pictures, the most that one job may have here. Give "
                "it fewer, or ask about the rest in another job."
            )
        if not count:
            raise JobRejected(self._given.options.nothing_found())
        self._keep(replace(self._given, num_pictures=count))

    def _keep(self, given: GivenFiles) -> None:
        self._given = given
        with self._lock:
            if not self._is_given_up:
                given.write(self.folder)
        if given.wanted:
            self.findings.choose(given.wanted, self._shown_from(given.wanted))

    @property
    def shown_from(self) -> float:
        """The lowest score that is shown where the question has none."""
        return self._shown_from(self.wanted) if self.wanted else 0.0

    def _shown_from(self, wanted: Question) -> float:
        with suppress(CheckpointUnavailable):  # of an earlier server, which had another
            return self._predictor.engines.status(wanted.checkpoint).checkpoint.min_score
        return 0.0
