"""One row for each region of each frame of a video, with the number of the thing that it is."""

import codecs
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.cells import as_text, csv_lines
from playground.export.films import films_of
from playground.export.format import Format, Holds

_COLUMNS = ("video", "frame", "seconds", "track", "label", "score", "x_min", "y_min", "x_max", "y_max")


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8 with a byte order mark, as all tables here. Pixels have three decimals."""
    stream.write(codecs.BOM_UTF8 + csv_lines([_COLUMNS]))
    for film in films_of(pictures):
        for frame in film.frames:
            place = as_text(film.name), frame.place.number, round(frame.place.seconds, 4)
            for region in frame.picture.prediction.regions:
                score = "" if region.score is None else round(region.score, 4)
                box = [round(value, 3) for value in region.xyxy]
                stream.write(csv_lines([(*place, region.track or "", as_text(region.label), score, *box)]))


TRACKS = Format(
    "tracks", "Tracks over time (CSV)", "csv", "csv", _write,
    "It holds boxes, names and scores alone: no outline and no text. Frames are counted from 1 among those that were "
    "asked about; a frame in which nothing was found has no row. A row without a score is put in between: the "
    "thing was found before and after.",
    suffix="-tracks",
    has_pixels=False,
    holds=Holds.FRAMES,
    is_film=True,
)  # fmt: skip
