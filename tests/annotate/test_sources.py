"""What is found where pictures are said to be, in which order, and what is refused."""

import os
import stat
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from playground.annotate import reading
from playground.annotate.archives import Archive
from playground.annotate.journal import Journal
from playground.annotate.outputs import write_output
from playground.annotate.reading import SourceReader
from playground.annotate.sources import (
    JOURNAL,
    PictureSource,
    Wanted,
    check_sources,
    count_sources,
    find_sources,
    read_pages,
    read_step,
)
from playground.errors import ImageRejected, SourceRejected
from playground.pictures.frames import FrameStep
from playground.pictures.limits import Limits
from playground.pictures.reader import read_image
from tests.annotate.doubles import QUESTION, GroupPredictor, run
from tests.pictures.test_frames import film, number_of


def names(*given: str | Path) -> list[str]:
    return [source.name for source in find_sources(given)]


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


def test_a_folder_is_looked_through_in_the_order_in_which_people_count(tmp_path):
    touch(
        tmp_path, "page10.png", "page2.PNG", "b/Z.jpg", "b/a.jpg", "a/x.webp", "notes.md", ".hidden.png", "._page2.png"
    )
    assert names(tmp_path) == ["page2.PNG", "page10.png", "x.webp", "a.jpg", "Z.jpg"]


def test_the_output_of_a_job_is_no_source(tmp_path):
    touch(tmp_path, "a.png", "out/drawn.png", f"out/{JOURNAL}")
    assert names(tmp_path) == ["a.png"]


def test_a_pattern_fits_files_in_order(tmp_path):
    touch(tmp_path, "x10.png", "x9.png", "deep/x1.png", "y.jpg")
    assert names(tmp_path / "*.png") == ["x9.png", "x10.png"]
    assert names(tmp_path / "**/*.png") == ["x1.png", "x9.png", "x10.png"]
    touch(tmp_path, "[1].png")
    assert names(tmp_path / "[1].png") == ["[1].png"], "a file that is there is itself"


def test_a_list_names_paths_from_its_own_folder_on(tmp_path):
    touch(tmp_path, "lists/a.png", "b/c.png")
    (tmp_path / "lists/all.txt").write_text(
        f"a.png\n\n# a remark\n../b\n{tmp_path}/b/c.png\nall.txt\n", encoding="utf-8"
    )
    found = list(find_sources([tmp_path / "lists/all.txt"]))
    assert [source.name for source in found] == ["a.png", "c.png", "c.png", "all.txt"]
    assert "cannot name another list" in found[-1].problem


def test_what_is_not_there_is_said_before_anything_begins(tmp_path):
    with pytest.raises(SourceRejected, match=r"There is no file or folder '.*photo\.jpg'"):
        check_sources([tmp_path / "photo.jpg"])
    with pytest.raises(SourceRejected, match=r"No file fits the pattern '.*\*\.jpg'"):
        check_sources([tmp_path / "*.jpg"])
    with pytest.raises(SourceRejected, match="There is no picture"):
        check_sources([])


def test_where_a_picture_is_can_be_written_down_and_read():
    for source in (PictureSource("photos/a.png"), PictureSource("photos/all.zip", "deep/b.png")):
        assert PictureSource.from_dict(source.to_dict()) == source


# Archives


def put(archive: zipfile.ZipFile, name: str, content: bytes = b"x", *, mode: int = stat.S_IFREG) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = (mode | 0o644) << 16
    archive.writestr(info, content)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("good.png", "../out.png", "/root.png", "C:/disk.png", "__MACOSX/._good.png", "notes.md"):
            put(archive, name)
        put(archive, "link.png", b"good.png", mode=stat.S_IFLNK)
        put(archive, "bomb.png", bytes(3 << 20))
        picture = tmp_path / "picture.png"
        Image.new("RGB", (7, 5), "red").save(picture)
        archive.write(picture, "deep/picture.png")
    return path


def test_what_would_leave_an_archive_is_no_picture(packed):
    problems = {source.member: source.problem for source in find_sources([packed])}
    assert list(problems) == [
        "good.png",
        "../out.png",
        "/root.png",
        "C:/disk.png",
        "link.png",
        "bomb.png",
        "deep/picture.png",
    ]
    assert {name for name, problem in problems.items() if "leads out of" in problem} == {
        "../out.png", "/root.png", "C:/disk.png",
    }  # fmt: skip
    assert "links in archives are not followed" in problems["link.png"]


