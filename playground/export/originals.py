"""The file that a picture came in, where it can stand in a data set as it is.

A file is good enough where a plain reader sees the very pixels that were asked about.
"""

from collections.abc import Callable
from pathlib import Path

from playground.pictures.plain import PlainLook, look_plainly
from playground.pictures.reader import InputImage

LookPlainly = Callable[..., PlainLook | None]  # `look_plainly`, here or in another process


def file_as_it_came(
    original: Path | bytes | None, image: InputImage, look: LookPlainly = look_plainly
) -> tuple[bytes, str] | None:
    """Return the bytes of a picture's file and the extension of their kind, or None where it must be written anew."""
    # A picture that was scaled down to be asked about is too large to be compared.
    is_whole = image.pixels.size == image.resolution_wh
    seen = look(original, at_pixels=is_whole) if original else None
    if original is None or seen is None or seen.size != image.resolution_wh:
        return None
    is_the_same = seen.digest == image.digest if is_whole else seen.extension == "jpg" and not seen.has_profile
    try:
        content = original.read_bytes() if isinstance(original, Path) else original
    except OSError:  # deleted meanwhile
        return None
    return (content, seen.extension) if is_the_same else None
