"""Pictures in: a path, bytes, a Pillow picture or an array becomes an `InputImage`, or one sentence says why not.

The header is read first and the pixels only when the limits allow them. What could not be managed is a notice.
Knows nothing of the page or of tasks.
"""

import hashlib
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageChops, ImageFile, ImageOps

from playground.errors import ImageRejected
from playground.pictures import decoding
from playground.pictures.color import over_white, split_alpha, to_srgb
from playground.pictures.decoding import Decoded
from playground.pictures.limits import (
    DEFAULT_LIMITS,
    MEGABYTE,
    Limits,
    check_file_size,
    check_resolution,
    reduction,
)
from playground.pictures.numbers import picture_of_array, picture_of_numbers, resolution_of_array
from playground.regions import Box, Region

_ADDRESS = re.compile(r"[a-z][a-z0-9+]+://|data:", re.IGNORECASE)
_BAND_PIXELS = 2_000_000  # converted at a time: each step makes a copy


@dataclass(frozen=True, slots=True)
class InputImage:
    """An upright RGB picture within the limits. Only `read_image` makes one."""

    pixels: Image.Image = field(repr=False, compare=False)
    digest: str  # SHA-256 of resolution and pixels: the picture's identity, and the key of caches
    original_wh: tuple[int, int] | None = None  # where it was scaled down while it was read
    notices: tuple[str, ...] = field(default=(), compare=False)  # what could not be managed, as sentences for people
    num_pages: int = field(default=1, compare=False)  # of the file, of which this is one
    own_text: tuple[Region, ...] = field(default=(), repr=False, compare=False)  # that a page of a document holds

    @property
    def resolution_wh(self) -> tuple[int, int]:
        """Width and height of the upright original in pixels, of which `pixels` may have fewer."""
        return self.original_wh or self.pixels.size

    def crop(self, xyxy: Box) -> "InputImage":
        """Return the pixels that a box in the original touches, clamped to the picture; at least one pixel."""
        width, height = self.resolution_wh
        scale_x, scale_y = self.pixels.width / width, self.pixels.height / height
        x1, x2 = _span(xyxy[0] * scale_x, xyxy[2] * scale_x, self.pixels.width)
        y1, y2 = _span(xyxy[1] * scale_y, xyxy[3] * scale_y, self.pixels.height)
        original_wh = round((x2 - x1) / scale_x), round((y2 - y1) / scale_y)
        return _unpacked(self.pixels.crop((x1, y1, x2, y2)), original_wh).to_image()


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """An `InputImage` as bytes, three a pixel: what can go from one process to another."""

    data: bytes = field(repr=False)
    size: tuple[int, int]
    digest: str
    original_wh: tuple[int, int]
    notices: tuple[str, ...]
    num_pages: int = 1
    own_text: tuple[Region, ...] = field(default=(), repr=False)

    def to_image(self) -> InputImage:
        """Return the picture. One that is made of nothing but pixels cannot carry metadata on."""
        pixels = Image.frombytes("RGB", self.size, self.data)
        original_wh = None if self.original_wh == self.size else self.original_wh
        return InputImage(pixels, self.digest, original_wh, self.notices, self.num_pages, self.own_text)


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
    source: str | Path | bytes | Image.Image | npt.NDArray[np.generic],
    limits: Limits = DEFAULT_LIMITS,
    *,
    page: int = 0,
    password: str = "",
) -> InputImage:
    """Read a picture: upright, sRGB, transparency over white, without its metadata.

    An array is H x W, H x W x 3 or H x W x 4 (with alpha), of bool, uint8, uint16, or floats in 0..1. `page` counts
    from 0 those that `num_pages` counts; of frames the first is read. `password` opens a PDF.
    Raises ImageRejected, and nothing else, for whatever cannot be used.
    """
    return unpack_image(source, limits, page=page, password=password).to_image()


