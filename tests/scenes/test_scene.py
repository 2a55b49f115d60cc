"""Drawn scenes: the same for everybody, true to what is drawn, as varied as promised, a data set in COCO's format."""

import itertools
import json
import random
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import supervision as sv
from PIL import Image, ImageChops, ImageDraw

from playground.regions import Polygon
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.composition import SIZES, compose, letters
from playground.scenes.dataset import main, statistics, write_dataset
from playground.scenes.examples import caption, detailed_caption, examples, more_detailed_caption
from playground.scenes.painting import paint
from playground.scenes.scene import MAX_THINGS, SIGN, TRAINING_SEEDS, Scene, Thing, make_scene
from playground.scenes.things import COLORS, KINDS

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "assets" / "examples"
TRUTH = json.loads((EXAMPLES / "truth.json").read_text(encoding="utf-8"))
SIDE = 512
RESOLUTIONS = [
    pytest.param((512, 512), id="square"),
    pytest.param((300, 700), id="tall"),
    pytest.param((800, 350), id="wide"),
    pytest.param((61, 47), id="tiny"),
    pytest.param((1, 1), id="one pixel"),
    pytest.param((900, 20), id="a strip"),
]


@cache
def small_scenes() -> list[Scene]:
    return [make_scene(seed, resolution_wh=(64, 64), supersampling=1) for seed in range(300)]


def things_of(seeds: range) -> list[tuple[int, int, Thing]]:
    """Return seed, index and thing of everything in scenes of SIDE x SIDE."""
    return [(seed, i, thing) for seed in seeds for i, thing in enumerate(make_scene(seed, supersampling=1).things)]


def pixels_of(seed: int, index: int) -> npt.NDArray[np.bool_]:
    """Return where a scene looks different without one of its things: what can be seen of that thing."""
    composition = compose(random.Random(seed), (1.0, 1.0))
    others = composition.placements[:index] + composition.placements[index + 1 :]
    pictures = [
        np.asarray(paint(random.Random(0), some, (SIDE, SIDE)))
        for some in (composition, replace(composition, placements=others))
    ]
    return np.asarray((pictures[0] != pictures[1]).any(axis=2))


def rasterize(polygons: tuple[Polygon, ...]) -> npt.NDArray[np.bool_]:
    canvas = Image.new("1", (SIDE, SIDE))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon([(x - 0.5, y - 0.5) for x, y in polygon], fill=1)
    return np.asarray(canvas)


