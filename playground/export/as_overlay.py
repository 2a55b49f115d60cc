"""The drawing alone, on a transparent ground of the picture's size."""

from playground.drawing import draw_overlay
from playground.export.common import Export, Format, png, provenance


def write(export: Export) -> bytes:
    """Draw on nothing; the note of who answered is in the text chunk "Description"."""
    drawing = draw_overlay(export.image.resolution_wh, export.prediction, export.look)
    return png(drawing, description=provenance(export.prediction))


FORMAT = Format(
    "overlay", "Transparent overlay (PNG)", "png", write,
    "Blurred, pixelated and darkened parts need the picture and are left out; labels and coordinates become pixels.",
    suffix="-overlay",
)  # fmt: skip
