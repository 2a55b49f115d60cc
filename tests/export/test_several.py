"""Several pictures out: one file of all of them, written as a stream, with one picture in memory at a time."""

import io
import json
import tracemalloc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from playground.drawing import draw
from playground.errors import ExportRejected
from playground.export import Annotated, dataset, export
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.export.samples import (
    ALL,
    CAR,
    LOOK,
    NOTE,
    READERS,
    SECOND_CAR,
    SIGN,
    TREE,
    WHEELS,
    described,
    files_of,
    instances_of,
    labels_of,
    noise,
    predict,
    rows_of,
    written,
)


def three() -> Iterator[Annotated]:
    """Two pictures of one name, and one in which nothing was found."""
    yield Annotated("street", predict(CAR, TREE), noise(1))
    yield Annotated("Street", predict(SECOND_CAR), lambda: noise(2))
    yield Annotated("été", predict(), lambda: noise(3))


class Sink(io.RawIOBase):
    """A stream that can only be written, such as the answer to a request."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)


class Void(Sink):
    def write(self, data: bytes) -> int:
        return len(data)


@pytest.mark.parametrize(
    ("format_id", "suffix"), [("png", "annotated.png"), ("jpeg", "annotated.jpg"), ("overlay", "overlay.png")]
)
def test_drawn_pictures_are_files_of_an_archive(format_id, suffix):
    files = files_of(written(three(), format_id))
    assert list(files) == [f"street-{suffix}", f"Street-2-{suffix}", f"été-{suffix}"]
    pictures = [Image.open(io.BytesIO(content)) for content in files.values()]
    assert all(NOTE in described(picture) for picture in pictures)
    if format_id == "png":
        assert pictures[1].tobytes() == draw(noise(2).pixels, predict(SECOND_CAR), LOOK).tobytes()


def test_a_table_begins_with_the_name_of_the_picture():
    content = written(three(), "csv")
    assert content.decode("utf-8-sig").startswith("picture,label,score,")
    rows = [(row["picture"], row["label"], row["score"]) for row in rows_of(content)]
    expected = [("street", "car", "0.875"), ("street", "tree", ""), ("Street-2", "car", "0.5"), ("été", "", "")]
    assert rows == expected, "a picture in which nothing was found has a row too"


def test_json_has_a_line_for_each_picture():
    lines = [json.loads(line) for line in written(three(), "json").decode("utf-8").splitlines()]
    assert [line["picture"] for line in lines] == ["street", "Street-2", "été"]
    assert [Prediction.from_dict(line) for line in lines] == [picture.prediction for picture in three()]


def test_crops_of_all_pictures_lie_together():
    files = files_of(written(three(), "crops"))
    names = ["street-001-car", "street-002-tree", "Street-2-001-car"]
    expected = [f"{folder}/{name}.png" for name in names for folder in ("crops", "masks")]
    assert list(files) == [*expected, "predictions.jsonl", "README.txt"]
    assert files["predictions.jsonl"] == written(three(), "json")
    with pytest.raises(ExportRejected, match="no region to cut out"):
        written([Annotated("a", predict(), noise()), Annotated("b", predict(), noise())], "crops")


@pytest.mark.parametrize("format_id", READERS)
def test_a_data_set_holds_all_pictures(tmp_path, format_id):
    read = READERS[format_id](written(three(), format_id), tmp_path)
    assert labels_of(read) == {"street.png": ["car", "tree"], "Street-2.png": ["car"], "été.png": []}
    pixels = {Path(path).name: Image.open(path).tobytes() for path in read.image_paths}
    assert pixels["Street-2.png"] == noise(2).pixels.tobytes()


def test_coco_numbers_pictures_and_annotations_from_one():
    whole = instances_of(written(three(), "coco"))
    assert [image["id"] for image in whole["images"]] == [1, 2, 3]
    assert [(row["id"], row["image_id"]) for row in whole["annotations"]] == [(1, 1), (2, 1), (3, 2)]


def test_a_note_about_many_pictures_is_written_once():
    other = replace(predict(CAR), notices=("It is truncated.",))
    pictures = [*three(), Annotated("other", other, noise())]
    readme = files_of(written(pictures, "yolo"))["README.txt"].decode("utf-8")
    assert (readme.count(NOTE), readme.count("It is truncated.")) == (1, 1)


@pytest.mark.parametrize("format_id", ALL)
@pytest.mark.parametrize("count", [1, 3])
def test_a_stream_that_cannot_seek_gets_the_same_content(format_id, count):
    sink, pictures = Sink(), list(three())[:count]
    export(pictures, format_id, sink, LOOK)
    expected = written(pictures, format_id)
    if expected.startswith(b"PK"):
        assert files_of(bytes(sink.content)) == files_of(expected)
    else:
        assert sink.content == expected


def test_names_are_given_once():
    names = ["a", "a-2", "A", "a", "../a", "", "\x00"]
    files = files_of(written([Annotated(name, predict(), noise()) for name in names], "png"))
    stems = [name.removesuffix("-annotated.png") for name in files]
    assert stems == ["a", "a-2", "A-3", "a-4", "___a", "picture", "picture-2"]


@pytest.mark.parametrize("format_id", ALL)
def test_there_must_be_a_picture(format_id):
    with pytest.raises(ExportRejected, match="no picture to save"):
        written([], format_id)


def test_a_picture_that_does_not_belong_is_named():
    other = replace(predict(CAR), resolution_wh=(80, 60))
    with pytest.raises(ExportRejected, match=r"^wrong: The prediction is about a picture of 80 x 60"):
        written([*three(), Annotated("wrong", other, noise())], "coco")


# Memory


class Watched:
    """Pictures of 4 megapixels with regions of every shape, made on demand, and how many of them lived at once."""

    def __init__(self, count: int) -> None:
        self.most = 0
        self.traced: list[int] = []
        self._count = count
        self._alive: list[weakref.ref[Image.Image]] = []

    def make(self) -> InputImage:
        pixels = Image.new("RGB", (2000, 2000))
        self._alive = [ref for ref in self._alive if ref() is not None] + [weakref.ref(pixels)]
        self.most = max(self.most, len(self._alive))
        self.traced.append(tracemalloc.get_traced_memory()[0])
        return InputImage(pixels, digest="")

    def annotated(self, *, on_demand: bool) -> Iterator[Annotated]:
        question = Question("<OPEN_VOCABULARY_DETECTION>", "car, STOP, wheels")
        for index in range(self._count):
            regions: tuple[Region, ...] = (CAR, replace(TREE, label=f"tree {index}"), SIGN)[: index % 4]
            outlines = (WHEELS,) if index % 10 == 0 else ()
            prediction = replace(predict(*regions, *outlines, question=question), resolution_wh=(2000, 2000))
            yield Annotated("street", prediction, self.make if on_demand else self.make())


@pytest.mark.parametrize("format_id", READERS)
def test_200_pictures_of_4_megapixels_never_lie_in_memory_together(monkeypatch, format_id):
    # Pillow takes a minute to compress them; what it holds meanwhile, it holds of one picture.
    monkeypatch.setattr(dataset, "png_bytes", lambda image: bytes(100_000))
    watched = Watched(200)
    tracemalloc.start()
    try:
        export(watched.annotated(on_demand=True), format_id, Void(), LOOK)
    finally:
        tracemalloc.stop()
    assert len(watched.traced) == 200
    assert watched.most <= 2
    assert max(watched.traced[100:]) - max(watched.traced[10:20]) < 2_000_000  # a picture has 12 million bytes


@pytest.mark.parametrize("format_id", ALL)
def test_pictures_that_are_handed_in_one_by_one_are_let_go(format_id):
    watched = Watched(4)
    export(watched.annotated(on_demand=False), format_id, Void(), LOOK)
    assert (len(watched.traced), watched.most) == (4, 2)
