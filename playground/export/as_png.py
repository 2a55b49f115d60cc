"""The annotated picture, at full size; several in a ZIP."""

from typing import BinaryIO

from playground.drawing import Look
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.drawn import annotated, write_drawn
from playground.export.files import description, png_bytes
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_drawn(pictures, stream, ending=f"{PNG.suffix}.png", content=_content)


def _content(picture: CheckedPicture, look: Look) -> bytes:
    return png_bytes(annotated(picture, look), description=description(picture.prediction))


PNG = Format(
    "png", "Annotated picture (PNG)", "png", "zip", _write,
    "The regions become pixels of the picture: labels, coordinates and who drew a region cannot be read back. A "
    "caption or read text stands in a band under the picture, and in its description; one of which the model is not "
    "sure is left out.",
    suffix="-annotated",
)  # fmt: skip
