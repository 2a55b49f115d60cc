"""The command: arguments to a job, its events to a bar, its journal to files."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from playground import console
from playground.annotate.answers import question_of
from playground.annotate.beside import Beside, write_beside
from playground.annotate.choices import read_min_scores, read_names
from playground.annotate.job import AnswersTogether, PictureAnswered, question_for_many, run_job
from playground.annotate.journal import Journal
from playground.annotate.on_ray import RayJob, run_job_on_ray, write_parquet
from playground.annotate.options import SourceOptions
from playground.annotate.outputs import (
    DIVIDED_FORMAT_IDS,
    FORMAT_IDS,
    VIDEO_FORMAT_IDS,
    WrittenFile,
    read_formats,
    write_output,
)
from playground.annotate.own_text import OwnTextFirst, is_for_reading
from playground.annotate.progress import ProgressBar
from playground.annotate.reading import SourceReader
from playground.annotate.sharp import SharpOutlines
from playground.annotate.sources import File, PictureSource, Wanted, check_sources, count_sources, find_sources
from playground.annotate.splits import Split, read_split
from playground.arguments import whole
from playground.checkpoints.catalog import resolve
from playground.errors import CheckpointUnavailable, JobRejected, PlaygroundError, SettingsInvalid, SourceRejected
from playground.export import Affixes
from playground.local_ray import check_installed
from playground.masks.sharpener import Sharpener
from playground.pictures.limits import Limits
from playground.pictures.workers import PictureWorkers
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import DECODINGS, Question
from playground.settings import Settings

_SHOWN_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class JobCommand:
    """What was typed, as far as it can be checked before anything is read."""

    sources: tuple[str, ...]
    options: SourceOptions
    question: Question
    folder: Path
    formats: tuple[str, ...]
    limit: int | None
    overwrite: bool
    retry_errors: bool
    settings: Settings
    split: Split | None
    affixes: Affixes
    beside: Beside | None
    by_track: bool = False
    ray: str = ""
    sharp_outlines: bool = False


def read_job_command(arguments: Sequence[str], environ: dict[str, str]) -> JobCommand:
    """Return the command of a command line. Raises PlaygroundError; ends the program for what argparse refuses."""
    settings = Settings.from_env(environ)
    chosen = _parser(settings).parse_args(arguments)
    settings = replace(settings, checkpoint=chosen.checkpoint, adapter=chosen.adapter)
    named = settings.first_checkpoint
    question = Question(
        chosen.task, chosen.phrase, (), named, chosen.decoding, chosen.max_new_tokens,
        names=read_names(chosen.name),
        min_scores=read_min_scores(chosen.min_score),
        merge="ios" if chosen.merge_contained else "iou" if chosen.merge_duplicates else "",
        one_by_one=chosen.one_by_one,
        tiles=0 if chosen.tiles else None,
        then=chosen.then,
    )  # fmt: skip
    # The tasks of a fine-tune that is not on this machine are known once it is loaded.
    own_tasks = resolve(named).tasks if named else ()
    if own_tasks is not None:
        question = question_for_many(question, own_tasks)
    check_sources(chosen.sources)
    folder = Path(chosen.out)
    _check_folder(folder, chosen.sources)
    formats, split = read_formats(chosen.format), read_split(chosen.split)
    if split and not set(formats) & set(DIVIDED_FORMAT_IDS):
        known = ", ".join(DIVIDED_FORMAT_IDS)
        raise SettingsInvalid(f"--split divides data sets to train on: {known}. Add one to --format, or leave it out.")
    options = SourceOptions(chosen.pages, chosen.password, chosen.own_text, chosen.every, chosen.start, chosen.end)
    options.check(question)
    if chosen.sharp_outlines and chosen.ray:
        raise SettingsInvalid("--sharp-outlines are drawn by this program, not by a Ray. Leave one of the two out.")
    return JobCommand(
        tuple(chosen.sources),
        options, question, folder,
        formats, chosen.limit, chosen.overwrite,
        chosen.retry_errors, replace(settings, checkpoint=named, adapter="", device=chosen.device,
                                     offline=chosen.offline, masks=chosen.masks),
        split, Affixes(chosen.caption_prefix, chosen.caption_suffix),
        Beside(chosen.captions_beside) if chosen.captions_beside else None,
        chosen.color_by == "track", chosen.ray, chosen.sharp_outlines,
    )  # fmt: skip


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m playground.annotate",
        description="Ask Florence-2 the same about many pictures, and save the answers as one data set. Started again, "
        "it goes on where it was ended.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE",
        help="a picture, a folder with everything in it, a PDF, a video, a ZIP, a pattern such as 'photos/*.jpg', or "
             "a .txt file with a path on each line; or such a place in a bucket: s3://bucket/photos")  # fmt: skip
    add("--task", required=True, metavar="TASK", help="what to ask, such as '<OD>' or '<OPEN_VOCABULARY_DETECTION>'")
    add("--phrase", default="", metavar="TEXT", help="the names, the sentence or the prompt that the task needs")
    add("--then", default="", metavar="TASK",
        help="what to ask about each region that was found, such as '<REGION_TO_DESCRIPTION>', or about the text of a "
             "caption: '<CAPTION_TO_PHRASE_GROUNDING>'")  # fmt: skip
    add("--out", required=True, metavar="FOLDER", help="where answers and data sets go")
    add("--format", default="", metavar="LIST", help=f"what to write at the end, with commas: {', '.join(FORMAT_IDS)}")
    add("--split", default="", metavar="SHARES", help="divide COCO, VOC and YOLO data sets by files, such as 80/10/10")
    add("--captions-beside", default="", choices=["", *(mode.value for mode in Beside)],
        help="write captions as text files beside the pictures themselves; of those that are there already leave them, "
             "overwrite them, or append")  # fmt: skip
    add("--caption-prefix", default="", metavar="TEXT", help="before every caption, such as 'photo of xyz, '")
    add("--caption-suffix", default="", metavar="TEXT", help="behind every caption")
    add(
        "--name",
        action="append",
        default=[],
        metavar="ASKED=NAME",
        help="call what is found for ASKED by another name in the files; asks for it too, where the task takes names",
    )
    add(
        "--min-score",
        default="",
        metavar="SCORE",
        help="the lowest score in the files: 0.3, or helmet=0.3,vest=0.5; without it, what the page would show",
    )
    add("--one-by-one", action="store_true", help="ask for each name of --phrase and --name by itself")
    add("--tiles", action="store_true", help="look closer: at overlapping tiles of large pictures too")
    add("--merge-duplicates", action="store_true", help="keep the surest of regions that lie on one another")
    add("--merge-contained", action="store_true", help="the same, and of those that lie inside another")
    add("--sharp-outlines", action="store_true", help="let what --masks names draw the outline of what is in each box")
    add("--masks", default=settings.masks, metavar="NAME", help="as for app.py")
    add("--checkpoint", default=settings.checkpoint, metavar="NAME", help="as for app.py")
    add("--adapter", default=settings.adapter, metavar="FOLDER | HUB_ID", help="as for app.py")
    add("--device", default=settings.device, help="auto, cpu, cuda, cuda:1, mps")
    add("--decoding", default="greedy", choices=list(DECODINGS), help="careful searches with three beams")
    add("--max-new-tokens", type=whole(1), metavar="N", help="the longest answer")
    add("--pages", default="", metavar="RANGES", help="of documents, such as 1-30,40; all without it")
    add("--password", default="", metavar="TEXT", help="that opens PDFs")
    add("--own-text", action="store_true", help="take the text that a page of a PDF holds, instead of reading it")
    add("--every", default="1s", metavar="STEP", help="of videos a frame each 0.5s, or each 10 frames; 1s without it")
    add("--start", default="", metavar="TIME", help="of videos: seconds, or 1:30")
    add("--end", default="", metavar="TIME", help="of videos")
    add("--color-by", default="name", choices=["name", "track"],
        help="of videos: a color for each name, or one for each thing that is followed")  # fmt: skip
    add("--limit", type=whole(1), metavar="N", help="only the first N pictures")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--skip-done", action="store_true", help="go on where it was ended; this is what it does anyhow")
    again.add_argument("--retry-errors", action="store_true", help="go on, and try again what could not be answered")
    again.add_argument("--overwrite", action="store_true", help="delete the answers that are there, and begin anew")
    add("--ray", default="", metavar="ADDRESS | local",
        help="let workers of a Ray read and answer: one that is started here, or one at an address")  # fmt: skip
    add("--offline", default=settings.offline, action="store_true", help="contact nobody")
    return parser


def _check_folder(folder: Path, sources: Sequence[str]) -> None:
    whole = Path(os.path.abspath(folder))
    for source in sources:
        if whole in (place := Path(os.path.abspath(source)), *place.parents):
            raise JobRejected(f"--out {folder} holds the pictures themselves. Name another folder, such as runs/1.")


@contextmanager
def _first_interrupt_stops() -> Iterator[threading.Event]:
    """Let the first Ctrl+C set an event, and the next one end the program."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def interrupt(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        console.say("\nEnding after the pictures in work. Ctrl+C again ends at once.", is_aside=True)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def carry_out(command: JobCommand) -> bool:
    """Ask, show how far it is, and write the files; returns whether it came to its end."""
    limits = Limits(max_megapixels=command.settings.max_megapixels, max_megabytes=command.settings.max_megabytes)
    known = None if command.overwrite else question_of(command.folder)
    with closing(PictureWorkers(limits)) as workers:
        predictor, name, group_size = _predictor(command, known)
        question = question_for_many(replace(command.question, checkpoint=name), predictor.own_tasks(name) or ())
        with closing(Journal(command.folder, question.without_choices(), overwrite=command.overwrite)) as journal:
            if command.retry_errors:
                console.say(f"{journal.forget_errors()} pictures that could not be answered are tried again.")
            reader = SourceReader(workers.read, password=command.options.password)
            with _first_interrupt_stops() as stop:
                is_whole = _ask(command, predictor, reader, journal, group_size, stop)
            if command.ray:
                console.say(f"{write_parquet(journal)}: a table of all answers")
            status = predictor.engines.status(name)
            least = status.checkpoint.min_score
            for format_id in command.formats:
                if is_whole or format_id in VIDEO_FORMAT_IDS:  # of which the part that is done is of use
                    _write(command, journal, reader, format_id, question, least)
            if not is_whole:
                console.say("Start the same command again to go on.")
                return False
            if command.beside:
                written = write_beside(journal, question, command.beside, command.affixes, shown_from=least)
                _say_written(written, f"{written.num_pictures} captions are beside their pictures")
    return True


