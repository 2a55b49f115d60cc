"""Pictures that are read by processes of their own: what comes back, and what becomes of one that takes too much."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground.errors import ImageRejected
from playground.pictures.frames import FrameStep, VideoFile, frame_times
from playground.pictures.limits import Limits
from playground.pictures.plain import look_plainly
from playground.pictures.reader import read_image
from playground.pictures.workers import Allowance, PictureWorkers, _Worker
from tests.pictures.files import bmp, encoded
from tests.pictures.test_frames import film

LINUX = pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="only Linux holds a process to its memory")
GRADIENT = Image.fromarray(np.arange(120 * 90 * 3, dtype=np.uint32).reshape(90, 120, 3).astype(np.uint8))
PNG = encoded(GRADIENT, "PNG")


@pytest.fixture(scope="module")
def workers() -> Iterator[PictureWorkers]:
    workers = PictureWorkers(Limits(max_megapixels=1))
    yield workers
    workers.close()


def of(workers: PictureWorkers) -> list[int]:
    """The processes that wait."""
    return [worker._process.pid for worker in workers._idle]


def test_a_worker_reads_what_read_image_reads(workers: PictureWorkers, tmp_path: Path) -> None:
    (tmp_path / "名前.png").write_bytes(PNG)
    turned = Image.Exif()
    turned[274] = 6
    large = encoded(GRADIENT.resize((1600, 900)), "JPEG", exif=turned)
    for source in (PNG, tmp_path / "名前.png", str(tmp_path / "名前.png"), large):
        read, expected = workers.read(source), read_image(source, Limits(max_megapixels=1))
        assert read == expected
        assert (read.notices, read.pixels.tobytes()) == (expected.notices, expected.pixels.tobytes())
    assert workers.read(np.asarray(GRADIENT)) == read_image(PNG)  # what is no file is read here
    GRADIENT.save(tmp_path / "two.tiff", save_all=True, append_images=[GRADIENT.rotate(180)])
    second = workers.read(tmp_path / "two.tiff", page=1)
    assert (second, second.num_pages) == (read_image(tmp_path / "two.tiff", page=1), 2)
    for source in (b"", PNG[:99], "nowhere.png"):
        with pytest.raises(ImageRejected) as here:
            read_image(source)
        with pytest.raises(ImageRejected) as there:
            workers.read(source)
        assert str(there.value) == str(here.value)
    assert len(of(workers)) == 1


def test_a_worker_looks_as_others_do(workers: PictureWorkers, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    turned = Image.Exif()
    turned[274] = 6
    jpegs = encoded(GRADIENT, "JPEG"), encoded(GRADIENT, "JPEG", exif=turned)
    for source in (PNG, tmp_path / "a.png", *jpegs, PNG[:99]):
        for at_pixels in (True, False):
            assert workers.look_plainly(source, at_pixels=at_pixels) == look_plainly(source, at_pixels=at_pixels)
    seen = workers.look_plainly(PNG)
    assert seen is not None
    assert (seen.extension, seen.size, seen.digest) == ("png", (120, 90), read_image(PNG).digest)
    late = PictureWorkers(count=1, allowance=Allowance(seconds=0.01))  # in which no process has even begun
    assert late.look_plainly(PNG) is None


def test_what_is_in_a_film_and_in_a_file_of_pages_is_found_out_by_a_worker(
    workers: PictureWorkers, tmp_path: Path
) -> None:
    path = str(film(tmp_path / "film.mp4", [0, 3, 6, 9, 12]))
    step = FrameStep(frames=2)
    times = list(workers.frame_times(path, step))
    assert times == pytest.approx(list(frame_times(path, step)), abs=1e-4)
    assert [workers.read_frame(path, time).digest for time in times] == [
        read_image(VideoFile(path).frame_at(time)).digest for time in times
    ]
    pages = tmp_path / "pages.tiff"
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    frames[0].save(pages, save_all=True, append_images=frames[1:])
    assert workers.num_pages(pages) == 3
    (tmp_path / "no.mp4").write_bytes(b"no film")
    for ask in (lambda: list(workers.frame_times(str(tmp_path / "no.mp4"), step)), lambda: workers.num_pages(b"%PDF-")):
        with pytest.raises(ImageRejected):
            ask()


def test_a_worker_imports_no_more_than_it_needs(workers: PictureWorkers) -> None:
    workers.read(PNG)
    maps = Path(f"/proc/{of(workers)[0]}/maps")
    if not maps.is_file():
        pytest.skip("only Linux says what a process has loaded")
    assert not any(name in maps.read_text() for name in ("torch", "gradio", "cv2"))


def test_a_worker_that_dies_is_a_sentence_and_replaced(workers: PictureWorkers) -> None:
    workers.read(PNG)
    (idle,) = of(workers)
    for told_to_all in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # by a terminal, or a host that ends a program
        os.kill(idle, told_to_all)
    assert workers.read(PNG) == read_image(PNG)
    assert of(workers) == [idle]
    os.kill(idle, signal.SIGKILL)  # as the system does where memory is short
    time.sleep(0.2)
    assert workers.read(PNG) == read_image(PNG)
    assert of(workers) != [idle]


@LINUX
def test_a_picture_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    workers = PictureWorkers(count=1, allowance=Allowance(megabytes=40))
    with pytest.raises(ImageRejected, match="memory"):
        workers.read(encoded(Image.new("RGB", (5000, 4000)), "PNG"))
    assert workers.read(PNG) == read_image(PNG)
    workers.close()


@LINUX
def test_a_picture_that_takes_too_long_is_refused() -> None:
    workers = PictureWorkers(count=1, allowance=Allowance(cpu_seconds=0, seconds=100))  # to the next whole one
    runs = bmp((9000, 900), 8, 1, b"\x01\x07" * 1_400_000)
    began = time.monotonic()
    with pytest.raises(ImageRejected, match="longer than 0 seconds"):
        workers.read(runs)
    assert time.monotonic() - began < 50  # it was the processor's time that ended it
    assert workers.read(PNG) == read_image(PNG)
    workers.close()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
def test_who_waits_for_a_worker_waits_no_longer_than_the_pictures_before_may_take() -> None:
    workers = PictureWorkers(count=2)
    with ThreadPoolExecutor() as people:
        list(people.map(workers.read, [PNG] * 2))
        while len(of(workers)) < 2:  # a picture may have been read by one of them alone
            workers._idle.append(_Worker(workers._allowance))
        for worker in workers._idle:  # those that are started later have the time that their start takes
            worker._allowance = Allowance(seconds=2)
        for process in of(workers):
            os.kill(process, signal.SIGSTOP)  # a decoder that never ends
        began = time.monotonic()
        stuck = [people.submit(workers.read, PNG) for _ in range(2)]
        while of(workers):
            time.sleep(0.01)
        assert workers.read(PNG) == read_image(PNG)  # somebody else
        assert 2 < time.monotonic() - began < 20
        said = [str(read.exception()) for read in stuck]
    assert all("longer than" in sentence for sentence in said)
    workers.close()


def test_where_all_are_busy_for_long_a_sentence_says_so() -> None:
    workers = PictureWorkers(count=1, allowance=Allowance(wait_seconds=0.1))
    with workers._worker(), pytest.raises(ImageRejected, match="So many pictures"):
        workers.read(PNG)
    workers.close()
