"""Scenes as a data set in COCO's format, in numbers, and the command that writes and prints them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import supervision as sv

from playground.scenes.captions import caption, detailed_caption, more_detailed_caption
from playground.scenes.dataset import main, statistics, write_scenes
from playground.scenes.scene import SIGN, make_scene, plan_scene
from playground.scenes.things import KINDS

ROOT = Path(__file__).parents[2]

# In numbers


@pytest.mark.parametrize("first_seed", [0, 1_000_000], ids=["training", "evaluation"])
def test_the_scenes_are_as_rich_as_promised(first_seed: int) -> None:
    figures = statistics(400, first_seed, resolution_wh=(64, 64))
    assert figures["things_per_scene"] >= 3.5
    assert figures["median_side"] <= 1 / 4
    assert figures["scenes_with_overlap"] >= 0.3
    assert figures["scenes_with_words"] >= 0.2
    assert 0.02 <= figures["scenes_without_things"] <= 0.15
    assert figures["min_character_height"] >= 1 / 16 - 1e-9  # but for rounding
    assert [figures[name] for name in ("kinds", "colors", "sizes", "backgrounds")] == [32, 10, 3, 7]


def test_statistics_count_what_is_there() -> None:
    seeds = range(3, 8)
    scenes = [plan_scene(seed) for seed in seeds]
    figures = statistics(5, 3)
    assert figures["things_per_scene"] == sum(len(scene.things) for scene in scenes) / 5
    assert figures["scenes_with_words"] == sum(any(t.kind == SIGN for t in scene.things) for scene in scenes) / 5
    assert figures["kinds"] == len({thing.kind for scene in scenes for thing in scene.things})


def test_scenes_without_things_have_no_sides_to_measure() -> None:
    figures = statistics(1, 2)
    assert figures["things_per_scene"] == 0
    assert np.isnan([figures["median_side"], figures["min_character_height"]]).all()


# A data set


@pytest.mark.parametrize("size", ["200x200", "160x240"])
def test_the_command_writes_a_dataset_that_supervision_reads(tmp_path: Path, size: str) -> None:
    assert main(["--out", str(tmp_path), "--count", "4", "--seed", "1", "--size", size]) == 0
    dataset = sv.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "annotations.json"), force_masks=True)
    assert dataset.classes == list(KINDS)
    width, height = (int(side) for side in size.split("x"))
    by_name: dict[str, Any] = {Path(path).name: (picture, detections) for path, picture, detections in dataset}
    assert sorted(by_name) == ["scene_000001.png", "scene_000002.png", "scene_000003.png", "scene_000004.png"]
    for seed in range(1, 5):
        scene = make_scene(seed, resolution_wh=(width, height))
        picture, detections = by_name[f"scene_{seed:06d}.png"]
        np.testing.assert_array_equal(picture[:, :, ::-1], np.asarray(scene.image))
        assert [dataset.classes[i] for i in detections.class_id] == [thing.kind for thing in scene.things]
        masks = detections.mask if len(detections) else ()
        for xyxy, mask, thing in zip(detections.xyxy, masks, scene.things, strict=True):
            assert xyxy == pytest.approx(thing.region.xyxy, abs=0.01)
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert box == pytest.approx(thing.region.xyxy, abs=2)


def test_the_dataset_says_more_than_coco_asks_for(tmp_path: Path) -> None:
    write_scenes(tmp_path / "new" / "folder", count=10, resolution_wh=(300, 200))
    coco: dict[str, Any] = json.loads((tmp_path / "new" / "folder" / "annotations.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert [annotation["id"] for annotation in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    for seed, image in enumerate(coco["images"]):
        scene = plan_scene(seed, resolution_wh=(300, 200))
        assert (image["width"], image["height"], image["seed"]) == (300, 200, seed)
        captions = (image["caption"], image["detailed_caption"], image["more_detailed_caption"])
        assert captions == tuple(write(scene)[0] for write in (caption, detailed_caption, more_detailed_caption))
        annotations = [annotation for annotation in coco["annotations"] if annotation["image_id"] == image["id"]]
        for annotation, thing in zip(annotations, scene.things, strict=True):
            assert names[annotation["category_id"]] == thing.kind
            assert annotation["attributes"]["color"] == thing.color
            assert annotation["attributes"]["size"] == thing.size
            assert annotation.get("text") == (thing.writing and thing.writing.label)
            assert len(annotation.get("quad", [])) == (8 if thing.writing else 0)


def test_the_annotated_area_is_that_of_what_is_visible(tmp_path: Path) -> None:
    write_scenes(tmp_path, count=10, first_seed=70, resolution_wh=(128, 128))
    annotations = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))["annotations"]
    assert any(len(annotation["segmentation"]) == 2 for annotation in annotations)  # the red cat of seed 74
    for annotation in annotations:
        outlines = [np.reshape(outline, (-1, 2)).astype(np.float32) for outline in annotation["segmentation"]]
        assert annotation["area"] == pytest.approx(sum(map(cv2.contourArea, outlines)), rel=1e-4)
        corners = np.concatenate(outlines)
        extent = [*corners.min(axis=0), *(corners.max(axis=0) - corners.min(axis=0))]
        assert annotation["bbox"] == pytest.approx(extent, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--count", "1", "--size", "512"], "'512' is not a size", id="one side"),
        pytest.param(["--count", "1", "--size", "axb"], "'axb' is not a size", id="words"),
        pytest.param(["--count", "1", "--size", "0x5"], "'0x5' is not a size", id="no width"),
        pytest.param(["--count", "1", "--size", "1x2x3"], "'1x2x3' is not a size", id="three sides"),
        pytest.param(["--count", "0"], "of at least 1, but got '0'", id="no scenes"),
        pytest.param(["--count", "few"], "of at least 1, but got 'few'", id="a word for a count"),
        pytest.param([], "--out needs --count", id="no count"),
        pytest.param(["--count", "1", "--stats"], "--stats: not allowed with argument --out", id="both"),
    ],
)
def test_an_impossible_option_is_refused(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--out", str(tmp_path), *arguments])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        main(["--out", str(tmp_path / "file"), "--count", "1"])
    assert f"{tmp_path / 'file'} cannot be written: File exists." in capsys.readouterr().err


def test_the_room_of_the_scenes_is_the_command() -> None:
    command = [sys.executable, "-m", "playground.scenes", "--stats", "--count", "3", "--size", "64x64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    figures = dict(line.split() for line in done.stdout.splitlines())
    expected = statistics(3, resolution_wh=(64, 64))
    assert {name: float(figure) for name, figure in figures.items()} == pytest.approx(expected, rel=0.001, nan_ok=True)
