"""The video with its regions drawn on it, each followed from one frame that was asked about to the next, as MP4."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO

from PIL import Image

from playground.drawing import Look, draw
from playground.drawing.annotate import is_too_large
from playground.errors import ImageRejected
from playground.export.annotated import CheckedPictures, VideoFrame
from playground.export.films import Film, FilmFrame, write_films
from playground.export.format import Format, Holds
from playground.results import Prediction

_MOST_FRAMES = 60  # a second: those of a slow motion in between are left out
_FOLLOWED_STEPS = 3.5  # so far apart two answers may be for what was between them to be known
_HALF_TICK = 1e-4  # seconds


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_films(pictures, stream, f"{MP4.suffix}.mp4", lambda film, file: _write_film(film, pictures.look, file))


def _write_film(film: Film, look: Look, stream: IO[bytes]) -> None:
    from playground.pictures.films import FilmWriter  # brings PyAV, which the page does not wait for

    frames = iter(film.frames)
    first = next(frames)
    begin, sound = first.place.seconds, first.place.sound
    labels: dict[str, None] = {}
    with TemporaryDirectory() as folder:  # a MP4 begins with what is known when it has ended
        file = Path(folder) / "film.mp4"
        with FilmWriter(file, sound=lambda start, end: sound(begin + start, begin + end)) as writer:
            for seconds, picture, prediction in _moments(first, frames, follow_all=bool(look.hiding.styles)):
                labels |= dict.fromkeys(region.label for region in prediction.regions)
                writer.add(_drawn(picture, prediction, look, [*labels]), seconds - begin)
        with file.open("rb") as content:
            shutil.copyfileobj(content, stream)


def _drawn(picture: Image.Image, prediction: Prediction, look: Look, labels: list[str]) -> Image.Image:
    if is_too_large(prediction, look, picture.size):
        look = replace(look, styles=("cover",) if look.hiding.styles else ("box",))
    return draw(picture, prediction, look, labels)


def _moments(
    first: FilmFrame, rest: Iterator[FilmFrame], *, follow_all: bool
) -> Iterator[tuple[float, Image.Image, Prediction]]:
    """Yield all frames of the video up to the last one that was asked about, with what is where at that moment."""
    before, after = first, next(rest, None)
    for seconds, picture in _pictures(first.place):
        while after and seconds >= after.place.seconds - _HALF_TICK:
            before, after = after, next(rest, None)
        if after is None and seconds >= before.place.seconds + before.place.step - _HALF_TICK:
            return
        is_hiding = follow_all or any(region.cover for region in before.picture.prediction.regions)
        if is_hiding and seconds > before.place.seconds + _HALF_TICK and not _is_known(before, after):
            continue  # nobody knows where it went, so the frame before stays
        yield seconds, picture, _at(seconds, before, after, follow_all=follow_all)


def _is_known(before: FilmFrame, after: FilmFrame | None) -> bool:
    """Whether two answers are so near that it is known what was between them."""
    gap = after.place.seconds - before.place.seconds if after else float("inf")
    return gap <= _FOLLOWED_STEPS * before.place.step


def _pictures(place: VideoFrame) -> Iterator[tuple[float, Image.Image]]:
    """Yield the frames of a video as far as it can be read."""
    seconds = place.seconds
    with suppress(ImageRejected):
        while shown := place.frame_from(seconds):
            yield shown
            seconds = shown[0] + 1 / _MOST_FRAMES - _HALF_TICK


def _at(seconds: float, before: FilmFrame, after: FilmFrame | None, *, follow_all: bool) -> Prediction:
    """Return what is where between two answers: what both have moves, the rest is there in the nearer half.

    With `follow_all`, which is for what is to be hidden, it is there all the time.
    """
    answer, passed = before.picture.prediction, seconds - before.place.seconds
    if after is None or not _is_known(before, after):
        return answer if passed < before.place.step else replace(answer, regions=())
    share = passed / (after.place.seconds - before.place.seconds)
    later = {region.track: region for region in after.picture.prediction.regions if region.track is not None}
    regions = [
        region.moved_to(later.pop(region.track).xyxy, share) if region.track in later else region
        for region in answer.regions
        if region.track in later or share < 0.5 or follow_all or region.cover
    ]
    coming = [
        region
        for region in after.picture.prediction.regions
        if (region.track is None or region.track in later) and (share >= 0.5 or follow_all or region.cover)
    ]
    return replace(answer, regions=(*regions, *coming))


MP4 = Format(
    "mp4", "Annotated video (MP4)", "mp4", "zip", _write,
    "It is H.264, compressed again, at most 4096 pixels a side and 60 frames a second. Between two frames that were "
    "asked about, what both show moves straight from the one place to the other; texts and scores are not in it.",
    suffix="-annotated",
    has_pixels=False,
    holds=Holds.FRAMES,
    is_film=True,
)  # fmt: skip
