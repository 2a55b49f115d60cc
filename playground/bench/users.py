"""The live app with several users at once: how many answers a minute it gives, and how long the unlucky ones wait."""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from playground.bench import paths

_START_SECONDS = 120
_TOKENS = len(paths.ANSWER_BINS) + 2  # of an answer at most, since random weights write on and on


def drive(checkpoint: str, num_users: int, questions_each: int) -> dict[str, float]:
    """Start the app and let the users ask, each about pictures of their own; returns throughput and waiting times.

    An answer has at most as many tokens as the one that both paths are made to write.
    """
    port = _free_port()
    command = [sys.executable, "-m", "playground", "--checkpoint", checkpoint, "--port", str(port), "--offline"]
    app = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address)
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(num_users) as users:
            _ask(address, Path(folder), user=num_users, count=1)  # the model is loaded now
            began = time.perf_counter()
            asked = users.map(lambda user: _ask(address, Path(folder), user, questions_each), range(num_users))
            seconds = sorted(second for some in asked for second in some)
            whole = time.perf_counter() - began
    finally:
        app.terminate()
        app.wait()
    return {
        "answers a minute": 60 * len(seconds) / whole,
        "median seconds": statistics.median(seconds),
        "slowest in 20 seconds": seconds[len(seconds) * 19 // 20],
    }


def _ask(address: str, folder: Path, user: int, count: int) -> list[float]:
    from gradio_client import Client, handle_file

    client, seconds = Client(address, verbose=False), []
    for number in range(count):
        path = folder / f"{user}-{number}.png"
        paths.picture(1000 * user + number).save(path)
        began = time.perf_counter()
        client.predict(handle_file(path), "<OD>", max_new_tokens=_TOKENS, api_name="/run")
        seconds.append(time.perf_counter() - began)
    return seconds


def _free_port() -> int:
    with closing(socket.socket()) as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def _wait_for(address: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
