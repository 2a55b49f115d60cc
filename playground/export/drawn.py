"""What the formats of drawn pictures share: one picture is the file, several are files of a ZIP."""

from collections.abc import Callable
from typing import BinaryIO

from PIL import Image

from playground.drawing import Look, draw
from playground.drawing.band import with_band
from playground.export.annotated import CheckedPicture, CheckedPictures, check_drawing
from playground.export.files import add_packed, open_zip
from playground.export.texts import text_shown


def annotated(picture: CheckedPicture, look: Look) -> Image.Image:
    """Return the picture with its regions drawn on it and, in a band under it, what was answered as a text.

    Raises ExportRejected where that takes too long.
    """
    check_drawing(picture.prediction, look, picture.image)
    return with_band(
        draw(picture.image.pixels, picture.prediction, look, picture.labels), text_shown(picture.prediction)
    )


def write_drawn(
    pictures: CheckedPictures, stream: BinaryIO, *, ending: str, content: Callable[[CheckedPicture, Look], bytes]
) -> None:
    """Write the content of one picture as it is, or of several as files whose names have this ending."""
    if not pictures.are_several:
        (picture,) = pictures.each
        stream.write(content(picture, pictures.look))
        return
    with open_zip(stream) as archive:
        for picture in pictures.each:
            add_packed(archive, f"{picture.stem}{ending}", content(picture, pictures.look))
