"""The annotated picture, at full size."""

from playground.drawing import draw
from playground.export.common import Export, Format, png, provenance


def write(export: Export) -> bytes:
    """Draw on the full picture; the note of who answered is in the text chunk "Description"."""
    picture = draw(export.image.pixels, export.prediction, export.look)
    return png(picture, description=provenance(export.prediction))


FORMAT = Format(
    "png", "Annotated picture (PNG)", "png", write,
    "The regions become pixels of the picture: labels and coordinates cannot be read back.",
    suffix="-annotated",
)  # fmt: skip
