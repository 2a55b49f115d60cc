"""Data sets as people have them: what our own exports write, what others write, and what is wrong with some."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from playground.annotate.answers import REVIEWS, Verdict
from playground.annotate.journal import Journal, Row
from playground.annotate.sources import PictureSource
from playground.datasets.labeled import Labeled
from playground.datasets.reading import LabeledData, read_dataset
from playground.errors import ImageRejected, SourceRejected
from playground.export import Annotated, export
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.export.samples import CAR, LOOK, SECOND_CAR, SIGN, TREE, WHEELS, noise

SIZE = (160, 120)
THINGS: dict[str, tuple[Region, ...]] = {"street": (CAR, TREE, WHEELS), "名前": (SECOND_CAR, SIGN), "empty": ()}


def picture(folder: Path, name: str, size: tuple[int, int] = SIZE) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)
    return path


def put(folder: Path, files: dict[str, Any]) -> Path:
    """Write texts and bytes as they are, and everything else as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def opened(data: LabeledData) -> dict[str, Labeled]:
    """Each picture that can be had, with its labels in its own pixels."""
    return {one.name: data.open(one)[1] for one in data.labeled() if not one.problem}


def stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def outline_box(region: Region) -> tuple[float, ...]:
    points = np.array([point for part in region.outline for point in part])
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


@pytest.mark.parametrize(
    ("format_id", "slack"),
    [pytest.param("coco", 0.001, id="COCO"), pytest.param("yolo", 0.01, id="YOLO"), pytest.param("voc", 1, id="VOC")],
)
@pytest.mark.parametrize("parts", [("",) * 3, ("train", "train", "val")], ids=["whole", "in parts"])
def test_what_is_exported_is_read_back_with_every_region(
    tmp_path: Path, format_id: str, slack: float, parts: tuple[str, ...]
) -> None:
    pictures = [
        replace(Annotated(name, Prediction(Question("<OD>"), "m", SIZE, regions=regions), noise(seed)), subset=part)
        for seed, ((name, regions), part) in enumerate(zip(THINGS.items(), parts, strict=True))
    ]
    file = tmp_path / "set.zip"
    export(pictures, format_id, file, LOOK)
    data = read_dataset(file)
    back = opened(data)
    assert data.summary().num_faults == 0
    assert {stem(name): one.subset for name, one in back.items()} == dict(zip(THINGS, parts, strict=True))
    for name, one in back.items():
        wanted = THINGS[stem(name)]
        assert [region.label for region in one.regions] == [region.label for region in wanted]
        for region, true in zip(one.regions, wanted, strict=True):
            assert outline_box(region) == pytest.approx(outline_box(true), abs=slack)
            assert bool(region.polygons) == bool(true.polygons or true.xyxyxyxy)


