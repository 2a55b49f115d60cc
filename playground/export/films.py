"""What the formats of videos share: the frames of a video in their order, and one file a video. Knows no format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import IO, BinaryIO

from playground.errors import ExportRejected
from playground.export.annotated import CheckedPicture, CheckedPictures, VideoFrame
from playground.export.files import open_zip
from playground.export.names import UniqueNames, safe_name


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """A frame with what was answered about it."""

    picture: CheckedPicture
    place: VideoFrame


@dataclass(frozen=True, slots=True)
class Film:
    """What one file is made of; its frames can be iterated once."""

    name: str
    frames: Iterator[FilmFrame]


def films_of(pictures: CheckedPictures) -> Iterator[Film]:
    """Yield the videos; each is iterated before the next one comes. Raises ExportRejected for what is no frame."""
    names = UniqueNames()
    for _, group in groupby(map(_frame, pictures.each), lambda frame: frame.place.video):
        first = next(group)
        frames = _joined(first, group)  # noqa: B031  # the rest of it
        yield Film(names.take(safe_name(first.place.name, fallback="video")), frames)


def write_films(
    pictures: CheckedPictures, stream: BinaryIO, ending: str, write: Callable[[Film, IO[bytes]], None]
) -> None:
    """Write one video as it is, or several as files of a ZIP whose names have this ending."""
    if not pictures.are_several:
        for number, film in enumerate(films_of(pictures)):
            if number:
                raise ExportRejected("These are frames of several videos. Save them with as_several.")
            write(film, stream)
        return
    with open_zip(stream) as archive:
        for film in films_of(pictures):
            with archive.open(f"{film.name}{ending}", "w", force_zip64=True) as file:
                write(film, file)


def _joined(first: FilmFrame, rest: Iterator[FilmFrame]) -> Iterator[FilmFrame]:
    yield first
    yield from rest


def _frame(picture: CheckedPicture) -> FilmFrame:
    if picture.frame is None:
        raise ExportRejected(f"{picture.stem} is no frame of a video. Give a video, or save another format.")
    return FilmFrame(picture, picture.frame)
