"""Pictures in: a path, bytes, a Pillow picture or an array becomes an `InputImage`, or one sentence says why not.

The header is read first and the pixels only when the limits allow them. Knows nothing of the page or of tasks.
"""

import hashlib
import io
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from playground.errors import ImageRejected
from playground.pictures.color import over_white, picture_of_array, to_simple_mode, to_srgb
from playground.pictures.kinds import accepted_kinds, name_the_kind
from playground.pictures.limits import (
    DEFAULT_LIMITS,
    MAX_HEADER_READS,
    MEGABYTE,
    Limits,
    check_file_size,
    check_resolution,
    check_scans,
)
from playground.regions import Box


@dataclass(frozen=True, slots=True)
class InputImage:
    """An upright RGB picture within the limits. Only `read_image` makes one."""

    pixels: Image.Image = field(repr=False, compare=False)
    digest: str  # SHA-256 of resolution and pixels: the picture's identity, and the key of caches

    @property
    def resolution_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.size

    def crop(self, xyxy: Box) -> "InputImage":
        """Return the pixels that a box touches, clamped to the picture; at least one pixel."""
        x1, x2 = _span(xyxy[0], xyxy[2], self.pixels.width)
        y1, y2 = _span(xyxy[1], xyxy[3], self.pixels.height)
        return _input_image(self.pixels.crop((x1, y1, x2, y2)))


def _span(low: float, high: float, extent: int) -> tuple[int, int]:
    start = min(max(math.floor(low), 0), extent - 1)
    return start, min(max(math.ceil(high), start + 1), extent)


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Return whether a path, with its symbolic links followed, lies inside a folder, with its links followed."""
    try:
        return Path(folder).resolve() in Path(path).resolve().parents
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        return False


def read_image(
    source: str | Path | bytes | Image.Image | npt.NDArray[np.generic], limits: Limits = DEFAULT_LIMITS
) -> InputImage:
    """Read a picture: upright, RGB, transparency over white, the first frame, without its metadata.

    An array is H x W, H x W x 3 or H x W x 4 (with alpha), of bool, uint8, uint16, or floats in 0..1. A color
    profile is converted to sRGB; 16 bits are scaled to 8. Raises ImageRejected, and nothing else, for whatever
    cannot be used.
    """
    if isinstance(source, str | Path):
        source = _read_file(source, limits)
    if isinstance(source, bytes):
        with _pillow():
            return _input_image(_decode(source, limits))
    if isinstance(source, np.ndarray):
        source = picture_of_array(source, limits)
    if isinstance(source, Image.Image):
        check_resolution(source.size, limits)
        with _pillow():
            return _input_image(_to_upright_rgb(source))
    raise ImageRejected(
        f"A picture must be a path, bytes, a Pillow picture or an array, but got {type(source).__name__}."
    )


def _input_image(rgb: Image.Image) -> InputImage:
    data = rgb.tobytes()
    digest = hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode())
    digest.update(data)
    # A picture made of nothing but the pixels cannot carry metadata on.
    return InputImage(pixels=Image.frombytes("RGB", rgb.size, data), digest=digest.hexdigest())


def _read_file(path: str | Path, limits: Limits) -> bytes:
    name = Path(path).name  # the folders of the server are nobody's business
    shown = repr(name if len(name) <= 80 else name[:77] + "...")
    try:
        if not os.path.isfile(path):  # nor a pipe or a device, which may never end
            raise FileNotFoundError
        with open(path, "rb") as file:
            check_file_size(os.fstat(file.fileno()).st_size, limits)
            data = file.read(limits.max_megabytes * MEGABYTE + 1)
    except FileNotFoundError:
        raise ImageRejected(f"No picture at {shown}. Choose a file that exists.") from None
    except (OSError, ValueError) as error:
        raise ImageRejected(f"The file {shown} cannot be opened. Choose another, or check its permissions.") from error
    return data


_pillow_turn = threading.Lock()


@contextmanager
def _pillow() -> Iterator[None]:
    """Let Pillow work quietly, on one picture at a time, and turn whatever it trips over into a sentence.

    One at a time, because the warnings' filters belong to the whole process, and so that many uploads at once
    need the memory of one.
    """
    with _pillow_turn, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ImageRejected:
            raise
        # Not a list of types: fed with damaged files, Pillow's plugins raise nearly every built-in exception.
        except Exception as error:
            raise ImageRejected(_explain(error)) from error


def _explain(error: Exception) -> str:
    text = str(error)
    if "MAX_TEXT_" in text:  # the names of Pillow's two limits for a PNG's texts
        return "The texts inside this PNG are too large when unpacked. Save it without metadata and try that."
    if isinstance(error, MemoryError):
        return "There is not enough memory to unpack this picture. Scale it down and try again."
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "The file is cut short. Fetch or save it again, and try that."
    return "The file is damaged, cut short or of an unusual kind. Save it again as PNG or JPEG, and try that."


class _Header(io.BytesIO):
    """A file that ends the reading of a header that is cut into very many parts."""

    reads_left: float = MAX_HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ImageRejected("The metadata of this file has too many parts. Save it without them and try that.")
        return super().read(size)


def _decode(data: bytes, limits: Limits) -> Image.Image:
    check_file_size(len(data), limits)
    file = _Header(data)
    try:
        picture = Image.open(file, formats=[kind.pillow_name for kind in accepted_kinds()])
    except UnidentifiedImageError:
        raise ImageRejected(name_the_kind(data)) from None
    except Image.DecompressionBombError:
        limit = min(limits.max_megapixels, 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000)
        raise ImageRejected(
            f"The file has far more than {limit} megapixels, which is the limit. Scale it down and try again."
        ) from None
    with picture:
        check_resolution(picture.size, limits)
        if data.startswith(b"\xff\xd8"):
            check_scans(data)
        file.reads_left = math.inf
        return _to_upright_rgb(picture)


def _to_upright_rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    orientation = _orientation(picture)
    profile = picture.info.get("icc_profile")
    rgb = over_white(to_srgb(to_simple_mode(picture), profile))
    rgb.info = {}  # what is wrong with the rest of the EXIF does not matter
    rgb.getexif()[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(rgb, in_place=True)
    return rgb


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF does not make the pixels unusable
        return 1