def test_predictions_and_journals_are_read_as_people_have_corrected_them(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    question = Question("<OD>", checkpoint="m")
    journal = Journal(folder, question)
    for place, (name, regions) in enumerate([("a", (CAR,)), ("b", (CAR, TREE)), ("c", (TREE,)), ("d", ())]):
        path = picture(tmp_path, f"photos/{name}.png")
        said = Prediction(question, "m", SIZE, regions=regions, is_unsure=name == "d")
        row = Row(PictureSource(str(path)), f"digest {place}", said)
        journal.append(row)
        if name in "ab":
            changes = ({"id": 1, "gone": True},) if name == "b" else ()
            journal.review(row.reviewed(Verdict.APPROVED if name == "a" else Verdict.OPEN, changes, len(changes)))
    journal.close()

    assert {n: [r.label for r in one.regions] for n, one in opened(read_dataset(folder)).items()} == {
        "a.png": ["car"], "b.png": ["car"], "c.png": ["tree"], "d.png": [],
    }  # fmt: skip
    assert list(opened(read_dataset(folder, reviewed=True))) == ["a.png", "b.png"]
    assert list(opened(read_dataset(folder, reviewed=False))) == [], "trees were wrong, and d.png is unsure"
    packed = tmp_path / "job.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in [folder / "predictions.jsonl", folder / REVIEWS, *sorted((tmp_path / "photos").iterdir())]:
            archive.write(file, f"mine/{file.name}")
    assert list(opened(read_dataset(packed, reviewed=True))) == ["a.png", "b.png"]

    several = [Annotated(name, Prediction(question, "m", SIZE, regions=(SIGN,)), noise()) for name in ("a", "b")]
    export(several, "json", tmp_path / "photos" / "saved.jsonl", LOOK)
    assert [one.regions for one in opened(read_dataset(tmp_path / "photos")).values()] == [(SIGN,), (SIGN,)]


def coco(**more: Any) -> dict[str, Any]:
    mask = np.zeros(SIZE[::-1], dtype=bool)
    mask[20:60, 30:90] = True
    drawn = {"counts": sv.mask_to_rle(mask, compressed=True), "size": [120, 160]}
    image = {"id": 7, "file_name": "a.png", "width": SIZE[0], "height": SIZE[1]}
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [30, 20, 60, 40], "segmentation": drawn},
        {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 160.5, 9]},
        {"id": 4, "image_id": 7, "category_id": [99], "bbox": [0, 0, 9, 9]},
        {"id": 5, "image_id": 7, "category_id": 3, "bbox": [300, 0, 9, 9]},
        {"id": 6, "image_id": 7, "category_id": 3, "bbox": [3, 3, 0, 9]},
        {"id": 7, "image_id": 8, "category_id": 3, "bbox": [3, 3, 1, 9]},
        {"id": 8, "image_id": 7, "category_id": 3, "bbox": [3, 3, 9, 9], "segmentation": {**drawn, "counts": "~~"}},
        "no object",
    ]  # fmt: skip
    images = [image, {**image, "id": 9, "file_name": "gone.png"}, {"id": 10}]
    return {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "car"}], **more}


def test_faults_of_coco_are_sentences_and_the_rest_is_read(tmp_path: Path) -> None:
    picture(tmp_path, "val2017/a.png")
    captions = [{"id": n, "image_id": 1, "caption": f"A car {n}."} for n in range(2)]
    about = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": captions}
    put(tmp_path, {"annotations/instances_val2017.json": coco(), "annotations/captions_val2017.json": about})
    data = read_dataset(tmp_path)
    assert (data.kind, data.classes, data.subsets) == ("COCO", ("car",), ("val",))
    [one] = opened(data).values()
    assert [region.xyxy for region in one.regions] == [(30, 20, 90, 60), (0, 0, 160, 9), (3, 3, 12, 12)]
    assert outline_box(one.regions[0]) == pytest.approx((30, 20, 90, 60), abs=1)
    assert len(one.ignored) == 1
    assert one.texts == ("A car 0.", "A car 1.")
    faults = "\n".join(data.summary().faults)
    for sentence in (
        "2 annotations are of pictures that the file does not list", "The picture 3 has no file_name",
        "There is no such picture in the data set: 'gone.png'", "category [99]", "lies outside the picture",
        "Annotation 6", "Annotation 8 has no outline with an area; its box was taken",
    ):  # fmt: skip
        assert sentence in faults
    assert data.summary().num_faults == 7
    assert read_dataset(tmp_path / "annotations" / "instances_val2017.json").summary().num_texts == 0


def test_what_other_tools_write_of_coco_is_taken_as_it_is_meant_or_told(tmp_path: Path) -> None:
    picture(tmp_path, "cafe\u0301.png")  # as macOS writes it
    one = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [30, 20, 60, 40]}
    drawn = {"counts": [0, 160 * 120], "size": [160, 120]}  # width first
    annotations = [
        one, {**one, "id": 2}, {**one, "id": 3, "bbox": [0, 0, 9, 9], "iscrowd": "0"},
        {**one, "id": 6, "bbox": None, "segmentation": coco()["annotations"][0]["segmentation"]},
        {**one, "id": 4, "bbox": [0.1, 0.1, 0.3, 0.3]}, {**one, "id": 5, "bbox": [9, 9, 20, 20], "segmentation": drawn},
    ]  # fmt: skip
    image = {"id": 7, "file_name": "caf\u00e9.png", "width": SIZE[0], "height": SIZE[1]}
    named = [{"id": 3, "name": "bus"}, {"id": 3, "name": "car"}]
    images = [image, {**image, "file_name": "b.png"}]
    put(tmp_path, {"all.json": {"images": images, "annotations": annotations, "categories": named}})
    data = read_dataset(tmp_path)
    [back] = opened(data).values()
    assert [region.xyxy for region in back.regions] == [(30, 20, 90, 60), (0, 0, 9, 9), (9, 9, 29, 29)]
    assert (back.ignored, back.regions[2].polygons) == ((), ())
    faults = "\n".join(data.summary().faults)
    for sentence in (
        "Several categories have the same id", "'b.png', has the id of another one", "4 is smaller than a pixel",
        "outline of annotation 5 is for a picture of another size", "5 regions are 3",
    ):  # fmt: skip
        assert sentence in faults


