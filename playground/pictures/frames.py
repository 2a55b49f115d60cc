"""Video: when its frames are shown, and each as an upright picture.

Knows PyAV. Frames are found by their time, so that videos of a changing rate are read right.
"""

from __future__ import annotations  # of a library that is imported late

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from PIL import Image

from playground.errors import ImageRejected
from playground.late import Late
from playground.pictures.limits import DEFAULT_LIMITS, check_resolution

if TYPE_CHECKING:
    import av
else:
    av = Late("av")

VIDEO_EXTENSIONS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts")
_HALF_TICK = 1e-4  # seconds: times are written down with four decimals
_LONGER = 1.0  # seconds by which a video may seem to be longer than it is
_SEEK_BEYOND = 10.0  # seconds that are skipped rather than decoded
_SOUNDS_OF_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")
RAW_SOUND = "pcm_s16le"


@dataclass(frozen=True, slots=True)
class FrameStep:
    """Which frames are wanted: one each so many seconds, or each so many frames, from a time to another."""

    seconds: float = 1.0
    frames: int = 0  # used instead, where it is not 0
    start: float = 0.0
    end: float = float("inf")


def frame_times(path: str, step: FrameStep) -> Iterator[float]:
    """Yield the times, in seconds from the beginning, of the frames that are wanted. Raises ImageRejected.

    No frame is decoded for that. Behind the last one it is raised too, where the video was longer once.
    """
    with _errors_as_sentences(), av.open(path) as container:
        stream = _stream_of(container)
        base = stream.time_base or 0
        begin = (stream.start_time or 0) * base
        shown, end = list[float](), 0.0
        for packet in container.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base - begin))
            if packet.stream_index == stream.index:
                shown.append(float(packet.pts * base - begin))
        whole = (container.duration or 0) / av.time_base
    shown.sort()
    yield from _wanted(shown, step)
    if end < min(whole - max(_LONGER, whole / 50), step.end):
        raise ImageRejected(f"The video was cut short: it ends at {end:.1f} of {whole:.1f} seconds. Get the whole one.")
    if not shown:
        raise ImageRejected("There is no picture in this video: it ends before its first frame. Get the whole one.")


def _wanted(shown: Sequence[float], step: FrameStep) -> Iterator[float]:
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
        self._path = path
        with _errors_as_sentences():
            self._open()

    def _open(self) -> None:
        self._container = av.open(self._path)
        self._stream = _stream_of(self._container)
        self._stream.thread_type = "AUTO"
        self._base = self._stream.time_base or 0
        self._begin = (self._stream.start_time or 0) * self._base
        self._frames = self._container.decode(self._stream)
        self._at = -1.0  # the time of the last frame

    def frame_at(self, seconds: float) -> Image.Image:
        """Return the frame that is shown at a time, upright. Raises ImageRejected."""
        shown = self.frame_from(seconds)
        if shown is None:
            raise ImageRejected(f"The video has no frame at {seconds:g} seconds any more. Was it cut? Start anew.")
        return shown[1]

    def frame_from(self, seconds: float) -> tuple[float, Image.Image] | None:
        """Return the first frame from a time on, upright, with when it is shown; None behind the last one.

        Raises ImageRejected.
        """
        with _errors_as_sentences():
            if self._at < seconds <= self._at + _SEEK_BEYOND:
                return self._next(seconds)
            self._container.seek(int((seconds + self._begin) / self._base), stream=self._stream)
            self._frames = self._container.decode(self._stream)
            with suppress(av.error.FFmpegError):
                first = self._next(0.0)
                if first and first[0] <= seconds + _HALF_TICK:
                    return first if first[0] >= seconds - _HALF_TICK else self._next(seconds)
            self._open()  # without an index, seeking may land behind what is wanted
            return self._next(seconds)

    def _next(self, seconds: float) -> tuple[float, Image.Image] | None:
        """Return the next frame that is shown at a time or later."""
        for frame in self._frames:
            if frame.pts is None:
                continue
            self._at = float(frame.pts * self._base - self._begin)
            if self._at >= seconds - _HALF_TICK:
                check_resolution((frame.width, frame.height), DEFAULT_LIMITS)
                picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]  # av says no types for it
                return self._at, picture.rotate(frame.rotation, expand=True) if frame.rotation % 360 else picture
        return None


def sound_of(path: str, start: float, end: float) -> bytes:
    """Return what is heard from a time to another, in NUT: as it is where MP4 holds that, else raw.

    Times are those of the frames. Nothing where there is no sound, or none that can be read.
    """
    content = io.BytesIO()
    with suppress(av.error.FFmpegError, OSError, ValueError), av.open(path) as container:
        if not container.streams.audio:
            return b""
        heard: Any = container.streams.audio[0]
        video = _stream_of(container)
        begin = (video.start_time or 0) * (video.time_base or Fraction(0))
        container.seek(max(0, int((start + begin) / heard.time_base)), stream=heard)
        with av.open(content, "w", format="nut") as nut:
            write = _as_it_is(nut, heard) if heard.codec_context.name in _SOUNDS_OF_MP4 else _as_raw(nut, heard)
            for packet in container.demux(heard):
                if packet.pts is None or packet.is_corrupt or float(packet.pts * heard.time_base - begin) < start:
                    continue
                if float(packet.pts * heard.time_base - begin) >= end:
                    break
                write(packet, begin)
        return content.getvalue()
    return b""


def _as_it_is(nut: Any, heard: Any) -> Callable[[Any, Fraction], None]:
    stream = nut.add_stream_from_template(heard)

    def write(packet: Any, begin: Fraction) -> None:
        shift = round(begin / heard.time_base)
        packet.pts -= shift
        packet.dts = packet.pts
        packet.stream = stream
        nut.mux(packet)

    return write


def _as_raw(nut: Any, heard: Any) -> Callable[[Any, Fraction], None]:
    rate = heard.codec_context.sample_rate
    stream = nut.add_stream(RAW_SOUND, rate=rate, layout="stereo")
    resampler: Any = av.AudioResampler(format="s16", layout="stereo", rate=rate)

    def write(packet: Any, begin: Fraction) -> None:
        for frame in packet.decode():
            for sample in resampler.resample(frame):
                sample.pts = round((sample.pts * sample.time_base - begin) / Fraction(1, rate))
                sample.time_base = Fraction(1, rate)
                nut.mux(stream.encode(sample))

    return write


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
