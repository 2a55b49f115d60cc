"""Pixels to quantization bins and back, and the tokens that spell a bin. Knows nothing of answers."""

import re

import numpy as np
import numpy.typing as npt

# Florence-2 has 1000 location tokens for each axis (Xiao et al., 2023, section 3.3): <loc_0> .. <loc_999>.
NUM_BINS = 1000

Extent = int | npt.NDArray[np.int64]  # one side in pixels, or one side per coordinate

_LOCATION = re.compile(r"<loc_(0|[1-9][0-9]{0,2})>")


def quantize(pixels: npt.ArrayLike, extent: Extent) -> npt.NDArray[np.int64]:
    """Map pixel coordinates to bins 0..999 by floor; the far edge and all beyond belong to the outermost bins."""
    bins = np.floor(np.asarray(pixels, dtype=np.float64) / extent * NUM_BINS)
    return np.clip(bins, 0, NUM_BINS - 1).astype(np.int64)


def dequantize(bins: npt.ArrayLike, extent: Extent) -> npt.NDArray[np.float64]:
    """Map bins to the pixel coordinate of their center, so that a round trip errs by half a bin at most."""
    return (np.asarray(bins, dtype=np.float64) + 0.5) * extent / NUM_BINS


def location_token(bin_: int) -> str:
    """Return the token that spells a bin, as `<loc_7>`."""
    if not 0 <= bin_ < NUM_BINS:
        raise ValueError(f"a bin must be in 0..{NUM_BINS - 1}, but got {bin_}.")
    return f"<loc_{bin_}>"


def location_bin(text: str) -> int | None:
    """Return the bin that a location token spells, or None for any other text."""
    match = _LOCATION.fullmatch(text)
    return int(match[1]) if match else None
