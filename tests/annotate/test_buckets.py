"""Pictures in buckets: what is found and read there is what a folder of the same files gives."""

import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from playground.annotate.beside import Beside, write_beside
from playground.annotate.job import PictureAnswered, PictureSkipped
from playground.annotate.journal import Journal
from playground.annotate.reading import SourceReader
from playground.annotate.sources import JOURNAL, PictureSource, check_sources, find_sources
from playground.errors import SourceRejected
from playground.export import Affixes
from playground.pictures.reader import read_image
from playground.question import Question
from tests.annotate.doubles import GroupPredictor, run

Bucket = Callable[[Path], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, a document with two pages, an archive, what is hidden, no picture, and the output of a job."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "out").mkdir()
    pages = [Image.new("RGB", (30 + number, 20), (number, 9, 9)) for number in range(4)]
    pages[0].save(folder / "page10.png")
    pages[1].save(folder / "deep" / "page2.png")
    pages[2].save(folder / "scan.pdf", save_all=True, append_images=pages[3:])
    pages[3].save(folder / "out" / "drawn.png")
    (folder / "out" / JOURNAL).write_bytes(b"")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(folder / "deep" / "page2.png", "inside.png")
    for name in ("broken.jpg", ".hidden.png", "notes.md"):
        (folder / name).write_bytes(b"no picture")
    return folder


def as_local(folder: Path) -> str:
    return folder.as_uri()


def in_memory(folder: Path) -> str:
    memory = fsspec.filesystem("memory")
    if memory.exists("/bucket"):
        memory.rm("/bucket", recursive=True)
    for file in folder.rglob("*"):
        if file.is_file():
            memory.pipe(f"/bucket/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return "memory://bucket"


def read_all(*given: str) -> list[tuple[str, str, str]]:
    """Return the stem of each picture, its file's digest, and its own or why there is none."""
    reader = SourceReader(read_image)
    found = []
    for source in find_sources(given):
        read = reader.read_new(source, lambda *_: False)
        found.append((source.stem, read.sha256, read.image.digest if read.image else read.error))
    return found


@pytest.mark.parametrize("bucket", [as_local, in_memory])
def test_a_bucket_is_read_as_a_folder_is(folder: Path, bucket: Bucket) -> None:
    url = bucket(folder)
    check_sources([url])
    found = read_all(url)
    assert found == read_all(str(folder))
    assert [stem for stem, _, _ in found] == ["broken", "inside", "page10", "scan-p001", "scan-p002", "page2"]
    assert read_all(f"{url}/*.png") == read_all(f"{folder}/*.png")
    assert read_all(f"{url}/deep/page2.png") == read_all(f"{folder}/deep/page2.png")
    assert [source.problem for source in find_sources([f"{url}/notes.txt"])] == [
        f"There is no file or folder '{url}/notes.txt'. Check the spelling."
    ]


def test_a_job_over_a_bucket_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    url, out, captions = in_memory(folder), tmp_path / "out", Question("<CAPTION>")
    told = run(GroupPredictor(), [url], out, captions)
    assert [type(event) for event in told].count(PictureAnswered) == 5
    assert {type(event) for event in run(GroupPredictor(), [url], out, captions)} == {PictureSkipped}
    with closing(Journal(out, captions)) as journal:
        written = write_beside(journal, captions, Beside.NEW, Affixes(), shown_from=0.0)
    assert not written.num_pictures, "nothing is written into a bucket"
    assert len(written.left_out) == 5


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("memory://nowhere/x", "There is no file or folder 'memory://nowhere/x'", id="nothing there"),
        pytest.param("memory://nowhere/*.png", "No file fits the pattern", id="no match"),
        pytest.param("s3://bucket/x.png", "needs a package that is not installed", id="no package"),
        pytest.param("nothing://x", "cannot be read", id="an unknown scheme"),
        pytest.param("zip://a.png::memory://b", "cannot be read", id="a file in a file"),
    ],
)
def test_what_is_not_there_is_a_sentence(url: str, said: str) -> None:
    with pytest.raises(SourceRejected, match=said.replace("*", r"\*")):
        check_sources([url])
    assert all(source.problem for source in find_sources([url]) if isinstance(source, PictureSource))
