"""What goes wrong with machines, disks and networks, made to go wrong: each ends in a sentence and a working page.

    python -m tests.holds.faults

A disk that is full takes the right to mount one; where that is missing, the line says so.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from playground.checkpoints import hub
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.errors import CheckpointUnavailable, EngineFailed
from playground.inference import run
from playground.pool import Pool
from playground.predictor import Predictor
from playground.settings import Settings
from tests.checkpoints.fake_hub import FakeHub, serving_hub
from tests.holds.command import Order, main
from tests.inference.asking import part
from tests.live import Http, running

_ROOT = Path(__file__).resolve().parents[2]
_PICTURE = _ROOT / "assets" / "examples" / "beach.png"
_LABELS = ["rocket", "ball", "umbrella"]
_ENDS_WITHIN_SECONDS = 20
_FULL_MEGABYTES = 4
_ROOM_BYTES = 32 * 2**20


class NotTriedError(Exception):
    """This machine does not let the fault be made."""


@dataclass(frozen=True)
class _Place:
    """A page that is served, what it runs on, and a folder for whatever a fault needs."""

    http: Http
    predictor: Predictor
    folder: Path
    other: Path  # a second checkpoint

    def ask(self, picture: Path = _PICTURE, checkpoint: str = BUNDLED) -> tuple[str, Any]:
        return self.http.call("run", {"path": self.http.uploaded(picture)}, *_asked(checkpoint))

    def sentence(self, **question: Any) -> str:
        """Ask; returns the sentence that came instead of an answer."""
        event, said = self.ask(**question)
        assert event == "error", f"answered {said}"
        return str(said["error"])

    def check_works(self) -> None:
        event, answer = self.ask()
        assert event == "complete", f"afterwards the page says {answer}"
        assert [region["label"] for region in answer[0]["regions"]] == _LABELS, "afterwards the answer is wrong"


def _asked(checkpoint: str = "") -> list[Any]:
    """What the endpoint `run` takes after the picture, to find all objects."""
    return ["<OD>", "", [], checkpoint, "greedy", None, None]


def _refusal(kind: type[Exception], call: Callable[[], object]) -> str:
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("nothing was refused")


# --- The model


@contextmanager
def _before_each_call(place: _Place, name: str, act: Callable[[], Any]) -> Iterator[Path]:
    """Do something before a part of the model runs; gives a picture that nothing is remembered of."""
    new = place.folder / f"{time.monotonic_ns()}.png"
    Image.effect_noise((64, 64), 80).save(new)
    with place.predictor.engines.acquire(BUNDLED) as engine:

        def hooked(*_: Any) -> None:  # what a hook returns, the part would be called with
            act()

        hook = part(engine._model, name).register_forward_pre_hook(hooked)
        yield new
        hook.remove()


def _raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def no_memory_for_a_picture(place: _Place) -> str:
    error = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
    with _before_each_call(place, "model.vision_tower.convs.0.conv", _raising(error)) as picture:
        return place.sentence(picture=picture)


def no_memory_for_an_answer(place: _Place) -> str:
    with _before_each_call(place, "lm_head", _raising(MemoryError())) as picture:
        return place.sentence(picture=picture)


def no_memory_at_all(place: _Place) -> str:
    """A process may have no more memory: what PyTorch and Python then do is seen, not simulated."""
    environ = os.environ | {"OMP_NUM_THREADS": "1"}  # OpenMP ends the whole program where it cannot make its threads
    command = [sys.executable, "-m", "tests.holds.faults", "--starve"]
    done = subprocess.run(command, cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


def starve() -> str:
    """Ask, let the memory be full when the model begins, and ask again when it is not; returns the sentence.

    The worker fills it: a thread that starts when nothing is left hangs in Python itself.
    """
    predictor = Predictor(Pool(Settings(checkpoint=BUNDLED, device="cpu", offline=True)))
    assert [region.label for region in predictor.predict(_PICTURE, "<OD>").regions] == _LABELS
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    ballast: list[bytes] = []

    def fill(*_: Any) -> None:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM_BYTES, most))
        ballast.extend(_fill_memory())

    with predictor.engines.acquire(BUNDLED) as engine:
        hook = part(engine._model, "model.vision_tower.convs.0.conv").register_forward_pre_hook(fill)
    picture = Image.effect_noise((768, 768), 80)
    regions = [(9.0, 9.0, 50.0, 50.0 + number) for number in range(8)]
    said = _refusal(EngineFailed, lambda: predictor.predict(picture, "<REGION_TO_DESCRIPTION>", regions=regions))
    hook.remove()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    ballast.clear()
    assert [region.label for region in predictor.predict(_PICTURE, "<OD>").regions] == _LABELS
    return said


def _fill_memory() -> list[bytes]:
    ballast = []
    for size in (2**20, 2**14):
        try:
            while True:
                ballast.append(bytes(size))
        except MemoryError:
            continue
    return ballast


def a_bug_in_the_worker(place: _Place) -> str:
    with _before_each_call(place, "lm_head", _raising(KeyError("pixel_values"))) as picture:
        return place.sentence(picture=picture)


def an_answer_without_end(place: _Place) -> str:
    hasty = Predictor(place.predictor.engines, run_seconds=0.5)
    with _before_each_call(place, "lm_head", lambda: time.sleep(0.3)) as picture:
        return hasty.predict(picture, "<MORE_DETAILED_CAPTION>", checkpoint=BUNDLED).notices[-1]


def a_step_that_hangs(place: _Place) -> str:
    go_on = threading.Event()
    hasty = Predictor(place.predictor.engines, run_seconds=3)
    with pytest.MonkeyPatch.context() as patch, _before_each_call(place, "lm_head", lambda: go_on.wait(60)) as picture:
        patch.setattr(run, "_LATE_SECONDS", 0.2)
        said = _refusal(EngineFailed, lambda: hasty.predict(picture, "<OD>", checkpoint=BUNDLED))
        go_on.set()
    return said


# --- Files


def weights_cut_short(place: _Place) -> str:
    weights = place.other / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    said = place.sentence(checkpoint=str(place.other))
    weights.write_bytes(whole)
    return said


def weights_with_another_bit(place: _Place) -> str:
    weights = place.other / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
    said = place.sentence(checkpoint=str(place.other))
    weights.write_bytes(whole)
    return said


@contextmanager
def _small_disk(folder: Path, megabytes: int = _FULL_MEGABYTES) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        disk.rmdir()
        raise NotTriedError("this user may not mount a disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()


def a_full_disk_while_a_picture_is_kept(place: _Place) -> str:
    room = _FULL_MEGABYTES + 64  # beside what a server leaves to others of its disk
    with _small_disk(place.folder, room) as disk, running(place.predictor, Settings(offline=True), disk) as url:
        http = Http(url)
        picture = {"path": http.uploaded(_PICTURE)}
        with (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(bytes(4096))
                except OSError:
                    break
        event, said = http.call("export", picture, place.predictor.predict(_PICTURE, "<OD>").to_dict(), "png")
        assert event == "error"
        (disk / "filler").unlink()
        assert http.call("run", picture, *_asked())[0] == "complete"
        return str(said["error"])


# --- The network


def _fetch(server: FakeHub, cache: Path, seconds: float = 20) -> Path:
    return hub.download(resolve("me/tiny"), lambda _: None, seconds, endpoint=server.endpoint, cache_dir=cache)


def a_full_disk_while_downloading(place: _Place) -> str:
    with _small_disk(place.folder) as disk, serving_hub(place.folder / "full") as server:
        said = _refusal(CheckpointUnavailable, lambda: _fetch(server, disk))
        assert hub.find_local(resolve("me/tiny"), cache_dir=disk) is None
        return said


def a_hub_that_dies_in_a_download(place: _Place) -> str:
    cache = place.folder / "dies"
    with serving_hub(place.folder / "dying") as server:
        server.cuts_at = "model.safetensors"
        said = _refusal(CheckpointUnavailable, lambda: _fetch(server, cache, 1))
    assert hub.find_local(resolve("me/tiny"), cache_dir=cache) is None
    with serving_hub(place.folder / "revived") as server:
        _fetch(server, cache)
    return said


def two_programs_on_one_cache(place: _Place) -> str:
    fetch = (
        "import sys; from pathlib import Path; from playground.checkpoints import hub\n"
        "from playground.checkpoints.catalog import resolve; from playground.checkpoints.loader import load\n"
        "row = resolve('me/tiny')\n"
        "folder = hub.download(row, lambda _: None, 30, endpoint=sys.argv[1], cache_dir=Path(sys.argv[2]))\n"
        "load(row, folder, device='cpu'); print(folder)"
    )
    with serving_hub(place.folder / "shared") as server:
        command = [sys.executable, "-c", fetch, server.endpoint, str(place.folder / "cache-of-both")]
        programs = [subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        folders = {program.communicate(timeout=120)[0] for program in programs}
    assert [program.returncode for program in programs] == [0, 0]
    assert len(folders) == 1
    return "Both have it, and each could load it."


# --- The end


def the_end_of_the_program_during_a_run(place: _Place) -> str:
    home = place.folder / "ending"
    environ = os.environ | {"GRADIO_TEMP_DIR": str(home), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "app.py", "--checkpoint", BUNDLED, "--offline"]
    program = subprocess.Popen(
        command, cwd=_ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert program.stdout
    url = next(line.split()[-1] for line in program.stdout if "http://" in line)
    job = Client(url, verbose=False).submit(handle_file(_PICTURE), "<OD>", decoding="careful", api_name="/run")
    while not job.outputs():
        time.sleep(0.01)
    program.send_signal(signal.SIGTERM)
    began = time.monotonic()
    program.wait(_ENDS_WITHIN_SECONDS)
    seconds = time.monotonic() - began
    said = program.stdout.read()
    assert "Traceback" not in said, said[-500:]
    for path in home.rglob("*.png"):
        Image.open(path).load()
    return f"It ended after {seconds:.1f} seconds, and left no file by half."


FAULTS: tuple[Callable[[_Place], str], ...] = (
    no_memory_for_a_picture, no_memory_for_an_answer, no_memory_at_all, a_bug_in_the_worker, an_answer_without_end,
    a_step_that_hangs, weights_cut_short, weights_with_another_bit, a_full_disk_while_a_picture_is_kept,
    a_full_disk_while_downloading, a_hub_that_dies_in_a_download, two_programs_on_one_cache,
    the_end_of_the_program_during_a_run,
)  # fmt: skip


def carry_out(order: Order) -> dict[str, Any]:
    """Make everything go wrong `count` times; returns how much was survived, and what was said."""
    failures, said = [], {}
    deadline = order.deadline()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        other = Path(shutil.copytree(resolve(BUNDLED).source, folder / "other"))
        settings = Settings(checkpoint=str(other), device="cpu", offline=True)
        predictor = Predictor(Pool(settings))
        with running(predictor, settings, folder / "cache") as url:
            place = _Place(Http(url), predictor, folder, other)
            for fault in FAULTS * order.count:
                if time.monotonic() > deadline:
                    break
                try:
                    said[fault.__name__] = fault(place)
                    place.check_works()
                except NotTriedError as error:
                    said[fault.__name__] = f"not tried: {error}"
                except Exception as error:
                    failures.append(f"{fault.__name__}: {type(error).__name__}: {error}")
    not_tried = sum(sentence.startswith("not tried") for sentence in said.values())
    return {"tried": len(said) - not_tried, "not tried": not_tried, "said": said, "failures": failures}


if __name__ == "__main__":
    if sys.argv[1:] == ["--starve"]:
        print(starve())
    else:
        main("faults", "Make machines, disks and networks fail.", carry_out, count=1)
