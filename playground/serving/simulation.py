"""How many replicas so many people need: `python -m playground.serving.simulation` simulates it, event by event.

Fed with what `--measure` has measured on this machine, or what docs/scale.json has. First the people of
`playground.serving.load` are simulated and held against what was measured of them; then a day with its peak.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from playground import console
from playground.errors import PlaygroundError
from playground.local_ray import check_installed
from playground.paths import ASSETS

MEASURED = ASSETS.parent / "docs" / "scale.json"  # in the repository; a package has none


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was simulated; the last line is JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.serving.simulation", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--measure", default="", metavar="CHECKPOINT", help="take the times of this machine, 15 minutes"
    )
    parser.add_argument("--times", type=Path, default=MEASURED, metavar="FILE", help="what was measured before")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where what --measure has measured goes")
    chosen = parser.parse_args(arguments)
    try:
        _simulate(chosen)
    except PlaygroundError as error:
        sys.exit(str(error))


def _simulate(chosen: argparse.Namespace) -> None:
    check_installed("simpy", "psutil")
    from playground.serving.measuring import measure_cluster
    from playground.serving.sizing import PER_DAY, compare_runs, read_measured, replicas_needed, write_measured

    measured = measure_cluster(chosen.measure) if chosen.measure else read_measured(chosen.times)
    if chosen.out:
        write_measured(chosen.out, measured)
    runs = []
    for (checkpoint, replicas, people), figures in compare_runs(measured).items():
        off = {name: {**asdict(one), "off": round(one.off, 3)} for name, one in figures.items()}
        kind = {"checkpoint": checkpoint, "replicas": replicas, "people": people}
        runs.append({**kind, **off, "is_believed": all(one.is_believed for one in figures.values())})
        console.say(json.dumps(runs[-1]))
    needed = {}
    for name, machine in measured.machines.items():
        needed[name] = {str(per_day): replicas_needed(machine, per_day) for per_day in PER_DAY}
        console.say(f"{name}: replicas for questions a day: {needed[name]}")
    console.say(json.dumps({"runs": runs, "replicas": needed}))


if __name__ == "__main__":
    main()
