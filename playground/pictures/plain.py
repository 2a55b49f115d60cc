"""What a reader sees in a file that knows nothing of it but its pixels.

Readers of data sets open a file so: they manage no color profile, take one frame, and not all of them turn it as its
EXIF says. Knows no picture that was read otherwise.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif"}  # by Pillow's names
# What Pillow calls a JPEG with more pictures behind it, such as a camera's gain map, which readers pass over.
_JPEG_AND_MORE = "MPO"
_PLAIN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # in others, such as CMYK, readers differ


@dataclass(frozen=True, slots=True)
class PlainLook:
    """A file that all readers see alike: its kind as an extension, its size, and its pixels as `InputImage.digest`."""

    extension: str
    size: tuple[int, int]
    has_profile: bool
    digest: str = ""  # empty where the pixels were not looked at


def look_plainly(source: Path | bytes, *, at_pixels: bool = True) -> PlainLook | None:
    """Return what is to be seen in a file; None where readers differ, or trip over it."""
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=list(_EXTENSIONS)) as picture:
            extension = _EXTENSIONS["JPEG" if picture.format == _JPEG_AND_MORE else str(picture.format)]
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
            has_frames = extension != "jpg" and getattr(picture, "n_frames", 1) > 1
            if orientation != 1 or has_frames or picture.mode not in _PLAIN_MODES:
                return None
            if at_pixels and not _is_opaque(picture):
                return None
            digest = _digest(picture.convert("RGB")) if at_pixels else ""
            return PlainLook(extension, picture.size, "icc_profile" in picture.info, digest)
    except Exception:  # whatever a plain reader would trip over
        return None


def _is_opaque(picture: Image.Image) -> bool:
    if not picture.has_transparency_data:
        return True
    return picture.convert("RGBA").getchannel("A").getextrema() == (255, 255)


def _digest(rgb: Image.Image) -> str:
    digest = hashlib.sha256("{}x{}:".format(*rgb.size).encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()
