"""Measure how things keep their numbers in a made film, asked as any video is: through the job over many pictures.

    python -m playground.evaluation.tracking --seconds 20 --every 0.5

Draws a film in which things come in, pass each other and go out, follows them, and prints one line of JSON: IDF1,
switches of identity, and the memory at a quarter of the way and at its end.
"""

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import closing
from itertools import count, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playground.annotate.answers import Answers
from playground.annotate.job import AnswersTogether, question_for_many, run_job
from playground.annotate.journal import Journal
from playground.annotate.outputs import write_output
from playground.annotate.reading import SourceReader
from playground.annotate.sources import Wanted, find_sources
from playground.annotate.tracking import Followed
from playground.arguments import number, whole
from playground.checkpoints import catalog
from playground.errors import PlaygroundError
from playground.evaluation.identities import Placed, compare
from playground.pictures.films import FilmWriter
from playground.pictures.frames import FrameStep
from playground.pictures.reader import read_image
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.moving import MovingScene, make_moving_scene
from playground.scenes.scene import TRAINING_SEEDS

_MEGABYTE = 1e6


def measure_tracking(
    predictor: AnswersTogether, question: Question, folder: Path, *,
    seed: int, seconds: float, every: float, things: int = 5, rate: float = 10.0, shown_from: float = 0.0,
) -> dict[str, Any]:  # fmt: skip
    """Follow the things of a made film in an empty folder, write it, and return what was measured."""
    scene, path, job = make_moving_scene(seed, seconds=seconds, count=things), folder / "film.mp4", folder / "job"
    _film(scene, path, seconds, rate)
    reader = SourceReader(read_image)
    sources = list(find_sources([path], Wanted(frames=FrameStep(seconds=every))))
    memory: list[float] = []
    with closing(Journal(job, question)) as journal:
        for _ in run_job(predictor, reader, sources, question, journal=journal):
            memory.append(_memory())
    followed, truth, found = Followed(Answers(job), question, shown_from), [], []
    for row in Answers(job).rows(by_document=True):
        if row.prediction:
            truth.append([Placed(*thing) for thing in _places(scene, row.source.seconds or 0.0)])
            found.append([Placed(one.track or 0, one.xyxy) for one in followed.in_film(row).regions])
    written = write_output(Answers(job), reader, "mp4", question, shown_from=shown_from)
    identities = compare(truth, found)
    return {
        "seed": seed, "seconds": seconds, "every": every, "frames": len(truth), "things": things,
        "idf1": round(identities.idf1, 4), "switches": identities.switches, "right": identities.num_right,
        "wrong": identities.num_wrong, "missed": identities.num_missed,
        "film_megabytes": round(written.path.stat().st_size / _MEGABYTE, 2) if written else 0.0,
        "memory_megabytes": {"at a quarter": round(memory[len(memory) // 4]), "at the end": round(memory[-1]),
                             "with the film": round(_memory())},
    }  # fmt: skip


def _places(scene: MovingScene, seconds: float) -> list[tuple[int, tuple[float, float, float, float], float]]:
    return [(thing.number, thing.region.xyxy, thing.visible) for thing in scene.truth_at(seconds)]


def _film(scene: MovingScene, path: Path, seconds: float, rate: float) -> None:
    with FilmWriter(path) as film:
        for moment in takewhile(lambda time: time < seconds, (number / rate for number in count())):
            film.add(scene.picture_at(moment), moment)


def _memory() -> float:
    """Return the megabytes that this process has in use now; what it had at most where the system says no more."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE
    except (OSError, ValueError):
        return float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m playground.evaluation.tracking", description=measure_films.__doc__)
    parser.add_argument("--seconds", type=number(0.1), default=20.0, help="of the film")
    parser.add_argument("--every", type=number(0.01), default=0.5, metavar="SECONDS", help="a frame is asked about")
    parser.add_argument("--things", type=whole(1), default=5, help="that pass through it")
    parser.add_argument("--seed", type=whole(), default=TRAINING_SEEDS, help="of the first film")
    parser.add_argument("--films", type=whole(1), default=1, help="how many")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, or a folder")
    chosen = parser.parse_args(arguments)
    try:
        measure_films(chosen)
    except PlaygroundError as error:
        parser.error(str(error))


def measure_films(chosen: argparse.Namespace) -> None:
    """Follow the things of made films, and print what was measured of each."""
    checkpoint = catalog.resolve(chosen.checkpoint)
    predictor = Predictor.load(checkpoint.name, offline=True)
    question = question_for_many(Question("<OD>", checkpoint=checkpoint.name), predictor.own_tasks() or ())
    for seed in range(chosen.seed, chosen.seed + chosen.films):
        with TemporaryDirectory() as folder:
            measured = measure_tracking(
                predictor, question, Path(folder), seed=seed, seconds=chosen.seconds, every=chosen.every,
                things=chosen.things, shown_from=checkpoint.min_score,
            )  # fmt: skip
        print(json.dumps({"checkpoint": checkpoint.name, **measured}), flush=True)


if __name__ == "__main__":
    main()
