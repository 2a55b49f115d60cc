"""Measure the playground beside the plain transformers pipeline, in one run.

    python -m playground.bench

Prints what takes each of them how long, the ratios, how near ours comes to the machine's own limit, and a line of JSON.
With `--check` it prints whether the chosen precision keeps the answers instead; `--concurrency N` drives the live app,
`--pictures N` measures pictures a minute, and `--masks` sharper outlines.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playground.arguments import whole
from playground.bench.paths import FIRST_TASK, SECOND_TASK, Ours, Plain, Times, Worker
from playground.bench.pictures import compare_rates
from playground.checkpoints import catalog, hub
from playground.checkpoints.loader import Placement
from playground.errors import PlaygroundError
from playground.settings import PRECISIONS
from playground.tasks import TASK_TOKENS, TASKS, InputKind

_CHECK_SCENES = 200
_QUESTIONS_PER_USER = 5

# What is printed, in the order of an answer.
_ROWS = {
    "encode_image": "encode picture, ms", "encode_prompt": "encode prompt, ms", "first_token": "first token, ms",
    "first_region": "first region, ms", "per_token": "per token, ms", "total": "first task, ms",
    "second_total": "second task, same picture, ms",
}  # fmt: skip
_LONGEST_ANSWER = "token_ms_at_the_start_and_end_of_1024"  # so many tokens for the published base, and the skeleton
_GREEDY, _CAREFUL = 1, 3  # beams
_TASKS = [task.id for task in TASKS if task.id in TASK_TOKENS and task.input_kind is InputKind.NONE]


@dataclass
class Column:
    """The times of one way to an answer, round by round."""

    title: str
    num_beams: int
    worker: Worker
    rounds: list[Times] = field(default_factory=list)

    def ask(self, seed: int, task: str) -> None:
        """Ask the first task and another one about the same picture, and keep the times."""
        first = self.worker.call("ask", seed, task, self.num_beams)
        second = self.worker.call("ask", seed, SECOND_TASK, self.num_beams)
        self.rounds.append(first | {"second_total": second["total"]})

    def median(self, name: str) -> float:
        return statistics.median(times[name] for times in self.rounds)

    def cell(self, name: str) -> str:
        values = [times[name] for times in self.rounds]
        return f"{self.median(name):.1f} ({min(values):.1f} to {max(values):.1f})"

    def medians(self) -> dict[str, float]:
        return {name: round(self.median(name), 2) for name in _ROWS}


def compare_paths(folder: Path, task: str, rounds: int, device: str, precision: str) -> dict[str, Any]:
    """Let both paths answer in turn, print the table, and return what was measured."""
    ours, plain = Worker(Ours, folder, device, precision), Worker(Plain, folder, device)
    careful = Worker(Ours, folder, device, precision)  # of its own: what one has encoded the other would know
    columns = [
        Column("ours", _GREEDY, ours), Column("plain", _CAREFUL, plain), Column("plain, greedy", _GREEDY, plain),
        Column("ours, careful", _CAREFUL, careful),
    ]  # fmt: skip
    for seed in range(rounds + 1):  # the first one warms up
        for column in columns:
            column.ask(seed, task)
        _progress(f"round {seed} of {rounds}")
    for column in columns:
        del column.rounds[0]
    starts = {"ours": ours.ready_ms, "plain": plain.ready_ms}
    peaks = {"ours": ours.peak_memory(), "plain": plain.peak_memory()}
    early, late = ours.call("token_times", 0)  # after the peaks: plain is not asked for so long an answer
    assert ours.placement is not None
    parts = ours.call("part_times", 0) if ours.placement.device == "cpu" else {}
    for worker in (ours, careful, plain):
        worker.close()
    measured = {
        "placement": str(ours.placement),
        "rounds": rounds,
        **{column.title: column.medians() for column in columns},
        "start_to_ready_ms": {name: round(value) for name, value in starts.items()},
        "peak_memory_mb": {name: round(value / 1e6) for name, value in peaks.items()},
        _LONGEST_ANSWER: [round(early, 2), round(late, 2)],
        "ratios": _ratios(*columns[:3], peak_memory=peaks["ours"] / peaks["plain"]),
    }
    _print_table(columns, measured)
    return measured | {"limit_share": share_of_limit(folder, ours.placement, columns[0], parts)}


def _ratios(ours: Column, plain: Column, greedy: Column, *, peak_memory: float) -> dict[str, float]:
    ratios = {
        "first_task": plain.median("total") / ours.median("total"),
        "second_task": plain.median("second_total") / ours.median("second_total"),
        "first_region": plain.median("total") / ours.median("first_region"),
        "greedy_first_task": greedy.median("total") / ours.median("total"),
        "decode_ms_per_token": greedy.median("per_token") / ours.median("per_token"),
        "peak_memory": peak_memory,
    }
    return {name: round(value, 2) for name, value in ratios.items()}


def _print_table(columns: Sequence[Column], measured: dict[str, Any]) -> None:
    print(f"{'median (least to most)':32}" + "".join(f"{column.title:>28}" for column in columns))
    for name, title in _ROWS.items():
        print(f"{title:32}" + "".join(f"{column.cell(name):>28}" for column in columns))
    for title in ("start_to_ready_ms", "peak_memory_mb"):
        print(f"{title.replace('_', ' '):32}" + "".join(f"{measured[title][name]:>28}" for name in ("ours", "plain")))
    print("a token of ours at the beginning and at the end of the longest answer: "
          "{:.1f} and {:.1f} ms".format(*measured[_LONGEST_ANSWER]))  # fmt: skip
    print(f"\nours: {measured['placement']}")
    for name, value in measured["ratios"].items():
        print(f"{name:32}{value:8.2f}")


def share_of_limit(folder: Path, placement: Placement, ours: Column, times: Times) -> dict[str, float]:
    """Print what the machine could do at best, and return how much of it our path reaches; `times` are of its parts."""
    import torch
    from transformers import Florence2Config, Florence2ForConditionalGeneration, Florence2Processor

    from playground.bench import parts, roofline

    images: Any = Florence2Processor.from_pretrained(folder).image_processor
    dtype, positions = getattr(torch, placement.dtype), images.image_seq_length
    with torch.device("meta"):
        model = Florence2ForConditionalGeneration(Florence2Config.from_pretrained(folder)).to(dtype)
    best = roofline.measure_roofline(dtype, placement.device)
    of_picture = parts.work_of_picture(model, images.size["height"], positions)
    of_token = parts.work_of_token(model, positions, 1 if placement.eight_bits else dtype.itemsize, dtype.itemsize)
    flops = sum(work.operations for part, work in of_picture.items() if part != parts.ENCODER)
    read = sum(work.num_bytes for work in of_token.values())
    floors = {"vision": 1000 * flops / best.flops, "decoding": 1000 * read / best.bandwidth}
    print(f"\nproducts {best.flops / 1e9:.0f} GFLOP/s, memory {best.bandwidth / 1e9:.1f} GB/s: at best "
          f"{floors['vision']:.0f} ms a picture ({flops / 1e9:.0f} GFLOP), "
          f"{floors['decoding']:.2f} ms a token ({read / 1e6:.0f} MB)")  # fmt: skip
    if times:
        _print_parts(times, {part: work.floor_ms(best) for part, work in (of_picture | of_token).items()})
    return {
        "vision": round(floors["vision"] / ours.median("encode_image"), 3),
        "decoding": round(floors["decoding"] / ours.median("per_token"), 3),
    }


def _print_parts(times: Times, floors: dict[str, float]) -> None:
    print(f"{'each part, at best and its share':32}{'ms':>9}{'at best':>9}{'share':>9}")
    for part, taken in times.items():
        floor = floors.get(part, 0.0)
        print(f"{part:32}{taken:9.2f}{floor:9.2f}{floor / taken:9.0%}")


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _check(device: str, precision: str) -> bool:
    from playground.bench import check
    from playground.checkpoints.loader import choose_device

    device = choose_device(device)
    if precision == "auto":
        precision = "int8" if device == "cpu" else "float16"
    kept = check.loss_of_map(device, precision, _CHECK_SCENES) | check.agreement(device, precision)
    for name, value in kept.items():
        print(f"{name:32}{value:10.4f}")
    passes = (
        kept["loss of mAP"] <= check.MAX_LOSS_OF_MAP
        and kept["same first choice"] >= check.MIN_AGREEMENT
        and kept["relative logit error"] <= check.MAX_LOGIT_ERROR
    )
    print(f"{precision} {'keeps' if passes else 'does not keep'} the answers.")
    print(json.dumps({"precision": precision, "passes": passes, **kept}))
    return passes


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m playground.bench", description="Measure how fast it answers.")
    parser.add_argument("--checkpoint", metavar="NAME | FOLDER", default="",
                        help="without it, a Florence-2-base of the true size with random weights")  # fmt: skip
    parser.add_argument("--task", default=FIRST_TASK, choices=_TASKS, help="the first task about each picture",
                        metavar="TASK")  # fmt: skip
    parser.add_argument("--against", choices=("plain",), default="plain", help="the transformers pipeline")
    parser.add_argument("--rounds", type=whole(1), default=5)
    parser.add_argument("--precision", default="auto", choices=PRECISIONS, help="of our path")
    parser.add_argument("--device", default="auto", help="of both paths: auto, cpu, cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the line of JSON to a file too")
    parser.add_argument("--check", action="store_true", help="only print whether a precision keeps the answers")
    parser.add_argument("--pictures", type=whole(1), metavar="N", help="only measure N pictures a minute, as a job")
    parser.add_argument("--concurrency", type=whole(1), metavar="N", help="only drive the live app with so many users")
    parser.add_argument("--masks", metavar="NAME | FOLDER", nargs="?", const="",
                        help="only measure sharper outlines; without a name, by a SAM 2.1 tiny of the true size with "
                             "random weights")  # fmt: skip
    chosen = parser.parse_args(arguments)
    try:
        if chosen.masks is not None:
            from playground.bench.masks import measure_masks

            folder = _mask_folder(chosen.masks)
            print(json.dumps(measure_masks(folder, chosen.rounds, chosen.device, chosen.precision, _progress)))
            return
        folder = _folder(chosen.checkpoint)
        if chosen.check:
            sys.exit(0 if _check(chosen.device, chosen.precision) else 1)
        if chosen.concurrency:
            from playground.bench import users

            report: dict[str, Any] = {"users": chosen.concurrency}
            report |= users.drive(str(folder), chosen.concurrency, _QUESTIONS_PER_USER)
        elif chosen.pictures:
            report = compare_rates(folder, chosen.pictures, chosen.rounds, chosen.device, chosen.precision, _progress)
        else:
            report = compare_paths(folder, chosen.task, chosen.rounds, chosen.device, chosen.precision)
    except PlaygroundError as error:
        parser.error(str(error))
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report))


def _mask_folder(name: str) -> Path:
    """Return the folder of what makes masks, which is on this machine. Raises CheckpointUnavailable."""
    if not name:
        from playground.bench.masks import mask_skeleton

        return mask_skeleton()
    return _local_folder(catalog.resolve_masks(name))


def _folder(name: str) -> Path:
    """Return the folder of a checkpoint that is on this machine. Raises CheckpointUnavailable."""
    if not name:
        from playground.bench.skeleton import skeleton

        return skeleton()
    return _local_folder(catalog.resolve(name))


def _local_folder(checkpoint: catalog.Checkpoint) -> Path:
    folder = hub.find_local(checkpoint)
    if folder is None:
        raise hub.offline_error(checkpoint)
    return folder


if __name__ == "__main__":
    main()
