"""The wire form of the prediction, as the API returns it; of several pictures a line each (JSON Lines)."""

from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.files import json_bytes, json_line
from playground.export.format import Format


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    for picture in pictures.each:
        if pictures.are_several:
            stream.write(json_line(picture.stem, picture.prediction, picture.frame))
        else:
            stream.write(json_bytes(picture.prediction))


JSON = Format(
    "json",
    "Prediction (JSON)",
    "json",
    "jsonl",
    _write,
    "The picture and the style of drawing are not in it.",
    has_pixels=False,
    holds_all=True,
)