def test_a_picture_in_an_archive_is_read_and_a_bomb_is_not(packed):
    read = SourceReader(read_image).read
    assert read(PictureSource(str(packed), "deep/picture.png")).resolution_wh == (7, 5)
    small = Archive(str(packed), Limits(max_megabytes=2))
    with pytest.raises(ImageRejected, match=r"has 3\.0 MB; the limit is 2"):
        small.read("bomb.png")
    content = packed.read_bytes()
    lied = content.replace((3 << 20).to_bytes(4, "little"), (1 << 20).to_bytes(4, "little"))
    assert lied != content
    packed.write_bytes(lied)
    with pytest.raises(ImageRejected, match="damaged in the archive"):
        Archive(str(packed), Limits(max_megabytes=2)).read("bomb.png")


def test_a_damaged_archive_and_a_folder_without_permission_are_a_row_each(packed, tmp_path):
    packed.write_bytes(packed.read_bytes()[:200])
    assert [source.problem for source in find_sources([packed])] == ["The archive is damaged or no ZIP. Pack it again."]
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    if os.access(tmp_path / "closed", os.R_OK):
        pytest.skip("Whoever runs this may read every folder.")
    assert "cannot be looked through" in next(find_sources([tmp_path / "closed"])).problem


# Pages


def test_what_an_archive_holds_in_vain_is_said(tmp_path):
    for name, members in (("twice.zip", ("inner.ZIP", "film.mp4", "notes.md")), ("none.zip", ("notes.md",))):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in members:
                put(archive, member)
    problems = {source.member or source.name: source.problem for source in find_sources([tmp_path])}
    assert list(problems) == ["none.zip", "inner.ZIP", "film.mp4"]
    assert "no picture in this archive" in problems["none.zip"]
    assert "Unpack it" in problems["film.mp4"]


def test_the_pages_of_a_document_are_pictures_in_files_and_archives(tmp_path):
    sheets = [Image.new("RGB", (60, 40), color) for color in ("red", "lime", "blue")]
    sheets[0].save(tmp_path / "one.tif")
    for name in ("fax.tif", "scan.pdf"):  # Pillow leaves the encoder of a PDF in them
        sheets[0].save(tmp_path / name, save_all=True, append_images=sheets[1:])

    (tmp_path / "broken.pdf").write_bytes(b"%PDF")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "scan.pdf", "deep/scan.pdf")
    found = list(find_sources([tmp_path], Wanted(read_pages("2-"))))
    stems = ["broken", "fax-p002", "fax-p003", "one", "scan-p002", "scan-p003", "scan-p002", "scan-p003"]
    assert [source.stem for source in found] == stems
    reader = SourceReader(read_image)
    for source in (found[1], found[4], found[6]):
        assert reader.read(source).pixels.getpixel((20, 20)) == pytest.approx((0, 255, 0), abs=3), source
    assert PictureSource.from_dict(found[6].to_dict()) == found[6]
    assert str(found[6]).endswith("z.zip: deep/scan.pdf, page 2")


def test_a_file_of_which_nothing_is_wanted_says_so_and_is_no_picture(tmp_path):
    film(tmp_path / "short.mp4", list(range(20)))
    Image.new("RGB", (60, 40)).save(tmp_path / "scan.pdf")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "scan.pdf", "scan.pdf")
    (tmp_path / "notes").mkdir()
    (tmp_path / "list.txt").write_text("notes\n", encoding="utf-8")
    given = [tmp_path, tmp_path / "list.txt", tmp_path / "notes"]
    wanted = Wanted(read_pages("4-"), frames=read_step("1s", "9", ""))
    assert [(source.name, source.problem.partition(".")[0]) for source in find_sources(given, wanted)] == [
        ("scan.pdf", "This document has 1 page, and none of those that are wanted"),
        ("short.mp4", "This video has no picture from 9 seconds on"),
        ("scan.pdf", "This document has 1 page, and none of those that are wanted"),
        ("notes", "There is no picture here"),
        ("notes", "There is no picture here"),
    ]
    assert count_sources(find_sources(given, wanted), 3) == 0
    Image.new("RGB", (60, 40)).save(tmp_path / "z.png")
    assert [count_sources(find_sources(given, wanted), most) for most in (1, 3, None)] == [1, 3, 6]