@pytest.mark.parametrize("categories", [5, "car", {"id": 3, "name": "car"}, [3], [{"id": [3], "name": "car"}], None])
def test_categories_of_coco_that_are_none_are_told(tmp_path: Path, categories: Any) -> None:
    picture(tmp_path, "a.png")
    image = {"id": 7, "file_name": "a.png", "width": SIZE[0], "height": SIZE[1]}
    one = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [3, 3, 9, 9]}
    put(tmp_path, {"all.json": {"images": [image], "annotations": [one], "categories": categories}})
    assert "Annotation 1" in "\n".join(read_dataset(tmp_path).summary().faults)


def test_what_other_tools_write_of_yolo_is_taken_as_it_is_meant_or_told(tmp_path: Path) -> None:
    lines = "1 0.5 0.5 0.5 0.5 0.4 0.4 2 0.6 0.6 2\n0.7 0.5 0.5 0.5 0.5\n"
    settings = "train: images\nval: null\nkpt_shape: [2, 3]\nnames: [null, no, {id: 2}]"
    put(tmp_path, {"data.yaml": settings, "labels/a.txt": lines, "labels/gone.txt": "", "labels/b.txt": b"\xff\xfe0"})
    for name in "ab":
        picture(tmp_path, f"images/{name}.png", (200, 100))
    data = read_dataset(tmp_path)
    assert (data.classes, data.subsets) == (("null", "no"), ("train",))
    assert [(r.label, r.xyxy) for r in opened(data)["images/a.png"].regions] == [("no", (50, 25, 150, 75))]
    faults = "\n".join(data.summary().faults)
    for sentence in ("of class 0.7", "not there: 1, such as labels/gone.txt", "labels/b.txt is not written in UTF-8"):
        assert sentence in faults
    put(tmp_path, {"other.yaml": "train: images\nnames: [car]"})
    with pytest.raises(SourceRejected, match=r"data.yaml and other.yaml name other classes"):
        read_dataset(tmp_path)


def test_faults_of_yolo_are_sentences_and_the_rest_is_read(tmp_path: Path) -> None:
    settings = "path: ../datasets/mine\ntrain: ../train/images\nval: valid/images\nnames: {0: car, 1: red tree}\n"
    lines = "1 0.5 0.5 0.5 0.5\n\n7 0.5 0.5 0.1 0.1\n0 nan 1 1 1\n0 0.1 0.1 0.5 0.1 0.3 0.4\n0 1 2\n0 .5 .5 .2 .2 .9\n"
    put(tmp_path, {"data.yaml": settings, "train/labels/a.txt": lines})
    picture(tmp_path, "train/images/a.png", (200, 100))
    picture(tmp_path, "train/images/nothing.png")
    data = read_dataset(tmp_path / "data.yaml")
    assert (data.kind, data.classes, data.subsets) == ("YOLO", ("car", "red tree"), ("train",))
    back = opened(data)
    assert back["train/images/nothing.png"].regions == ()
    tree, triangle, scored = back["train/images/a.png"].regions
    assert (tree.label, tree.xyxy) == ("red tree", (50, 25, 150, 75))
    assert np.array(triangle.polygons[0]) == pytest.approx(np.array([(20, 10), (100, 10), (60, 40)]))
    assert scored.xyxy == pytest.approx((80, 40, 120, 60))
    assert data.summary().num_faults == 4  # of which one is the missing part


