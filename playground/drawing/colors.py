"""Colors of labels, and the ink that is readable on them. Knows text and numbers only.

A label has a color of its own, the same in every picture, unless another label of the picture has it already: then it
gets the next that is free, while there is one.
"""

from collections.abc import Iterable
from hashlib import blake2b

# Spread in OKLab (Ottosson, 2020) between dark enough for a white wall and light enough for a night scene.
PALETTE = (
    "#e5342a", "#fb7e21", "#ffcc2e", "#93640b", "#79d93b", "#2b8a1e", "#45e0b0", "#1f9e94", "#74c6fd",
    "#3a71ac", "#3f53f5", "#9c81f7", "#8f1ddb", "#f3adfa", "#e646ea", "#94508c", "#ee1d86", "#dc8088",
)  # fmt: skip

# With this salt 16 of the 496 pairs of the 32 things of the drawn scenes share a color, where 14 must and a salt at
# random leaves 28; and eighteen usual labels of photographs (person, car, tree, window, ...) get fifteen colors.
_SALT = "6044"


def palette_indices(labels: Iterable[str]) -> dict[str, int]:
    """Return the place in PALETTE of each label of a picture.

    Those that come first are not moved by those that follow, so that no color changes while an answer grows. Give the
    labels of the whole answer, so that none changes with what the user hides.
    """
    indices: dict[str, int] = {}
    for label in labels:
        if label not in indices:
            own, taken = class_id_of(label) % len(PALETTE), set(indices.values())
            places = [(own + step) % len(PALETTE) for step in range(len(PALETTE))]
            indices[label] = next((place for place in places if place not in taken), own)
    return indices


def colors_of(labels: Iterable[str]) -> dict[str, str]:
    """Return the color of each label of a picture as "#rrggbb"."""
    return {label: PALETTE[index] for label, index in palette_indices(labels).items()}


def class_id_of(label: str) -> int:
    """Return a hash of the label, for supervision, which picks the color of the palette by it."""
    digest = blake2b((_SALT + label).encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def ink_on(color: str) -> str:
    """Return "white" or "black", whichever has the larger contrast to "#rrggbb" (WCAG 2.2, relative luminance)."""
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