def _predictor(command: JobCommand, known: Question | None) -> tuple[Predictor, str, int]:
    """Return who answers, once it can, its name, and how many pictures it answers at the same time.

    Where no checkpoint is named, it is that of the answers which are there.
    """
    named = command.question.checkpoint or (known.checkpoint if known else "")
    settings = replace(command.settings, checkpoint=named, load_wait_seconds=float("inf"))
    pool = Pool(settings)
    if command.ray:
        check_installed("ray")
    console.say("Loading the checkpoint.")
    pool.start()
    try:
        with pool.acquire() as engine:
            name, group_size = engine.checkpoint.name, engine.max_asks
    except CheckpointUnavailable as error:
        raise error.in_full() from error
    status = pool.status(name)
    for line in filter(None, (status.message, status.details, status.why)):
        console.say(line)
    sharpener = Sharpener(settings)
    if command.sharp_outlines:
        sharpener.wait()
        console.say(sharpener.status.message)
    return Predictor(pool, sharpener=sharpener), name, group_size


def _ask(
    command: JobCommand,
    predictor: Predictor,
    reader: SourceReader,
    journal: Journal,
    group_size: int,
    stop: threading.Event,
) -> bool:
    wanted = command.options.wanted()
    sources = islice(find_sources(command.sources, wanted), command.limit)
    total = _count(command, wanted, journal)
    if not total and not journal.done_keys():
        raise SourceRejected(command.options.nothing_found())
    if command.ray:
        job = RayJob(command.ray, command.settings, command.options.password, command.options.own_text, group_size)
        events = run_job_on_ray(job, sources, journal.question, journal=journal, is_stopped=stop.is_set)
    else:
        answers: AnswersTogether = predictor
        if command.options.own_text:
            answers = OwnTextFirst(predictor, journal.question)
        if command.sharp_outlines:
            answers = SharpOutlines(answers, predictor)
        events = run_job(
            answers, reader, sources, journal.question, journal=journal, group_size=group_size, is_stopped=stop.is_set
        )
    num_with_text = 0
    with ProgressBar(total) as progress, closing(events):
        for event in events:
            progress.take(event)
            num_with_text += isinstance(event, PictureAnswered) and bool(event.image.own_text)
    console.say(progress.summary())
    if count := journal.num_failed_before:
        console.say(f"  of those done before {count} could not be answered. --retry-errors tries them again.")
    for problem in progress.problems[:_SHOWN_PROBLEMS]:
        console.say(f"  {problem}")
    if (more := progress.num_failed - _SHOWN_PROBLEMS) > 0:
        console.say(f"  and {more} more, in {journal.folder}")
    if num_with_text and is_for_reading(journal.question) and not command.options.own_text:
        console.say(
            f"{num_with_text} pages hold text of their own. --own-text --overwrite takes it instead of reading."
        )
    return not stop.is_set()


