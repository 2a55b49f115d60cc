"""The file that a picture came in, where it can stand in a data set as it is.

Readers of data sets open a file plainly: they manage no color profile, take one frame, and not all of them turn it as
its EXIF says. A file is good enough where a plain reader sees the very pixels that were asked about.
"""

import io
from pathlib import Path

from PIL import ExifTags, Image

from playground.pictures.reader import InputImage

_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif"}  # by Pillow's names
# What Pillow calls a JPEG with more pictures behind it, such as a camera's gain map, which readers pass over.
_JPEG_AND_MORE = "MPO"
_PLAIN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # in others, such as CMYK, readers differ


def file_as_it_came(original: Path | bytes | None, image: InputImage) -> tuple[bytes, str] | None:
    """Return the bytes of a picture's file and the extension of their kind, or None where it must be written anew."""
    try:
        content = original.read_bytes() if isinstance(original, Path) else original
        if not content:
            return None
        with Image.open(io.BytesIO(content), formats=list(_EXTENSIONS)) as picture:
            kind = "JPEG" if picture.format == _JPEG_AND_MORE else str(picture.format)
            return (content, _EXTENSIONS[kind]) if _is_plain(picture, image, kind) else None
    # Whatever a plain reader would trip over: the pixels that were asked about are written instead.
    except Exception:
        return None


def _is_plain(picture: Image.Image, image: InputImage, kind: str) -> bool:
    """Whether a reader that knows nothing of this file sees the picture that was asked about."""
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    has_frames = kind != "JPEG" and getattr(picture, "n_frames", 1) > 1
    if picture.size != image.resolution_wh or orientation != 1 or has_frames or picture.mode not in _PLAIN_MODES:
        return False
    if image.pixels.size != picture.size:  # it was scaled down to be asked about: too large to be compared
        return kind == "JPEG" and "icc_profile" not in picture.info
    return _is_opaque(picture) and picture.convert("RGB").tobytes() == image.pixels.tobytes()


def _is_opaque(picture: Image.Image) -> bool:
    if not picture.has_transparency_data:
        return True
    return picture.convert("RGBA").getchannel("A").getextrema() == (255, 255)
