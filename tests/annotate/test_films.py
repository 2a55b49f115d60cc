"""Videos in, videos out: things that move keep their numbers, and every format of frames says so."""

import configparser
import csv
import io
import json
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from playground.annotate.answers import Answers
from playground.annotate.outputs import VIDEO_FORMAT_IDS, WrittenFile, write_output
from playground.annotate.reading import SourceReader
from playground.annotate.sources import Wanted, find_sources, read_step
from playground.pictures.reader import read_image
from playground.pictures.workers import PictureWorkers
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.annotate.doubles import QUESTION, GroupPredictor, run

_COLORS = {"red": (230, 20, 20), "blue": (20, 20, 230)}
_RATE, _SECONDS, _STEP = 10, 4, 0.5


def _boxes(seconds: float) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Two red squares that pass each other, and a blue one that comes in after a second."""
    right = round(20 * seconds)
    boxes = [("red", (10 + right, 10, 30 + right, 30)), ("red", (110 - right, 34, 130 - right, 54))]
    return boxes + ([("blue", (60, 60 + round(6 * seconds), 84, 84 + round(6 * seconds)))] if seconds >= 1 else [])


def film(path: Path, *, sound: str = "") -> Path:
    with av.open(str(path), "w", format="mpegts" if path.suffix == ".mts" else None) as container:
        stream = container.add_stream("libx264" if path.suffix != ".avi" else "mpeg4", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        heard: Any = container.add_stream(sound, rate=44100, layout="mono") if sound else None
        for number in range(_RATE * _SECONDS):
            picture = Image.new("RGB", (160, 120), "white")
            for color, box in _boxes(number / _RATE):
                ImageDraw.Draw(picture).rectangle(box, fill=_COLORS[color])
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if heard:
            for start in range(0, 44100 * _SECONDS, 1024):
                wave = np.sin(np.arange(start, start + 1024) / 20) * 9000
                samples = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
                samples.pts, samples.sample_rate = start, 44100
                container.mux(heard.encode(samples))
            container.mux(heard.encode())
    return path


class SquareFinder(GroupPredictor):
    """Finds the squares, all but one of them at two seconds."""

    def answers(self, images: Sequence[Any], question: Question) -> list[Prediction]:
        answers = super().answers(images, question)
        return [
            replace(answer, regions=tuple(_found(image.pixels))) for image, answer in zip(images, answers, strict=True)
        ]


def _found(picture: Image.Image) -> list[Region]:
    pixels = np.asarray(picture).astype(int)
    found = []
    for color, rgb in _COLORS.items():
        mask = np.abs(pixels - rgb).max(axis=2) < 90
        for rows in (slice(0, 32), slice(32, 57), slice(57, 120)):
            ys, xs = mask[rows].nonzero()
            if len(xs) > 100:
                box = (xs.min(), ys.min() + rows.start, xs.max() + 1, ys.max() + rows.start + 1)
                found.append(Region(color, tuple(map(float, box)), 0.9))
    is_at_two_seconds = any(region.label == "blue" and 70 < region.xyxy[1] <= 73 for region in found)
    return [region for region in found if not (is_at_two_seconds and region.xyxy[1] < 20)]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    path = film(folder / "squares.mp4", sound="aac")
    run(SquareFinder(), [path], folder / "job", sources=sources(path))
    return folder / "job"


def sources(path: Path) -> Any:
    return find_sources([path], Wanted(frames=read_step(f"{_STEP}s", "", "")))


def written(folder: Path, format_id: str, reader: SourceReader | None = None, **options: Any) -> WrittenFile:
    file = write_output(
        Answers(folder), reader or SourceReader(read_image), format_id, QUESTION, shown_from=0.2, **options
    )
    assert file is not None
    return file


def opened(path: Path) -> tuple[list[float], list[Image.Image], float]:
    """When the frames of a film are shown, the frames, and how long it is heard."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        frames = [(float(frame.time), frame.to_image()) for frame in container.decode(container.streams.video[0])]
    with av.open(str(path)) as container:
        heard = [float(frame.time) for frame in container.decode(audio=0)] if container.streams.audio else [0.0]
    return [time for time, _ in frames], [picture for _, picture in frames], max(heard)