def _count(command: JobCommand, wanted: Wanted, journal: Journal) -> int:
    """Count the pictures, and drop what is said of files that opened with no password, or not for these pages."""
    opened: set[File] = set()

    def noted(sources: Iterator[PictureSource]) -> Iterator[PictureSource]:
        for source in sources:
            if not source.is_whole_file and source.file in journal.failed_files:
                opened.add(source.file)
            yield source

    total = count_sources(noted(find_sources(command.sources, wanted)), command.limit)
    if opened:
        journal.forget_errors(opened)
    return total


def _write(
    command: JobCommand, journal: Journal, reader: SourceReader, format_id: str, wanted: Question, shown_from: float
) -> None:
    with _first_interrupt_stops() if format_id in VIDEO_FORMAT_IDS else nullcontext(threading.Event()) as stop:
        written = write_output(
            journal, reader, format_id, wanted, shown_from=shown_from, split=command.split, affixes=command.affixes,
            is_stopped=stop.is_set, by_track=command.by_track,
        )  # fmt: skip
    if written is None and format_id in VIDEO_FORMAT_IDS:
        console.say(f"No frame of a video is answered, so there is no {format_id} to write.")
        return
    if written is None:
        console.say(f"No picture is answered, so there is no {format_id} to write.")
        return
    ends = ", and there it was ended. Start the same command again for the whole one." if written.is_cut else ""
    _say_written(written, f"{written.path}: {written.num_pictures} pictures{ends}")


def _say_written(written: WrittenFile, sentence: str) -> None:
    console.say(sentence)
    for problem in written.left_out[:_SHOWN_PROBLEMS]:
        console.say(f"  left out: {problem}")
    if (more := len(written.left_out) - _SHOWN_PROBLEMS) > 0:
        console.say(f"  and {more} more")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; what a user can mend is one sentence, not a traceback."""
    console.accept_any_terminal()
    try:
        command = read_job_command(sys.argv[1:] if arguments is None else arguments, dict(os.environ))
        if command.settings.offline:
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
        sys.exit(0 if carry_out(command) else 128 + signal.SIGINT)
    except PlaygroundError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        console.say("Ended. Start the same command again to go on.")
        sys.exit(128 + signal.SIGINT)
