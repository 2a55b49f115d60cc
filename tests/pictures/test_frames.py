"""Frames of videos: found by their time, upright, in whatever order they are asked for."""

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from playground.errors import ImageRejected
from playground.pictures.frames import FrameStep, VideoFile, frame_times
from playground.pictures.workers import PictureWorkers


def film(path: Path, ticks: list[int], *, rotation: int = 0) -> Path:
    """Write a video whose frames are shown at these tenths of seconds, each lighter than the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, options={"bf": "2", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for number, tick in enumerate(ticks):
            picture = Image.new("RGB", (64, 32), (10 * number, 10 * number, 10 * number))
            picture.paste("white", (0, 0, 8, 32))  # its left side
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = tick, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(path: Path, step: FrameStep) -> list[int]:
    """The frames that are wanted, by how light they are."""
    video = VideoFile(str(path))
    return [number_of(video.frame_at(round(time, 4))) for time in frame_times(str(path), step)]


def number_of(picture: Image.Image) -> int:
    return round(picture.getpixel((40, 16))[0] / 10)


def test_frames_are_chosen_by_seconds_by_number_and_within_a_range(tmp_path):
    path = film(tmp_path / "even.mp4", list(range(20)))
    assert numbers(path, FrameStep(seconds=0.5)) == [0, 5, 10, 15]
    assert numbers(path, FrameStep(frames=8)) == [0, 8, 16]
    assert numbers(path, FrameStep(seconds=0.3, start=0.4, end=1.0)) == [4, 7, 10]


def test_where_the_rate_changes_the_time_counts(tmp_path):
    path = film(tmp_path / "uneven.mp4", [0, 1, 2, 3, 14, 15, 30, 31])
    assert numbers(path, FrameStep(seconds=1.0)) == [0, 4, 6]


def test_a_frame_is_upright(tmp_path):
    for rotation, where in ((90, (16, 60)), (-90, (16, 3)), (180, (60, 16))):
        path = film(tmp_path / f"turned{rotation}.mp4", [0, 1, 2], rotation=rotation)
        picture = VideoFile(str(path)).frame_at(0.1)
        assert picture.size == ((64, 32) if rotation == 180 else (32, 64))
        assert min(picture.getpixel(where)) > 200, f"{rotation}: the white side"


def test_frames_may_be_asked_for_in_any_order(tmp_path):
    video = VideoFile(str(film(tmp_path / "even.mp4", list(range(20)))))
    assert [number_of(video.frame_at(tenths / 10)) for tenths in (12, 3, 3, 19, 0)] == [12, 3, 3, 19, 0]
    with pytest.raises(ImageRejected, match="has no frame at 9 seconds"):
        video.frame_at(9)


def test_what_is_no_video_is_a_sentence(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"hello")
    for use in (lambda path: list(frame_times(path, FrameStep())), VideoFile):
        with pytest.raises(ImageRejected, match="The video is damaged, cut short or of an unusual kind"):
            use(str(tmp_path / "a.mp4"))


def test_a_header_without_a_frame_is_a_sentence(tmp_path):
    with av.open(str(tmp_path / "header.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        container.start_encoding()
    with pytest.raises(ImageRejected, match="it ends before its first frame"):
        list(frame_times(str(tmp_path / "header.avi"), FrameStep()))


def test_a_video_that_was_cut_short_gives_what_it_has_and_says_so(tmp_path):
    path = film(tmp_path / "cut.mkv", list(range(60)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with closing(PictureWorkers(count=1)) as workers:
        for times_of in (frame_times, workers.frame_times):
            times = times_of(str(path), FrameStep(seconds=0.5))
            assert [next(times) for _ in range(3)] == [0, 0.5, 1.0]
            with pytest.raises(ImageRejected, match=r"was cut short: it ends at \d\.\d of 6\.0 seconds"):
                list(times)
            assert list(times_of(str(path), FrameStep(end=1.0))) == [0, 1.0], "no more was wanted"