def unpack_image(
    source: object, limits: Limits = DEFAULT_LIMITS, *, page: int = 0, password: str = ""
) -> UnpackedImage:
    """Read a picture as `read_image` does, to bytes."""
    if not isinstance(page, int) or isinstance(page, bool):
        raise ImageRejected(f"A page must be a whole number, 0 for the first one, but got {page!r:.40}.")
    notices: list[str] = []
    with _pillow():
        decoded = _decode(source, limits, page, notices, password)
        rgb = _upright(_to_rgb(decoded, limits, notices), decoded.orientation)
        is_turned = decoded.orientation in (5, 6, 7, 8)
        original_wh = decoded.resolution_wh[::-1] if is_turned else decoded.resolution_wh
        if rgb.size != original_wh:
            notices.append(_scaled_sentence(original_wh, rgb.size))
        pages, own_text = decoded.num_pages, decoded.own_text
        del decoded
        unpacked = _unpacked(rgb, original_wh, tuple(dict.fromkeys(notices)))
        return replace(unpacked, num_pages=pages, own_text=own_text)


def receive_image(
    data: bytes, size: tuple[int, int], original_wh: tuple[int, int], digest: str, limits: Limits = DEFAULT_LIMITS
) -> InputImage:
    """Return an `InputImage` that another machine has read, from its pixels, three bytes each, and its digest.

    It is held against the limits again, and its digest is made anew: under a digest that is not its own it would take
    another picture's place. A part of a picture may be as thin as it is. Raises ImageRejected.
    """
    if min(size) < 1 or size[0] > original_wh[0] or size[1] > original_wh[1] or len(data) != 3 * size[0] * size[1]:
        raise ImageRejected("The picture has not as many pixels as it says. Send it again.")
    if max(original_wh) > limits.max_side or reduction(size, limits) > 1:
        raise ImageRejected(
            f"The picture has {size[0]} x {size[1]} pixels; the limits are {limits.max_side} for a side and "
            f"{limits.max_megapixels} megapixels. Scale it down and try again."
        )
    image = _unpacked(Image.frombytes("RGB", size, data), original_wh).to_image()
    if image.digest != digest:
        raise ImageRejected("The picture is not the one that was announced. Send it again.")
    return image


def num_pages(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS, *, password: str = "") -> int:
    """Return how many pages a file has, without previews: more than 1 only of a TIFF or a PDF. Raises ImageRejected."""
    with _pillow():
        return decoding.count_pages(source if isinstance(source, bytes) else _read_file(source, limits), password)


def _unpacked(rgb: Image.Image, original_wh: tuple[int, int], notices: tuple[str, ...] = ()) -> UnpackedImage:
    data = rgb.tobytes()
    digest = hashlib.sha256("{}x{}:".format(*original_wh).encode())
    digest.update(data)
    return UnpackedImage(data, rgb.size, digest.hexdigest(), original_wh, notices)


def _scaled_sentence(original_wh: tuple[int, int], size: tuple[int, int]) -> str:
    width, height = original_wh
    return (
        f"The picture has {width * height / 1e6:.0f} megapixels ({width} x {height}); it was scaled down to "
        f"{size[0]} x {size[1]}. Regions still refer to the original."
    )


