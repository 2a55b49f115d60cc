"""Sources to pictures: some are read ahead, in threads, while the model answers."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from playground.annotate.archives import Archive
from playground.annotate.buckets import is_url, read_url
from playground.annotate.sources import PictureSource
from playground.errors import ImageRejected
from playground.pictures.decoding import OTHER_PAGES
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
        if source.member:
            return self._archive(source.path).read(source.member)
        return read_url(source.path) if is_url(source.path) else Path(source.path)

    def read(self, source: PictureSource, file: Path | bytes | None = None) -> InputImage:
        """Return a picture, of its file where that is at hand. Raises ImageRejected."""
        if source.seconds is not None:
            if self._videos is not None:
                return self._videos.read_frame(source.path, source.seconds)
            return self._read(self._frame(source.path, source.seconds))
        image = self._read(file or self.file_of(source), page=source.page or 0, password=self._password)
        if source.page is None:
            return image
        # Whoever asks about each page needs no notice on each that there are others.
        others = OTHER_PAGES.format(count=image.num_pages, page=source.page + 1)
        return replace(image, notices=tuple(notice for notice in image.notices if notice != others))

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
            room = _Room(_AHEAD_PIXELS)

            def read(place: int, source: PictureSource) -> ReadSource:
                one = self.read_new(source, is_done)
                room.take(place, _num_pixels(one))
                return one

            def wanted() -> ReadSource:
                one = reading.popleft().result()
                room.give(_num_pixels(one))
                return one

            try:
                for place, source in enumerate(sources):
                    chosen = threads if source.seconds is None else one_thread
                    reading.append(chosen.submit(read, place, source))
                    if len(reading) > _AHEAD:
                        yield wanted()
                while reading:
                    yield wanted()
            finally:
                for one in reading:
                    one.cancel()
                room.close()

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


class _Room:
    """Room for so many pixels that are read and wait. Who has no room waits with its picture, in its own thread."""

    def __init__(self, num_pixels: int) -> None:
        self._free = num_pixels
        self._next = 0  # the place of the picture that is wanted: it always has room, or all would wait
        self._is_closed = False
        self._changed = threading.Condition()

    def take(self, place: int, num_pixels: int) -> None:
        """Wait until there is room for a picture."""
        with self._changed:
            self._changed.wait_for(lambda: num_pixels <= self._free or place <= self._next or self._is_closed)
            self._free -= num_pixels

    def give(self, num_pixels: int) -> None:
        """Say that the next picture does not wait any more."""
        with self._changed:
            self._free += num_pixels
            self._next += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _num_pixels(read: ReadSource) -> int:
    return read.image.pixels.width * read.image.pixels.height if read.image else 0


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
