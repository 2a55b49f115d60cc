"""Samples of a TIFF that Pillow cannot unpack, or does wrong: numbers of 16 bits and more, signed, float, in planes.

libtiff unpacks what is compressed, behind Pillow, which is shown the bytes of a page as a wider gray picture.
"""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ExifTags import Base as Tag

from playground.errors import ImageRejected
from playground.pictures.numbers import Levels, Numbers, extent, scale_sentence, to_levels, white_of
from playground.pictures.tiff import Directory, Tiff

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR, _INK = 0, 1, 2, 5
_MAX_NAMED = 8  # widths of numbers, in a sentence
_MODES = {_WHITE_IS_ZERO: "L", _BLACK_IS_ZERO: "L", _COLOR: "RGB", _INK: "CMYK"}
_ALPHAS = {1: "a", 2: "A"}  # of extra samples, and in Pillow's modes: multiplied in already, or not
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # of sample formats in NumPy; 4 is not said
_DEPTHS = {"u": range(1, 65), "i": (8, 16, 32, 64), "f": (16, 32, 64)}
_FORMAT_NAMES = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_MODEL_NAMES = {0: "gray", 1: "gray", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab"}
_UNPACKED = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000)  # compressions that libtiff undoes here
_JPEGS = (6, 7)
_BAND = 64  # rows whose numbers are in memory at a time


@dataclass(frozen=True, slots=True)
class Samples:
    """How the samples of a page are stored."""

    mode: str  # of the picture that they become, without alpha
    alpha: str  # "A" or "a" as in Pillow's modes, or nothing
    is_white_zero: bool
    bits: int
    dtype: np.dtype[np.generic]
    num_samples: int
    is_planar: bool
    predictor: int
    tile_width: int  # 0 where the rows are whole

    @property
    def num_colors(self) -> int:
        return {"L": 1, "RGB": 3, "CMYK": 4}[self.mode]

    @property
    def num_read(self) -> int:
        """How many samples of each pixel are shown."""
        return self.num_colors + len(self.alpha)

    @property
    def in_plane(self) -> int:
        """How many samples of a pixel lie side by side."""
        return 1 if self.is_planar else self.num_samples

    def row_bytes(self, pixels: int) -> int:
        """Return how many bytes a row of so many pixels takes in one plane."""
        return (pixels * self.bits * self.in_plane + 7) // 8


