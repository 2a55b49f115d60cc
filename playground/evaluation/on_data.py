"""Measure a checkpoint on a data set of your own.

    python -m playground.evaluation --data my-cars.zip --checkpoint tiny-florence2 --task "<OD>"

Reads COCO, YOLO, Pascal VOC, JSON Lines and the playground's own jobs. Prints the figures, and writes report.html and
report.json into `--out`. With `--against` a second checkpoint stands beside the first.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from playground.annotate.progress import ProgressBar
from playground.arguments import whole
from playground.checkpoints import catalog
from playground.datasets.labeled import Labeled
from playground.datasets.reading import LabeledData, read_dataset
from playground.errors import PlaygroundError
from playground.evaluation.asking_data import (
    DataQuestions,
    Outcome,
    ask_about_data,
    choose_pictures,
    choose_questions,
    choose_subset,
)
from playground.evaluation.data_figures import MeasuredData, measure_outcomes
from playground.evaluation.data_report import DataReport, make_report
from playground.evaluation.temperature import keep_temperature
from playground.predictor import Predictor
from playground.settings import WITH

REPORT_PAGE, REPORT_FIGURES = "report.html", "report.json"
_INTERRUPTED = 130  # what a shell calls a program that Ctrl+C has ended
_REVIEWED_ONLY = "--reviewed-only takes those alone that a person has approved or corrected."
_INCOMPLETE = 1  # one of the checkpoints could not be asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, ask, print and write; return the exit code."""
    parser = command_line()
    chosen = parser.parse_args(arguments)
    if chosen.adapter:
        chosen.checkpoint = f"{chosen.checkpoint}{WITH}{chosen.adapter}"
    try:
        return _run(chosen)
    except PlaygroundError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("Stopped before there was a report.", file=sys.stderr)
        return _INTERRUPTED


def _run(chosen: argparse.Namespace) -> int:
    """Ask, print and write; return the exit code. Raises PlaygroundError."""
    _check(chosen)
    data = read_dataset(chosen.data, reviewed=chosen.reviewed_only or None)
    subset = choose_subset(data, chosen.subset)
    if chosen.reviewed_only and not any(True for _ in data.labeled(subset)):
        raise PlaygroundError(
            "--reviewed-only leaves nothing: no answer of this job was approved or corrected. Look through some on the "
            "page first, or leave the option out."
        )
    if data.notice:
        print(data.notice if chosen.reviewed_only else f"{data.notice} {_REVIEWED_ONLY}", file=sys.stderr, flush=True)
    asks = choose_questions(data, subset, chosen.task, together=chosen.together)
    pictures = choose_pictures(data, subset, asks, chosen.limit)
    measured, code = _measure(chosen, data, pictures, asks)
    report = make_report(data, Path(chosen.data).resolve().stem, subset, asks, pictures, measured)
    print("\n".join(report.lines()), flush=True)
    _write(chosen.out, report)
    print(f"{chosen.out / REPORT_PAGE}")
    if chosen.keep_temperature:
        found = measured[0].detection
        print(keep_temperature(catalog.resolve(chosen.checkpoint), found.trust if found else None))
    return code


