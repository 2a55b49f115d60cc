"""One picture out: each format is read back by the library that owns it, and compared with values written out here."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground.drawing import Look, annotate, draw
from playground.drawing.annotate import draw_overlay
from playground.errors import ExportRejected
from playground.export import FORMATS, VIDEO_FORMATS, Annotated, as_crops, export, file_name
from playground.export.annotated import MAX_PARTS
from playground.pictures.reader import InputImage
from playground.regions import Region
from playground.results import Prediction
from tests.export.samples import (
    ALL,
    CAR,
    LEFT,
    LOOK,
    NOTE,
    READERS,
    RIGHT,
    SECOND_CAR,
    SIGN,
    TREE,
    WHEELS,
    files_of,
    instances_of,
    labels_of,
    noise,
    predict,
    read_coco,
    read_voc,
    read_yolo,
    rows_of,
    street,
    unzip,
    written,
)

ODD_LABELS = ("<b>&\"'", "a/b", "../../etc/passwd", "红色的车", "", "=1+1", "line\nbreak", "\x00\x0b", "\ud800")
ZIPS = ("crops", "coco", "coco_results", "yolo", "voc", "labelme", "createml", "label_studio", "cvat", "captions")


def save(format_id: str, *regions: Region) -> bytes:
    return written([street(*regions)], format_id)


@pytest.mark.parametrize(
    ("format_id", "of_one", "of_two"),
    [
        ("png", "street-annotated.png", "street-annotated.zip"),
        ("jpeg", "street-annotated.jpg", "street-annotated.zip"),
        ("overlay", "street-overlay.png", "street-overlay.zip"),
        ("crops", "street-crops.zip", "street-crops.zip"),
        ("txt", "street.txt", "street.zip"),
        ("json", "street.json", "street.jsonl"),
        ("csv", "street.csv", "street.csv"),
        ("coco", "street-coco.zip", "street-coco.zip"),
        ("yolo", "street-yolo.zip", "street-yolo.zip"),
        ("voc", "street-voc.zip", "street-voc.zip"),
        ("label_studio", "street-label-studio.zip", "street-label-studio.zip"),
    ],
)
def test_each_format_names_its_file(format_id, of_one, of_two):
    assert file_name("street", format_id) == of_one
    assert file_name("street", format_id, count=2) == of_two


def test_there_is_a_row_for_every_format_that_was_promised():
    assert ALL == (
        "png", "jpeg", "overlay", "crops", "txt", "md", "pdf", "hocr", "alto", "json", "csv", "counts", "coco",
        "coco_results", "yolo", "voc", "labelme", "createml", "label_studio", "cvat", "captions",
    )  # fmt: skip
    assert all(row.title and row.cannot_carry.endswith(".") for row in FORMATS)


def test_an_unknown_format_is_refused_with_the_names_of_the_others():
    problem = r"'docx' is not a format\. Formats: png, jpeg, overlay, crops, txt, md, pdf, hocr, alto, json, csv"
    with pytest.raises(ExportRejected, match=problem):
        save("docx")
    with pytest.raises(ExportRejected, match=problem):
        file_name("street", "docx")


def test_the_page_about_formats_lists_them_all():
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert listed == [row.id for row in (*FORMATS, *VIDEO_FORMATS)]


@pytest.mark.parametrize("format_id", ALL)
def test_a_picture_of_another_size_is_refused(format_id):
    other = InputImage(noise().pixels.resize((80, 60)), digest="other")
    with pytest.raises(ExportRejected, match="about a picture of 160 x 120 pixels, but this one has 80 x 60"):
        written([Annotated("street", predict(CAR), other)], format_id)


def test_another_picture_of_the_same_size_is_refused():
    about_another = replace(predict(CAR), digest=noise(seed=4).digest)
    with pytest.raises(ExportRejected, match="is about another picture of the same size"):
        written([Annotated("street", about_another, noise())], "png")
    assert written([Annotated("street", about_another, noise(seed=4))], "png")


def test_png_is_the_annotated_picture_and_says_who_answered():
    picture = Image.open(io.BytesIO(save("png", CAR)))
    assert picture.tobytes() == draw(noise().pixels, predict(CAR), LOOK).tobytes()
    assert picture.text["Description"] == f"Florence-2 Playground: tiny-florence2 answered <OD>. {NOTE}"


def test_overlay_is_the_drawing_alone():
    picture = Image.open(io.BytesIO(save("overlay", CAR)))
    assert picture.mode == "RGBA"
    assert picture.tobytes() == draw_overlay((160, 120), predict(CAR), LOOK).tobytes()
    assert NOTE in picture.text["Description"]


def test_a_note_in_another_script_is_kept_in_a_png():
    chinese = replace(predict(CAR), notices=("演示模型", "\ud800"))
    content = written([Annotated("street", chinese, noise())], "png")
    assert Image.open(io.BytesIO(content)).text["Description"].endswith("演示模型 ?")


def test_crops_are_the_pixels_and_masks_are_the_shape(tmp_path):
    folder = unzip(save("crops", CAR, WHEELS, SIGN), tmp_path)
    crop, mask = Image.open(folder / "crops/001-car.png"), Image.open(folder / "masks/001-car.png")
    assert crop.tobytes() == noise().pixels.crop((40, 60, 121, 111)).tobytes()
    assert mask.size == crop.size
    assert mask.convert("L").getextrema() == (255, 255)

    shape = np.asarray(Image.open(folder / "masks/002-wheels.png").convert("L"))
    assert shape.shape == (21, 81)
    assert (shape[10, 5], shape[10, 40], shape[10, 70]) == (255, 0, 255)

    tilted = np.asarray(Image.open(folder / "masks/003-STOP.png").convert("L"))
    assert (tilted[0, 0], tilted[20, 30]) == (0, 255)


def test_crops_of_odd_labels_have_safe_names_and_keep_the_labels():
    regions = [replace(CAR, label=label) for label in ODD_LABELS[:-1]]
    files = files_of(save("crops", *regions))
    kept = Prediction.from_dict(json.loads(files["prediction.json"]))
    assert [name for name in files if name.startswith("crops/")] == [
        "crops/001-_b_&_'.png", "crops/002-a_b.png", "crops/003-___.._etc_passwd.png", "crops/004-红色的车.png",
        "crops/005-region.png", "crops/006-=1+1.png", "crops/007-line_break.png", "crops/008-region.png",
    ]  # fmt: skip
    assert [region.label for region in kept.regions] == list(ODD_LABELS[:-1])


def test_a_crop_of_no_area_has_one_pixel(tmp_path):
    folder = unzip(save("crops", Region("dot", (160.0, 120.0, 160.0, 120.0))), tmp_path)
    assert Image.open(folder / "crops/001-dot.png").getpixel((0, 0)) == noise().pixels.getpixel((159, 119))


def test_crops_without_regions_are_refused():
    with pytest.raises(ExportRejected, match="no region to cut out"):
        save("crops")


def test_crops_that_are_too_large_together_are_refused(monkeypatch):
    monkeypatch.setattr(as_crops, "MAX_PAINTED_MEGAPIXELS", 0.01)
    with pytest.raises(ExportRejected, match="Hide some regions"):
        save("crops", SECOND_CAR)


@pytest.mark.parametrize("format_id", ["png", "jpeg", "overlay"])
def test_regions_that_are_too_large_together_to_be_drawn_are_refused(monkeypatch, format_id):
    monkeypatch.setattr(annotate, "MAX_PAINTED_MEGAPIXELS", 0.01)
    with pytest.raises(ExportRejected, match=r"too many to be drawn\. Hide some of them, choose the style Box"):
        save(format_id, SECOND_CAR, WHEELS)
    blurred = Look(("blur",))
    with pytest.raises(ExportRejected, match="too many to be drawn"):
        export([street(SECOND_CAR)], format_id, io.BytesIO(), blurred)
    assert save(format_id, SECOND_CAR)  # lines round boxes cost next to nothing


@pytest.mark.parametrize("format_id", ALL)
def test_outlines_of_very_many_parts_are_refused(format_id):
    crowd = replace(WHEELS, polygons=(LEFT,) * (MAX_PARTS // 2 + 1))
    with pytest.raises(ExportRejected, match="5002 parts and 20008 points; at most 5000 parts"):
        save(format_id, crowd, crowd)


def test_json_is_the_wire_form():
    content = save("json", CAR, SIGN, WHEELS, replace(TREE, label="树"))
    assert "树" in content.decode("utf-8")
    assert Prediction.from_dict(json.loads(content)) == predict(CAR, SIGN, WHEELS, replace(TREE, label="树"))


def test_csv_has_a_row_for_each_region():
    rows = rows_of(save("csv", CAR, TREE, SIGN, WHEELS))
    assert rows[0] == {
        "label": "car", "score": "0.875", "x_min": "40.25", "y_min": "60.5", "x_max": "120.125", "y_max": "110.0",
        "area": "3953.812", "xyxyxyxy": "", "polygons": "", "source": "model",
        "text": "", "is_unsure": "no",
    }  # fmt: skip
    assert rows[1]["score"] == ""
    assert json.loads(rows[2]["xyxyxyxy"]) == list(SIGN.xyxyxyxy)
    assert json.loads(rows[3]["polygons"]) == [[list(point) for point in part] for part in (LEFT, RIGHT)]


@pytest.mark.parametrize(
    ("label", "guarded"),
    [
        *[(f"{sign}1", f"'{sign}1") for sign in "=+-@＝＋－＠﹣"],
        ("\t=1", "\t'=1"),
        ("\r=1", "\r'=1"),
        ("\n=1", "\n'=1"),
        (' "=1', "' \"=1"),
        ("\u3000\ufeff=1", "'\u3000\ufeff=1"),
        ("car;=1", "car;'=1"),  # Excel divides cells there in Germany, France and many others
        ('car;"=1"', 'car;\'"=1"'),
        ("car\t＋1\r\n@SUM(A1)", "car\t'＋1\r\n'@SUM(A1)"),
    ],
)
def test_csv_guards_a_label_that_a_spreadsheet_would_calculate(label, guarded):
    assert rows_of(save("csv", replace(CAR, label=label)))[0]["label"] == guarded


@pytest.mark.parametrize("label", ['say "hi", twice', "two\nlines", "红色的车", "a=b", "red; blue", "a - b, -c", ""])
def test_csv_keeps_other_labels(label):
    assert rows_of(save("csv", replace(CAR, label=label)))[0]["label"] == label


def test_csv_has_only_its_header_where_nothing_was_found():
    header = "label,score,x_min,y_min,x_max,y_max,area,xyxyxyxy,polygons,source,text,is_unsure\r\n"
    assert save("csv").decode("utf-8-sig") == header


@pytest.mark.parametrize(
    ("format_id", "precision"),
    [
        pytest.param("coco", 1e-4, id="coco"),
        pytest.param("yolo", 0.002, id="yolo: five decimals of 160"),
        pytest.param("voc", 0.5, id="voc: whole pixels"),
    ],
)
def test_datasets_keep_boxes_and_labels(tmp_path, format_id, precision):
    dataset = READERS[format_id](save(format_id, CAR, TREE, SECOND_CAR), tmp_path)
    (detections,) = dataset.annotations.values()
    assert dataset.classes == ["car", "tree"]
    assert labels_of(dataset) == {"street.png": ["car", "tree", "car"]}
    expected = [[40.25, 60.5, 120.125, 110.0], [5.0, 6.0, 30.0, 70.0], [0.0, 0.0, 160.0, 120.0]]
    assert detections.xyxy == pytest.approx(np.array(expected), abs=precision)


@pytest.mark.parametrize("format_id", READERS)
def test_datasets_carry_the_picture_unchanged(tmp_path, format_id):
    (path,) = READERS[format_id](save(format_id, CAR), tmp_path).image_paths
    assert Path(path).name == "street.png"
    assert Image.open(path).tobytes() == noise().pixels.tobytes()


@pytest.mark.parametrize("format_id", READERS)
def test_datasets_without_regions_are_valid(tmp_path, format_id):
    dataset = READERS[format_id](save(format_id), tmp_path)
    assert dataset.classes == []
    assert [len(detections) for detections in dataset.annotations.values()] == [0]


@pytest.mark.parametrize("format_id", READERS)
def test_datasets_keep_odd_labels_as_far_as_they_say(tmp_path, format_id):
    regions = [replace(CAR, label=label) for label in ODD_LABELS]
    dataset = READERS[format_id](save(format_id, *regions), tmp_path)
    assert labels_of(dataset)["street.png"] == [
        '<b>&"\'', "a/b", "../../etc/passwd", "红色的车", "region", "=1+1", "line break", "region", "region",
    ]  # fmt: skip


@pytest.mark.parametrize("format_id", READERS)
def test_datasets_cut_boxes_at_the_edge_of_the_picture(tmp_path, format_id):
    dataset = READERS[format_id](save(format_id, Region("far", (-50.0, -1e30, 500.0, 60.0))), tmp_path)
    (detections,) = dataset.annotations.values()
    assert detections.xyxy == pytest.approx(np.array([[0.0, 0.0, 160.0, 60.0]]), abs=1e-3)


@pytest.mark.parametrize("format_id", READERS)
def test_class_names_are_cut_after_so_many_characters(tmp_path, format_id):
    dataset = READERS[format_id](save(format_id, replace(CAR, label="w" * 100_000)), tmp_path)
    assert dataset.classes == ["w" * 500]


def test_coco_keeps_polygons_and_quads_exactly_and_scores_beside(tmp_path):
    read_coco(save("coco", WHEELS, SIGN, TREE), tmp_path)
    written = json.loads((tmp_path / "annotations/instances_default.json").read_text("utf-8"))
    wheels, sign, tree = written["annotations"]
    assert wheels["segmentation"] == [[20.5, 20, 40, 20, 40, 40, 20.5, 40], [80, 20, 100, 20, 100, 40, 80, 40]]
    assert (wheels["iscrowd"], wheels["area"], wheels["score"]) == (0, 790.0, 0.75)
    assert (sign["segmentation"], sign["area"]) == ([list(SIGN.xyxyxyxy)], 1600.0)
    assert (tree["segmentation"], tree["area"]) == ([[5, 6, 30, 6, 30, 70, 5, 70]], 1600.0)
    assert "score" not in tree
    assert [category["id"] for category in written["categories"]] == [1, 2, 3]


def test_coco_claims_no_license_and_no_date(tmp_path):
    read_coco(save("coco", CAR), tmp_path)
    written = json.loads((tmp_path / "annotations/instances_default.json").read_text("utf-8"))
    assert written["licenses"] == []
    assert written["images"] == [{"id": 1, "file_name": "street.png", "height": 120, "width": 160}]
    assert NOTE in written["info"]["description"]


@pytest.mark.parametrize("format_id", ["coco", "yolo", "voc"])
def test_outlines_come_back_as_masks(tmp_path, format_id):
    options = {"force_masks": True} if format_id == "coco" else {}
    dataset = READERS[format_id](save(format_id, WHEELS), tmp_path, **options)
    (detections,) = dataset.annotations.values()
    together = np.asarray(detections.mask).any(axis=0)
    expected = np.zeros((120, 160), dtype=bool)
    expected[20:41, 20:41] = expected[20:41, 80:101] = True
    assert (together & expected).sum() / (together | expected).sum() > 0.9
    assert len(detections) == 1, "the parts are one object"


def test_yolo_writes_quads_as_oriented_boxes(tmp_path):
    dataset = read_yolo(save("yolo", SIGN, CAR), tmp_path, is_obb=True)
    (detections,) = dataset.annotations.values()
    corners = [
        [[60.0, 20.0], [110.0, 30.0], [100.0, 60.0], [50.0, 50.0]],
        [[40.25, 60.5], [120.125, 60.5], [120.125, 110.0], [40.25, 110.0]],
    ]
    assert detections.data["xyxyxyxy"] == pytest.approx(np.array(corners), abs=0.002)


def test_yolo_settings_name_the_folder_of_pictures(tmp_path):
    read_yolo(save("yolo", CAR), tmp_path)
    assert (tmp_path / "data.yaml").read_text("utf-8") == 'nc: 1\nnames: ["car"]\ntrain: images\nval: images\n'


def test_voc_keeps_the_boxes_of_quads(tmp_path):
    dataset = read_voc(save("voc", SIGN), tmp_path)
    (detections,) = dataset.annotations.values()
    assert detections.xyxy == pytest.approx(np.array([[50.0, 20.0, 110.0, 60.0]]), abs=1)
    assert "<database>Florence-2 Playground</database>" in (tmp_path / "Annotations/street.xml").read_text("utf-8")


@pytest.mark.parametrize("format_id", ZIPS)
def test_archives_say_who_answered_and_what_is_missing(format_id):
    row = next(row for row in FORMATS if row.id == format_id)
    readme = files_of(save(format_id, CAR))["README.txt"].decode("utf-8")
    assert NOTE in readme
    assert row.cannot_carry in readme


@pytest.mark.parametrize("format_id", ALL)
def test_every_format_takes_odd_labels_and_all_shapes_at_once(format_id):
    regions = [replace(region, label=label) for label in ODD_LABELS for region in (CAR, SIGN, WHEELS)]
    assert len(save(format_id, *regions)) > 100


def test_a_path_holds_the_whole_file_or_what_it_held_before(tmp_path):
    path = tmp_path / "street.zip"
    path.write_bytes(b"before")
    for target in (path, str(path)):
        with pytest.raises(ExportRejected):
            export([street()], "crops", target, LOOK)
        assert path.read_bytes() == b"before"
    export([street(CAR)], "crops", path, LOOK)
    assert "crops/001-car.png" in files_of(path.read_bytes())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("source", ["model", "edited", "added"])
def test_who_drew_a_region_is_kept_where_there_is_a_place(source):
    region = replace(CAR, source=source)
    assert json.loads(save("json", region))["regions"][0]["source"] == source
    assert json.loads(files_of(save("crops", region))["prediction.json"])["regions"][0]["source"] == source
    assert rows_of(save("csv", region))[0]["source"] == source
    assert instances_of(save("coco", region))["annotations"][0]["source"] == source


@pytest.mark.parametrize(
    ("source", "cvat", "label_studio"),
    [("model", "auto", "prediction"), ("edited", "semi-auto", "prediction-changed"), ("added", "manual", "manual")],
)
def test_tools_for_labeling_learn_who_drew_a_region(source, cvat, label_studio):
    region = replace(CAR, source=source)
    assert json.loads(files_of(save("labelme", region))["street.json"])["shapes"][0]["source"] == source
    assert f'source="{cvat}"' in files_of(save("cvat", region))["annotations.xml"].decode()
    (task,) = json.loads(files_of(save("label_studio", region))["tasks.json"])
    assert task["predictions"][0]["result"][0]["origin"] == label_studio


def test_what_was_asked_about_a_region_is_kept_where_there_is_a_place():
    region = replace(CAR, text="A red car with a dent.")
    assert rows_of(save("csv", region))[0]["text"] == region.text
    assert instances_of(save("coco", region))["annotations"][0]["text"] == region.text
    assert json.loads(files_of(save("labelme", region))["street.json"])["shapes"][0]["description"] == region.text
    (task,) = json.loads(files_of(save("label_studio", region))["tasks.json"])
    assert [row["value"].get("text") for row in task["predictions"][0]["result"]] == [None, [region.text]]


@pytest.mark.parametrize("format_id", ["png", "overlay", "coco", "coco_results", "yolo", "voc", "createml"])
def test_formats_without_a_place_for_who_drew_a_region_say_so(format_id):
    assert "who drew a region" in next(row.cannot_carry for row in FORMATS if row.id == format_id)


@pytest.mark.parametrize("format_id", ALL)
def test_saving_leaves_picture_and_prediction_alone(format_id):
    image, prediction = noise(), predict(CAR, WHEELS)
    before = (image.pixels.tobytes(), prediction.to_dict())
    written([Annotated("street", prediction, image)], format_id)
    assert (image.pixels.tobytes(), prediction.to_dict()) == before
