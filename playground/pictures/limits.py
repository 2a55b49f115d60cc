"""What is accepted of a picture, before its pixels are read: sizes, and the memory that a file can take."""

import math
from dataclasses import dataclass

from playground.errors import ImageRejected

MEGABYTE = 1024 * 1024
# The longest ordinary metadata is cut into a few hundred parts. A GIF's comment can have millions, and Pillow's
# time grows with their square: 2.8 s for 1 MB.
MAX_HEADER_READS = 10_000
# Bytes that decoding takes for each pixel, as measured, where it keeps more than the picture that Pillow gets.
_DECODER_BYTES = {"WEBP": 18, "AVIF": 14, "HEIF": 14, "BMP": 12}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted. A megapixel is a million pixels, a megabyte 1024 x 1024 bytes; each limit is inclusive.

    They guard memory: a picture above `max_megapixels` is scaled down while it is decoded, where reading it takes no
    more than `max_memory_megabytes`.
    """

    max_megapixels: int = 40  # of the pixels that are kept
    max_megabytes: int = 64  # of the file: a BMP of 20 megapixels has 60
    max_opened_megapixels: int = 200  # of the picture in the file: the largest sensors of phones
    max_memory_megabytes: int = 560  # a photograph of 108 megapixels that is not JPEG takes 540
    max_side: int = 20_000
    max_aspect: int = 200  # the longer side divided by the shorter; the model squashes every picture to a square


DEFAULT_LIMITS = Limits()


def check_file_size(size: int, limits: Limits) -> None:
    if size == 0:
        raise ImageRejected("The file is empty. Choose another, or save it again.")
    if size > limits.max_megabytes * MEGABYTE:
        raise ImageRejected(
            f"The file has {_above(size / MEGABYTE, limits.max_megabytes)} MB; the limit is {limits.max_megabytes}. "
            "Scale the picture down or save it as JPEG, and try again."
        )


def check_resolution(resolution_wh: tuple[int, int], limits: Limits) -> None:
    """Refuse what is not opened at all. Raises ImageRejected."""
    width, height = resolution_wh
    short, long = sorted(resolution_wh)
    if short < 1:
        raise ImageRejected(f"The picture is empty: it has {width} x {height} pixels. Choose another.")
    megapixels = width * height / 1e6
    if megapixels > limits.max_opened_megapixels:
        raise ImageRejected(
            f"The picture has {_above(megapixels, limits.max_opened_megapixels)} megapixels ({width} x {height}); "
            f"the limit is {limits.max_opened_megapixels}. Scale it down and try again."
        )
    if long > limits.max_side:
        raise ImageRejected(
            f"The picture has {width} x {height} pixels; the limit for a side is {limits.max_side}. "
            "Scale it down or cut it into parts."
        )
    if long > limits.max_aspect * short:
        raise ImageRejected(
            f"The picture has {width} x {height} pixels; its longer side may be at most {limits.max_aspect} times "
            "the shorter one. Cut it into parts."
        )


def check_memory(
    resolution_wh: tuple[int, int], format_: str, picture_bytes: float, limits: Limits, *, decoder_bytes: float = 0
) -> None:
    """Refuse what takes too much memory to be read. Raises ImageRejected.

    The bytes are those of a pixel: of what Pillow gets, beside which then lies what is kept, and of all that the
    decoder has in the meantime, where that is more.
    """
    width, height = resolution_wh
    kept = 4 * width * height / reduction(resolution_wh, limits) ** 2
    decoder_bytes = max(decoder_bytes, _DECODER_BYTES.get(format_, 0))
    megabytes = max(width * height * decoder_bytes, width * height * picture_bytes + kept) / 1e6
    if megabytes > limits.max_memory_megabytes:
        raise ImageRejected(
            f"To read this picture of {width} x {height} pixels takes {megabytes:.0f} MB of memory; the limit is "
            f"{limits.max_memory_megabytes}. Scale it down, or save it as a plain (baseline) JPEG, and try again."
        )


def reduction(resolution_wh: tuple[int, int], limits: Limits) -> int:
    """Return by which whole number the sides must be divided so that the picture can be kept; 1 where it can as is."""
    return max(1, math.ceil(math.sqrt(resolution_wh[0] * resolution_wh[1] / (limits.max_megapixels * 1e6))))


def _above(value: float, limit: int) -> str:
    """Write a value with as few digits as show that it is above the limit."""
    texts = [f"{value:.{digits}f}" for digits in range(1, 8)]
    return next((text for text in texts if float(text) > limit), texts[-1])
