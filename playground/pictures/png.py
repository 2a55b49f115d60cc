"""What a PNG says about its pixels before they come: how deep they are, in what colors, and which are transparent."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from PIL import Image, ImageChops, ImageFile

from playground.errors import ImageRejected
from playground.pictures.limits import MAX_HEADER_READS
from playground.pictures.spaces import SRGB_PRIMARIES, Primaries, make_profile, power, profile_of_numbers

_USUAL_GAMMA = 45455  # written by old programs for what is sRGB; alone it is taken as such, as browsers do
_UNREADABLE = "A part of the file that says what its colors mean (%s) cannot be used; the next best was."


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fcTL")
_COLOR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_BAND = 256  # rows that are compared at a time
_MAX_PROFILE = 4_000_000  # bytes of a color profile, unpacked


@dataclass(frozen=True, slots=True)
class Header:
    """The chunks of a PNG before its pixels, the first of each kind, and where those of the pixels begin.

    `broken` are the kinds that are not needed and whose checksum is wrong.
    """

    bits: int
    color_type: int
    chunks: dict[bytes, bytes]
    broken: tuple[bytes, ...]
    pixels_at: int


def read_png_header(data: bytes) -> Header:
    """Read the chunks up to the first with pixels. Raises struct.error where there is no header, or ImageRejected."""
    if data[12:16] == b"CgBI":  # whose colors are in another order, multiplied by alpha, and packed in another way
        raise ImageRejected("This PNG is one of an iPhone's apps, which only those read. Save it as PNG and try that.")
    bits, color_type = struct.unpack_from(">BB", data, 24)
    chunks: dict[bytes, bytes] = {}
    broken: list[bytes] = []
    at = len(_SIGNATURE)
    for _ in range(MAX_HEADER_READS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"IDAT", b"IEND"):
            return Header(bits, color_type, chunks, tuple(broken), at)
        body, checksum = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if kind[:1].islower() and checksum != _checksum(kind + body):
            broken.append(kind)
        else:
            chunks.setdefault(kind, body)
        at += length + 12
    raise ImageRejected("The metadata of this file has too many parts. Save it without them and try that.")


def without_metadata(data: bytes, header: Header) -> bytes:
    """Return the file with only what is needed of the chunks before the pixels.

    Pillow refuses a whole picture for a profile that is broken, for texts that are long and for their checksums.
    """
    kept = [(kind, body) for kind, body in header.chunks.items() if kind in _NEEDED]
    written = (_chunk(kind, body) for kind, body in kept)
    return b"".join((_SIGNATURE, *written, memoryview(data)[header.pixels_at :]))


@dataclass(frozen=True, slots=True)
class Frame:
    """The first frame of an animation as a file of its own, and where it lies on the canvas."""

    file: bytes
    box: tuple[int, int, int, int]


def first_frame(data: bytes, header: Header) -> Frame | None:
    """Return the first frame where the picture before the frames is none: it is for readers without animation.

    Pillow draws the frame over that picture, and forgets which color is transparent. None where nothing moves. Raises
    struct.error or ValueError for a broken animation.
    """
    count = int.from_bytes(header.chunks.get(b"acTL", b"")[:4])
    if not 0 < count < 2**31 or b"fcTL" in header.chunks:  # as the standard limits it
        return None
    control, pixels = b"", list[bytes]()
    for number, (kind, body) in enumerate(_frame_chunks(data, header.pixels_at)):
        if body[:4] != struct.pack(">I", number):
            raise ValueError("the frames of this animation are out of order")
        if kind == b"fcTL" and control:
            break
        if kind == b"fcTL":
            control = body
        else:
            pixels.append(_chunk(b"IDAT", body[4:]))
    if not pixels:
        raise ValueError("the first frame of this animation is missing")
    width, height, x, y = struct.unpack_from(">4I", control, 4)
    full_width, full_height = struct.unpack_from(">2I", header.chunks[b"IHDR"])
    if x + width > full_width or y + height > full_height:
        raise ValueError("the first frame of this animation is larger than its canvas")
    sides = {b"IHDR": control[4:12] + header.chunks[b"IHDR"][8:]}
    still = {kind: body for kind, body in header.chunks.items() if kind in _NEEDED and kind != b"acTL"} | sides
    written = (_chunk(kind, body) for kind, body in still.items())
    return Frame(b"".join((_SIGNATURE, *written, *pixels, _chunk(b"IEND", b""))), (x, y, x + width, y + height))


def _frame_chunks(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"fcTL", b"fdAT"):
            yield kind, data[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + _checksum(kind + body)


def _checksum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))


def profile_of(header: Header, notices: list[str]) -> bytes | None:
    """Return the profile of a PNG by the order of its third edition: cICP, iCCP, sRGB, gAMA and cHRM."""
    chunks = header.chunks
    notices += [_UNREADABLE % kind.decode() for kind in _COLOR_CHUNKS if kind in header.broken]
    if len(code := chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, matrix, is_full_range = code
        is_plain = matrix == 0 and is_full_range == 1
        if is_plain and (profile := profile_of_numbers(primaries, transfer, notices)):
            return profile
        notices.append(_UNREADABLE % "cICP")
    if b"iCCP" in chunks:
        if profile := _unpack_profile(chunks[b"iCCP"]):
            return profile
        notices.append(_UNREADABLE % "iCCP")
    return None if b"sRGB" in chunks else _profile_of_gamma(chunks, notices)


def _unpack_profile(chunk: bytes) -> bytes | None:
    """Return the profile of an iCCP chunk where it can be unpacked and says that it is one."""
    _, _, packed = chunk.partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(packed[1:], _MAX_PROFILE)
    except zlib.error:
        return None
    return profile if packed[:1] == b"\0" and profile[36:40] == b"acsp" else None


def _profile_of_gamma(chunks: dict[bytes, bytes], notices: list[str]) -> bytes | None:
    gamma = int.from_bytes(chunks.get(b"gAMA", b"")[:4])
    corners = _primaries(chunks.get(b"cHRM", b""))
    if not gamma or (gamma == _USUAL_GAMMA and not corners):
        if corners and corners != SRGB_PRIMARIES:
            notices.append(_UNREADABLE % "cHRM without gAMA")
        return None
    profile = make_profile(corners or SRGB_PRIMARIES, power(100_000 / gamma))
    if profile is None:
        notices.append(_UNREADABLE % "cHRM")
        profile = make_profile(SRGB_PRIMARIES, power(100_000 / gamma))
    return profile


def _primaries(chunk: bytes) -> Primaries | None:
    if len(chunk) != 32:
        return None
    white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y = (
        number / 100_000 for number in struct.unpack(">8I", chunk)
    )
    return white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y


def opaque_where(picture: ImageFile.ImageFile, data: bytes, header: Header) -> Image.Image | None:
    """Return the alpha of a PNG of gray or color in which one level or color is transparent, else None.

    Pillow compares the number in the file with levels that are already scaled to 8 bits.
    """
    key = header.chunks.get(b"tRNS", b"")
    if header.color_type == 0 and len(key) >= 2:
        clear = [int.from_bytes(key[:2])]
    elif header.color_type == 2 and len(key) >= 6:
        clear = list(struct.unpack(">3H", key[:6]))
    else:
        return None
    clear = [number & (2**header.bits - 1) for number in clear]
    if header.bits <= 8:
        return _differs(picture, [number * 255 // (2**header.bits - 1) for number in clear])
    if header.color_type == 0:
        return Image.fromarray(np.where(np.asarray(picture) == clear[0], np.uint8(0), np.uint8(255)))
    high = _differs(picture, [number >> 8 for number in clear])
    low = _differs(_low_bytes(picture, data), [number & 255 for number in clear])
    return ImageChops.lighter(high, low)


def _differs(picture: Image.Image, clear: list[int]) -> Image.Image:
    """Return 255 where any channel differs from its level, else 0."""
    lookup = [0 if level == number else 255 for number in clear for level in range(256)]
    alpha = Image.new("L", picture.size)
    for top in range(0, picture.height, _BAND):
        part = picture.crop((0, top, picture.width, min(top + _BAND, picture.height)))
        bands = part.convert("L" if part.mode == "1" else part.mode).point(lookup).split()
        alpha.paste(reduce(ImageChops.lighter, bands), (0, top))
    return alpha


def _low_bytes(picture: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """Return the second byte of each number of a picture with 16 bits, of which Pillow keeps the first."""
    again = Image.open(io.BytesIO(data), formats=["PNG"])
    # Numbers in a PNG have the high byte first; told that it comes last, Pillow takes the low one.
    again.tile = [tile._replace(args=f"{picture.mode};16L") for tile in again.tile]
    again.load()
    return again