def command_line() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.evaluation --data", description="Measure a checkpoint on a data set of your own."
    )
    parser.add_argument("--data", required=True, help="the folder or the ZIP of a data set, or its file of labels")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, a hub id, or a folder")
    parser.add_argument("--adapter", default="", metavar="FOLDER | HUB_ID", help="a LoRA of the checkpoint")
    parser.add_argument(
        "--against", action="append", default=[], metavar="CHECKPOINT", help='one beside it; also "NAME + ADAPTER"'
    )
    parser.add_argument("--task", default="", help='such as "<OD>"; without it what the data asks, or <OD>')
    parser.add_argument("--subset", default="", help="a part, such as val; without it test or val, or else all")
    parser.add_argument("--limit", type=whole(1), metavar="N", help="only the first pictures")
    parser.add_argument("--together", action="store_true", help="ask for all classes in one prompt, not one by one")
    parser.add_argument("--reviewed-only", action="store_true", help="of a job: what people approved or corrected")
    parser.add_argument("--out", type=Path, default=Path("measured"), metavar="FOLDER", help="where the report goes")
    parser.add_argument("--overwrite", action="store_true", help="replace the report that is there")
    parser.add_argument(
        "--keep-temperature", action="store_true", help="keep what makes scores honest beside the checkpoint"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--offline", action="store_true", help="fetch nothing from the hub")
    return parser


def _check(chosen: argparse.Namespace) -> None:
    """Refuse what cannot be done, rather than after hours. Raises PlaygroundError."""
    held = [name for name in (REPORT_PAGE, REPORT_FIGURES) if (chosen.out / name).exists()]
    if held and not chosen.overwrite:
        raise PlaygroundError(
            f"{chosen.out} holds a report already: {held[0]}. Name another folder with --out, or give --overwrite."
        )
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=chosen.out):
            pass
    except OSError as error:
        raise PlaygroundError(f"{chosen.out} cannot be written ({error.strerror}). Name another --out.") from error
    names = [catalog.resolve(name) for name in (chosen.checkpoint, *chosen.against)]
    if len({checkpoint.name for checkpoint in names}) < len(names):
        raise PlaygroundError("--against must name another checkpoint than --checkpoint.")
    if chosen.keep_temperature and not names[0].is_local:
        raise PlaygroundError(f"--keep-temperature needs a checkpoint in a folder, but {names[0].name} is on the hub.")


def _measure(
    chosen: argparse.Namespace, data: LabeledData, pictures: Sequence[Labeled], asks: DataQuestions
) -> tuple[list[MeasuredData], int]:
    """Ask each checkpoint, and return the figures and the exit code. Raises PlaygroundError, or KeyboardInterrupt.

    What ends it takes nothing of what was measured before.
    """
    measured: list[MeasuredData] = []
    try:
        for name in chosen.against:  # what cannot be had is told now, not when the first was asked for hours
            Predictor.load(name, device=chosen.device, offline=chosen.offline)
        for name in (chosen.checkpoint, *chosen.against):
            figures, num_asked = _measure_one(chosen, name, data, pictures, asks)
            measured += figures
            if num_asked < len(pictures):
                print(f"Stopped after {num_asked} of {len(pictures)} pictures.", file=sys.stderr)
                raise KeyboardInterrupt
    except (PlaygroundError, KeyboardInterrupt) as error:
        if not measured:
            raise
        if isinstance(error, KeyboardInterrupt):
            return measured, _INTERRUPTED
        print(f"The report is without {name}: {error}", file=sys.stderr)
        return measured, _INCOMPLETE
    return measured, 0


def _measure_one(
    chosen: argparse.Namespace, name: str, data: LabeledData, pictures: Sequence[Labeled], asks: DataQuestions
) -> tuple[list[MeasuredData], int]:
    """Ask one checkpoint, and return its figures and of how many pictures they are: Ctrl+C ends the asking alone."""
    predictor = Predictor.load(name, device=chosen.device, offline=chosen.offline)
    title = predictor.engines.current_name
    print(f"{title}: {len(pictures)} pictures", file=sys.stderr, flush=True)
    began, outcomes = time.monotonic(), list[Outcome]()
    with ProgressBar(len(pictures)) as bar, predictor.engines.acquire() as engine, suppress(KeyboardInterrupt):
        for outcome in ask_about_data(predictor, data, pictures, asks, group_size=engine.max_asks):
            outcomes.append(outcome)
            if outcome.error:
                bar.count_failed(f"{outcome.labeled.name}: {outcome.error}")
            else:
                bar.count_answered()
    if not outcomes:
        return [], 0
    return [measure_outcomes(title, outcomes, asks.classes, seconds=time.monotonic() - began)], len(outcomes)


def _write(folder: Path, report: DataReport) -> None:
    try:
        (folder / REPORT_PAGE).write_text(report.page, encoding="utf-8", errors="replace")
        (folder / REPORT_FIGURES).write_text(json.dumps(report.wire, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise PlaygroundError(f"The report cannot be written to {folder} ({error.strerror}). Make room.") from error
