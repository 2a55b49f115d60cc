"""Colors of labels, and the ink that is readable on them. Knows text and numbers only.

A label's color is a function of its text alone, so that it is the same on the stage, in every picture and whatever
the user hides. Two labels of one picture can therefore share a color; their names tell them apart.
"""

from hashlib import blake2b

# Spread in OKLab (Ottosson, 2020) between dark enough for a white wall and light enough for a night scene.
PALETTE = (
    "#e5342a", "#fb7e21", "#ffcc2e", "#93640b", "#79d93b", "#2b8a1e", "#45e0b0", "#1f9e94", "#74c6fd",
    "#3a71ac", "#3f53f5", "#9c81f7", "#8f1ddb", "#f3adfa", "#e646ea", "#94508c", "#ee1d86", "#dc8088",
)  # fmt: skip

# With this salt 16 of the 496 pairs of the 32 things of the drawn scenes share a color, where 14 must and a salt at
# random leaves 28; and eighteen usual labels of photographs (person, car, tree, window, ...) get fifteen colors.
_SALT = "6044"


def color_of(label: str) -> str:
    """Return the color of a label as "#rrggbb", the same in every run."""
    return PALETTE[class_id_of(label) % len(PALETTE)]


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
