"""What is exported is read back whole by other tools: every picture, name, label, box, outline and text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import supervision as sv

from playground.export.outlines import box_inside, outline_inside
from playground.reading_order import lines_in_order
from playground.regions import Region, polygon_area
from tests.judges import rules
from tests.judges.cases import CASES, LAST_BIN, NAMES, regions_of, texts_of

SIZE = (160, 120)
Verdicts = dict[str, dict[str, Any]]

every_case = pytest.mark.parametrize("case", CASES)
boxes_alone = pytest.mark.parametrize("case", ["boxes", "captions", "read text", "empty"])  # all that such readers take


def labels_of(case: str) -> dict[str, list[str]]:
    return {name: [region.label for region in regions] for name, regions in regions_of(case).items()}


def assert_boxes(read: list[list[Any]], regions: Sequence[Region], *, within: float) -> None:
    """Compare labels and boxes, in whatever order they were read."""
    expected = sorted((region.label, *box_inside(region, SIZE)) for region in regions)
    assert [label for label, *_ in sorted(read)] == [label for label, *_ in expected]
    assert [box for _, *box in sorted(read)] == [pytest.approx(box, abs=within) for _, *box in expected]


def flat(case: str) -> list[tuple[str, Region]]:
    return [(name, region) for name, regions in regions_of(case).items() for region in regions]


@every_case
def test_pycocotools_makes_the_mask_of_every_region(verdicts: Verdicts, case: str) -> None:
    read = verdicts[case]["pycocotools"]
    assert [(row["picture"], row["label"]) for row in read] == [(f"{name}.png", r.label) for name, r in flat(case)]
    for row, (_, region) in zip(read, flat(case), strict=True):
        x_min, y_min, x_max, y_max = box_inside(region, SIZE)
        assert row["bbox"] == pytest.approx([x_min, y_min, x_max - x_min, y_max - y_min])
        assert row["area"] == pytest.approx(sum(map(polygon_area, outline_inside(region, SIZE))))
        assert row["mask_shape"] == [120, 160]
        if region is not LAST_BIN:  # a tenth of a pixel
            assert row["mask_xyxy"] == pytest.approx([x_min, y_min, x_max, y_max], abs=0.6)
            assert row["mask_area"] == pytest.approx(row["area"], rel=0.03, abs=50)


@every_case
def test_pycocotools_reads_the_texts_as_captions(verdicts: Verdicts, case: str) -> None:
    assert verdicts[case]["pycocotools captions"] == {f"{name}.png": text for name, text in texts_of(case).items()}


@every_case
def test_datumaro_reads_coco(verdicts: Verdicts, case: str) -> None:
    read = verdicts[case]["datumaro coco"]
    assert sorted(read) == sorted(NAMES)
    for name, regions in regions_of(case).items():
        item = read[name]
        assert item["size"] == [120, 160]
        assert_boxes(item["boxes"], regions, within=0.01)
        assert item["num_polygons"] == sum(len(outline_inside(region, SIZE)) for region in regions)
        assert item["captions"] == [text for text in [texts_of(case).get(name)] if text]


@every_case
def test_datumaro_reads_voc(verdicts: Verdicts, case: str) -> None:
    read = verdicts[case]["datumaro voc"]
    assert list(read) == list(NAMES)
    for name, regions in regions_of(case).items():
        assert read[name]["size"] == [120, 160]
        assert_boxes(read[name]["boxes"], regions, within=1)


@boxes_alone
def test_datumaro_reads_yolo(verdicts: Verdicts, case: str) -> None:
    read = verdicts[case]["datumaro yolo"]
    assert sorted(read) == sorted(NAMES)
    for name, regions in regions_of(case).items():
        assert_boxes(read[name]["boxes"], regions, within=0.01)


@every_case
def test_label_studio_reads_coco(verdicts: Verdicts, case: str) -> None:
    tasks = verdicts[case]["label studio coco"]
    assert [unquote(task["picture"]) for task in tasks] == [f"{name}.png" for name in NAMES]
    for task, regions in zip(tasks, regions_of(case).values(), strict=True):
        expected = [
            [shape, region.label]
            for region in regions
            for shape in ("rectanglelabels", *["polygonlabels"] * len(outline_inside(region, SIZE)))
        ]
        assert task["results"] == expected


@boxes_alone
def test_label_studio_reads_yolo(verdicts: Verdicts, case: str) -> None:
    read = {
        unquote(task["picture"]): [label for _, label in task["results"]]
        for task in verdicts[case]["label studio yolo"]
    }
    assert read == {f"{name}.png": labels for name, labels in labels_of(case).items()}


@every_case
def test_label_studio_accepts_the_predictions(verdicts: Verdicts, case: str) -> None:
    tasks = verdicts[case]["label studio"]
    assert [task["wrong"] for task in tasks] == [[]] * len(NAMES)
    assert [unquote(task["picture"]) for task in tasks] == [f"{name}.png" for name in NAMES]
    for task, (name, regions) in zip(tasks, regions_of(case).items(), strict=True):
        expected: list[list[str]] = []
        for region in regions:
            if region.xyxyxyxy:
                expected += [["polygonlabels", "text"], ["textarea", region.label]]
            else:
                expected.append(["polygonlabels" if region.polygons else "rectanglelabels", region.label])
        text = texts_of(case).get(name)
        assert task["results"] == [*expected, *([["textarea", text]] if text else [])]
        assert set(task["origins"]) <= {"prediction"}


@every_case
def test_labelme_opens_every_file(verdicts: Verdicts, case: str) -> None:
    read = verdicts[case]["labelme"]
    assert sorted(read) == sorted(NAMES)
    for name, regions in regions_of(case).items():
        assert (read[name]["picture"], read[name]["text"]) == (f"{name}.png", texts_of(case).get(name))
        shapes = read[name]["shapes"]
        groups = [[region.label] * len(outline_inside(region, SIZE)) for region in regions]
        assert [label for label, *_ in shapes] == [label for group in groups for label in group]
        for label, shape, group, points, kept in shapes:
            own = [region for region in regions if region.label == label]
            assert (shape == "polygon") == any(region.polygons or region.xyxyxyxy for region in own)
            assert (group is not None) == any(len(region.polygons) > 1 for region in own)
            assert kept in [
                {"source": "model"} | ({} if region.score is None else {"score": region.score}) for region in own
            ]
            assert all(0 <= x <= SIZE[0] and 0 <= y <= SIZE[1] for x, y in points)


@every_case
def test_datumaro_reads_cvat(verdicts: Verdicts, case: str) -> None:
    read = verdicts[case]["datumaro cvat"]
    assert sorted(read) == sorted(NAMES)
    for name, regions in regions_of(case).items():
        boxes = [region for region in regions if not (region.polygons or region.xyxyxyxy)]
        assert_boxes(read[name]["boxes"], boxes, within=0.01)
        parts = [len(outline_inside(region, SIZE)) for region in regions if region.polygons or region.xyxyxyxy]
        assert read[name]["num_polygons"] == sum(parts)
        scores = [f"{region.score:.4f}" for region in boxes if region.score is not None]
        kept = [row["score"] for row in read[name]["attributes"] if "score" in row]
        assert set(scores) <= set(kept)


@every_case
def test_what_was_read_is_the_same_in_hocr_and_alto(verdicts: Verdicts, exports: Path, case: str) -> None:
    expected = {
        name: [line.text for line in lines_in_order(regions) if any(region.xyxyxyxy for region in regions)]
        for name, regions in regions_of(case).items()
    }
    read = verdicts[case]["hocr-spec"]
    # Which is known after the last page alone, when the head of the file is written.
    missing = "[WARN] +0 : Recommended metadata field 'ocr-number-of-pages' missing"
    assert {said for name in NAMES for said in read[name]["wrong"]} == {missing}
    assert {name: read[name]["lines"] for name in NAMES} == expected
    assert verdicts[case]["alto-tools"] == expected
    for name in NAMES:
        lines = rules.read_alto(exports / case / f"alto/{name}.xml")
        assert [" ".join(word for word, _ in line) for line in lines] == expected[name]
        for x, y, width, height in (place for line in lines for _, place in line):
            assert 0 <= x <= x + width <= SIZE[0] + 0.01
            assert 0 <= y <= y + height <= SIZE[1] + 0.01


@every_case
def test_pycocotools_loads_the_results(verdicts: Verdicts, case: str) -> None:
    expected = []
    for name, region in flat(case):
        if region.score is not None:
            x_min, y_min, x_max, y_max = box_inside(region, SIZE)
            expected.append([name, region.label, [x_min, y_min, x_max - x_min, y_max - y_min], region.score])
    assert verdicts[case]["pycocotools results"] == expected


@every_case
def test_labels_follow_the_rules_of_ultralytics(exports: Path, case: str) -> None:
    read = rules.read_yolo(exports / case / "yolo")
    assert {name: [label for label, _ in read[name]] for name in NAMES} == labels_of(case)
    for name, regions in regions_of(case).items():
        for (_, shares), region in zip(read[name], regions, strict=True):
            points = np.reshape(shares, (-1, 2)) * SIZE
            if len(shares) == 4:
                points = np.array([points[0] - points[1] / 2, points[0] + points[1] / 2])
            extent = [*points.min(axis=0), *points.max(axis=0)]
            assert extent == pytest.approx(box_inside(region, SIZE), abs=0.001)


@every_case
def test_xml_has_every_field_of_voc(exports: Path, case: str) -> None:
    read = rules.read_voc(exports / case / "voc")
    assert {name: [label for label, _ in objects] for name, objects in read.items()} == labels_of(case)
    for name, regions in regions_of(case).items():
        for (_, (x_min, y_min, x_max, y_max)), region in zip(read[name], regions, strict=True):
            assert (x_min - 1, y_min - 1, x_max, y_max) == pytest.approx(box_inside(region, SIZE), abs=1)


@every_case
@pytest.mark.parametrize("format_id", ["coco", "yolo", "voc", "labelme", "createml"])
def test_supervision_reads_all(exports: Path, case: str, format_id: str) -> None:
    folder = exports / case / format_id
    dataset = {
        "coco": lambda: sv.DetectionDataset.from_coco(
            str(folder / "images/default"), str(folder / "annotations/instances_default.json")
        ),
        "yolo": lambda: sv.DetectionDataset.from_yolo(
            str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml")
        ),
        "voc": lambda: sv.DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations")),
        "labelme": lambda: sv.DetectionDataset.from_labelme(str(folder), str(folder)),
        "createml": lambda: sv.DetectionDataset.from_createml(str(folder), str(folder / "_annotations.createml.json")),
    }[format_id]()
    read = {Path(path).stem: detections for path, detections in dataset.annotations.items()}
    assert sorted(read) == sorted(NAMES)
    for name, regions in regions_of(case).items():
        assert [dataset.classes[index] for index in read[name].class_id] == [region.label for region in regions]
        if regions:
            expected = np.array([box_inside(region, SIZE) for region in regions])
            assert read[name].xyxy == pytest.approx(expected, abs=1)
    for _, picture, _ in dataset:
        assert picture.shape == (120, 160, 3)
