"""Pictures read by processes of their own, each within a time and a memory.

A worker that dies or takes too long is replaced, and what it was reading is refused with a sentence. The protocol is a
line of JSON each way and, behind it, the bytes that it announces: whatever comes back, it can only be a picture, with
the text that its page holds.
"""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from PIL import Image

from playground.errors import ImageRejected
from playground.pictures.limits import DEFAULT_LIMITS, MEGABYTE, Limits
from playground.pictures.plain import PlainLook, look_plainly
from playground.pictures.reader import InputImage, UnpackedImage, num_pages, read_image, unpack_image
from playground.regions import Box, Quad, Region

if TYPE_CHECKING:
    from playground.pictures.frames import FrameStep, VideoFile

# Started by what runs this, not by `multiprocessing`, which would import the program's main module once more.
_START = """
import signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # are for the program, which then closes the pipe
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.path[:] = sys.argv[1:]
from playground.pictures.workers import work
work()
"""
# One thread, and pixels that go back to the system when they are let go: less memory set aside.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1000000",
}  # fmt: skip
_T = TypeVar("_T")
_NICENESS = 5  # whoever asks the server for a trifle goes before whoever has it read pictures
_MAX_ANSWER_LINE = 3_000_000  # bytes: the text of a page and where it stands
_MAX_TIMES = 50_000  # of frames of one video
_MAX_SOUND = 50_000_000  # bytes of a minute


@dataclass(frozen=True, slots=True)
class Allowance:
    """What reading one picture may take. Memory is what a worker may have beside its own; only Linux can hold it."""

    cpu_seconds: int = 10
    seconds: float = 25.0  # by the clock, of a machine that has other work too
    megabytes: int = 640
    wait_seconds: float = 30.0  # until a worker is free


