"""Who has used the processors of this machine: each part of a cluster that this program has started, and all others.

What a process has run says more than the clock where other programs run beside it. Knows processes and their names.
"""

from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process


LOOK_SECONDS = 0.2  # from one look to the next, where it matters when a processor was used


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds of processor time, of the system too: of this program, its cluster's parts, and all other programs."""

    client: float = 0.0
    proxy: float = 0.0
    replicas: float = 0.0
    rest: float = 0.0  # of the cluster: its controller, and Ray itself
    others: float = 0.0

    def __sub__(self, before: "ProcessorTime") -> "ProcessorTime":
        return ProcessorTime(*(max(0.0, now - then) for now, then in zip(astuple(self), astuple(before), strict=True)))


def processor_time() -> ProcessorTime:
    """Return what has been used so far; the difference of two is what was used between them."""
    import psutil  # installed with what is for clusters alone

    all_of_them = psutil.cpu_times()
    idle = all_of_them.idle + getattr(all_of_them, "iowait", 0.0)
    apart = getattr(all_of_them, "guest", 0.0) + getattr(all_of_them, "guest_nice", 0.0)  # part of user and nice too
    own = psutil.Process()
    client, parts = _used_by(own), {"proxy": 0.0, "replicas": 0.0, "rest": 0.0}
    for process in own.children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            parts[_part_of(" ".join(process.cmdline()))] += _used_by(process)
    others = sum(all_of_them) - idle - apart - client - sum(parts.values())
    return ProcessorTime(client=client, others=others, **parts)


def _used_by(process: "Process") -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _part_of(name: str) -> str:
    if name.startswith("ray::ServeReplica"):
        return "replicas"
    return "proxy" if name.startswith("ray::ProxyActor") else "rest"
