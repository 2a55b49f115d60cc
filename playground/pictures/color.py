"""Pixels of every mode and depth to 8-bit sRGB without transparency."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from playground.errors import ImageRejected
from playground.pictures.limits import Limits, check_resolution

Levels = npt.NDArray[np.uint8]  # 0 is black, 255 white


def to_simple_mode(picture: Image.Image) -> Image.Image:
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


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture by its color profile; without one it is taken as it is."""
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


def over_white(picture: Image.Image) -> Image.Image:
    """Return the picture as RGB, on white where it is transparent."""
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def picture_of_array(array: npt.NDArray[np.generic], limits: Limits) -> Image.Image:
    """Return an array as a picture. Raises ImageRejected."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageRejected(f"An array must be H x W, H x W x 3 or H x W x 4, but its shape is {array.shape}.")
    check_resolution((array.shape[1], array.shape[0]), limits)
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
