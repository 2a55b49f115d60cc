"""Teach a checkpoint from a folder of labeled pictures.

    python -m playground.finetune --data my-cars/ --checkpoint florence-2-base-ft --task "<OD>" --out adapters/mine

If it is stopped, the same command goes on from the last save and ends with the same weights. `--demo` teaches the
bundled checkpoint a kind of thing that it has never seen, and ends with one line of JSON.
"""

import argparse
import math
import shlex
import sys
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from playground import console
from playground.arguments import number
from playground.checkpoints.catalog import BUNDLED
from playground.checkpoints.loader import LoadedCheckpoint
from playground.console import clock_time
from playground.datasets.reading import read_dataset
from playground.errors import PlaygroundError, SettingsInvalid
from playground.finetune.checks import LessonReport, check_lessons, lessons_of_data
from playground.finetune.demo import run_demo
from playground.finetune.lessons import Lesson
from playground.finetune.loop import LoraTeaching, load_to_teach
from playground.finetune.lora import check_peft
from playground.finetune.out_folder import check_out
from playground.finetune.rehearsal import pictures_to_rehearse, rehearsed
from playground.finetune.teaching import MeasuredPoint, Teaching, TeachingProgress, TeachingStage
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.settings import Settings
from playground.tasks import InputKind, find_task, get_task

