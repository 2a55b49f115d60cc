"""Pictures with their times to a film: MP4 with H.264, as browsers play it, and with the sound of another video.

Knows PyAV, and nothing of what is drawn.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from PIL import Image

from playground.pictures.frames import RAW_SOUND

SOUND_SECONDS = 60.0  # that are read at a time
MAX_SIDE = 4096  # pixels; what the players of phones and browsers take
_TICKS = 90_000  # a second: frames of a changing rate keep their times
# With its macroblock tree x264 writes other bytes each time where a side is no multiple of 16 (tried 25 times).
_OPTIONS = {"crf": "20", "preset": "veryfast", "threads": "2", "g": "60", "x264-params": "mbtree=0"}

SoundSource = Callable[[float, float], bytes]  # what is heard from a time to another, as `frames.sound_of` returns it


class FilmWriter:
    """Writes a film into a file that is whole once this is closed. The first picture says how large all are."""

    def __init__(self, file: Path, *, sound: SoundSource | None = None) -> None:
        """Begin a film, with the `sound` of another video: nothing where that has none."""
        self._container = av.open(str(file), "w", format="mp4", options={"movflags": "faststart"})
        first = sound(0.0, SOUND_SECONDS) if sound else b""
        self._sound = _Sound(sound, self._container, first) if sound and first else None
        self._stream: Any = None
        self._size = (0, 0)
        self._last, self._step = -1, 0  # when the last picture is shown, and for how long

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(Exception):
                self._container.close()

    def add(self, picture: Image.Image, seconds: float) -> None:
        """Add an RGB picture that is shown from a time on, in seconds from the beginning."""
        if self._stream is None:
            self._begin(picture.size)
        if picture.size != self._size:
            picture = picture.resize(self._size, Image.Resampling.LANCZOS)
        frame: Any = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]  # av says no types for it
        before, self._last = self._last, max(self._last + 1, round(seconds * _TICKS))
        self._step = self._last - before if before >= 0 else _TICKS // 30
        frame.pts = self._last
        frame.time_base = Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))
        if self._sound:
            self._sound.write_until(seconds)

    def close(self) -> None:
        """End the film. The last picture is shown as long as the one before."""
        if self._stream is not None:
            for packet in self._stream.encode():
                if packet.pts * packet.time_base * _TICKS >= self._last:
                    packet.duration = round(Fraction(self._step, _TICKS) / packet.time_base)
                self._container.mux(packet)
        if self._sound:
            self._sound.write_until((self._last + self._step) / _TICKS)
            self._sound.close()
        self._container.close()

    def _begin(self, resolution_wh: tuple[int, int]) -> None:
        scale = min(1.0, MAX_SIDE / max(resolution_wh))
        # H.264 keeps a color for four pixels: both sides are even.
        width, height = (max(2, round(side * scale) // 2 * 2) for side in resolution_wh)
        stream: Any = self._container.add_stream("libx264", rate=Fraction(30), options=dict(_OPTIONS))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream, self._size = stream, (width, height)


class _Sound:
    """The sound of a film, read a minute at a time: copied as it is, or made AAC of where MP4 cannot hold that."""

    def __init__(self, sound: SoundSource, container: Any, first: bytes) -> None:
        self._sound = sound
        self._container = container
        self._packets = _packets_of(first)
        self._end = SOUND_SECONDS  # what is read ends there
        self._waiting: Any = None
        with av.open(io.BytesIO(first)) as part:
            template: Any = part.streams.audio[0]
            self._is_raw = template.codec_context.name == RAW_SOUND
            if self._is_raw:
                self._rate = template.codec_context.sample_rate
                self._stream = container.add_stream("aac", rate=self._rate, layout="stereo")
            else:
                self._stream = container.add_stream_from_template(template)

    def write_until(self, seconds: float) -> None:
        """Write what is heard before a time."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                if self._end > seconds:
                    return
                self._packets = _packets_of(self._sound(self._end, self._end + SOUND_SECONDS))
                self._end += SOUND_SECONDS
            elif float(packet.pts * packet.time_base) >= seconds:
                self._waiting = packet
                return
            else:
                self._write(packet)

    def close(self) -> None:
        """Write what the encoder has kept."""
        if self._is_raw:
            self._container.mux(self._stream.encode(None))

    def _write(self, packet: Any) -> None:
        if self._is_raw:
            samples = np.frombuffer(bytes(packet), dtype="<i2")[None]
            frame: Any = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = self._rate, packet.pts, packet.time_base
            self._container.mux(self._stream.encode(frame))
        else:
            packet.stream = self._stream
            self._container.mux(packet)


def _packets_of(content: bytes) -> Iterator[Any]:
    if content:
        part: Any
        with av.open(io.BytesIO(content)) as part:
            yield from (packet for packet in part.demux(part.streams.audio[0]) if packet.pts is not None)
