"""Hours of use in minutes: thousands of runs, with other pictures, tasks and checkpoints, some of them broken off.

    python -m tests.holds.soak --count 3000

All by plain HTTP to a server in this process, which keeps one checkpoint in memory and files for seconds only. The
slope of the memory is that of a line through what is measured after the first third.
"""

import gc
import random
import shutil
import tempfile
import threading
import time
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.pool import Pool
from playground.predictor import Predictor
from playground.scenes.scene import TRAINING_SEEDS, make_scene
from playground.settings import Settings
from playground.tasks import TASKS, InputKind
from playground.ui import pages
from tests.holds.command import Order, main
from tests.live import Http, running

MAX_SLOPE = 10.0  # KB a run: 10 MB after a thousand runs
MAX_THREADS = 20  # six were seen

_RUNS_FOR_A_SLOPE = 1000
_KEEP_SECONDS = 20
_SECONDS_BETWEEN_ROUNDS = 5
_RUNS_PER_CHECKPOINT = 40
_BROKEN_OFF = 0.2  # share of the runs
_SAMPLES = 60


def carry_out(order: Order) -> dict[str, Any]:
    """Ask `count` times; returns what memory, files and threads did, and what went wrong."""
    num_others = threading.active_count() - 1  # threads of whoever called
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "_SECONDS_BETWEEN_ROUNDS", _SECONDS_BETWEEN_ROUNDS)
        other = shutil.copytree(resolve(BUNDLED).source, Path(folder) / "other")
        kept: dict[str, Any] = {"max_loaded_checkpoints": 1, "keep_files_seconds": _KEEP_SECONDS}
        settings = Settings(checkpoint=str(other), device="cpu", offline=True, **kept)
        predictor = Predictor(Pool(settings))
        cache = Path(folder) / "cache"
        with running(predictor, settings, cache) as url:
            return _Soak(Http(url), cache, [str(other), BUNDLED], order, num_others).run()


class _Soak:
    """The runs, and what is measured on the way."""

    def __init__(self, http: Http, cache: Path, checkpoints: list[str], order: Order, num_others: int) -> None:
        self._http = http
        self._cache = cache
        self._checkpoints = checkpoints
        self._order = order
        self._examples = self._files()  # the page's own, which stay
        self._run = next(row for row in http.functions() if row["name"] == "run")
        self._failures: list[str] = []
        self._num_others = num_others
        self._samples: list[tuple[int, float, int, int]] = []  # number of the run, KB, files, threads
        self._num_broken_off = 0

    def run(self) -> dict[str, Any]:
        deadline, began = self._order.deadline(), time.monotonic()
        number = 0
        while number < self._order.count and time.monotonic() < deadline:
            self._ask(number)
            number += 1
            if number % max(1, self._order.count // _SAMPLES) == 0:
                self._samples.append((number, _resident_kb(), len(self._files()), self._num_threads()))
        seconds = time.monotonic() - began
        left = self._files_left()
        return self._figures(number, seconds, left)

    def _ask(self, number: int) -> None:
        rng = random.Random(f"{self._order.seed} {number}")
        data = self._question(rng, number)
        if rng.random() < _BROKEN_OFF:
            self._break_off(data)
            return
        event, said = self._http.call("run", *data)
        if event != "complete":
            self._failures.append(f"run {number}, {data[1]}: {said}")

    def _question(self, rng: random.Random, number: int) -> list[Any]:
        task = rng.choice([task for task in TASKS if task.input_kind is not InputKind.PROMPT])
        regions = [[20, 20, 200, 200], [100, 100, 300, 250]] if task.input_kind is InputKind.REGIONS else []
        phrase = "a car, a red tree and two cats" if task.input_kind.is_text else ""
        checkpoint = self._checkpoints[number // _RUNS_PER_CHECKPOINT % len(self._checkpoints)]
        decoding = rng.choice(("greedy", "greedy", "careful"))
        return [{"path": self._upload(rng)}, task.id, phrase, regions, checkpoint, decoding, None, None]

    def _upload(self, rng: random.Random) -> str:
        picture = BytesIO()
        side = rng.choice((320, 480, 640))
        scene = make_scene(rng.randrange(TRAINING_SEEDS), resolution_wh=(side, 400), supersampling=1)
        scene.image.save(picture, rng.choice(("PNG", "JPEG", "WEBP")))
        return str(self._http.upload("picture", picture.getvalue()).json()[0])

    def _break_off(self, data: list[Any]) -> None:
        """Ask, and go away after the first news."""
        self._num_broken_off += 1
        session = uuid.uuid4().hex
        self._http.post("/queue/join", {"data": data, "fn_index": self._run["id"], "session_hash": session})
        address = f"{self._http.url}/gradio_api/queue/data"
        with httpx.stream("GET", address, params={"session_hash": session}, timeout=60) as events:
            next(line for line in events.iter_lines() if "process_generating" in line or "process_completed" in line)

    def _num_threads(self) -> int:
        return threading.active_count() - self._num_others

    def _files(self) -> set[Path]:
        return {path for path in self._cache.rglob("*") if path.is_file()}

    def _files_left(self) -> int:
        """Wait until the last file should be deleted, and count."""
        until = time.monotonic() + _KEEP_SECONDS + 4 * _SECONDS_BETWEEN_ROUNDS
        while self._files() - self._examples and time.monotonic() < until:
            time.sleep(1)
        return len(self._files() - self._examples)

    def _figures(self, number: int, seconds: float, left: int) -> dict[str, Any]:
        late = np.array(self._samples[len(self._samples) // 3 :])
        slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0])
        most_threads = int(late[:, 3].max())
        if left:
            self._failures.append(f"{left} files were not deleted in their time")
        if slope > MAX_SLOPE and number >= _RUNS_FOR_A_SLOPE:
            self._failures.append(f"the memory grows by {slope:.1f} KB a run")
        if most_threads > MAX_THREADS:
            self._failures.append(f"there were {most_threads} threads")
        return {
            "runs": number,
            "broken off": self._num_broken_off,
            "seconds": round(seconds),
            "memory after a third_MB": round(float(late[0, 1]) / 1024),
            "memory at the end_MB": round(float(late[-1, 1]) / 1024),
            "slope_KB a run": round(slope, 2),
            "most threads": most_threads,
            "most files": int(late[:, 2].max()),
            "files left": left,
            "failures": self._failures,
        }


def _resident_kb() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


if __name__ == "__main__":
    main("soak", "Ask thousands of times, and watch memory, files and threads.", carry_out, count=3000)
