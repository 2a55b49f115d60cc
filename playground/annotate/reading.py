"""Sources to pictures: some are read ahead, in threads, while the model answers."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from playground.annotate.archives import Archive
from playground.annotate.sources import PictureSource
from playground.errors import ImageRejected
from playground.pictures.frames import VideoFile, sound_of
from playground.pictures.reader import InputImage
from playground.pictures.workers import PictureWorkers

_AHEAD = 24  # pictures: a group and more
_AHEAD_PIXELS = 50_000_000  # of all that are read and wait
_THREADS = 2
_HASHED_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class ReadSource:
    """What became of a source: a picture, a sentence why there is none, or neither where it is done already."""

    source: PictureSource
    sha256: str
    image: InputImage | None = None
    error: str = ""

    @property
    def is_done(self) -> bool:
        return self.image is None and not self.error


class SourceReader:
    """Reads the pictures of sources with `read`, which takes what `read_image` does. Safe to use from several threads.

    `password` opens documents. `videos` reads frames elsewhere; without it they are decoded here.
    """

    def __init__(
        self,
        read: Callable[..., InputImage],
        *,
        password: str = "",
        videos: PictureWorkers | None = None,
    ) -> None:
        self._read = read
        self._videos = videos
        self._password = password
        self._opened: tuple[str, Archive] | None = None
        self._last_digest: tuple[object, str] = (None, "")
        self._video: tuple[str, VideoFile] | None = None
        self._lock, self._video_lock = threading.Lock(), threading.Lock()

    def file_of(self, source: PictureSource) -> Path | bytes:
        """Return the file that a picture came in. Raises ImageRejected."""
        if source.problem:
            raise ImageRejected(source.problem)
        return self._archive(source.path).read(source.member) if source.member else Path(source.path)

    def read(self, source: PictureSource, file: Path | bytes | None = None) -> InputImage:
        """Return a picture, of its file where that is at hand. Raises ImageRejected."""
        if source.seconds is not None:
            if self._videos is not None:
                return self._videos.read_frame(source.path, source.seconds)
            return self._read(self._frame(source.path, source.seconds))
        return self._read(file or self.file_of(source), page=source.page or 0, password=self._password)

    def _frame(self, path: str, seconds: float) -> Image.Image:
        """Return a frame of a video; the last one stays open, since its frames follow one another."""
        with self._video_lock:
            return self._video_of(path).frame_at(seconds)

    def _video_of(self, path: str) -> VideoFile:
        if self._video is None or self._video[0] != path:
            self._video = path, VideoFile(path)
        return self._video[1]

    def frame_from(self, path: str, seconds: float) -> tuple[float, Image.Image] | None:
        """Return the first frame of a video from a time on, with its own time. Raises ImageRejected."""
        if self._videos is not None:
            return self._videos.frame_from(path, seconds)
        with self._video_lock:
            return self._video_of(path).frame_from(seconds)

    def sound_of(self, path: str, start: float, end: float) -> bytes:
        """Return what is heard in a video from a time to another, as `frames.sound_of` does."""
        return sound_of(path, start, end) if self._videos is None else self._videos.sound_of(path, start, end)

    def read_new(self, source: PictureSource, is_done: Callable[[PictureSource, str], bool]) -> ReadSource:
        """Read a picture unless it is done. Raises nothing of what may be wrong with it."""
        sha256 = ""
        try:
            file = self.file_of(source)
            sha256 = self._sha256(file)
            if is_done(source, sha256):
                return ReadSource(source, sha256)
            return ReadSource(source, sha256, self.read(source, file))
        except ImageRejected as error:
            return ReadSource(source, sha256, error="" if is_done(source, sha256) else str(error))

    def read_ahead(
        self, sources: Iterable[PictureSource], is_done: Callable[[PictureSource, str], bool]
    ) -> Iterator[ReadSource]:
        """Read pictures in their order, the next ones while whoever iterates works on the last."""
        # The frames of a video are decoded in their order, so by one thread.
        with (
            ThreadPoolExecutor(_THREADS, thread_name_prefix="read-ahead") as threads,
            ThreadPoolExecutor(1, thread_name_prefix="read-frames") as one_thread,
        ):
            reading: deque[Future[ReadSource]] = deque()
            try:
                for source in sources:
                    chosen = threads if source.seconds is None else one_thread
                    reading.append(chosen.submit(self.read_new, source, is_done))
                    while len(reading) > _AHEAD or _num_pixels(reading) > _AHEAD_PIXELS:
                        yield reading.popleft().result()
                while reading:
                    yield reading.popleft().result()
            finally:
                for one in reading:
                    one.cancel()

    def _sha256(self, file: Path | bytes) -> str:
        """Return the digest of a file; that of the last one is remembered, since its pages follow one another."""
        if isinstance(file, bytes):
            return _sha256(file)
        try:
            status = file.stat()
        except (OSError, ValueError):
            return ""
        key = str(file), status.st_size, status.st_mtime_ns
        known, digest = self._last_digest
        if known != key:
            digest = _sha256(file)
            self._last_digest = key, digest
        return digest

    def _archive(self, path: str) -> Archive:
        """Return an archive; the last one stays open, since its pictures follow one another."""
        with self._lock:
            if self._opened is None or self._opened[0] != path:
                self._opened = path, Archive(path)  # the one before closes with its last reader
            return self._opened[1]


def _num_pixels(reading: Iterable[Future[ReadSource]]) -> int:
    images = [one.result().image for one in reading if one.done()]
    return sum(image.pixels.width * image.pixels.height for image in images if image)


def _sha256(file: Path | bytes) -> str:
    """Return the digest of a file; nothing where it cannot be read, of which the reading says why."""
    digest = hashlib.sha256()
    if isinstance(file, bytes):
        digest.update(file)
        return digest.hexdigest()
    with suppress(OSError, ValueError):
        if file.is_file():  # nor a pipe, which may never end
            with file.open("rb") as content:
                while some := content.read(_HASHED_AT_ONCE):
                    digest.update(some)
            return digest.hexdigest()
    return ""