LABEL = "0 0.5 0.5 0.5 0.5\n"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        pytest.param({"data.yaml": "train: /content/cars/train/images\nnames: [car]", "train/labels/a.txt": LABEL},
                     "train/images", id="a path of another machine"),
        pytest.param({"data.yaml": "path: D:\\cars\ntrain: D:\\cars\\images\\train\nnames: {0: car}",
                      "labels/train/a.txt": LABEL}, "images/train", id="a path of Windows"),
        pytest.param({"classes.txt": "car", "a.txt": LABEL}, "", id="labels beside the pictures"),
        pytest.param({"all/classes.txt": "car", "all/a.txt": LABEL}, "all", id="beside them in a folder"),
        pytest.param({"data.yaml": "train: .\nnames: [car]", "a.txt": LABEL}, "", id="the whole folder"),
    ],
)  # fmt: skip
def test_where_yolo_has_its_pictures(tmp_path: Path, files: dict[str, str], place: str) -> None:
    put(tmp_path, files)
    picture(tmp_path, f"{place}/a.png".lstrip("/"), (200, 100))
    data = read_dataset(tmp_path)
    [one] = opened(data).values()
    assert [(region.label, region.xyxy) for region in one.regions] == [("car", (50, 25, 150, 75))]
    assert data.summary().num_faults == 0


XML = """<annotation><filename>a.png</filename><size><width>160</width><height>120</height></size>
<object><name>car</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>160</xmax><ymax>60</ymax></bndbox></object>
<object><name>far</name><difficult>1</difficult><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
<object><bndbox><xmin>3</xmin></bndbox></object></annotation>"""


def test_faults_of_voc_are_sentences_and_the_rest_is_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"Annotations/a.xml": XML, "Annotations/b.xml": "<annotation><obj", "ImageSets/Main/test.txt": "a\nc\n"},
    )
    picture(tmp_path, "JPEGImages/a.png")
    data = read_dataset(tmp_path)
    [one] = opened(data).values()
    assert (one.regions[0].xyxy, one.subset, len(one.ignored)) == ((0, 0, 160, 60), "test", 1)
    assert data.summary().num_faults == 3
    assert data.summary("test").faults[1].startswith("ImageSets: 1 listed in ImageSets without a file of annotations")


def test_prompts_and_answers_are_read_by_the_grammar(tmp_path: Path) -> None:
    rows = [
        {"image": "a.png", "prefix": "<OD>", "suffix": "car<loc_0><loc_0><loc_499><loc_499>a tree<loc_5><loc_5>"},
        {"file_name": "images/a.png", "prompt": "<DocVQA>What is the date?", "answer": "12 May"},
        {"image": "a.png", "task": "<REGION_TO_CATEGORY><loc_0><loc_0><loc_499><loc_999>", "suffix": "car"},
        {"image": "a.png", "question": "What is the text in the image?", "answers": ["STOP", "stop"]},
        {"image": "a.png", "prefix": "<OD>"},
        {"image": "b.png", "prefix": "<CAPTION>", "suffix": "A car."},
    ]  # fmt: skip
    put(tmp_path, {"train.jsonl": "\n".join([*map(json.dumps, rows), "{not json"])})
    picture(tmp_path, "images/a.png", (1000, 500))
    data = read_dataset(tmp_path)
    asked = [data.open(one)[1] for one in data.labeled("train") if not one.problem]
    od, document, region, read = asked
    assert [(r.label, r.xyxy) for r in od.regions] == [("car", pytest.approx((0.5, 0.25, 499.5, 249.75)))]
    assert document.question == Question("<CUSTOM>", "<DocVQA>What is the date?")
    assert (document.texts, region.texts, read.texts) == (("12 May",), ("car",), ("STOP", "stop"))
    assert region.question is not None
    assert region.question.regions[0] == pytest.approx((0.5, 0.25, 499.5, 499.75))
    assert read.question == Question("<OCR>")
    assert data.summary().num_broken == 3