def samples_of(page: Directory, order: str) -> Samples | None:
    """Return how a page must be read here, or None where Pillow can. Raises ImageRejected where neither can."""
    compression = page.number(Tag.Compression, 1)
    if compression not in _UNPACKED:
        raise ImageRejected(
            f"This TIFF is compressed in a way (number {compression}) that is not read here. "
            "Save it with LZW, or as PNG, and try that."
        )
    all_bits, number_format = page.ints(Tag.BitsPerSample, (1,)), page.number(Tag.SampleFormat, 1)
    if _pillow_can(page, all_bits, number_format):
        return None
    bits, kind = all_bits[0], _KINDS.get(number_format, "")
    photometric = page.number(Tag.PhotometricInterpretation, _BLACK_IS_ZERO)
    mode, num_samples = _MODES.get(photometric, ""), page.number(Tag.SamplesPerPixel, 1)
    if len(set(all_bits)) > 1 or bits not in _DEPTHS.get(kind, ()) or not mode or compression in _JPEGS:
        raise ImageRejected(unread_sentence(page))
    num_extra = num_samples - {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    if num_extra < 0:
        raise ImageRejected("This TIFF has fewer channels than its colors need. Save it as PNG, and try that.")
    # Four numbers a pixel without a word about the fourth are taken as Pillow takes them in 8 bits.
    usual = 2 if mode == "RGB" and num_extra == 1 else 0
    alpha = _ALPHAS.get(page.number(Tag.ExtraSamples, usual), "") if num_extra and mode != "CMYK" else ""
    size = next(size for size in (8, 16, 32, 64) if size >= bits) // 8
    # Numbers that do not fill their bytes are unpacked here, and then have this machine's order.
    dtype = np.dtype(f"{order if bits == 8 * size else '='}{kind}{size}")
    tile_width = page.number(Tag.TileWidth) if page.ints(Tag.TileOffsets) else 0
    is_planar = page.number(Tag.PlanarConfiguration, 1) == 2 and num_samples > 1
    return Samples(mode, alpha, photometric == _WHITE_IS_ZERO, bits, dtype, num_samples, is_planar,
                   page.number(Tag.Predictor, 1), tile_width)  # fmt: skip


def unread_sentence(page: Directory) -> str:
    """Return the sentence about a page that nobody here can read: which numbers it holds, in which colors."""
    widths = list(dict.fromkeys(page.ints(Tag.BitsPerSample, (1,))))
    # A file that lies can name as many widths as it has bytes.
    bits = "/".join(map(str, widths[:_MAX_NAMED])) + ("/..." if len(widths) > _MAX_NAMED else "")
    photometric = page.number(Tag.PhotometricInterpretation, _BLACK_IS_ZERO)
    return (
        f"This TIFF holds {_FORMAT_NAMES.get(page.number(Tag.SampleFormat, 1), 'unknown')} numbers of {bits} bits in "
        f"color model {_MODEL_NAMES.get(photometric, photometric)}, which is not read here. "
        "Save it with 8 or 16 bits of gray or RGB, and try that."
    )


def _pillow_can(page: Directory, all_bits: tuple[int, ...], number_format: int) -> bool:
    """Return whether a page is of the usual kinds: unsigned numbers of at most 8 bits, not in planes."""
    num_samples, photometric = page.number(Tag.SamplesPerPixel, 1), page.number(Tag.PhotometricInterpretation, 1)
    is_planar = page.number(Tag.PlanarConfiguration, 1) == 2 and num_samples > 1
    if not set(all_bits) <= {1, 2, 4, 8} or number_format not in (1, 4):
        return False
    if page.number(Tag.Compression, 1) in _JPEGS or photometric not in _MODES:
        return True
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        return num_samples == 1
    return not is_planar and all_bits[0] == 8 and num_samples <= 4


def _scaled(numbers: Numbers, white: float, samples: Samples) -> Levels:
    if samples.bits in (8, 16):  # as Pillow does it
        return to_levels(numbers, white)
    if samples.bits < 16:  # looked up, which takes a tenth of the time
        return to_levels(np.arange(2**samples.bits, dtype=np.float64), white)[numbers.astype(np.intp)]
    return to_levels(numbers.astype(np.float64), white)


def bytes_a_pixel(page: Directory, samples: Samples) -> float:
    """Return the memory that decoding takes for each pixel: all planes, a strip or a tile of one, and the levels."""
    height = max(page.size[1], 1)
    rows = page.number(Tag.TileLength) if samples.tile_width else page.number(Tag.RowsPerStrip, height)
    plane = samples.in_plane * samples.bits / 8
    num_planes = samples.num_read if samples.is_planar else 1
    return plane * (num_planes + min(rows, height) / height) + samples.num_read + 1


def decode_samples(tiff: Tiff, page: Directory, samples: Samples, notices: list[str]) -> Image.Image:
    """Return a page with 8 bits a sample, as L, RGB or CMYK, or with alpha as LA, La, RGBA or RGBa."""
    if samples.num_samples > samples.num_read:
        notices.append(f"The picture has {samples.num_samples} channels; {samples.num_read} of them are shown.")
    planes = [_unpack(tiff, page, samples, plane) for plane in range(samples.num_read if samples.is_planar else 1)]
    levels = _levels(planes, page.size, samples, notices)
    planes.clear()  # the largest of all, and levels are all that is needed of them
    if samples.is_white_zero:
        levels[..., 0] = 255 - levels[..., 0]
    bands = [Image.fromarray(np.ascontiguousarray(levels[..., index])) for index in range(samples.num_read)]
    return Image.merge(samples.mode + samples.alpha, bands)


def _levels(planes: list[Image.Image], size: tuple[int, int], samples: Samples, notices: list[str]) -> Levels:
    width, height = size
    bands = [slice(top, min(top + _BAND, height)) for top in range(0, height, _BAND)]
    white = float(2**samples.bits - 1)
    if samples.dtype.kind != "u" or samples.bits in (32, 64):
        reach = [extent(_numbers(planes, band, width, samples)[..., : samples.num_colors]) for band in bands]
        low, high = min(low for low, _ in reach), max(high for _, high in reach)
        white = white_of(high, samples.dtype)
        if sentence := scale_sentence(low, white, samples.dtype):
            notices.append(sentence)
    levels = np.empty((height, width, samples.num_read), np.uint8)
    for band in bands:
        numbers = _numbers(planes, band, width, samples)[..., : samples.num_read]
        levels[band] = _scaled(numbers, white, samples)
    return levels


def _unpack(tiff: Tiff, page: Directory, samples: Samples, plane: int) -> Image.Image:
    """Return the bytes of one plane as a gray picture: what is stored, but not compressed any more."""
    places, lengths = Tag.StripOffsets, Tag.StripByteCounts
    if samples.tile_width:
        places, lengths = Tag.TileOffsets, Tag.TileByteCounts
    number = len(page.ints(places)) // (samples.num_samples if samples.is_planar else 1)
    part = slice(plane * number, (plane + 1) * number)
    tags: dict[int, tuple[int, ...]] = {
        Tag.BitsPerSample: (8,),
        Tag.Compression: page.ints(Tag.Compression, (1,)),
        Tag.PhotometricInterpretation: (_BLACK_IS_ZERO,),
        Tag.FillOrder: page.ints(Tag.FillOrder, (1,)),
        Tag.SamplesPerPixel: (1,),
        places: page.ints(places)[part],
        lengths: page.ints(lengths)[part],
    }
    width, height = page.size
    if samples.tile_width:
        row_bytes, tile_height = samples.row_bytes(samples.tile_width), page.number(Tag.TileLength)
        tags |= {Tag.TileWidth: (row_bytes,), Tag.TileLength: (tile_height,)}
        across, down = math.ceil(width / samples.tile_width), math.ceil(height / tile_height)
        width, height = across * row_bytes, down * tile_height
    else:
        width = samples.row_bytes(width)
        tags[Tag.RowsPerStrip] = (min(page.number(Tag.RowsPerStrip, height), height),)
    tags |= {Tag.ImageWidth: (width,), Tag.ImageLength: (height,)}
    unpacked = Image.open(io.BytesIO(tiff.starting_anew(tags)), formats=["TIFF"])
    unpacked.load()
    return unpacked


def _numbers(planes: list[Image.Image], band: slice, width: int, samples: Samples) -> Numbers:
    """Return the numbers of some rows, as rows x pixels x samples."""
    parts = []
    for plane in planes:
        rows = np.asarray(plane.crop((0, band.start, plane.width, band.stop)))
        piece = samples.row_bytes(samples.tile_width or width)
        numbers = _restore(rows.reshape(len(rows), -1, piece), samples)
        parts.append(numbers.reshape(len(rows), -1, samples.in_plane)[:, :width])
    return np.concatenate(parts, axis=2)


def _restore(pieces: npt.NDArray[np.uint8], samples: Samples) -> Numbers:
    """Return bytes (rows x pieces of a row x bytes) as numbers; where differences were stored they are summed up."""
    rows, across, _ = pieces.shape
    size, in_plane = samples.dtype.itemsize, samples.in_plane
    if samples.predictor == 3:  # the first bytes of all numbers of a row, then the second ones ..., as differences
        summed = np.cumsum(pieces.reshape(rows, across, -1, in_plane), axis=2, dtype=np.uint8)
        in_turn = np.ascontiguousarray(summed.reshape(rows, across, size, -1).swapaxes(2, 3))
        return in_turn.view(samples.dtype.newbyteorder(">"))[..., 0]
    pieces = np.ascontiguousarray(pieces)
    numbers = pieces.view(samples.dtype) if samples.bits == 8 * size else _unpack_bits(pieces, samples)
    if samples.predictor == 2:
        unsigned = numbers.astype(numbers.dtype.newbyteorder("=")).view(f"u{size}")
        summed = np.cumsum(unsigned.reshape(rows, across, -1, in_plane), axis=2, dtype=unsigned.dtype)
        numbers = summed.reshape(numbers.shape).view(numbers.dtype.newbyteorder("="))
    return numbers


def _unpack_bits(pieces: npt.NDArray[np.uint8], samples: Samples) -> Numbers:
    """Return numbers of a count of bits that fills no bytes; a row begins with a whole byte."""
    period = 8 // math.gcd(samples.bits, 8)  # numbers, after which one begins with a byte again
    step = period * samples.bits // 8
    rows, across, length = pieces.shape
    count = 8 * length // samples.bits // samples.in_plane * samples.in_plane
    groups = np.zeros((rows, across, math.ceil(count / period), step), np.uint8)
    groups.reshape(rows, across, -1)[..., :length] = pieces[..., : groups.shape[2] * step]
    numbers = np.empty((rows, across, groups.shape[2], period), samples.dtype)
    for index in range(period):
        numbers[..., index] = _number_at(groups, index * samples.bits, samples)
    return numbers.reshape(rows, across, -1)[..., :count]


def _number_at(groups: npt.NDArray[np.uint8], start: int, samples: Samples) -> Any:
    """Return the number of each group of bytes that begins at a bit."""
    at, skipped = divmod(start, 8)
    taken = min(8 - skipped, samples.bits)
    number: Any = (groups[..., at] >> (8 - skipped - taken)) & (2**taken - 1)
    number = number.astype(samples.dtype)
    left = samples.bits - taken
    while left:
        at, taken = at + 1, min(8, left)
        number = (number << taken) | (groups[..., at] >> (8 - taken))
        left -= taken
    return number
