"""Pictures in: a path, bytes, a Pillow picture or an array becomes an `InputImage`, or one sentence says why not.

The header is read first and the pixels only when the limits allow them. Knows nothing of the page or of tasks.
"""

import hashlib
import io
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from playground.errors import ImageRejected
from playground.results import Box

MEGABYTE = 1024 * 1024
# The longest ordinary metadata is cut into a few hundred parts. A GIF's comment can have millions, and Pillow's
# time grows with their square: 2.8 s for 1 MB.
MAX_HEADER_READS = 10_000
# Each scan of a progressive JPEG passes over all pixels, and 60 bytes are enough for one. Encoders write about 10;
# libtiff refuses more than 100 as well (JPEG_MAX_ALLOWED_SCAN_NUMBER).
MAX_JPEG_SCANS = 100

Levels = npt.NDArray[np.uint8]  # 0 is black, 255 white


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that is accepted: its name for people, Pillow's name, and the usual extensions."""

    title: str
    pillow_name: str
    extensions: tuple[str, ...]


FORMATS = (
    Format("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    Format("PNG", "PNG", (".png", ".apng")),
    Format("WebP", "WEBP", (".webp",)),
    Format("AVIF", "AVIF", (".avif",)),
    Format("GIF", "GIF", (".gif",)),
    Format("BMP", "BMP", (".bmp",)),
    Format("TIFF", "TIFF", (".tif", ".tiff")),
)
HEIC = Format("HEIC", "HEIF", (".heic", ".heif", ".hif"))  # accepted where pillow-heif is installed

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_OTHER_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<html", "a web page"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1a\x45\xdf\xa3", "a video"),
)
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # without those that may stand inside a scan


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted. A megapixel is a million pixels, a megabyte 1024 x 1024 bytes; each limit is inclusive."""

    max_megapixels: int = 40
    max_megabytes: int = 20
    max_side: int = 20_000
    max_aspect: int = 200  # the longer side divided by the shorter; the model squashes every picture to a square


DEFAULT_LIMITS = Limits()


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


def accepted_formats() -> tuple[Format, ...]:
    """Return the kinds of file that can be read here."""
    return (*FORMATS, HEIC) if _heic_is_readable() else FORMATS


def accepted_extensions() -> list[str]:
    """Return the extensions of the accepted formats, each with its dot. Files are read by content all the same."""
    return [extension for format_ in accepted_formats() for extension in format_.extensions]


def accepted_sentence() -> str:
    """Return which formats are accepted, as a sentence for people."""
    *titles, last = (format_.title for format_ in accepted_formats())
    return f"Accepted are {', '.join(titles)} and {last}."


@cache
def _heic_is_readable() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


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
        source = _picture_of_array(source, limits)
    if isinstance(source, Image.Image):
        _check_resolution(source.size, limits)
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
            _check_file_size(os.fstat(file.fileno()).st_size, limits)
            data = file.read(limits.max_megabytes * MEGABYTE + 1)
    except FileNotFoundError:
        raise ImageRejected(f"No picture at {shown}. Choose a file that exists.") from None
    except (OSError, ValueError) as error:
        raise ImageRejected(f"The file {shown} cannot be opened. Choose another, or check its permissions.") from error
    return data


def _check_file_size(size: int, limits: Limits) -> None:
    if size == 0:
        raise ImageRejected("The file is empty. Choose another, or save it again.")
    if size > limits.max_megabytes * MEGABYTE:
        raise ImageRejected(
            f"The file has {_above(size / MEGABYTE, limits.max_megabytes)} MB; the limit is {limits.max_megabytes}. "
            "Scale the picture down or save it as JPEG, and try again."
        )


def _check_resolution(resolution_wh: tuple[int, int], limits: Limits) -> None:
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
    _check_file_size(len(data), limits)
    file = _Header(data)
    try:
        picture = Image.open(file, formats=[format_.pillow_name for format_ in accepted_formats()])
    except UnidentifiedImageError:
        raise ImageRejected(_name_the_kind(data)) from None
    except Image.DecompressionBombError:
        limit = min(limits.max_megapixels, 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000)
        raise ImageRejected(
            f"The file has far more than {limit} megapixels, which is the limit. Scale it down and try again."
        ) from None
    with picture:
        _check_resolution(picture.size, limits)
        if data.startswith(b"\xff\xd8"):
            _check_scans(data)
        file.reads_left = math.inf
        return _to_upright_rgb(picture)


def _name_the_kind(data: bytes) -> str:
    head = data[:1000].lower()
    if data[4:12] in [b"ftyp" + brand for brand in _HEIC_BRANDS] and not _heic_is_readable():
        return f"This is a HEIC picture: install pillow-heif to read it, or save it as JPEG. {accepted_sentence()}"
    for mark, kind in _OTHER_KINDS:
        if data.startswith(mark) or (mark.startswith(b"<") and mark in head):
            return f"This file is {kind}. {accepted_sentence()}"
    return f"This file is not a picture, or it is damaged or cut short. {accepted_sentence()}"


def _check_scans(jpeg: bytes) -> None:
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


def _to_upright_rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    orientation = _orientation(picture)
    profile = picture.info.get("icc_profile")
    rgb = _over_white(_to_srgb(_to_simple_mode(picture), profile))
    rgb.info = {}  # what is wrong with the rest of the EXIF does not matter
    rgb.getexif()[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(rgb, in_place=True)
    return rgb


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF does not make the pixels unusable
        return 1


def _to_simple_mode(picture: Image.Image) -> Image.Image:
    """Return the picture as L, RGB, RGBA or CMYK, with 8 bits for each channel."""
    if picture.mode.startswith(("I", "F")):
        return _to_levels(picture)
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB", "CMYK") else picture.convert("RGB")


def _to_levels(picture: Image.Image) -> Image.Image:
    numbers = np.asarray(picture)
    levels = _high_bytes(numbers) if numbers.dtype.itemsize == 2 else _stretch(numbers)
    transparent = picture.info.get("transparency")
    return Image.fromarray(levels if transparent is None else np.where(numbers == transparent, np.uint8(255), levels))


def _high_bytes(numbers: npt.NDArray[np.generic]) -> Levels:
    # Pillow scales color with 16 bits in the same way, so gray and color agree.
    return (numbers.astype(np.uint16) >> 8).astype(np.uint8)


def _stretch(numbers: npt.NDArray[np.generic]) -> Levels:
    """Scale numbers of 32 bits, of which no file says which one is white: 1, 255 or 65535, else the largest."""
    finite = np.nan_to_num(numbers.astype(np.float32), nan=0, posinf=0, neginf=0)
    largest = float(finite.max())
    white = next((white for white in (1, 255, 65535) if largest <= white), largest)
    levels: Levels = np.clip(finite * np.float32(255 / white) + 0.5, 0, 255).astype(np.uint8)
    return levels


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):  # nothing to do, in 50 ns for each pixel
            return picture
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except Exception:  # a broken profile, or one for another kind of picture, says nothing
        return picture
    return converted or picture


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _picture_of_array(array: npt.NDArray[np.generic], limits: Limits) -> Image.Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageRejected(f"An array must be H x W, H x W x 3 or H x W x 4, but its shape is {array.shape}.")
    _check_resolution((array.shape[1], array.shape[0]), limits)
    return Image.fromarray(_bytes_of(array))


def _bytes_of(array: npt.NDArray[np.generic]) -> Levels:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size == 1:
        return array.astype(np.uint8)
    if kind == "u" and size == 2:
        return _high_bytes(array)
    if kind != "f":
        raise ImageRejected(
            f"An array must hold bool, uint8, uint16, or floats in 0..1, but got {array.dtype}. "
            "Convert it with .astype(np.uint8)."
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise ImageRejected(f"An array of floats must be in 0..1, but it reaches from {low:g} to {high:g}. Scale it.")
    return (array.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
