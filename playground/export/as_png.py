"""The annotated picture, at full size; several in a ZIP."""

from typing import BinaryIO

from PIL import Image

from playground.drawing import Look, draw
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.drawn import write_drawn
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_drawn(pictures, stream, suffix=PNG.suffix, drawn=_drawn)


def _drawn(picture: CheckedPicture, look: Look) -> Image.Image:
    return draw(picture.image.pixels, picture.prediction, look)


PNG = Format(
    "png", "Annotated picture (PNG)", "png", "zip", _write,
    "The regions become pixels of the picture: labels, coordinates and who drew a region cannot be read back.",
    suffix="-annotated",
)  # fmt: skip
