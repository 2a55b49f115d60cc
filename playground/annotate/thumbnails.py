"""Small pictures of many, in one file: each is written once, and found by what names it."""

import struct
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image

from playground.annotate.answers import key_of
from playground.annotate.sources import PictureSource

_SIDE = 176  # pixels
_HEAD = struct.Struct(">16sI")  # what names the picture, and the number of bytes that follow
_QUALITY = 72


def thumbnail_key(source: PictureSource) -> bytes:
    """Return what names the thumbnail of a picture."""
    return key_of(source, "")


class Thumbnails:
    """The thumbnails of a folder. Safe to use from several threads; what a kill has cut short is not there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "thumbnails.bin"
        self._lock = threading.Lock()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._end = 0
        for key, start, length in self._stored():
            self._places[key] = start, length
            self._end = start + length

    def _stored(self) -> Iterator[tuple[bytes, int, int]]:
        if not self._path.exists():
            return
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                key, length = _HEAD.unpack(head)
                if file.tell() + length > size:
                    return
                yield key, file.tell(), length
                file.seek(length, 1)

    def put(self, key: bytes, picture: Image.Image) -> None:
        """Keep a picture, unless it is there."""
        if key in self._places:
            return
        data, shrink = BytesIO(), min(1.0, _SIDE / max(picture.size))
        size = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
        picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0).save(data, "JPEG", quality=_QUALITY)
        content = data.getvalue()
        with self._lock:
            with self._path.open("r+b" if self._path.exists() else "wb") as file:
                file.seek(self._end)
                file.write(_HEAD.pack(key, len(content)) + content)
            self._places[key] = self._end + _HEAD.size, len(content)
            self._end += _HEAD.size + len(content)

    def get(self, key: bytes) -> bytes:
        """Return a thumbnail as JPEG; nothing where there is none."""
        place = self._places.get(key)
        if place is None:
            return b""
        with self._path.open("rb") as file:
            file.seek(place[0])
            return file.read(place[1])
