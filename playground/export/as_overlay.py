"""The drawing alone, on a transparent ground of the picture's size; several in a ZIP."""

from typing import BinaryIO

from playground.drawing import Look
from playground.drawing.annotate import draw_overlay
from playground.export.annotated import CheckedPicture, CheckedPictures, check_drawing
from playground.export.drawn import write_drawn
from playground.export.files import description, png_bytes
from playground.export.format import Format, Holds


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_drawn(pictures, stream, ending=f"{OVERLAY.suffix}.png", content=_content)


def _content(picture: CheckedPicture, look: Look) -> bytes:
    check_drawing(picture.prediction, look, picture.image)
    drawing = draw_overlay(picture.image.pixels.size, picture.prediction, look, picture.labels)
    return png_bytes(drawing, description=description(picture.prediction))


OVERLAY = Format(
    "overlay", "Transparent overlay (PNG)", "png", "zip", _write,
    "Blurred, pixelated, covered and darkened parts need the picture and are left out; labels and coordinates become "
    "pixels, and who drew a region is lost. A caption or read text is in its description alone.",
    suffix="-overlay",
    holds=Holds.REGIONS,
)  # fmt: skip
