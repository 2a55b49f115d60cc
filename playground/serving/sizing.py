"""How many replicas so many people need: what is simulated of what an answer costs, and how far that is to be believed.

The people of `playground.serving.load` are simulated too, and held against what was measured of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from playground.errors import SettingsInvalid
from playground.serving.queueing import Costs, Simulated, simulate_people, simulate_visitors
from playground.wire import what_is_wrong

BELIEVED_WITHIN = 0.15  # of what was measured, that a simulation may be off
PER_DAY = (1_000, 10_000, 100_000, 1_000_000)
_PEAK = 2.5  # times the questions of a mean hour come in the busiest one
_NEW = 0.5  # of the questions are about a picture that no replica has encoded
_AIM = 5.0  # seconds: the 95th percentile
_PEAK_SECONDS = 600.0  # that are simulated
_LEAST_QUESTIONS = 300
_MAX_REPLICAS = 4096
_TIMES_SIMULATED = 4  # as long as it was measured, so that less is left to chance


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with one replica, what an answer costs there, and how many tokens answers have."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    processors: int
    costs: Costs
    answers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """People who asked a cluster on one machine, what came of it, and what an answer cost in the same minute.

    `people` are those of each replica, by the tokens of the answers that each of them got in turn. `others` are the
    processors that other programs had, from one look to the next.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    checkpoint: str
    people: tuple[tuple[tuple[int, ...], ...], ...]
    answers_per_minute: float
    p50_s: float
    p95_s: float
    processors: int
    others: tuple[float, ...]
    lead: float  # seconds, after which the answers were counted
    seconds: float
    costs: Costs

    @property
    def kind(self) -> tuple[str, int, int]:
        """What several rounds have in common: checkpoint, replicas and people."""
        return self.checkpoint, len(self.people), sum(map(len, self.people))


@dataclass(frozen=True, slots=True)
class Measured:
    """What `--measure` measures, of any number of checkpoints."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    processor: str
    machines: dict[str, Machine]
    runs: tuple[MeasuredRun, ...]


_MEASURED = TypeAdapter(Measured)


def read_measured(file: Path) -> Measured:
    """Return what was measured. Raises SettingsInvalid for a file that is not there, or holds something else."""
    how = "Give a file that --measure CHECKPOINT --out FILE has written."
    try:
        return _MEASURED.validate_json(file.read_bytes())
    except OSError as error:
        raise SettingsInvalid(f"{file} cannot be read ({error.strerror}). {how}") from None
    except ValidationError as error:
        raise SettingsInvalid(f"{file} holds no measured times: {what_is_wrong(error)}. {how}") from None


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure that was measured, and simulated: of several rounds the one in the middle, by how far it is off."""

    measured: float
    simulated: float

    @property
    def off(self) -> float:
        """By which share of what was measured the simulation is off."""
        return self.simulated / self.measured - 1

    @property
    def is_believed(self) -> bool:
        return abs(self.off) <= BELIEVED_WITHIN


def compare_runs(measured: Measured) -> dict[tuple[str, int, int], dict[str, Compared]]:
    """Return what was measured of each kind of run, and what is simulated for it."""
    kinds: dict[tuple[str, int, int], list[tuple[MeasuredRun, Simulated]]] = {}
    for run in measured.runs:
        came = simulate_people(
            run.costs, people=run.people, processors=run.processors, others=run.others, lead=run.lead,
            seconds=_TIMES_SIMULATED * run.seconds,
        )  # fmt: skip
        kinds.setdefault(run.kind, []).append((run, came))
    return {
        kind: {name: _middle(rounds, name) for name in ("answers_per_minute", "p50_s", "p95_s")}
        for kind, rounds in kinds.items()
    }


def _middle(rounds: Sequence[tuple[MeasuredRun, Simulated]], name: str) -> Compared:
    compared = [Compared(getattr(run, name), getattr(came, name)) for run, came in rounds]
    return sorted(compared, key=lambda one: one.off)[len(compared) // 2]


def replicas_needed(machine: Machine, questions_a_day: int) -> int:
    """Return the fewest replicas that keep the aim in the busiest hour of a day."""
    per_second = _PEAK * questions_a_day / 86_400
    seconds = max(_PEAK_SECONDS, _LEAST_QUESTIONS / per_second)

    def is_enough(count: int) -> bool:
        came = simulate_visitors(
            machine.costs, replicas=count, processors=machine.processors, answers=machine.answers,
            per_second=per_second, new_share=_NEW, seconds=seconds,
        )  # fmt: skip
        return came.p95_s <= _AIM and came.answers_per_minute >= 0.9 * 60 * per_second

    most = 1
    while not is_enough(most):
        most *= 2
        if most > _MAX_REPLICAS:
            return most
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if is_enough(middle) else (middle, most)
    return most


def write_measured(file: Path, measured: Measured) -> None:
    """Write what was measured. Raises SettingsInvalid where that cannot be."""
    try:
        file.write_bytes(_MEASURED.dump_json(measured, indent=1) + b"\n")
    except OSError as error:
        raise SettingsInvalid(f"{file} cannot be written ({error.strerror}). Name another --out.") from None