def box_of(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


# The same for everybody


def test_a_seed_gives_the_same_scene_every_time() -> None:
    first, second = make_scene(7), make_scene(7)
    assert first.things == second.things
    assert first.image.tobytes() == second.image.tobytes()


def test_seeds_differ() -> None:
    assert len({scene.image.tobytes() for scene in small_scenes()}) == 300


def test_a_seed_has_the_composition_that_it_always_had() -> None:
    scene = make_scene(0)
    assert scene.background == "street"
    assert [thing.description for thing in scene.things] == [
        "small orange fish", "large white cup", "large purple bus", "black tree", "white sign", "large brown ball",
        "small pink cat",
    ]  # fmt: skip
    bus, sign = scene.things[2], scene.things[4]
    assert bus.region.xyxy == pytest.approx((261, 192, 472, 330), abs=0.5)
    assert bus.hidden == pytest.approx(0.092, abs=0.001)
    assert sign.writing is not None
    assert sign.writing.label == "RIVER"


@pytest.mark.parametrize(
    ("resolution_wh", "factor"),
    [
        pytest.param((512, 512), 0.25, id="square, smaller"),
        pytest.param((300, 200), 2.5, id="wide, larger"),
        pytest.param((200, 500), 2.0, id="tall, larger"),
    ],
)
def test_pictures_of_the_same_proportions_have_the_same_composition(
    resolution_wh: tuple[int, int], factor: float
) -> None:
    scaled_wh = (round(resolution_wh[0] * factor), round(resolution_wh[1] * factor))
    for seed in range(30):
        scene, scaled = make_scene(seed, resolution_wh=resolution_wh), make_scene(seed, resolution_wh=scaled_wh)
        assert scaled.resolution_wh == scaled.image.size == scaled_wh
        assert (scaled.background, len(scaled.things)) == (scene.background, len(scene.things))
        for here, there in zip(scene.things, scaled.things, strict=True):
            assert there.description == here.description
            assert there.hidden == here.hidden
            assert there.region.xyxy == pytest.approx([value * factor for value in here.region.xyxy], abs=1e-6)


@pytest.mark.parametrize("resolution_wh", [(0, 5), (5, -1)], ids=["no width", "negative height"])
def test_a_picture_without_pixels_is_refused(resolution_wh: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"resolution_wh must be a width and a height of at least 1, but got \("):
        make_scene(1, resolution_wh=resolution_wh)


def test_scenes_are_drawn_without_torch() -> None:
    code = "import playground.scenes.scene, sys; assert not {'torch', 'transformers', 'supervision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# True to what is drawn


@pytest.mark.parametrize("resolution_wh", RESOLUTIONS)
def test_things_and_their_words_lie_inside_the_picture(resolution_wh: tuple[int, int]) -> None:
    for seed in range(60):
        scene = make_scene(seed, resolution_wh=resolution_wh, supersampling=1)
        assert scene.image.size == resolution_wh
        for region in itertools.chain.from_iterable((thing.region, thing.writing) for thing in scene.things):
            if region:
                x_min, y_min, x_max, y_max = region.xyxy
                assert 0 <= x_min < x_max <= resolution_wh[0]
                assert 0 <= y_min < y_max <= resolution_wh[1]


def test_the_box_and_the_outline_of_a_whole_thing_enclose_its_pixels() -> None:
    whole = [(seed, index, thing) for seed, index, thing in things_of(range(25)) if not thing.hidden]
    assert len(whole) > 60
    for seed, index, thing in whole:
        drawn, outline = pixels_of(seed, index), rasterize(thing.region.polygons)
        assert box_of(drawn) == pytest.approx(thing.region.xyxy, abs=2.5), (seed, thing.description)
        assert (drawn & outline).sum() > 0.87 * (drawn | outline).sum(), (seed, thing.description)


def test_the_box_and_the_outline_of_a_hidden_thing_enclose_what_is_left_of_it() -> None:
    hidden = [(seed, index, thing) for seed, index, thing in things_of(range(60)) if thing.hidden]
    assert len(hidden) > 25
    for seed, index, thing in hidden:
        drawn, outline = pixels_of(seed, index), rasterize(thing.region.polygons)
        assert (drawn & outline).sum() > 0.85 * (drawn | outline).sum(), (seed, thing.description)
        left, top, right, bottom = (round(value) for value in thing.region.xyxy)
        boxed = drawn[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
        assert boxed.sum() > 0.97 * drawn.sum(), (seed, thing.description)  # scraps do not count
        assert box_of(drawn & outline) == pytest.approx(thing.region.xyxy, abs=3), (seed, thing.description)


def test_a_thing_that_is_hidden_has_a_smaller_outline_and_may_have_a_smaller_box() -> None:
    num_smaller_boxes = 0
    for seed, index, thing in things_of(range(60)):
        placement = compose(random.Random(seed), (1.0, 1.0)).placements[index]
        whole = rasterize((placement.outline(SIDE),)).sum()
        seen = rasterize(thing.region.polygons).sum()
        assert 0 <= thing.hidden <= 0.4
        assert seen / whole == pytest.approx(1 - thing.hidden, abs=0.08), (seed, thing.description)
        x_min, y_min, x_max, y_max = (value * SIDE for value in placement.extent())
        num_smaller_boxes += thing.region.area < 0.95 * (x_max - x_min) * (y_max - y_min)
    assert num_smaller_boxes > 5


def test_a_quad_stands_where_the_word_is_printed() -> None:
    signs = [(seed, index, thing) for seed, index, thing in things_of(range(60)) if thing.writing]
    assert len(signs) > 10
    for seed, index, thing in signs:
        composition = compose(random.Random(seed), (1.0, 1.0))
        placements = list(composition.placements)
        placements[index] = replace(placements[index], word="")
        blank = replace(composition, placements=tuple(placements))
        pictures = [np.asarray(paint(random.Random(0), some, (SIDE, SIDE))) for some in (composition, blank)]
        assert thing.writing is not None
        assert thing.writing.xyxyxyxy is not None
        rows, columns = np.nonzero((pictures[0] != pictures[1]).any(axis=2))
        left_top, right_top, _, left_bottom = np.reshape(thing.writing.xyxyxyxy, (4, 2))
        for along in (right_top - left_top, left_bottom - left_top):  # the text runs from side to side of its quad
            place = (np.stack([columns, rows], axis=1) + 0.5 - left_top) @ along / (along @ along)
            assert (place.min(), place.max()) == pytest.approx((0, 1), abs=0.06), (seed, thing.writing.label)
            assert 0.3 < np.median(place) < 0.7, (seed, thing.writing.label)


# As varied as promised


def test_everything_occurs_that_there_is() -> None:
    scenes = small_scenes()
    things = [thing for scene in scenes for thing in scene.things]
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {len(scene.things) for scene in scenes} == set(range(MAX_THINGS + 1))
    assert {thing.kind for thing in things} == set(KINDS)
    assert {thing.color for thing in things} == set(COLORS)
    assert {thing.size for thing in things} == set(SIZES)


def test_words_do_not_stay_in_memory_for_ever() -> None:
    for number in range(1000):
        letters(str(number))
    assert letters.cache_info().currsize < 500


def test_signs_carry_words_and_numbers_upright_and_slanted() -> None:
    things = [thing for scene in small_scenes() for thing in scene.things]
    assert all((thing.writing is not None) == (thing.kind == SIGN) for thing in things)
    writings = [thing.writing for thing in things if thing.writing]
    words = [writing.label for writing in writings]
    assert len(set(words)) > 60
    assert any(word.isdecimal() for word in words)
    assert any(word.isalpha() for word in words)
    rises = [writing.xyxyxyxy[3] - writing.xyxyxyxy[1] for writing in writings if writing.xyxyxyxy]
    assert any(rise == 0 for rise in rises)
    assert any(rise > 1 for rise in rises)
    assert any(rise < -1 for rise in rises)


def test_scenes_can_be_drawn_of_nothing_but_signs() -> None:
    scenes = [make_scene(seed, resolution_wh=(32, 32), supersampling=1, signs=1.0) for seed in range(50)]
    assert {thing.kind for scene in scenes for thing in scene.things} == {SIGN}


@pytest.mark.parametrize("first_seed", [0, 1_000_000], ids=["training", "evaluation"])
def test_the_scenes_are_as_rich_as_promised(first_seed: int) -> None:
    figures = statistics(400, first_seed, resolution_wh=(64, 64))
    assert figures["things_per_scene"] >= 3.5
    assert figures["median_side"] <= 1 / 4
    assert figures["scenes_with_overlap"] >= 0.3
    assert figures["scenes_with_words"] >= 0.2
    assert 0.02 <= figures["scenes_without_things"] <= 0.15
    assert figures["least_letter"] >= 1 / 16 - 1e-9  # but for rounding
    assert [figures[name] for name in ("kinds", "colors", "sizes", "backgrounds")] == [32, 10, 3, 7]


def test_statistics_count_what_is_there() -> None:
    seeds = range(3, 8)
    scenes = [make_scene(seed) for seed in seeds]
    figures = statistics(5, 3)
    assert figures["things_per_scene"] == sum(len(scene.things) for scene in scenes) / 5
    assert figures["scenes_with_words"] == sum(any(t.kind == SIGN for t in scene.things) for scene in scenes) / 5
    assert figures["kinds"] == len({thing.kind for scene in scenes for thing in scene.things})


def test_scenes_without_things_have_no_sides_to_measure() -> None:
    figures = statistics(1, 2)
    assert figures["things_per_scene"] == 0
    assert np.isnan([figures["median_side"], figures["least_letter"]]).all()


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
            assert box_of(mask) == pytest.approx(thing.region.xyxy, abs=2)


def test_the_dataset_says_more_than_coco_asks_for(tmp_path: Path) -> None:
    write_dataset(tmp_path / "new" / "folder", count=10, resolution_wh=(300, 200))
    coco: dict[str, Any] = json.loads((tmp_path / "new" / "folder" / "annotations.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert [annotation["id"] for annotation in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    for seed, image in enumerate(coco["images"]):
        scene = make_scene(seed, resolution_wh=(300, 200))
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
    write_dataset(tmp_path, count=10, first_seed=70, resolution_wh=(128, 128))
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
        pytest.param(["--count", "1", "--size", "axb"], "'axb' is not a size", id="letters"),
        pytest.param(["--count", "1", "--size", "0x5"], "'0x5' is not a size", id="no width"),
        pytest.param(["--count", "1", "--size", "1x2x3"], "'1x2x3' is not a size", id="three sides"),
        pytest.param(["--count", "0"], "'0' is not a count", id="no scenes"),
        pytest.param(["--count", "few"], "'few' is not a count", id="a word for a count"),
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


def test_the_module_of_the_scenes_is_the_command() -> None:
    command = [sys.executable, "-m", "playground.scenes.scene", "--stats", "--count", "3", "--size", "64x64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    figures = dict(line.split() for line in done.stdout.splitlines())
    expected = statistics(3, resolution_wh=(64, 64))
    assert {name: float(figure) for name, figure in figures.items()} == pytest.approx(expected, rel=0.001, nan_ok=True)


# The pictures that come with the playground


def test_the_examples_are_the_pictures_of_the_truth() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == sorted([*TRUTH, "truth.json"])
    sizes = [truth["resolution_wh"] for truth in TRUTH.values()]
    assert any(max(size) >= 2000 for size in sizes)
    assert any(width >= 2 * height for width, height in sizes)
    assert any(height > 1.7 * width for width, height in sizes)


@pytest.mark.parametrize("name", TRUTH)
def test_an_example_is_what_its_seed_draws(name: str) -> None:
    truth = TRUTH[name]
    assert truth["seed"] >= TRAINING_SEEDS
    scene = make_scene(truth["seed"], resolution_wh=tuple(truth["resolution_wh"]))
    with Image.open(EXAMPLES / name) as picture:
        assert ImageChops.difference(picture.convert("RGB"), scene.image).getbbox() is None
    assert [(t["label"], t["color"]) for t in truth["things"]] == [(t.kind, t.color) for t in scene.things]
    for stated, drawn in zip(truth["things"], scene.things, strict=True):
        assert stated["xyxy"] == pytest.approx(drawn.region.xyxy, abs=0.01)
    assert truth["caption"] == examples(scene)["<CAPTION>"].text
    assert (EXAMPLES / name).stat().st_size < 400_000