def test_pages_are_read_or_refused():
    assert read_pages("1-3, 7,10-") == (range(3), range(6, 7), range(9, 10**9))
    for text in ("0", "3-1", "a", "1-2-3", "-4"):
        with pytest.raises(SourceRejected, match="names no pages"):
            read_pages(text)


# Videos


def test_the_frames_of_a_video_are_pictures(tmp_path):
    film(tmp_path / "clip.mp4", list(range(20)))
    (tmp_path / "broken.mov").write_bytes(b"no video")
    found = list(find_sources([tmp_path], Wanted(frames=read_step("0.6s", "0", ""))))
    assert "damaged" in found[0].problem
    expected = ["clip-00h00m00s000", "clip-00h00m00s600", "clip-00h00m01s200", "clip-00h00m01s800"]
    assert [source.stem for source in found[1:]] == expected
    assert PictureSource.from_dict(found[2].to_dict()) == found[2]
    reads = list(SourceReader(read_image).read_ahead(found[1:], lambda *_: False))
    assert [number_of(read.image.pixels) for read in reads] == [0, 6, 12, 18]
    assert len({read.sha256 for read in reads}) == 1


def test_large_pictures_are_not_read_far_ahead(tmp_path, monkeypatch):
    """However long the model works on one, and with frames, which a thread of their own reads, in between."""
    film(tmp_path / "5.mp4", list(range(4)))
    for number in (*range(5), *range(6, 16)):
        Image.new("RGB", (100, 80)).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(reading, "_AHEAD_PIXELS", 3 * 100 * 80)
    sources = list(find_sources([tmp_path], Wanted(frames=read_step("0.1s", "0", ""))))
    pixels: list[int] = []

    def read(source, **options):
        image = read_image(source, **options)
        pixels.append(image.pixels.width * image.pixels.height)
        return image

    ahead = SourceReader(read).read_ahead(sources, lambda *_: False)
    for num_read, one in enumerate(ahead, start=1):
        assert one.image
        time.sleep(0.05)  # the model works
        # The next one always has room, three others have, and one waits in each of three threads.
        assert sum(pixels) <= (num_read + 1 + 3 + 3) * 100 * 80
    assert num_read == len(pixels) == len(sources)
    ahead = SourceReader(read).read_ahead(sources, lambda *_: False)
    next(ahead)
    ahead.close()  # nobody is left waiting for room


def test_steps_and_times_are_read_or_refused():
    assert read_step("0.5s", "10", "1:02:03.5") == FrameStep(0.5, 0, 10.0, 3723.5)
    assert read_step("10", "", "") == FrameStep(frames=10)
    for every, start, end in (("0s", "", ""), ("0", "", ""), ("often", "", ""), ("1s", "a", ""), ("1s", "5", "1")):
        with pytest.raises(SourceRejected):
            read_step(every, start, end)


def test_a_data_set_takes_the_pixels_of_pages_and_frames_and_never_their_file(tmp_path, monkeypatch):
    film(tmp_path / "clip.mp4", list(range(12)))
    Image.new("RGB", (60, 40), "red").save(tmp_path / "scan.pdf")
    run(GroupPredictor(), [tmp_path / "clip.mp4", tmp_path / "scan.pdf"], tmp_path / "job")
    journal = Journal(tmp_path / "job", QUESTION)
    opened: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or b"")
    written = write_output(journal, SourceReader(read_image), "coco", QUESTION, shown_from=0.0)
    journal.close()
    assert (written.num_pictures, written.left_out, opened) == (3, [], [])
    with zipfile.ZipFile(written.path) as archive:
        pictures = [name.rpartition("/")[2] for name in archive.namelist() if name.startswith("images/")]
    assert pictures == ["clip-00h00m00s000.png", "clip-00h00m01s000.png", "scan-p001.png"]
