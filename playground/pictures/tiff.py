"""TIFF: its directories, which of them are pages, and which files are a camera's raw ones.

What the samples mean is `samples`' business.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL.ExifTags import Base as Tag

from playground.errors import ImageRejected
from playground.pictures.kinds import raw_sentence

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of each integer type
_MAX_DIRECTORIES = 5000
_THUMBNAIL_SIDE = 512  # pixels; above, a first page is none

_RAW_PHOTOMETRICS = (32803, 34892)  # a color filter array; linear raw


class Directory:
    """One picture of a TIFF: its tags, of which the integers are read when they are asked for."""

    def __init__(self, data: bytes, at: int, order: str, is_big: bool, parent: "Directory | None") -> None:
        self.at, self.parent = at, parent
        self._data, self._order = data, order
        entry = struct.Struct(f"{order}HHQ8s" if is_big else f"{order}HHI4s")
        word = "Q" if is_big else "I"
        count = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, at)[0]
        start = at + (8 if is_big else 2)
        if start + count * entry.size > len(data):
            raise struct.error
        self._entries = {}
        for tag, kind, number, field in entry.iter_unpack(data[start : start + count * entry.size]):
            size = _SIZES.get(kind, 1) * number
            place = struct.unpack_from(f"{order}{word}", field)[0] if size > len(field) else 0
            self._entries[tag] = (kind, number, data[place : place + size] if place else field[:size])
        self.next_at = struct.unpack_from(f"{order}{word}", data, start + count * entry.size)[0]

    def ints(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the integers of a tag, or the default where it is missing or of another type."""
        kind, _, field = self._entries.get(tag, (0, 0, b""))
        if kind not in _SIZES or not field:
            return default
        size = _SIZES[kind]
        dtype = f"{self._order}{'i' if kind in (6, 8, 9, 17) else 'u'}{size}"
        return tuple(np.frombuffer(field[: len(field) // size * size], dtype).tolist())

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first integer of a tag."""
        return next(iter(self.ints(tag)), default)

    def raw(self, tag: int) -> bytes:
        """Return what a tag holds, as it is."""
        return self._entries.get(tag, (0, 0, b""))[2]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.number(Tag.ImageWidth), self.number(Tag.ImageLength)

    @property
    def is_whole(self) -> bool:
        """Whether this is neither a reduced copy of another picture nor its mask."""
        return not self.number(Tag.NewSubfileType) & 5 and self.number(Tag.SubfileType) != 2 and min(self.size) > 0

    @property
    def profile(self) -> bytes | None:
        """The color profile."""
        return self.raw(Tag.InterColorProfile) or None

    @property
    def orientation(self) -> int:
        """How the picture is to be turned, as a number of EXIF."""
        return self.number(Tag.Orientation, 1)


@dataclass(frozen=True, slots=True)
class Tiff:
    """The directories of a TIFF that are its pages, in their order."""

    data: bytes
    order: str
    is_big: bool
    pages: tuple[Directory, ...]

    def starting_with(self, page: Directory) -> bytes:
        """Return the file with this page as its first, which is the one that Pillow opens."""
        return self._starting_at(page.at)

    def starting_anew(self, tags: dict[int, tuple[int, ...]]) -> bytes:
        """Return the file with a first page of these tags, which lie behind all else."""
        at = len(self.data) + len(self.data) % 2
        return self._starting_at(at) + bytes(len(self.data) % 2) + self._directory(tags, at)

    def _starting_at(self, at: int) -> bytes:
        head = self.data[:8] if self.is_big else self.data[:4]
        head += struct.pack(f"{self.order}{'Q' if self.is_big else 'I'}", at)
        return head + self.data[len(head) :]

    def _directory(self, tags: dict[int, tuple[int, ...]], at: int) -> bytes:
        word, kind = ("Q", 16) if self.is_big else ("I", 4)
        head = struct.pack(f"{self.order}{'Q' if self.is_big else 'H'}", len(tags))
        beyond_at = at + len(head) + len(tags) * (20 if self.is_big else 12) + struct.calcsize(word)
        rows = beyond = b""
        for tag, values in sorted(tags.items()):
            field = struct.pack(f"{self.order}{len(values)}{word}", *values)
            if len(values) > 1:
                field, beyond = struct.pack(f"{self.order}{word}", beyond_at + len(beyond)), beyond + field
            rows += struct.pack(f"{self.order}HH{word}", tag, kind, len(values)) + field
        return head + rows + bytes(struct.calcsize(word)) + beyond


def read_tiff(data: bytes) -> Tiff:
    """Read the directories. Raises ImageRejected for a raw file, struct.error for a broken one."""
    order = "<" if data[:1] == b"I" else ">"
    is_big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    first = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)[0]
    directories = list(_walk(data, first, order, is_big))
    if not directories:
        raise struct.error
    _refuse_raw(data, directories)
    return Tiff(data, order, is_big, _pages(directories))


def _walk(data: bytes, first: int, order: str, is_big: bool) -> Iterator[Directory]:
    """Yield each directory once, and after it those below it."""
    waiting: list[tuple[int, Directory | None]] = [(first, None)]
    seen = set[int]()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        at, parent = waiting.pop()
        if at in seen or not 8 <= at < len(data):
            continue
        seen.add(at)
        try:
            directory = Directory(data, at, order, is_big, parent)
        except struct.error:
            continue
        yield directory
        waiting.append((directory.next_at, parent))
        waiting += [(below, directory) for below in reversed(directory.ints(Tag.SubIFDs)[:100])]


def _refuse_raw(data: bytes, directories: list[Directory]) -> None:
    kind = "CR2" if data[8:10] == b"CR" else "DNG" if any(one.raw(Tag.DNGVersion) for one in directories) else ""
    if kind or any(one.number(Tag.PhotometricInterpretation) in _RAW_PHOTOMETRICS for one in directories):
        maker = directories[0].raw(Tag.Make).split(b"\0")[0].decode("ascii", "ignore")
        raise ImageRejected(raw_sentence(kind or maker))


def _pages(directories: list[Directory]) -> tuple[Directory, ...]:
    """Return those that are whole pictures: below another one only where that is a preview."""
    whole = [one for one in directories if one.is_whole and (one.parent is None or not one.parent.is_whole)]
    if not whole:
        return (max(directories, key=lambda one: math.prod(one.size)),)
    if len(whole) == 2 and _is_preview(*whole):
        whole = whole[1:]
    return tuple(whole)


def _is_preview(first: Directory, second: Directory) -> bool:
    """Return whether a first page that does not say so is a small copy of the second."""
    (width, height), (full_width, full_height) = first.size, second.size
    return (
        max(width, height) <= _THUMBNAIL_SIDE
        and full_width >= 3 * width
        and full_height >= 3 * height
        and math.isclose(width * full_height, height * full_width, rel_tol=0.03)
    )