class PictureWorkers:
    """Reads pictures as `read_image` does, `count` at the same time; workers are started when they are needed."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, count: int = 4, allowance: Allowance = Allowance()) -> None:
        self._limits = limits
        self._allowance = allowance
        self._count = count
        self._begin()
        # A fork must not talk into the pipes of its parent, nor wait for its threads.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._free = threading.Semaphore(self._count)
        self._idle: list[_Worker] = []

    def read(self, source: Any, page: int = 0, password: str = "") -> InputImage:
        """Return a picture; what is neither a path nor bytes is read here. Raises ImageRejected."""
        if not isinstance(source, str | Path | bytes):
            return read_image(source, self._limits, page=page, password=password)
        with self._worker() as worker:
            return worker.read(source, self._limits, page, password)

    def read_frame(self, path: str, seconds: float) -> InputImage:
        """Return the frame of a video that is shown at a time. Raises ImageRejected."""
        with self._worker() as worker:
            return worker.read(path, self._limits, seconds=seconds)

    def frame_from(self, path: str, seconds: float) -> tuple[float, Image.Image] | None:
        """Return what `VideoFile.frame_from` does, each video from one worker. Raises ImageRejected."""
        with self._worker() as worker:
            return worker.frame_from(path, seconds, self._limits)

    def sound_of(self, path: str, start: float, end: float) -> bytes:
        """Return what `frames.sound_of` does; nothing too where that takes too much."""
        try:
            with self._worker() as worker:
                return worker.sound_of(path, start, end)
        except ImageRejected:
            return b""

    def num_pages(self, source: Path | bytes, *, password: str = "") -> int:
        """Return what `reader.num_pages` does. Raises ImageRejected."""
        with self._worker() as worker:
            return int(worker.find_out(source, {"count": True, "password": password}))

    def frame_times(self, path: str, step: "FrameStep") -> Iterator[float]:
        """Yield what `frames.frame_times` does, up to so many as nobody asks about. Raises ImageRejected."""
        with self._worker() as worker:
            found = worker.find_out(path, {"step": asdict(step)})
        yield from map(float, found["times"])
        if found["problem"]:
            raise ImageRejected(str(found["problem"]))

    def look_plainly(self, source: Path | bytes, *, at_pixels: bool = True) -> PlainLook | None:
        """Return what `plain.look_plainly` does; None too where that takes too much."""
        try:
            with self._worker() as worker:
                return worker.look(source, at_pixels)
        except ImageRejected:
            return None

    def close(self) -> None:
        """End the workers that are idle. Those of a program that ends do so by themselves."""
        while self._idle:
            self._idle.pop().end()

    @contextmanager
    def _worker(self) -> Iterator["_Worker"]:
        """Hold a worker; one that is still alive afterwards is kept."""
        if not self._free.acquire(timeout=self._allowance.wait_seconds):
            raise ImageRejected("So many pictures are being read that this one had no turn. Try again in a minute.")
        worker = None
        try:
            worker = self._take()
            yield worker
        finally:
            if worker and worker.is_usable:
                self._idle.append(worker)
            self._free.release()

    def _take(self) -> "_Worker":
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                return _Worker(self._allowance)
            if worker.is_usable:
                return worker


class _Worker:
    """One process, as it is seen from outside."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            )
        except (OSError, ValueError) as error:
            raise ImageRejected(
                "The program that reads pictures could not be started. Try again later, or tell whoever runs this."
            ) from error
        self._to: Any = self._process.stdin
        self._from: Any = self._process.stdout
        _widen(self._from)
        self._is_late = False

    @property
    def is_usable(self) -> bool:
        return self._process.poll() is None

    def read(
        self,
        source: str | Path | bytes,
        limits: Limits,
        page: int = 0,
        password: str = "",
        seconds: float | None = None,
    ) -> InputImage:
        wish = {"page": page, "password": password, "seconds": seconds}
        answer = self._in_time(lambda: self._ask(source, limits, wish))
        if isinstance(answer, str):
            raise ImageRejected(answer)
        return answer.to_image()

    def look(self, source: Path | bytes, at_pixels: bool) -> PlainLook | None:
        told = self._in_time(lambda: self._tell(source, {"at_pixels": at_pixels}))
        return PlainLook(**{**told, "size": tuple(told["size"])}) if told else None

    def frame_from(self, path: str, seconds: float, limits: Limits) -> tuple[float, Image.Image] | None:
        def ask() -> tuple[float, Image.Image] | str | None:
            told = self._tell(path, {"from": seconds})
            if "refused" in told:
                return str(told["refused"])
            if not told:
                return None
            width, height = map(int, told["size"])
            if width * height > limits.max_megapixels * 1e6:
                raise ValueError
            return float(told["seconds"]), Image.frombytes("RGB", (width, height), self._bytes(3 * width * height))

        answer = self._in_time(ask)
        if isinstance(answer, str):
            raise ImageRejected(answer)
        return answer

    def sound_of(self, path: str, start: float, end: float) -> bytes:
        wish = {"heard": [start, end]}
        return self._in_time(lambda: self._bytes(min(int(self._tell(path, wish)["bytes"]), _MAX_SOUND)))

    def find_out(self, source: str | Path | bytes, wish: dict[str, Any]) -> Any:
        told = self._in_time(lambda: self._tell(source, wish))
        if "refused" in told:
            raise ImageRejected(str(told["refused"]))
        return told["found"]

    def _in_time(self, ask: Callable[[], _T]) -> _T:
        timer = threading.Timer(self._allowance.seconds, self._kill_late)
        timer.daemon = True
        timer.start()
        try:
            return ask()
        except (OSError, EOFError, ValueError):  # the pipe is broken, or holds the beginning of an answer
            raise ImageRejected(self._why_ended()) from None
        except BaseException:  # what waits for the answer was ended, and whoever asks next must not get it
            self.end()
            raise
        finally:
            timer.cancel()

    def _tell(self, source: str | Path | bytes, wish: dict[str, Any]) -> Any:
        """Send a source with what is wanted of it; returns the line that comes back."""
        path, content = (None, source) if isinstance(source, bytes) else (str(source), b"")
        request = {"path": path, "bytes": len(content), "allowance": asdict(self._allowance), **wish}
        self._to.write(json.dumps(request).encode() + b"\n" + content)
        self._to.flush()
        return json.loads(self._from.readline(_MAX_ANSWER_LINE))

    def _ask(self, source: str | Path | bytes, limits: Limits, wish: dict[str, Any]) -> UnpackedImage | str:
        """Return what the worker makes of a source, or why it refuses."""
        answer = self._tell(source, {**wish, "limits": asdict(limits)})
        if "refused" in answer:
            return str(answer["refused"])
        if math.prod(answer["size"]) > limits.max_megapixels * 1e6:
            raise ValueError
        data = self._bytes(3 * math.prod(answer["size"]))
        return UnpackedImage(
            data, tuple(answer["size"]), answer["digest"], tuple(answer["original_wh"]), tuple(answer["notices"]),
            int(answer["num_pages"]), tuple(_piece(*piece) for piece in answer["own_text"]),
        )  # fmt: skip

    def _bytes(self, length: int) -> bytes:
        data: bytes = self._from.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def _kill_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _why_ended(self) -> str:
        self.end()
        code = self._process.returncode
        if self._is_late or code == -getattr(signal, "SIGXCPU", math.inf):
            return (
                f"To read this picture takes longer than {self._allowance.cpu_seconds} seconds, the most that one may "
                "take here. Scale it down, or save it again as PNG or plain JPEG, and try that."
            )
        return (
            "This picture has ended the program that reads pictures: it is damaged, or takes more than "
            f"{self._allowance.megabytes} MB of memory. Scale it down, or save it again as PNG or plain JPEG."
        )

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()


