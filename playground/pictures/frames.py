"""Video: when its frames are shown, and each as an upright picture.

Knows PyAV. Frames are found by their time, so that videos of a changing rate are read right.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
from PIL import Image

from playground.errors import ImageRejected
from playground.pictures.limits import DEFAULT_LIMITS, check_resolution

VIDEO_EXTENSIONS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts")
_HALF_TICK = 1e-4  # seconds: times are written down with four decimals
_SEEK_BEYOND = 10.0  # seconds that are skipped rather than decoded


@dataclass(frozen=True, slots=True)
class FrameStep:
    """Which frames are wanted: one each so many seconds, or each so many frames, from a time to another."""

    seconds: float = 1.0
    frames: int = 0  # used instead, where it is not 0
    start: float = 0.0
    end: float = float("inf")


def frame_times(path: str, step: FrameStep) -> Iterator[float]:
    """Yield the times, in seconds from the beginning, of the frames that are wanted. Raises ImageRejected.

    No frame is decoded for that.
    """
    with _errors_as_sentences(), av.open(path) as container:
        stream = _stream_of(container)
        base = stream.time_base or 0
        begin = (stream.start_time or 0) * base
        shown = sorted(float(packet.pts * base - begin) for packet in container.demux(stream) if packet.pts is not None)
    in_range = [time for time in shown if step.start - _HALF_TICK <= time <= step.end + _HALF_TICK]
    if step.frames:
        yield from in_range[:: step.frames]
        return
    due = step.start
    for time in in_range:
        if time >= due - _HALF_TICK:
            yield time
            while due <= time + _HALF_TICK:
                due += step.seconds


class VideoFile:
    """A video that is open, whose frames are asked for mostly in their order. Not safe to use from several threads."""

    def __init__(self, path: str) -> None:
        """Open a video. Raises ImageRejected."""
        with _errors_as_sentences():
            self._container = av.open(path)
        self._stream = _stream_of(self._container)
        self._stream.thread_type = "AUTO"
        self._base = self._stream.time_base or 0
        self._begin = (self._stream.start_time or 0) * self._base
        self._frames = self._container.decode(self._stream)
        self._at = -1.0  # the time of the last frame

    def frame_at(self, seconds: float) -> Image.Image:
        """Return the frame that is shown at a time, upright. Raises ImageRejected."""
        with _errors_as_sentences():
            if not self._at < seconds <= self._at + _SEEK_BEYOND:
                self._container.seek(int((seconds + self._begin) / self._base), stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for frame in self._frames:
                if frame.pts is None:
                    continue
                self._at = float(frame.pts * self._base - self._begin)
                if self._at >= seconds - _HALF_TICK:
                    check_resolution((frame.width, frame.height), DEFAULT_LIMITS)
                    picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]  # av says no types for it
                    return picture.rotate(frame.rotation, expand=True) if frame.rotation % 360 else picture
        raise ImageRejected(f"The video has no frame at {seconds:g} seconds any more. Was it cut? Start anew.")


def _stream_of(container: av.container.InputContainer) -> av.VideoStream:
    if not container.streams.video:
        raise ImageRejected("There is no picture in this file: it holds no video. Choose another.")
    return container.streams.video[0]


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ImageRejected("The video is damaged, cut short or of an unusual kind. Save it as MP4 (H.264).") from error
