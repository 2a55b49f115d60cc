"""Pictures of noise, the same in every run: Pillow's own goes on where the test before it had stopped."""

import numpy as np
from PIL import Image


def noise(size_wh: tuple[int, int], *, seed: int = 0) -> Image.Image:
    """Return a picture in which each value of each pixel is drawn anew."""
    width, height = size_wh
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
