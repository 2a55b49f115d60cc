"""A cluster of a page's own, beside it in another process: what `--engines auto` starts, and ends with the page."""

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from playground.local_ray import check_installed
from playground.serving.client import RemoteEngines
from playground.settings import Settings

_END_SECONDS = 30


@contextmanager
def engines_of(settings: Settings) -> Iterator[RemoteEngines]:
    """Give the engines of the cluster that the settings name; the one of `auto` is started, and ended afterwards.

    Raises SettingsInvalid for what is no address, and for `auto` where Ray is not installed.
    """
    if settings.engines != "auto":
        yield RemoteEngines(settings.engines, settings)
        return
    check_installed("ray")
    with _ClusterProcess(settings) as cluster:
        yield RemoteEngines(cluster.address, settings, why_ended=cluster.why_ended)


class _ClusterProcess:
    """`python -m playground.serving`, which ends with this program whatever ends it."""

    def __init__(self, settings: Settings) -> None:
        port = _free_port()
        self.address = f"ray://127.0.0.1:{port}"
        self._said: deque[str] = deque(maxlen=3)
        replicas = settings.replicas or max(2, (os.cpu_count() or 1) // 4)
        command = [
            sys.executable, "-m", "playground.serving", "--end-with-input", f"--replicas={replicas}", f"--port={port}",
            f"--checkpoint={settings.first_checkpoint}", f"--device={settings.device}",
            f"--precision={settings.precision}", *(["--offline"] if settings.offline else []),
        ]  # fmt: skip
        # In a session of its own: Ctrl+C is the page's, which ends the cluster in its turn.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            text=True, errors="replace", env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, name="cluster-errors", daemon=True)
        self._reader.start()

    def __enter__(self) -> "_ClusterProcess":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def why_ended(self) -> str:
        """Return what it said last, if it has ended."""
        if self._process.poll() is None:
            return ""
        self._reader.join(1)
        return self._said[-1] if self._said else "The cluster has ended. Start the page again."

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            if line.strip():
                self._said.append(line.strip())


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
