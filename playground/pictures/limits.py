"""What is accepted of a picture, before its pixels are read: sizes, and the work that a file can make."""

import re
from dataclasses import dataclass

from playground.errors import ImageRejected

MEGABYTE = 1024 * 1024
# The longest ordinary metadata is cut into a few hundred parts. A GIF's comment can have millions, and Pillow's
# time grows with their square: 2.8 s for 1 MB.
MAX_HEADER_READS = 10_000
# Each scan of a progressive JPEG passes over all pixels, and 60 bytes are enough for one. Encoders write about 10;
# libtiff refuses more than 100 as well (JPEG_MAX_ALLOWED_SCAN_NUMBER).
MAX_JPEG_SCANS = 100
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # without those that may stand inside a scan


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted. A megapixel is a million pixels, a megabyte 1024 x 1024 bytes; each limit is inclusive."""

    max_megapixels: int = 40
    max_megabytes: int = 20
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
    width, height = resolution_wh
    short, long = sorted(resolution_wh)
    if short < 1:
        raise ImageRejected(f"The picture is empty: it has {width} x {height} pixels. Choose another.")
    megapixels = width * height / 1e6
    if megapixels > limits.max_megapixels:
        raise ImageRejected(
            f"The file has {_above(megapixels, limits.max_megapixels)} megapixels ({width} x {height}); "
            f"the limit is {limits.max_megapixels}. Scale it down and try again."
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


def _above(value: float, limit: int) -> str:
    """Write a value with as few digits as show that it is above the limit."""
    texts = [f"{value:.{digits}f}" for digits in range(1, 8)]
    return next((text for text in texts if float(text) > limit), texts[-1])


def check_scans(jpeg: bytes) -> None:
    scans = 0
    marker = _JPEG_MARKER.search(jpeg, 2)
    while marker and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        if scans > MAX_JPEG_SCANS:
            raise ImageRejected(
                f"This JPEG is written in more than {MAX_JPEG_SCANS} scans; pictures have about 10. "
                "Save it again and try that."
            )
        body = marker.end()
        marker = _JPEG_MARKER.search(jpeg, body + int.from_bytes(jpeg[body : body + 2]))
