"""What is special about JPEG: very many scans, decoding at a fraction of the size, and files that are cut short."""

import io
import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from playground.errors import ImageRejected

# Each scan of a progressive JPEG passes over all pixels, and 60 bytes are enough for one. Encoders write about 10;
# libtiff refuses more than 100 as well (JPEG_MAX_ALLOWED_SCAN_NUMBER). A thousand million pixels take about a second.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 1_500_000_000
NEARLY_ALL = 0.95  # of the pixels: what a cut JPEG must have to be shown
NO_END = "The file lacks its end, but all of the picture is there."
CUT_SHORT = "The file is cut short: about {missing:.1%} of the picture, at its lower end, is missing and gray."
PROFILE_IN_PARTS = "A part of the picture's color profile is missing or has no place; its colors are taken as sRGB."
CUT_IN_DETAIL = "The file is cut short: some of the finest detail of the picture may be missing."

_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # without those that may stand inside a scan
_END = b"\xff\xd9"
_PROFILE = b"ICC_PROFILE\0"
_NOISES = bytes(range(254, 127, -1)) * 500, bytes(range(1, 128)) * 500  # whatever bits a code begins with; no marker


@dataclass
class Outline:
    """What the markers of a JPEG tell. `coded` has the bits that are still to come, for each coefficient of a scan."""

    is_progressive: bool = False
    num_components: int = 0
    samples_a_pixel: float = 0.0
    has_end: bool = False
    bits_left: dict[tuple[int, bool], int] = field(default_factory=dict)
    profile_parts: list[bytes] = field(default_factory=list)  # each with its number and that of all before it

    @property
    def has_every_scan(self) -> bool:
        """Whether each component has its DC and its AC coefficients to the last bit, as far as the scans began."""
        return len(self.bits_left) >= 2 * self.num_components and not any(self.bits_left.values())


def read_outline(jpeg: bytes, num_pixels: int) -> Outline:
    """Follow the markers of a JPEG to its end. Raises ImageRejected where there are too many scans for its size."""
    outline, scans = Outline(), 0
    marker = _MARKER.search(jpeg, 2)
    while marker and marker[1] != b"\xd9":
        at, kind = marker.end(), marker[1][0]
        segment = jpeg[at : at + int.from_bytes(jpeg[at : at + 2])]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            _read_frame(outline, kind, segment)
        elif kind == 0xDA:
            scans += 1
            _read_scan(outline, segment)
        elif kind == 0xE2 and segment[2:].startswith(_PROFILE) and not scans:
            outline.profile_parts.append(segment[2 + len(_PROFILE) :])
        most = min(MAX_SCANS, max(15, MAX_SCANNED_PIXELS // num_pixels))
        if scans > most:
            raise ImageRejected(
                f"This JPEG is written in more than {most} scans; pictures have about 10. Save it again and try that."
            )
        marker = _MARKER.search(jpeg, at + len(segment))
    outline.has_end = marker is not None
    return outline


def _read_frame(outline: Outline, kind: int, segment: bytes) -> None:
    shapes = [(shape >> 4, shape & 15) for shape in segment[9 : 8 + 3 * (segment[7] if len(segment) > 7 else 0) : 3]]
    outline.is_progressive = kind in (0xC2, 0xCA)
    outline.num_components = len(shapes)
    widest, highest = max((w for w, _ in shapes), default=1) or 1, max((h for _, h in shapes), default=1) or 1
    outline.samples_a_pixel = sum(width * height for width, height in shapes) / (widest * highest)


def _read_scan(outline: Outline, segment: bytes) -> None:
    if len(segment) < 6:
        return
    components, (first, _, bits) = segment[3 : 3 + 2 * segment[2] : 2], segment[-3:]
    for component in components:
        outline.bits_left[component, first > 0] = bits & 15


def join_profile(outline: Outline, notices: list[str]) -> bytes | None:
    """Return the color profile, of which each part has a number from 1; they may lie anywhere before the pixels."""
    parts = sorted(set(outline.profile_parts))  # some programs write all of them twice
    if not parts:
        return None
    if [part[:2] for part in parts] == [bytes((number, len(parts))) for number in range(1, len(parts) + 1)]:
        return b"".join(part[2:] for part in parts)
    notices.append(PROFILE_IN_PARTS)
    return None


def shrink(picture: ImageFile.ImageFile, factor: int) -> None:
    """Let the decoder make each side a half, a quarter or an eighth where it must be divided by a factor."""
    if factor > 1:
        scale = next((scale for scale in (2, 4) if scale >= factor), 8)
        picture.draft(None, (max(1, picture.width // scale), max(1, picture.height // scale)))


def decode_jpeg(picture: ImageFile.ImageFile, jpeg: bytes, outline: Outline, notices: list[str]) -> Image.Image:
    """Decode a JPEG, also one without its end, and one of which nearly all is there."""
    if outline.has_end:
        picture.load()
        return picture
    if outline.is_progressive and not outline.has_every_scan:
        raise EOFError
    missing = 0.0 if outline.is_progressive else _missing_share(jpeg)
    if missing > 1 - NEARLY_ALL:
        raise EOFError
    sentence = CUT_SHORT.format(missing=missing) if missing else NO_END
    notices.append(CUT_IN_DETAIL if outline.is_progressive else sentence)
    again = _open(jpeg + _END)
    if again.size != picture.size:
        again.draft(None, picture.size)
    again.load()
    return again


def _open(jpeg: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(jpeg), formats=["JPEG"])


def _missing_share(jpeg: bytes) -> float:
    """Return which share of the pixels a JPEG without its end lacks.

    What is missing is gray with an end behind the file, and something else with noise behind it.
    """
    shown = _pixels(jpeg + _END)
    is_missing = np.zeros(shown.shape[:2], bool)
    for noise in _NOISES:
        is_missing |= (shown != _pixels(jpeg + noise + _END)).any(axis=2)
    return float(is_missing.mean())


def _pixels(jpeg: bytes) -> npt.NDArray[np.uint8]:
    """Decode a JPEG as rows x columns x channels, a large one at an eighth of its size."""
    picture = _open(jpeg)
    shrink(picture, 8 if picture.width * picture.height > 4_000_000 else 1)
    picture.load()
    return np.asarray(picture).reshape(picture.height, picture.width, -1)
