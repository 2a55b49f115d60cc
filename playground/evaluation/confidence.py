"""Measure how well a checkpoint knows what it is not: held-out scenes against pictures of any other kind.

    python -m playground.evaluation.confidence FOLDER --write docs

FOLDER holds photographs, documents and graphics. Prints what the checkpoint's bounds (`playground.json`) hide of what
is right about scenes, on which pictures they let something be shown, and how well other measures of an answer would
tell the two apart. `--write` puts the tables and the curves into a page; `--choose` prints bounds for a checkpoint.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from playground.answering import mean_probability
from playground.arguments import number, whole
from playground.checkpoints import catalog
from playground.checkpoints.catalog import Checkpoint
from playground.errors import CheckpointUnavailable
from playground.evaluation import metrics
from playground.evaluation.claims import Asked, ask_about_others, ask_about_scenes
from playground.evaluation.curves import draw_curves
from playground.predictor import Predictor
from playground.scenes.scene import TRAINING_SEEDS

_MARKS = ("<!-- measured -->", "<!-- end of what is measured -->")

# Measuring

Confidence = Callable[[Asked], float]


def _probabilities(asked: Asked) -> list[float]:
    probabilities = [mean_probability([token]) for token in asked.tokens]
    return [probability for probability in probabilities if probability is not None]


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(mean(math.log(max(value, 1e-9)) for value in values))


def _least(asked: Asked, share: float) -> list[float]:
    probabilities = sorted(_probabilities(asked))
    return probabilities[: math.ceil(share * len(probabilities))]


MEASURES: dict[str, Confidence] = {
    "mean score of the regions, of a text the geometric mean of its tokens": lambda a: a.confidence or 0.0,
    "geometric mean of all tokens": lambda a: _geometric_mean(_probabilities(a)),
    "geometric mean of all tokens, locations without their neighbors": lambda a: math.exp(
        mean(token.logprob or 0.0 for token in a.tokens)
    ),
    "arithmetic mean of all tokens": lambda a: mean(_probabilities(a)),
    "the least sure token": lambda a: min(_probabilities(a)),
    "geometric mean of the least sure quarter": lambda a: _geometric_mean(_least(a, 1 / 4)),
    "geometric mean of the least sure eighth": lambda a: _geometric_mean(_least(a, 1 / 8)),
    "product of all tokens": lambda a: math.prod(_probabilities(a)),
    "geometric mean of the first three tokens": lambda a: _geometric_mean(_probabilities(a)[1:4]),
    "greatest score of the regions, else the geometric mean": lambda a: max(a.region_scores, default=a.confidence or 0),
    "the picture: geometric mean of the last tokens of the probe": lambda a: a.picture_confidence or 0.0,
}


def areas(scenes: Sequence[Asked], others: Sequence[Asked], measure: Confidence) -> tuple[float, float]:
    """Return how often a right answer is above one about another picture: the mean over the tasks, and all in one."""
    rows = [(a.task, measure(a), True) for a in scenes if any(claim.is_right for claim in a.claims)]
    rows += [(a.task, measure(a), False) for a in others if a.claims]
    values, hits = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    tasks = np.array([row[0] for row in rows])
    by_task = [metrics.area_under_roc(values[tasks == task], hits[tasks == task]) for task in dict.fromkeys(tasks)]
    return metrics.mean([area for area in by_task if not math.isnan(area)]), metrics.area_under_roc(values, hits)


def choose_bounds(scenes: Sequence[Asked], share: float) -> dict[str, float]:
    """Return for each task the confidence below which that share of the right claims lies, rounded down."""
    bounds = {}
    for task in dict.fromkeys(asked.task for asked in scenes):
        right = sorted(
            asked.confidence
            for asked in scenes
            for claim in asked.claims
            if asked.task == task and claim.is_right and asked.confidence is not None
        )
        bounds[task] = math.floor(right[int(share * len(right))] * 100) / 100 if right else 0.0
    return bounds


@dataclass(frozen=True, slots=True)
class Count:
    """Of one task, or of all: right claims about scenes, answers that say something about others, and pictures."""

    right: int
    right_hidden: int
    answers: int
    answers_shown: int
    pictures: int
    pictures_shown: int


def count(scenes: Sequence[Asked], others: Sequence[Asked], checkpoint: Checkpoint) -> Count:
    """Count what the bounds hide of what is right, and what they let be shown of all that is not."""
    right = [claim for asked in scenes for claim in asked.claims if claim.is_right]
    kept = [claim for asked in scenes for claim in asked.shown(checkpoint) if claim.is_right]
    shown = [asked for asked in others if asked.shown(checkpoint)]
    return Count(
        right=len(right),
        right_hidden=len(right) - len(kept),
        answers=sum(bool(asked.claims) for asked in others),
        answers_shown=len(shown),
        pictures=len({asked.picture for asked in others}),
        pictures_shown=len({asked.picture for asked in shown}),
    )


# Reporting


def tables(scenes: Sequence[Asked], others: Sequence[Asked], checkpoint: Checkpoint) -> str:
    """Return the tables as Markdown."""
    lines = [
        "| task | lowest confidence | right about scenes | of these hidden | answers about others | shown as sure |"
        " on pictures |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for task in dict.fromkeys(asked.task for asked in scenes):
        row = count([a for a in scenes if a.task == task], [a for a in others if a.task == task], checkpoint)
        lines.append(_row(f"`{task}`", f"{checkpoint.min_confidence.get(task, 0.0):.2f}", row))
    lines += [_row("**all**", "", count(scenes, others, checkpoint)), ""]
    shown: dict[str, list[str]] = {}
    for asked in others:
        if asked.shown(checkpoint):
            shown.setdefault(asked.picture, []).append(f"`{asked.task}`")
    lines += [f"* {picture}: {', '.join(tasks)}" for picture, tasks in shown.items()]
    lines += ["", "| measure | area under the curve, mean over tasks | all tasks in one |", "|---|--:|--:|"]
    for name, measure in MEASURES.items():
        by_task, in_one = areas(scenes, others, measure)
        lines.append(f"| {name} | {by_task:.3f} | {in_one:.3f} |")
    return "\n".join(lines)


def _row(name: str, bound: str, row: Count) -> str:
    share = f"{row.right_hidden} ({100 * row.right_hidden / max(row.right, 1):.1f} %)"
    return (
        f"| {name} | {bound} | {row.right} | {share} | {row.answers} | {row.answers_shown} | "
        f"{row.pictures_shown} of {row.pictures} |"
    )


def curves(scenes: Sequence[Asked], others: Sequence[Asked], checkpoint: Checkpoint) -> dict[str, str]:
    """Return the two pictures by the names of their files."""
    right = [c.score for a in scenes for c in a.claims if c.is_right and c.score is not None]
    wrong = [c.score for a in others for c in a.claims if c.score is not None]
    sides = [{a.picture: a.picture_confidence or 0.0 for a in side}.values() for side in (scenes, others)]
    return {
        "confidence-scores.svg": draw_curves(
            "Regions below a lowest score",
            "lowest score",
            {"right regions of scenes": right, "regions on other pictures": wrong},
            bound=checkpoint.min_score,
        ),
        "confidence-pictures.svg": draw_curves(
            "Pictures below a lowest confidence",
            "lowest confidence that the picture is a drawn scene",
            {"scenes": list(sides[0]), "other pictures": list(sides[1])},
            bound=checkpoint.probe.min_confidence if checkpoint.probe else 0.0,
        ),
    }


def write_docs(folder: Path, text: str, pictures: dict[str, str]) -> None:
    """Put the tables between the marks of confidence.md, and the curves beside it."""
    page = folder / "confidence.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    page.write_text(f"{before}{_MARKS[0]}\n{text}\n{_MARKS[1]}{after}", encoding="utf-8")
    for name, picture in pictures.items():
        (folder / name).write_text(picture, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, ask, and print."""
    chosen, parser = _read_arguments(arguments)
    try:
        predictor = Predictor.load(chosen.checkpoint, offline=True)
    except CheckpointUnavailable as error:
        parser.error(str(error))
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.count)
    files = sorted(file for file in chosen.folder.iterdir() if file.is_file()) if chosen.folder else []
    with predictor.engines.acquire(chosen.checkpoint) as engine:
        checkpoint = engine.checkpoint
        scenes = list(ask_about_scenes(engine, seeds))
        others = list(ask_about_others(engine, files))
    if chosen.choose is not None:
        print(json.dumps(choose_bounds(scenes, chosen.choose), indent=1))
        return
    heading = f"{chosen.count} scenes from seed {chosen.first_seed}, {len({a.picture for a in others})} other pictures."
    text = f"{heading}\n\n{tables(scenes, others, checkpoint)}"
    print(text)
    if chosen.write:
        write_docs(chosen.write, text, curves(scenes, others, checkpoint))


def _read_arguments(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="python -m playground.evaluation.confidence",
        description="Measure how well a checkpoint knows what it is not.",
    )
    parser.add_argument("folder", type=Path, nargs="?", help="pictures that are no scenes")
    parser.add_argument("--count", type=whole(1), default=200, help="how many scenes")
    parser.add_argument("--first-seed", type=whole(TRAINING_SEEDS), default=TRAINING_SEEDS, help="of unseen scenes")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, or a folder")
    parser.add_argument("--write", type=Path, metavar="DOCS", help="the folder of the page confidence.md")
    parser.add_argument(
        "--choose",
        type=number(0, 1),
        metavar="SHARE",
        help="print bounds that hide this share of what is right",
    )
    chosen = parser.parse_args(arguments)
    if chosen.choose is None and not (chosen.folder and chosen.folder.is_dir()):
        parser.error("Give a folder of photographs, documents and graphics to measure against.")
    return chosen, parser


if __name__ == "__main__":
    main()
