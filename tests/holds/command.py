"""What the commands of this folder share: a seed, how much, how long, and a line of JSON at the end."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Order:
    """What is asked of a command. The same seed makes the same inputs, however many of them are tried."""

    seed: int = 1
    count: int = 1000
    seconds: float = 600

    def deadline(self) -> float:
        return time.monotonic() + self.seconds


def main(name: str, description: str, carry_out: Callable[[Order], Mapping[str, Any]], *, count: int) -> None:
    """Read the command line, carry it out, print what was measured; fails when `failures` is not empty."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.holds.{name}", description=description)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seconds", type=float, default=1200, help="at most")
    figures = carry_out(Order(**vars(parser.parse_args())))
    for failure in figures["failures"]:
        print(f"FAILED {failure}")
    print(json.dumps({**figures, "failures": len(figures["failures"])}))
    sys.exit(bool(figures["failures"]))
