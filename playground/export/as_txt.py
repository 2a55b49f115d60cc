"""The answer as plain text: a caption, what was read, or a line for each thing found; several in a ZIP."""

from typing import BinaryIO

from playground.export.annotated import CheckedPicture, CheckedPictures
from playground.export.files import open_zip
from playground.export.format import Format
from playground.export.texts import UNSURE_MARK, lines_of


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8; of several pictures a file each, under the picture's name, where training on captions looks."""
    if not pictures.are_several:
        (picture,) = pictures.each
        stream.write(_content(picture))
        return
    with open_zip(stream) as archive:
        for picture in pictures.each:
            archive.writestr(f"{picture.stem}.txt", _content(picture))


def _content(picture: CheckedPicture) -> bytes:
    text = lines_of(picture.prediction)
    return f"{text}\n".encode("utf-8", "replace") if text else b""


TXT = Format(
    "txt", "Text (TXT)", "txt", "zip", _write,
    "It holds a caption or what was read; of regions only their labels, a line each. Where nothing was found it is "
    f"empty, and it begins with {UNSURE_MARK} where the model is not sure.",
    has_pixels=False,
    holds_all=True,
)  # fmt: skip
