"""A data set of scenes whose truth is known, judged: its mean average precision is that of `playground.evaluation`.

The evaluation asks about one picture after another and looks at what was answered; the data set goes through files, a
job with its groups, its journal, and COCO.

    python -m tests.holds.precision --count 1000
"""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from playground.annotate import command
from playground.checkpoints.catalog import BUNDLED
from playground.evaluation.metrics import mean_average_precision
from playground.evaluation.on_scenes import FIRST_SEED, ask_about_scene
from playground.predictor import Predictor
from playground.regions import Region
from playground.scenes.examples import examples
from playground.scenes.scene import make_scene
from tests.holds import command as holds

_TASK = "<OD>"
_SAME = 5e-4  # scores differ in their last digits where others are answered beside them: two may change places


def hold(order: holds.Order) -> Mapping[str, Any]:
    """Make a data set of so many held-out scenes, ask about each alone too, and compare."""
    predictor = Predictor.load(BUNDLED, device="cpu", offline=True)
    with tempfile.TemporaryDirectory() as folder:
        truths, alone, stems = [], [], []
        for seed in range(FIRST_SEED, FIRST_SEED + order.count):
            make_scene(seed).image.save(Path(folder) / f"{seed}.png")
            (answered,) = islice(ask_about_scene(predictor, seed, (_TASK,)), 1)  # as it is drawn
            alone.append(answered.regions)
            truths.append(examples(make_scene(seed))[_TASK].regions)
            stems.append(str(seed))
        found = _data_set(Path(folder))
    by_evaluation = mean_average_precision(alone, truths)
    by_data_set = mean_average_precision([found[stem] for stem in stems], truths)
    pairs = [(asdict(by_data_set)[name], value) for name, value in asdict(by_evaluation).items()]
    failures = [
        f"{ours} in the data set, {theirs} by the evaluation" for ours, theirs in pairs if abs(ours - theirs) > _SAME
    ]
    return {
        "scenes": order.count,
        "data_set": asdict(by_data_set),
        "evaluation": asdict(by_evaluation),
        "failures": failures,
    }


def _data_set(folder: Path) -> dict[str, list[Region]]:
    """Let the command make a data set of a folder; returns what is in it, by the name of the picture."""
    out = folder / "out"
    asked = ["--task", _TASK, "--checkpoint", BUNDLED, "--max-new-tokens", "256", "--min-score", "0", "--offline"]
    order = command.read_job_command([str(folder), *asked, "--format", "coco", "--out", str(out)], {})
    assert command.carry_out(order)
    with zipfile.ZipFile(out / "out-coco.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("instances_default.json")]
        data = json.loads(archive.read(name))
    names = {row["id"]: row["name"] for row in data["categories"]}
    stems = {row["id"]: Path(row["file_name"]).stem for row in data["images"]}
    found: dict[str, list[Region]] = {stem: [] for stem in stems.values()}
    for row in data["annotations"]:
        x, y, width, height = row["bbox"]
        box = (x, y, x + width, y + height)
        found[stems[row["image_id"]]].append(Region(names[row["category_id"]], box, row["score"]))
    return found


if __name__ == "__main__":
    holds.main("precision", "Judge a data set of scenes as the evaluation does.", hold, count=1000)