def _piece(label: str, xyxy: Sequence[float], xyxyxyxy: Sequence[float]) -> Region:
    return Region(str(label), cast(Box, tuple(map(float, xyxy))), xyxyxyxy=cast(Quad, tuple(map(float, xyxyxyxy))))


def _widen(pipe: Any) -> None:
    """Let a pipe hold a megabyte, so that two processes take fewer turns; only Linux can."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, MEGABYTE)


# --- In the worker


def work() -> None:
    """Read what comes in through standard input, until it ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints shall not answer
    with suppress(AttributeError, OSError):
        os.nice(_NICENESS)
    from PIL import AvifImagePlugin, Image

    Image.preinit()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 2  # each keeps frames and a stack of its own
    while line := requests.readline():
        _serve(json.loads(line), requests, answers)


def _serve(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    content = requests.read(request["bytes"])
    _hold(Allowance(**request["allowance"]))
    source = content if request["path"] is None else Path(request["path"])
    if "at_pixels" in request:
        look = look_plainly(source, at_pixels=request["at_pixels"])
        answers.write(json.dumps(asdict(look) if look else None).encode() + b"\n")
        answers.flush()
        return
    for part in _parts(source, request):
        answers.write(part)
    answers.flush()


def _parts(source: Path | bytes, request: dict[str, Any]) -> Iterator[bytes]:
    if {"count", "step"} & set(request):
        yield _found(source, request)
    elif "from" in request:
        yield from _frame_from(str(source), request["from"])
    elif "heard" in request:
        from playground.pictures.frames import sound_of

        heard = sound_of(str(source), *request["heard"])[:_MAX_SOUND]
        yield json.dumps({"bytes": len(heard)}).encode() + b"\n"
        yield heard
    else:
        yield from _answer(source, request)


def _frame_from(path: str, seconds: float) -> Iterator[bytes]:
    """Yield the line that says when a frame is shown, and its pixels."""
    try:
        shown = _video(path).frame_from(seconds)
    except ImageRejected as refusal:
        yield json.dumps({"refused": str(refusal)}).encode() + b"\n"
        return
    told = {"seconds": shown[0], "size": shown[1].size} if shown else {}
    yield json.dumps(told).encode() + b"\n"
    if shown:
        yield shown[1].tobytes()


def _found(source: Path | bytes, request: dict[str, Any]) -> bytes:
    """Return the line that says how many pages a file has, or when its frames are shown."""
    found: Any
    try:
        if "count" in request:
            found = num_pages(source, password=request["password"])
        else:
            from playground.pictures.frames import FrameStep, frame_times

            found = {"times": [], "problem": ""}
            try:
                for seconds in islice(frame_times(str(source), FrameStep(**request["step"])), _MAX_TIMES):
                    found["times"].append(round(seconds, 4))
            except ImageRejected as problem:
                if not found["times"]:
                    raise
                found["problem"] = str(problem)
    except ImageRejected as refusal:
        return json.dumps({"refused": str(refusal)}).encode() + b"\n"
    return json.dumps({"found": found}).encode() + b"\n"


@lru_cache(maxsize=1)  # the frames of a video are asked for mostly in their order
def _video(path: str) -> "VideoFile":
    from playground.pictures.frames import VideoFile

    return VideoFile(path)


def _answer(source: Path | bytes, request: dict[str, Any]) -> Iterator[bytes]:
    limits, page, password = Limits(**request["limits"]), request["page"], request["password"]
    try:
        frame = None if request["seconds"] is None else _video(str(source)).frame_at(request["seconds"])
        image = unpack_image(source if frame is None else frame, limits, page=page, password=password)
    except ImageRejected as refusal:
        yield json.dumps({"refused": str(refusal)}).encode() + b"\n"
        return
    told = {"size": image.size, "digest": image.digest, "original_wh": image.original_wh,
            "notices": image.notices, "num_pages": image.num_pages,
            "own_text": [(piece.label, piece.xyxy, piece.xyxyxyxy) for piece in image.own_text]}  # fmt: skip
    yield json.dumps(told).encode() + b"\n"
    yield image.data


def _hold(allowance: Allowance) -> None:
    """Let the system end this process where the next picture takes too much; elsewhere the clock alone holds it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource, "RLIMIT_CPU", math.ceil(usage.ru_utime + usage.ru_stime) + allowance.cpu_seconds)
    _limit(resource, "RLIMIT_FSIZE", 0)  # it reads
    _limit(resource, "RLIMIT_CORE", 0)
    with suppress(OSError):
        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _limit(resource, "RLIMIT_AS", own + allowance.megabytes * MEGABYTE)


def _limit(resource: Any, name: str, value: int) -> None:
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
