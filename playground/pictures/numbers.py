"""Numbers of every kind and depth to levels: 0 is black, 255 is white."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from playground.errors import ImageRejected

Levels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.generic]


def high_bytes(numbers: Numbers) -> Levels:
    """Return 16-bit numbers as levels, as Pillow scales color with 16 bits, so that gray and color agree."""
    return (numbers.astype(np.uint16) >> 8).astype(np.uint8)


def white_of(high: float, dtype: np.dtype[np.generic]) -> float:
    """Return which number is white in a picture whose largest number is known.

    Unsigned numbers have the white of their type. No standard says what is white among signed ones and floats: 1,
    255 or 65535, else the largest. Unsigned 32 bits of which all would be black are read like those.
    """
    bits = 8 * dtype.itemsize
    if dtype.kind == "u" and (bits <= 16 or high >= 2 ** (bits - 8)):
        return float(2**bits - 1)
    if dtype.kind == "i" and bits <= 16:
        return float(2 ** (bits - 1) - 1)
    return next((white for white in (1.0, 255.0, 65535.0) if high <= white), high)


def to_levels(numbers: Numbers, white: float) -> Levels:
    """Scale numbers so that 0 becomes 0 and `white` 255; what is beyond is cut off, and what is no number is black."""
    if numbers.dtype.kind == "u" and numbers.dtype.itemsize <= 2:
        return high_bytes(numbers) if numbers.dtype.itemsize == 2 else numbers.astype(np.uint8)
    precise = np.float64 if numbers.dtype.itemsize > 4 else np.float32
    finite = np.nan_to_num(numbers.astype(precise), nan=0, posinf=0, neginf=0)
    levels: Levels = np.clip(finite * precise(255 / white) + precise(0.5), 0, 255).astype(np.uint8)
    return levels


def extent(numbers: Numbers) -> tuple[float, float]:
    """Return the smallest and the largest of the finite numbers."""
    if numbers.dtype.kind == "f":
        numbers = np.nan_to_num(numbers, nan=0, posinf=0, neginf=0)
    return float(numbers.min()), float(numbers.max())


def scale_sentence(low: float, white: float, dtype: np.dtype[np.generic]) -> str:
    """Return what is to be told about numbers whose white had to be guessed, or nothing."""
    if dtype.kind == "u" and white == 2.0 ** (8 * dtype.itemsize) - 1:
        return ""
    kind = {"i": "signed numbers", "f": "floating-point numbers"}.get(dtype.kind, "large numbers")
    below = " Numbers below 0 are black." if low < 0 else ""
    return f"The picture holds {kind}: 0 is shown as black and {white:g} as white.{below}"


def picture_of_numbers(picture: Image.Image, notices: list[str]) -> Image.Image:
    """Return a Pillow picture of integers (I) or floats (F) as L."""
    numbers = np.asarray(picture)
    low, high = extent(numbers)
    white = white_of(high, numbers.dtype)
    if sentence := scale_sentence(low, white, numbers.dtype):
        notices.append(sentence)
    return Image.fromarray(to_levels(numbers, white))


def resolution_of_array(array: Numbers) -> tuple[int, int]:
    """Return the width and the height of an array that can be a picture. Raises ImageRejected."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageRejected(
            f"An array must be H x W, H x W x 3 or H x W x 4, but its shape is {array.shape}. Give one picture, its "
            "colors last."
        )
    return array.shape[1], array.shape[0]


def picture_of_array(array: Numbers) -> Image.Image:
    """Return an array that can be a picture as one. Raises ImageRejected."""
    return Image.fromarray(_bytes_of(array))


def _bytes_of(array: Numbers) -> Levels:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size <= 2:
        return to_levels(array, 0)
    if kind != "f":
        raise ImageRejected(
            f"An array must hold bool, uint8, uint16, or floats in 0..1, but got {array.dtype}. "
            "Convert it with .astype(np.uint8)."
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise ImageRejected(f"An array of floats must be in 0..1, but it reaches from {low:g} to {high:g}. Scale it.")
    return (array.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
