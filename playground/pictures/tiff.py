"""TIFF: its directories, which of them are pages, and which files are a camera's raw ones.

What the samples mean is `samples`' business.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL.ExifTags import Base as Tag
from PIL.TiffTags import TAGS_V2

from playground.errors import ImageRejected
from playground.pictures.kinds import raw_sentence

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of each type of integer
_OTHER_SIZES = {5: 8, 10: 8, 11: 4, 12: 8}  # fractions and floats
_MAX_TAG_BYTES = 4_000_000  # the places of 500,000 strips; a color profile of offset printing has 2 MB
_MAX_DIRECTORIES, _MAX_TAGS = 5000, 200  # so that directories that overlap take no more than a second
_THUMBNAIL_SIDE = 512  # pixels; above, a first page is none

_RAW_PHOTOMETRICS = (32803, 34892)  # a color filter array; linear raw


Entry = tuple[int, int, bytes]  # the type of a tag, how many of them, and their bytes


class Directory:
    """One picture of a TIFF: its tags, which are read when they are asked for."""

    def __init__(self, data: bytes, at: int, order: str, is_big: bool, parent: "Directory | None") -> None:
        self.at, self.parent = at, parent
        self._data, self._order = data, order
        self._entries: dict[int, tuple[int, int, int]] = {}  # the type of a tag, how many of them, and where they are
        word, entry = ("Q", 20) if is_big else ("I", 12)
        start = at + (8 if is_big else 2)
        (count,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, at)
        if count > _MAX_TAGS:
            raise struct.error
        (self.next_at,) = struct.unpack_from(f"{order}{word}", data, start + count * entry)
        for place in range(start, start + count * entry, entry):
            tag, kind, number, where = struct.unpack_from(f"{order}HH{word}{word}", data, place)
            is_inline = number * _bytes_of(kind) <= struct.calcsize(word)
            self._entries[tag] = kind, number, place + entry - struct.calcsize(word) if is_inline else where

    def raw(self, tag: int) -> bytes:
        """Return what a tag holds, as it is. Raises struct.error where that is far too much."""
        kind, number, at = self._entries.get(tag, (0, 0, 0))
        size = number * _bytes_of(kind)
        if size > _MAX_TAG_BYTES:
            raise struct.error
        return self._data[at : at + size]

    def ints(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the integers of a tag, or the default where it is missing or of another type."""
        kind, field = self._entries.get(tag, (0, 0, 0))[0], self.raw(tag)
        if kind not in _SIZES or not field:
            return default
        size = _SIZES[kind]
        dtype = f"{self._order}{'i' if kind in (6, 8, 9, 17) else 'u'}{size}"
        return tuple(np.frombuffer(field[: len(field) // size * size], dtype).tolist())

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first integer of a tag."""
        return next(iter(self.ints(tag)), default)

    @property
    def tags(self) -> list[int]:
        """All tags."""
        return list(self._entries)

    def as_small(self, tag: int) -> Entry:
        """Return a tag as it is, but whole numbers of 64 bits as such of 32."""
        kind, number, _ = self._entries[tag]
        if kind in (16, 17, 18):
            values = [value % 2**32 for value in self.ints(tag)]
            return 4, number, struct.pack(f"{self._order}{len(values)}I", *values)
        return kind, number, self.raw(tag)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.number(Tag.ImageWidth), self.number(Tag.ImageLength)

    @property
    def is_whole(self) -> bool:
        """Whether this is neither a reduced copy of another picture nor its mask."""
        return not self.number(Tag.NewSubfileType) & 5 and self.number(Tag.SubfileType) != 2 and min(self.size) > 0

    @property
    def is_luma_and_chroma(self) -> bool:
        """Whether the pixels are YCbCr."""
        return self.number(Tag.PhotometricInterpretation) == 6

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
        if self.is_big:  # Pillow does not know those of the other byte order
            return self._starting_with({tag: page.as_small(tag) for tag in page.tags if tag in TAGS_V2})
        return self._starting_at(page.at)

    def starting_anew(self, tags: dict[int, tuple[int, ...]]) -> bytes:
        """Return the file with a first page of these tags, which lie behind all else."""
        return self._starting_with(
            {tag: (4, len(v), struct.pack(f"{self.order}{len(v)}I", *v)) for tag, v in tags.items()}
        )

    def _starting_at(self, at: int) -> bytes:
        head = (b"II" if self.order == "<" else b"MM") + struct.pack(f"{self.order}HI", 42, at)
        return head + self.data[len(head) :]

    def _starting_with(self, entries: dict[int, Entry]) -> bytes:
        """Return the file with a first page behind all else: never a BigTIFF, which no file within the limits needs."""
        padding = bytes(len(self.data) % 2)
        at = len(self.data) + len(padding)
        beyond_at, rows, beyond = at + 2 + len(entries) * 12 + 4, b"", b""
        for tag, (kind, number, content) in sorted(entries.items()):
            field = content.ljust(4, b"\0")
            if len(content) > 4:
                field = struct.pack(f"{self.order}I", beyond_at + len(beyond))
                beyond += content + bytes(len(content) % 2)
            rows += struct.pack(f"{self.order}HHI", tag, kind, number) + field
        count = struct.pack(f"{self.order}H", len(entries))
        return b"".join((self._starting_at(at), padding, count, rows, bytes(4), beyond))


def palette_of_bytes(page: Directory) -> bytes | None:
    """Return the palette, all reds first, where it has 8 bits a color by mistake; libtiff takes it for such as well."""
    colors = page.ints(Tag.ColorMap)
    return bytes(colors) if colors and max(colors) < 256 else None


def _bytes_of(kind: int) -> int:
    return _SIZES.get(kind) or _OTHER_SIZES.get(kind, 1)


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
