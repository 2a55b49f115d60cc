"""What the formats of drawn pictures share: one picture is the file, several are files of a ZIP."""

from collections.abc import Callable
from typing import BinaryIO

from PIL import Image

from playground.drawing import Look
from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.files import add_png, open_zip, png_bytes, provenance


def write_drawn(
    pictures: CheckedPictures, stream: BinaryIO, *, suffix: str, drawn: Callable[[CheckedPicture, Look], Image.Image]
) -> None:
    """Draw each picture; the note of who answered is in the text chunk "Description"."""

    def content(picture: CheckedPicture) -> bytes:
        return png_bytes(drawn(picture, pictures.look), description=provenance(picture.prediction))

    if not pictures.are_several:
        (picture,) = pictures.each
        stream.write(content(picture))
        return
    with open_zip(stream) as archive:
        for picture in pictures.each:
            add_png(archive, f"{picture.stem}{suffix}.png", content(picture))
