"""Which regions of a video's frames are the same thing: the answers of a folder, followed through each video.

Reads the answers once, in the order of their times, whatever order they were given in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from statistics import median_low

from playground.annotate.answers import Answers, Row
from playground.annotate.reading import SourceReader
from playground.annotate.sources import PictureSource
from playground.choosing import chosen
from playground.errors import ImageRejected
from playground.export import Annotated, VideoFrame, stem_of
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.regions import Cover, Region
from playground.results import Prediction
from playground.tracking import Tracker

_USUAL_STEP = 1.0  # seconds, of a video of which one frame was asked about
_BRIDGED_SECONDS = 1.0  # that a thing may be missing between two frames that have it, to be put in between
_BRIDGED_FRAMES = 2  # that may lack it, where these take longer


@dataclass(frozen=True, slots=True)
class FollowedFrame:
    """What is known of a frame from those before and behind it.

    `tracks` are those of its regions, before any of them is left out, `bridged` the regions that it lacks and its
    neighbors have, without a score.
    """

    tracks: tuple[int | None, ...]
    frame: VideoFrame
    bridged: tuple[Region, ...] = ()


class Followed:
    """The frames of all videos of a folder, by the keys of their rows, and what each track is called."""

    def __init__(self, answers: Answers, wanted: Question, shown_from: float) -> None:
        self._frames: dict[bytes, FollowedFrame] = {}
        self._names: dict[tuple[str, int], str] = {}
        self._covers: dict[tuple[str, int], Cover] = {}
        self._wanted = wanted
        rows = (row for row in answers.rows(by_document=True) if row.source.seconds is not None)
        for path, group in groupby(rows, key=lambda row: row.source.path):
            video = _Video(wanted, shown_from)
            for row in group:
                video.add(row)
            self._frames |= video.frames()
            self._names |= {(path, track): name for track, name in video.names()}
            self._covers |= {(path, track): cover for track, cover in video.covers.items()}

    def frame_of(self, row: Row) -> VideoFrame | None:
        """Return which frame a picture is; None where it is none, or was not answered."""
        return self._frames[row.key].frame if row.key in self._frames else None

    def with_tracks(self, row: Row) -> Prediction:
        """Return the answer about a frame, each region with its track."""
        assert row.prediction is not None
        pairs = zip(row.prediction.regions, self._frames[row.key].tracks, strict=True)
        return replace(row.prediction, regions=tuple(replace(region, track=track) for region, track in pairs))

    def in_film(self, row: Row) -> Prediction:
        """Return what a film shows of a frame: what has a track, under its name, and what its neighbors have.

        What a person has hidden in one frame is hidden in all.
        """
        prediction = chosen(replace(self.with_tracks(row), question=self._wanted))
        regions = [region for region in prediction.regions if region.track is not None]
        return replace(
            prediction,
            regions=tuple(
                replace(region, label=self._names[key], cover=region.cover or self._covers.get(key, ""))
                for region in (*regions, *self._frames[row.key].bridged)
                if (key := (row.source.path, region.track or 0))
            ),
        )


class _Video:
    """The frames of one video, followed in their order."""

    def __init__(self, wanted: Question, shown_from: float) -> None:
        self._wanted = wanted
        self._shown_from = shown_from
        self._tracker = Tracker()
        self._times: list[float] = []
        self._rows: list[tuple[bytes, PictureSource, tuple[int | None, ...]]] = []
        self._bridged: dict[int, list[Region]] = {}  # by the place of the frame
        self._last: dict[int, tuple[int, Region]] = {}  # where each track was, in which frame
        self._names: dict[int, dict[str, float]] = {}
        self.covers: dict[int, Cover] = {}  # what a person has hidden, and how

    def add(self, row: Row) -> None:
        """Take the next frame."""
        seconds = row.source.seconds or 0.0
        self._times.append(seconds)
        if row.prediction is None:
            return
        candidates, tracks = follow_next(self._tracker, row.prediction, self._wanted, seconds, self._shown_from)
        for region in candidates:
            self._take(region, len(self._rows), seconds)
        self._rows.append((row.key, row.source, tracks))

    def _take(self, region: Region, place: int, seconds: float) -> None:
        track = region.track or 0
        names = self._names.setdefault(track, {})
        names[region.label] = names.get(region.label, 0.0) + (1.0 if region.score is None else region.score)
        if region.cover:
            self.covers[track] = region.cover
        before, was = self._last.get(track, (place, region))
        began = self._rows[before][1].seconds or 0.0 if before < place else seconds
        if place - before - 1 <= _BRIDGED_FRAMES or seconds - began <= _BRIDGED_SECONDS:
            for between in range(before + 1, place):
                share = ((self._rows[between][1].seconds or 0.0) - began) / (seconds - began)
                self._bridged.setdefault(between, []).append(replace(was.moved_to(region.xyxy, share), score=None))
        self._last[track] = place, region

    def frames(self) -> dict[bytes, FollowedFrame]:
        """Return all frames that are answered."""
        gaps = [later - sooner for sooner, later in pairwise(self._times) if later > sooner]
        step = median_low(gaps) if gaps else _USUAL_STEP
        return {
            key: FollowedFrame(
                tracks,
                VideoFrame(source.path, stem_of(source.name), place + 1, source.seconds or 0.0, step),
                tuple(self._bridged.get(place, ())),
            )
            for place, (key, source, tracks) in enumerate(self._rows)
        }

    def names(self) -> Iterator[tuple[int, str]]:
        """Yield what each track is called: what most of its regions are, the surer the more."""
        for track, labels in self._names.items():
            yield track, max(labels, key=lambda label: labels[label])


def follow_next(
    tracker: Tracker, prediction: Prediction, wanted: Question, seconds: float, shown_from: float
) -> tuple[list[Region], tuple[int | None, ...]]:
    """Return the regions of the next frame that have a track, and the track of each region before any is left out.

    A region that the page would show begins a track. One below that score, where nobody has asked for another, can go
    on with one.
    """
    numbers = range(1, len(prediction.regions) + 1)
    numbered = tuple(map(lambda region, number: replace(region, track=number), prediction.regions, numbers))
    asked = replace(prediction, question=wanted, regions=numbered)
    candidates = chosen(asked).regions
    sure = {region.track for region in chosen(asked, shown_from=shown_from).regions}
    is_sure = [region.track in sure for region in candidates]
    found = tracker.follow(candidates, seconds, prediction.resolution_wh, is_sure)
    by_number = {region.track: track for region, track in zip(candidates, found, strict=True)}
    followed = [replace(region, track=track) for region, track in zip(candidates, found, strict=True) if track]
    return followed, tuple(map(by_number.get, numbers))


def film_frames(
    answers: Answers,
    reader: SourceReader,
    followed: Followed,
    left_out: list[str],
    *,
    has_pixels: bool,
    only_approved: bool,
) -> Iterator[Annotated]:
    """Yield the frames of all videos, in their order, with what a film shows of them.

    A frame that cannot be read, or a whole video where its first one cannot, is left out with a sentence.
    """
    gone: set[str] = set()
    started: set[str] = set()
    for row in answers.rows(by_document=True, only_approved=only_approved):
        path, place = row.source.path, followed.frame_of(row)
        if place is None or path in gone:
            continue
        try:
            # Formats that have no pixels read them all from the video itself: one is enough to see that it is there.
            image = _image(row, reader) if has_pixels or path not in started else None
        except ImageRejected as error:
            left_out.append(f"{row.source if has_pixels else path}: {error}")
            gone |= set() if has_pixels else {path}
            continue
        started.add(path)
        frame = replace(place, frame_from=partial(reader.frame_from, path), sound=partial(reader.sound_of, path))
        picture = image or partial(reader.read, row.source)
        yield Annotated(row.source.stem, followed.in_film(row), picture, frame=frame)


def _image(row: Row, reader: SourceReader) -> InputImage:
    image = reader.read(row.source)
    if row.prediction and image.digest != row.prediction.digest:
        raise ImageRejected("It is another picture than the one that was asked about. Start the command again.")
    return image
