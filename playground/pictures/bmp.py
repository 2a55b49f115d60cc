"""BMP, read here: Pillow misreads runs of 4 bits, and refuses depths, masks and palettes that browsers show."""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from playground.errors import ImageRejected

_UNCOMPRESSED, _RUNS_OF_8, _RUNS_OF_4, _MASKS, _MASKS_WITH_ALPHA = 0, 1, 2, 3, 6
_MAX_RUN_BYTES = 3_000_000  # about a second in Python
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 24: (0xFF0000, 0xFF00, 0xFF, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_BAND = 64  # rows that are unpacked at a time

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Bitmap:
    """The header of a BMP. `masks` say which bits are red, green, blue and alpha."""

    width: int
    height: int
    is_top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    palette: Pixels  # colors x 3
    profile: bytes | None
    pixels_at: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


def read_bitmap_header(data: bytes) -> Bitmap:
    """Read what comes before the pixels. Raises struct.error for a file that is cut, ImageRejected for an odd one."""
    pixels_at, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = colors = 0
    else:
        width, height, _, bits, compression, _, _, _, colors = struct.unpack_from("<iiHHIIiiI", data, 18)
    if bits not in (1, 2, 4, 8, 16, 24, 32) or compression not in (0, 1, 2, 3, 6) or (header == 64 and compression > 2):
        raise ImageRejected(
            f"This BMP has {bits} bits a pixel in compression {compression}, which is not read here. "
            "Save it as PNG and try that."
        )
    masks, at = _masks(data, header, bits, compression) if bits > 8 else ((0, 0, 0, 0), 14 + header)
    entry = 3 if header == 12 else 4
    colors = min(colors or 2**bits, 2**bits) if bits <= 8 else 0
    if pixels_at <= at:  # some programs give the place of the palette
        pixels_at = at + entry * colors
    palette = _palette(data[at:pixels_at], entry, colors)
    profile = _profile(data) if header >= 124 else None
    return Bitmap(width, abs(height), height < 0, bits, compression, masks, palette, profile, pixels_at)


def _masks(data: bytes, header: int, bits: int, compression: int) -> tuple[tuple[int, int, int, int], int]:
    """Return which bits are red, green, blue and alpha, and where the header ends. Browsers take alpha like this."""
    red, green, blue, _ = _DEFAULT_MASKS[bits]
    is_masked = compression in (_MASKS, _MASKS_WITH_ALPHA)
    has_alpha = header >= 56 if is_masked else header >= 108 and bits == 32
    has_alpha |= compression == _MASKS_WITH_ALPHA
    if is_masked:
        red, green, blue = struct.unpack_from("<III", data, 54)
    alpha = struct.unpack_from("<I", data, 66)[0] if has_alpha else 0
    masks_end = 54 + 4 * (3 * is_masked + has_alpha) if is_masked or has_alpha else 0
    return (red, green, blue, alpha), max(14 + header, masks_end)


def _palette(data: bytes, entry: int, colors: int) -> Pixels:
    colors = min(colors, len(data) // entry)
    return np.frombuffer(data[: colors * entry], np.uint8).reshape(colors, entry)[:, 2::-1]


def _profile(data: bytes) -> bytes | None:
    space, start, length = data[70:74], *struct.unpack_from("<II", data, 126)
    return data[14 + start : 14 + start + length] if space == b"DEBM" and length else None


def decode_bitmap(data: bytes, bitmap: Bitmap) -> Image.Image:
    """Return the pixels as RGB, or as RGBA where there is alpha. Raises EOFError where pixels are missing."""
    if bitmap.compression in (_RUNS_OF_8, _RUNS_OF_4) and bitmap.bits <= 8:
        pixels = _colors(_unpack_runs(data, bitmap), bitmap.palette)
    else:
        pixels = _unpack_rows(data, bitmap)
    if not bitmap.is_top_down:
        pixels = pixels[::-1]
    return Image.fromarray(np.ascontiguousarray(pixels if bitmap.masks[3] else pixels[..., :3]))


def _unpack_rows(data: bytes, bitmap: Bitmap) -> Pixels:
    stride = (bitmap.width * bitmap.bits + 31) // 32 * 4
    used = (bitmap.width * bitmap.bits + 7) // 8
    if len(data) < bitmap.pixels_at + stride * (bitmap.height - 1) + used:
        raise EOFError
    missing = bitmap.pixels_at + stride * bitmap.height - len(data)
    source = np.frombuffer(data + bytes(missing) if missing > 0 else data, np.uint8, stride * bitmap.height,
                           bitmap.pixels_at).reshape(bitmap.height, stride)  # fmt: skip
    pixels = np.empty((bitmap.height, bitmap.width, 4), np.uint8)
    for top in range(0, bitmap.height, _BAND):
        rows = source[top : top + _BAND]
        if bitmap.bits <= 8:
            pixels[top : top + _BAND] = _colors(_indices(rows, bitmap), bitmap.palette)
        else:
            pixels[top : top + _BAND] = _masked(rows[:, :used], bitmap)
    return pixels


def _indices(rows: Pixels, bitmap: Bitmap) -> npt.NDArray[np.int16]:
    shifts = np.arange(8 - bitmap.bits, -1, -bitmap.bits, dtype=np.uint8)
    spread = (rows[:, :, None] >> shifts) & np.uint8(2**bitmap.bits - 1)
    return spread.reshape(len(rows), -1)[:, : bitmap.width].astype(np.int16)


def _colors(indices: npt.NDArray[np.int16], palette: Pixels) -> Pixels:
    """Look indices up; what lies beyond the palette, and what no run has written (-1), is black."""
    colors = np.zeros((257, 4), np.uint8)
    colors[: len(palette), :3] = palette
    return colors[indices]


def _masked(rows: Pixels, bitmap: Bitmap) -> Pixels:
    size = bitmap.bits // 8
    words = np.zeros((len(rows), bitmap.width, 4), np.uint8)
    words[..., :size] = rows.reshape(len(rows), bitmap.width, size)
    numbers = words.view("<u4")[..., 0]
    pixels = np.full((*numbers.shape, 4), (0, 0, 0, 255), np.uint8)
    for channel, mask in enumerate(bitmap.masks):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            white = mask >> shift
            level = (numbers & np.uint32(mask)) >> np.uint32(shift)
            pixels[..., channel] = (level.astype(np.uint64) * 255 + white // 2) // white if white != 255 else level
    return pixels


def _unpack_runs(data: bytes, bitmap: Bitmap) -> npt.NDArray[np.int16]:
    """Follow the runs of a compressed bitmap; what none of them writes stays -1."""
    if len(data) - bitmap.pixels_at > _MAX_RUN_BYTES:
        raise ImageRejected("This run-length BMP is too long to be unpacked here. Save it as PNG and try that.")
    width, half = bitmap.width, bitmap.compression == _RUNS_OF_4
    indices = np.full((bitmap.height, width), -1, np.int16)
    x = y = 0
    at = bitmap.pixels_at
    while y < bitmap.height:
        if at + 2 > len(data):
            raise EOFError
        count, value = data[at], data[at + 1]
        at += 2
        if count == 0 and value == 0:
            x, y = 0, y + 1
            continue
        if count == 0 and value == 1:
            break
        if count == 0 and value == 2:
            x, y, at = min(x + data[at], width), y + data[at + 1], at + 2
            continue
        if count:
            run = bytes((value >> 4, value & 15)) * (count // 2 + 1) if half else bytes((value,)) * count
        else:
            count, stored = value, (value + 1) // 2 if half else value
            run = _halves(data[at : at + stored]) if half else data[at : at + stored]
            at += stored + stored % 2
        end = min(x + count, width)
        part = run[: end - x]
        indices[y, x : x + len(part)] = np.frombuffer(part, np.uint8)
        x = end
    return indices


def _halves(data: bytes) -> bytes:
    return bytes(half for byte in data for half in (byte >> 4, byte & 15))
