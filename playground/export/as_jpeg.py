"""The annotated picture as JPEG, at full size: a tenth of the bytes of a PNG; several in a ZIP."""

from typing import BinaryIO

from playground.drawing import Look
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.drawn import annotated, write_drawn
from playground.export.files import description, jpeg_bytes
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_drawn(pictures, stream, ending=f"{JPEG.suffix}.jpg", content=_content)


def _content(picture: CheckedPicture, look: Look) -> bytes:
    return jpeg_bytes(annotated(picture, look), description=description(picture.prediction))


JPEG = Format(
    "jpeg", "Annotated picture (JPEG)", "jpg", "zip", _write,
    "As PNG, but much smaller for a photograph: it is compressed again, which the eye hardly sees, so that its pixels "
    "are not exactly those of the original.",
    suffix="-annotated",
)  # fmt: skip
