"""What is killed while people ask: parts of a cluster that this program has started."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FAULTS = ("none", "replica", "controller", "leaving")  # of the last, whoever asks takes care


@contextmanager
def faults(fault: str, every: float, count: list[int]) -> Iterator[None]:
    """Kill a replica, or the controller, again and again while people ask."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(every):
            pids = processes_of("ServeController" if fault == "controller" else "ServeReplica")
            if pids:
                os.kill(random.choice(pids), signal.SIGKILL)
                count.append(1)

    killer = threading.Thread(target=kill, daemon=True)
    if fault in ("replica", "controller"):
        killer.start()
    try:
        yield
    finally:
        over.set()


def processes_of(kind: str) -> list[int]:
    """Return the processes of this program's own cluster that are of a kind. Without a Ray there are none."""
    import ray

    if not ray.is_initialized():
        return []
    actors: dict[str, Any] = ray._private.state.actors()
    return [
        actor["Pid"]
        for actor in actors.values()
        if actor["State"] == "ALIVE" and actor["ActorClassName"].startswith(kind)
    ]
