"""Odd picture files, made by hand: what Pillow cannot write, each as small as can be."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def encoded(picture: Image.Image, format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


# PNG


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(color_type: int, bits: int, size: tuple[int, int], row: bytes, *extra: bytes) -> bytes:
    """A PNG of equal rows, with chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, color_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * size[1]))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + chunk(b"IEND", b"")


def gray_png(level: int, *extra: bytes) -> bytes:
    """One pixel of color whose channels are equal."""
    return png(2, 8, (1, 1), bytes([level] * 3), *extra)


def gamma(exponent: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / exponent)))


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full_range]))


def corners(*xy: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(number * 100_000) for number in xy)))


SRGB_CHUNK = chunk(b"sRGB", b"\0")
P3_CORNERS = corners(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def icc(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


# Color profiles


def _fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def profile(space: bytes, exponent: float, name: str = "test") -> bytes:
    """A small ICC profile: gray, or color with the primaries of sRGB, and one pure gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"
    text = name.encode() + b"\0"
    tags = [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78),
            (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", b"XYZ \0\0\0\0" + _fixed(0.9642, 1, 0.8249))]  # fmt: skip
    if space == b"GRAY":
        tags.append((b"kTRC", curve))
    else:
        primaries = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
        tags += [
            (tag, b"XYZ \0\0\0\0" + _fixed(*row))
            for tag, row in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
        ]
        tags += [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile_of(space, b"mntr", tags)


def table_profile(
    space: bytes, first: tuple[float, float, float], steps: list[tuple[float, float, float]], *, version: int = 2
) -> bytes:
    """A profile made of a table of two points a channel: a color in Lab, and what each channel adds to it."""
    # A plane, so that every rule of interpolation gives the same.
    count = len(steps)
    table = np.array(first) + np.moveaxis(np.indices((2,) * count), 0, -1) @ np.array(steps)
    numbers = np.round(np.stack([table[..., 0] * 652.8, *(table[..., n] * 256 + 32768 for n in (1, 2))], -1))
    head = b"mft2\0\0\0\0" + bytes([count, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    straight = struct.pack(">2H", 0, 65535)
    lookup = head + straight * count + numbers.astype(">u2").tobytes() + straight * 3
    text = b"desc\0\0\0\0" + struct.pack(">I", 4) + b"ink\0" + b"\0" * 78
    white = b"XYZ \0\0\0\0" + _fixed(0.9642, 1, 0.8249)
    tags = [(b"desc", text), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", white), (b"A2B0", lookup)]
    return _profile_of(space, b"prtr", tags, connection=b"Lab ", version=version)


def ink_profile(black: float = -50) -> bytes:
    """A profile of inks; cyan is 80, -20, -20, and `black` what black adds to the lightness."""
    return table_profile(b"CMYK", (100, 0, 0), [(-20, -20, -20), (-25, 30, 0), (-5, 0, 30), (black, -10, -10)])


def _profile_of(
    space: bytes, kind: bytes, tags: list[tuple[bytes, bytes]], *, connection: bytes = b"XYZ ", version: int = 2
) -> bytes:
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags:
        data = content + b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", version << 24, kind, space.ljust(4), connection)
    head = (head + b"\0" * 12 + b"acsp").ljust(68, b"\0") + _fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


# TIFF


def tiff(pages: list[tuple[dict[int, Any], list[bytes]]], *, order: str = "<", big: bool = False) -> bytes:
    """A TIFF of pages: tags (a number, a tuple or bytes) and the strips of each; 273 and 279 are filled in."""
    word, number = ("Q", "Q") if big else ("I", "H")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    head += struct.pack(f"{order}HHQ", 8, 0, 16) if big else struct.pack(f"{order}I", 8)
    file = head
    for index, (tags, strips) in enumerate(pages):
        entries = {**tags, 273: tuple([0] * len(strips)), 279: tuple(map(len, strips))}
        data_at = len(file) + struct.calcsize(f"<{number}") + len(entries) * (20 if big else 12) + struct.calcsize(word)
        rows, beyond = b"", b"".join(strips)
        entries[273] = tuple(data_at + sum(map(len, strips[:n])) for n in range(len(strips)))
        for tag, given in sorted(entries.items()):
            kind, values = (7 if isinstance(given, bytes) else 4), (given,) if isinstance(given, int) else given
            field = values if kind == 7 else struct.pack(f"{order}{len(values)}I", *values)
            if len(field) > struct.calcsize(word):
                beyond += b"\0" * (len(beyond) % 2)
                field, beyond = struct.pack(f"{order}{word}", data_at + len(beyond)), beyond + field
            rows += struct.pack(f"{order}HH{word}", tag, kind, len(values)) + field.ljust(struct.calcsize(word), b"\0")
        beyond += b"\0" * (len(beyond) % 2)
        next_at = data_at + len(beyond) if index + 1 < len(pages) else 0
        file += struct.pack(f"{order}{number}", len(entries)) + rows + struct.pack(f"{order}{word}", next_at) + beyond
    return file


def tiff_page(
    numbers: np.ndarray, photometric: int, *, planar: bool = False, tags: dict[int, Any] | None = None
) -> tuple[dict[int, Any], list[bytes]]:
    """A page of an array H x W or H x W x samples, as its bytes lie; the number format is that of the array."""
    height, width = numbers.shape[:2]
    samples = numbers.shape[2] if numbers.ndim == 3 else 1
    planes = [numbers[..., n] for n in range(samples)] if planar else [numbers]
    page = {256: width, 257: height, 258: (8 * numbers.dtype.itemsize,) * samples, 259: 1, 262: photometric,
            277: samples, 278: height, 284: 2 if planar else 1,
            339: ({"u": 1, "i": 2, "f": 3}[numbers.dtype.kind],) * samples}  # fmt: skip
    return {**page, **(tags or {})}, [np.ascontiguousarray(plane).tobytes() for plane in planes]


# BMP


def bmp(
    size: tuple[int, int], bits: int, compression: int, data: bytes, *, header: int = 40, masks: tuple[int, ...] = (),
    colors: list[tuple[int, int, int]] | None = None,
) -> bytes:  # fmt: skip
    info = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, compression, len(data), 2835, 2835, len(colors or ()), 0)
    info = (info + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    palette = b"".join(bytes([blue, green, red, 0]) for red, green, blue in colors or ())
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + info + palette + data


def os2_bmp(size: tuple[int, int], data: bytes) -> bytes:
    """24 bits a pixel behind the oldest header, of 12 bytes."""
    return b"BM" + struct.pack("<IHHI", 26 + len(data), 0, 0, 26) + struct.pack("<IHHHH", 12, *size, 1, 24) + data


# JPEG


def with_late_profile(jpeg: bytes, profile: bytes) -> bytes:
    """The same file with a profile between the header of its frame and its pixels."""
    at = jpeg.index(b"\xff\xda")
    return jpeg[:at] + profile_part(1, 1, profile) + jpeg[at:]


def profile_part(number: int, count: int, part: bytes) -> bytes:
    return b"\xff\xe2" + struct.pack(">H", 16 + len(part)) + b"ICC_PROFILE\0" + bytes([number, count]) + part


# GIF


def gif_with_small_first_frame() -> bytes:
    """A canvas of 8 x 8; the frame covers the lower right quarter in red, no color is transparent, blue is behind."""
    small = encoded(Image.new("P", (4, 4), 1), "GIF")
    start = small.index(b",")
    flags = small[start + 9]
    data = small[start + 10 + (3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0) :]
    screen = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0b10000001, 1, 0) + bytes([255, 0, 0, 0, 0, 255]) + bytes(6)
    return screen + struct.pack("<cHHHHB", b",", 4, 4, 4, 4, 0) + data


# What moves


def webp_with_small_first_frame() -> bytes:
    """A canvas of 8 x 8 without alpha; the frame covers the lower right quarter in red."""
    frame = encoded(Image.new("RGB", (4, 4), (255, 0, 0)), "WEBP", lossless=True)[12:]
    small = bytes([2, 0, 0, 2, 0, 0, 3, 0, 0, 3, 0, 0, 100, 0, 0, 0]) + frame
    part = b"ANMF" + struct.pack("<I", len(small)) + small
    head = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0, 7, 0, 0, 7, 0, 0])
    body = b"WEBP" + head + b"ANIM" + struct.pack("<I", 6) + bytes(6) + part + part
    return b"RIFF" + struct.pack("<I", len(body)) + body


def apng_of_small_first_frame() -> bytes:
    """A canvas of 8 x 8; the frame is its lower right quarter, with one color transparent, and green is behind."""
    key, pixels = chunk(b"tRNS", bytes([0, 9] * 3)), (bytes([255, 0, 0]) * 2 + bytes([9] * 6))
    still = png(2, 8, (8, 8), bytes([0, 255, 0]) * 8, key, chunk(b"acTL", struct.pack(">II", 1, 0)))
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 4, 4, 4, 4, 1, 10, 0, 1))
    return (
        still[:-12] + control + chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress((b"\0" + pixels) * 4)) + still[-12:]
    )


# AVIF and HEIC


def with_color_numbers(file: bytes, primaries: int, transfer: int) -> bytes:
    """The same file with other numbers in its box of colors."""
    at = file.index(b"colrnclx") + 8
    return file[:at] + struct.pack(">HH", primaries, transfer) + file[at + 4 :]