def test_the_same_number_is_the_same_thing_in_every_format(job, tmp_path):
    with written(job, "tracks").path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted({(row["track"], row["label"]) for row in rows}) == [("1", "red"), ("2", "red"), ("3", "blue")]
    assert [row["seconds"] for row in rows if row["track"] == "1"] == [f"{n / 2}" for n in range(8)]
    (bridged,) = [row for row in rows if not row["score"]]
    assert (bridged["track"], bridged["seconds"], bridged["y_min"]) == ("1", "2.0", "10.0")
    assert float(bridged["x_min"]) == pytest.approx(50, abs=2)

    lines = [json.loads(line) for line in written(job, "json").path.read_text().splitlines()]
    assert [(line["frame"], line["seconds"]) for line in lines] == [(n + 1, n / 2) for n in range(8)]
    assert [[region["track"] for region in line["regions"]] for line in lines[:3]] == [[1, 2], [1, 2], [1, 2, 3]]

    with zipfile.ZipFile(written(job, "mot").path) as archive:
        truth = archive.read("squares/gt/gt.txt").decode().splitlines()
        assert archive.read("squares/gt/labels.txt").decode().split() == ["red", "blue"]
        settings = configparser.ConfigParser()
        settings.read_string(archive.read("squares/seqinfo.ini").decode())
        assert dict(settings["Sequence"])["seqlength"] == "8"
        assert Image.open(io.BytesIO(archive.read("squares/img1/000008.jpg"))).size == (160, 120)
    assert len(truth) == len(rows)
    assert truth[0].split(",")[:3] == ["1", "1", "10.00"]

    assert Image.open(written(job, "timeline").path).width > 1000


def test_the_film_has_all_frames_moves_with_the_things_and_is_heard(job):
    times, pictures, heard = opened(written(job, "mp4").path)
    assert times == pytest.approx([n / _RATE for n in range(_RATE * _SECONDS)], abs=1e-3)
    assert heard == pytest.approx(_SECONDS, abs=0.1)
    between = np.asarray(pictures[7]).astype(int)  # of two that were asked about, 14 pixels on the way
    edges = [x for x in range(10, 40) if between[24, x].min() < 140 and between[24, x].max() < 250]
    assert min(edges) == pytest.approx(10 + 14, abs=3)


def test_what_is_stopped_is_a_film_and_begun_again_the_whole_one(tmp_path):
    path = film(tmp_path / "a.mp4")
    whole = tmp_path / "whole"
    run(SquareFinder(), [path], whole, sources=sources(path))
    run(SquareFinder(), [path], tmp_path / "job", sources=[*sources(path)][:3])
    assert opened(written(tmp_path / "job", "mp4").path)[0][-1] == pytest.approx(1.4, abs=1e-3)
    run(SquareFinder(), [path], tmp_path / "job", sources=sources(path))
    part = written(tmp_path / "job", "mp4", is_stopped=iter([False, False, True]).__next__).path
    assert opened(part)[0][-1] == pytest.approx(0.9, abs=1e-3)
    for format_id in VIDEO_FORMAT_IDS:
        mine, other = (written(folder, format_id, name="x").path for folder in (tmp_path / "job", whole))
        assert mine.read_bytes() == other.read_bytes(), format_id


@pytest.mark.parametrize(("name", "sound"), [("a.mts", "aac"), ("a.mov", "pcm_s16le"), ("a.mkv", "")])
def test_videos_of_other_kinds_become_films_too(tmp_path, name, sound):
    path = film(tmp_path / name, sound=sound)  # one cannot be sought in, of one the sound is none for MP4, one has none
    run(SquareFinder(), [path], tmp_path / "job", sources=sources(path))
    with closing(PictureWorkers(count=1)) as workers:  # as a server reads it
        read = SourceReader(workers.read, videos=workers)
        times, _, heard = opened(file := written(tmp_path / "job", "mp4", read).path)
        content = file.read_bytes()
    assert len(times) == _RATE * _SECONDS
    assert heard == pytest.approx(_SECONDS if sound else 0, abs=0.1)
    assert written(tmp_path / "job", "mp4").path.read_bytes() == content


class OnceCovering(SquareFinder):
    """Covers one of the red squares, in the first frame alone."""

    def answers(self, images: Sequence[Any], question: Question) -> list[Prediction]:
        first, *rest = super().answers(images, question)
        top, *others = first.regions
        is_first = top.xyxy[0] < 15
        return [replace(first, regions=(replace(top, cover="cover"), *others)) if is_first else first, *rest]


def test_what_is_hidden_in_one_frame_is_hidden_in_all_and_between(tmp_path):
    path = film(tmp_path / "a.mp4")
    run(OnceCovering(), [path], tmp_path / "job", sources=sources(path))
    times, pictures, _ = opened(written(tmp_path / "job", "mp4").path)
    assert times[-1] == pytest.approx(3.5, abs=1e-3), "behind the last answer nobody knows where it is"
    for seconds, picture in zip(times, pictures, strict=True):
        (_, (x_min, y_min, x_max, y_max)), *_ = _boxes(seconds)
        inside = np.asarray(picture)[y_min + 2 : y_max - 1, x_min + 2 : x_max - 1].astype(int)
        assert (inside[..., 0] - inside[..., 2]).max() < 60, f"at {seconds}"  # nothing is red