_LINE_SECONDS = 5.0
_DEFAULTS = Teaching()
_AFTER_STOP = "The same command goes on from here; what it has learned so far is in --out, once it was measured."


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and teach; what cannot be done is one sentence and exit code 2."""
    console.accept_any_terminal()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # of what peft asks it
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.demo:
            console.report(run_demo(console.say, chosen.out))
            return
        needed = ("data",) if chosen.check else ("data", "out")
        missing = [f"--{name}" for name in needed if getattr(chosen, name) is None]
        if missing:
            parser.error(f"{' and '.join(missing)} must be given, or --demo.")
        _teach(chosen)
    except PlaygroundError as error:
        parser.error(str(error))
    except ValueError as error:  # of a setting that is out of its bounds
        parser.error(str(error))
    except KeyboardInterrupt:
        console.say("Stopped." if chosen.demo else f"Stopped. {_AFTER_STOP}")
        sys.exit(130)


def _teach(chosen: argparse.Namespace) -> None:
    teaching = Teaching(
        **{one.name: getattr(chosen, one.name) for one in fields(Teaching) if hasattr(chosen, one.name)}
    )
    check_peft()
    if chosen.rehearse and not chosen.task:
        raise SettingsInvalid("--rehearse asks about pictures without labels: say with --task what.")
    loaded = load_to_teach(chosen.checkpoint)
    question = Question(find_task(chosen.task, loaded.checkpoint.tasks or ()).id) if chosen.task else None
    if chosen.rehearse and question and get_task(question.task).input_kind is not InputKind.NONE:
        raise SettingsInvalid(
            f"--rehearse gives pictures alone, but {question.task} asks about a text or regions, too."
        )
    data = read_dataset(chosen.data)
    if not chosen.check:
        check_out(chosen.out)
    report = lessons_of_data(data, question, held_out_share=chosen.held_out, seed=teaching.seed)
    report = check_for(report, loaded)
    for line in report.lines():
        console.say(line)
    if chosen.check:
        return
    lessons = report.lessons + _rehearsals(chosen, question, loaded)
    printed = -_LINE_SECONDS
    for progress in LoraTeaching(loaded, lessons, report.held_out, teaching, chosen.out).run():
        is_measured = (
            progress.stage is TeachingStage.MEASURING
            and progress.points[-1:]
            and (progress.points[-1].step == progress.step)
        )
        if is_measured or progress.seconds - printed >= _LINE_SECONDS:
            console.say(line_of(progress))
            printed = progress.seconds
    ask = shlex.join(["python", "app.py", "--checkpoint", chosen.checkpoint, "--adapter", str(chosen.out)])
    console.say(f"The adapter is in {chosen.out}. Ask with it: {ask}")


def _rehearsals(chosen: argparse.Namespace, question: Question | None, loaded: LoadedCheckpoint) -> tuple[Lesson, ...]:
    """Return what the checkpoint answers about pictures without labels, where some are given."""
    if chosen.rehearse is None or question is None:
        return ()
    pictures, left_out = pictures_to_rehearse(chosen.rehearse, question)
    pool = Pool(Settings(checkpoint=chosen.checkpoint, load_wait_seconds=math.inf))
    with closing(pool):  # so that the weights are not held twice while it learns
        report = check_for(LessonReport(tuple(rehearsed(Predictor(pool), pictures)), ()), loaded)
    for sentence in (*left_out, *report.left_out):
        console.say(f"Not rehearsed: {sentence}")
    console.say(f"{len(report.lessons)} of {len(pictures) + len(left_out)} pictures without labels are rehearsed.")
    return report.lessons


def check_for(report: LessonReport, loaded: Any) -> LessonReport:
    """Return a report without what this loaded checkpoint cannot be taught."""
    positions = int(loaded.parts.config.text_config.max_position_embeddings)
    sees = int(loaded.image_processor.image_seq_length)
    return check_lessons(
        report,
        lambda text: len(loaded.tokenizer(text)["input_ids"]),
        max_prompt_tokens=positions - sees,
        max_answer_tokens=positions,
    )


def line_of(progress: TeachingProgress) -> str:
    """Return how far a teaching is, as a line."""
    if progress.stage is TeachingStage.MEASURING and progress.points and progress.points[-1].step == progress.step:
        return _measured(progress.points[-1], progress.quality_name)
    left = "" if progress.seconds_left is None else f", {clock_time(progress.seconds_left)} to go"
    loss = "" if progress.loss is None else f"  loss {progress.loss:.3f}"
    return f"step {progress.step} of {progress.steps}{loss}  {clock_time(progress.seconds)}{left}"


def _measured(point: MeasuredPoint, quality_name: str) -> str:
    if point.quality is None:
        return f"step {point.step}: nothing is held out to measure"
    return f"step {point.step}: {quality_name} {point.quality:.3f}, loss of held-out lessons {point.held_out_loss:.3f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m playground.finetune", description="Teach a checkpoint from labeled pictures: an adapter."
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a data set: COCO, YOLO, Pascal VOC, JSON Lines, "
                        "a job of this playground; a folder or a ZIP")  # fmt: skip
    parser.add_argument("--checkpoint", default=BUNDLED, metavar="NAME", help="a catalog name, a hub id or a folder")
    parser.add_argument("--task", metavar="TASK", help="what is taught, as <OD>; without it what each line asks")
    parser.add_argument("--rehearse", type=Path, metavar="FOLDER", help="pictures without labels: what the checkpoint "
                        "answers about them is taught along, so that it is kept")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the adapter is to lie")
    parser.add_argument("--check", action="store_true", help="only say what would be taught and what is left out")
    parser.add_argument("--demo", action="store_true", help="teach the bundled checkpoint what it has never seen")
    parser.add_argument("--held-out", type=_share, default=0.2, metavar="SHARE",
                        help="of the pictures, to measure with; 0 for none")  # fmt: skip
    for name, kind, told in (
        ("steps", int, "at most"),
        ("batch_size", int, "lessons at the same time"),
        ("accumulate", int, "batches a step"),
        ("learning_rate", float, "of the adapter; the size of the checkpoint decides"),
        ("rank", int, "width of the adapter"),
        ("views", int, "ways to see each lesson; 80 with --vision, else 8"),
        ("pasted", int, "things of other lessons that are pasted into a view at most"),
        ("location_blur", float, "bins by which a coordinate may be off; the checkpoint decides"),
        ("location_weight", float, "what a coordinate counts beside a word"),
        ("measure_every", int, "steps"),
        ("patience", int, "measurements without a better one until it ends; 0: never"),
        ("seed", int, "of all that is chosen"),
    ):
        default = getattr(_DEFAULTS, name)
        option = f"--{name.replace('_', '-')}"
        shown = "" if default is None else f" (default {default:g})"
        parser.add_argument(option, type=kind, default=default, metavar="N", help=f"{told}{shown}")
    parser.add_argument("--vision", action="store_true", help="let the vision tower learn too: new shapes need it")
    parser.add_argument("--max-seconds", type=number(1), metavar="N", help="end after so many seconds at the latest")
    return parser


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; give a number from 0 to below 1, as 0.2.")
    return share