def test_lines_of_other_tools_are_read_as_they_are_meant_or_told(tmp_path: Path) -> None:
    box = "<loc_0><loc_0><loc_499><loc_499>"
    rows = [
        {"image": "a.png", "prefix": "<od>", "suffix": f"a\u2028 car{box}"},
        {"image": "a.png", "prefix": "OD", "suffix": [f"bus{box}", "tree"]},
        {"image": ["a.png", "b.png"], "prefix": "<CAPTION>", "suffix": "A car."},
    ]
    put(tmp_path, {"train.jsonl": "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)})
    picture(tmp_path, "a.png")
    data = read_dataset(tmp_path)
    one, other, _ = data.labeled()
    assert [region.label for region in (*one.regions, *other.regions)] == ["a\u2028 car", "bus"]
    assert one.question == other.question == Question("<OD>")
    faults = "\n".join(data.summary().faults)
    for sentence in ("Line 1 asks <OD> about it, too", "holds 2 answers", "This line names 2 pictures"):
        assert sentence in faults


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def odd_places(folder: Path) -> Iterator[tuple[str, Path]]:
    yield "nothing there", folder / "gone"
    (folder / "empty").mkdir()
    yield "an empty folder", folder / "empty"
    yield "pictures alone", picture(folder, "photos/a.png").parent
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    yield "a damaged archive", folder / "broken.zip"
    (folder / "movie.mp4").write_bytes(b"0000")
    yield "neither folder nor archive", folder / "movie.mp4"
    yield "other JSON", put(folder / "json", {"a.json": {"images": 3, "annotations": "none"}, "b.jsonl": "[]\n7"})
    yield "a bomb of YAML names no part", put(folder / "yaml", {"data.yaml": "names: &a [*a]\n"})


def test_what_is_no_data_set_is_refused_with_what_is_accepted(tmp_path: Path) -> None:
    for _, path in odd_places(tmp_path):
        with pytest.raises(SourceRejected, match=r"COCO .* YOLO .* VOC .* JSON Lines|ZIP"):
            read_dataset(path)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        pytest.param({"a.json": '{"images": ['}, "a.json cannot be read as JSON: Expecting value", id="JSON"),
        pytest.param({"a.xml": "<annotation><obj"}, "a.xml cannot be read as XML: unclosed token", id="XML"),
        pytest.param(
            {"a.xml": "<?xml version='1.0' encoding='x-mine'?><annotation/>"}, "unknown encoding", id="letters"
        ),
        pytest.param({"a.jsonl": b'{"image": "\xe9.png"}'}, "a.jsonl is not written in UTF-8", id="Latin 1"),
        pytest.param({"labels/a.txt": LABEL, "data.yaml": "names: [car]"}, "has no train, val or test", id="parts"),
        pytest.param({"labels/a.txt": LABEL, "data.yaml": "names: ["}, "data.yaml cannot be read as YAML", id="YAML"),
        pytest.param({"labels/a.txt": LABEL}, "labels as YOLO has them, but no data.yaml and no", id="no names"),
    ],
)
def test_what_is_nearly_a_data_set_is_told_what_it_lacks(tmp_path: Path, files: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceRejected, match=sentence):
        read_dataset(put(tmp_path, files))


def test_an_archive_that_reaches_out_and_labels_of_another_picture_are_faults_of_one_picture(tmp_path: Path) -> None:
    line = json.dumps({"image": "../a.png", "prefix": "<CAPTION>", "suffix": "x"})
    png = picture(tmp_path, "a.png").read_bytes()
    (tmp_path / "out.zip").write_bytes(zipped({"train.jsonl": line.encode(), "../a.png": png}))
    [one] = read_dataset(tmp_path / "out.zip").labeled()
    assert "leads out of the archive" in one.problem
    put(tmp_path, {"coco.json": coco(images=[{"id": 7, "file_name": "a.png", "width": 120, "height": 160}])})
    data = read_dataset(tmp_path / "coco.json")
    one = next(one for one in data.labeled() if not one.problem)
    with pytest.raises(ImageRejected, match=r"has 160 x 120 pixels, but coco\.json is about one of 120 x 160"):
        data.open(one)
