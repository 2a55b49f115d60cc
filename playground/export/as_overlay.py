"""The drawing alone, on a transparent ground of the picture's size; several in a ZIP."""

from typing import BinaryIO

from PIL import Image

from playground.drawing import Look
from playground.drawing.annotate import draw_overlay
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.drawn import write_drawn
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_drawn(pictures, stream, suffix=OVERLAY.suffix, drawn=_drawn)


def _drawn(picture: CheckedPicture, look: Look) -> Image.Image:
    return draw_overlay(picture.image.resolution_wh, picture.prediction, look)


OVERLAY = Format(
    "overlay", "Transparent overlay (PNG)", "png", "zip", _write,
    "Blurred, pixelated and darkened parts need the picture and are left out; labels and coordinates become pixels, "
    "and who drew a region is lost.",
    suffix="-overlay",
)  # fmt: skip