def _read_file(path: str | Path, limits: Limits) -> bytes:
    name = Path(path).name or str(path)  # the folders of the server are nobody's business
    shown = repr(name if len(name) <= 80 else name[:77] + "...")
    if isinstance(path, str) and _ADDRESS.match(path):
        raise ImageRejected("No picture is fetched from an address. Give the path of a file, or its bytes.")
    try:
        if not os.path.isfile(path):  # nor a pipe or a device, which may never end
            if os.path.exists(path):
                raise ImageRejected(f"{shown} is a folder, a pipe or a device. Choose a file.")
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

    One at a time, because the warnings' filters and Pillow's limit belong to the whole process, and so that many
    uploads at once need the memory of one. Pillow's limit against bombs lies below the largest photographs; ours is
    checked in its place.
    """
    with _pillow_turn, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        except ImageRejected:
            raise
        # Not a list of types: fed with damaged files, Pillow's plugins raise nearly every built-in exception.
        except Exception as error:
            raise ImageRejected(_explain(error)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _explain(error: Exception) -> str:
    text = str(error)
    if "MAX_TEXT_" in text:  # the names of Pillow's two limits for a PNG's texts
        return "The texts inside this PNG are too large when unpacked. Save it without metadata and try that."
    if isinstance(error, MemoryError):
        return "There is not enough memory to unpack this picture. Scale it down and try again."
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "The file is cut short. Fetch or save it again, and try that."
    return "The file is damaged, cut short or of an unusual kind. Save it again as PNG or JPEG, and try that."


def _decode(source: object, limits: Limits, page: int, notices: list[str], password: str) -> Decoded:
    if isinstance(source, str | Path):
        source = _read_file(source, limits)
    if isinstance(source, ImageFile.ImageFile):
        source = _file_behind(source, limits) or source
    if isinstance(source, bytes):
        return decoding.decode_file(source, limits, page, notices, password=password)
    if isinstance(source, np.ndarray):
        check_resolution(resolution_of_array(source), limits)
        source = picture_of_array(source)
    if isinstance(source, Image.Image):
        check_resolution(source.size, limits)
        decoding.refuse_page(page, 1)
        source.load()
        profile = source.info.get("icc_profile")
        return Decoded(source, source.size, profile, decoding.orientation_of(source))
    raise ImageRejected(
        f"A picture must be a path, bytes, a Pillow picture or an array, but got {type(source).__name__}."
    )


def _file_behind(picture: ImageFile.ImageFile, limits: Limits) -> bytes | None:
    """Return the file of a picture that is opened and not loaded yet: it says more than Pillow keeps."""
    is_untouched = bool(picture.tile) and not picture.decoderconfig and picture.tell() == 0
    if not is_untouched or picture.fp is None or picture.format not in decoding.PILLOW_FORMATS:
        return None
    try:
        at = picture.fp.tell()
        picture.fp.seek(0)
        data = picture.fp.read(limits.max_megabytes * MEGABYTE + 1)
        picture.fp.seek(at)
    except (OSError, ValueError):  # it is closed, or no file that can be read again
        return None
    return data if 0 < len(data) <= limits.max_megabytes * MEGABYTE else None


def _to_rgb(decoded: Decoded, limits: Limits, notices: list[str]) -> Image.Image:
    """Return the picture as sRGB over white, and scaled down where it is too large to be kept."""
    picture, alpha = decoded.picture, decoded.alpha
    if picture.mode.startswith(("I", "F")):
        picture, alpha = _from_numbers(picture, alpha, notices)
    factor = reduction(picture.size, limits)
    is_plain = picture.mode == "RGB" and not (decoded.profile or alpha or picture.has_transparency_data)
    if factor == 1 and is_plain:
        return picture
    rgb = Image.new("RGB", (math.ceil(picture.width / factor), math.ceil(picture.height / factor)))
    rows = max(1, _BAND_PIXELS // (picture.width * factor)) * factor
    for top in range(0, picture.height, rows):
        box = (0, top, picture.width, min(top + rows, picture.height))
        band = _band_to_rgb(picture.crop(box), alpha and alpha.crop(box), decoded, notices)
        rgb.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    return rgb


def _from_numbers(
    picture: Image.Image, alpha: Image.Image | None, notices: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    clear = picture.info.get("transparency")
    if alpha is None and isinstance(clear, int):
        alpha = Image.fromarray(np.where(np.asarray(picture) == clear, np.uint8(0), np.uint8(255)))
    return picture_of_numbers(picture, notices), alpha


def _band_to_rgb(picture: Image.Image, alpha: Image.Image | None, decoded: Decoded, notices: list[str]) -> Image.Image:
    colors, own_alpha = split_alpha(picture)
    colors = colors.convert("L") if decoded.is_gray else colors
    if own_alpha and alpha:
        alpha = ImageChops.darker(own_alpha, alpha)
    return over_white(to_srgb(colors, decoded.profile, notices), alpha or own_alpha)


def _upright(rgb: Image.Image, orientation: int) -> Image.Image:
    rgb.info = {}  # what is wrong with the rest of the EXIF does not matter
    rgb.getexif()[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(rgb, in_place=True)
    return rgb
