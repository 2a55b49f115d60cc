"""Drawn scenes: the same for everybody, true to what is drawn, and written in the format of COCO."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image, ImageChops

from playground.results import Region
from playground.tasks import get_task
from playground.tiny import scenes
from playground.tiny.scenes import BACKGROUNDS, COLORS, DRAWINGS, KINDS, Scene, Thing, examples, make_scene

EXAMPLES = Path(__file__).parent.parent / "assets" / "examples"
TRUTH: dict[str, Any] = json.loads((EXAMPLES / "truth.json").read_text(encoding="utf-8"))
RESOLUTIONS = [
    pytest.param((512, 512), id="square"),
    pytest.param((300, 700), id="tall"),
    pytest.param((800, 350), id="wide"),
    pytest.param((61, 47), id="tiny"),
]


def thing(kind: str, color: str, xyxy: tuple[float, float, float, float]) -> Thing:
    x_min, y_min, x_max, y_max = xyxy
    triangle = ((x_min, y_max), ((x_min + x_max) / 2, y_min), (x_max, y_max))
    return Thing(kind, color, Region(label=kind, xyxy=xyxy, polygons=(triangle,)))


RED_CAR = thing("car", "red", (10, 40, 60, 70))
BLUE_CAR = thing("car", "blue", (40, 80, 80, 95))
ORANGE_FISH = thing("fish", "orange", (20, 10, 50, 30))
FISH_BETWEEN = thing("fish", "orange", (5, 60, 15, 70))


def scene_of(*things: Thing) -> Scene:
    return Scene(seed=1, background="beach", things=things, image=Image.new("RGB", (100, 100)))


def test_a_seed_gives_the_same_scene_every_time() -> None:
    first, second = make_scene(7), make_scene(7)
    assert first.things == second.things
    assert first.image.tobytes() == second.image.tobytes()


def test_seeds_differ() -> None:
    assert len({make_scene(seed, resolution_wh=(32, 32)).image.tobytes() for seed in range(50)}) == 50


def test_a_seed_has_the_composition_that_it_always_had() -> None:
    scene = make_scene(4)
    assert scene.background == "meadow"
    assert [t.description for t in scene.things] == ["blue flower", "orange heart", "purple car", "pink umbrella"]


@pytest.mark.parametrize("resolution_wh", RESOLUTIONS)
def test_every_resolution_has_the_same_composition(resolution_wh: tuple[int, int]) -> None:
    scale = np.array([*resolution_wh, *resolution_wh])
    for seed in range(10):
        reference, scene = make_scene(seed, resolution_wh=(1000, 1000)), make_scene(seed, resolution_wh=resolution_wh)
        assert scene.resolution_wh == scene.image.size == resolution_wh
        assert [t.description for t in scene.things] == [t.description for t in reference.things]
        for there, here in zip(reference.things, scene.things, strict=True):
            np.testing.assert_allclose(np.array(here.region.xyxy) / scale, np.array(there.region.xyxy) / 1000)


@pytest.mark.parametrize("resolution_wh", RESOLUTIONS)
def test_things_lie_inside_the_picture(resolution_wh: tuple[int, int]) -> None:
    for seed in range(100):
        for drawn in make_scene(seed, resolution_wh=resolution_wh).things:
            x_min, y_min, x_max, y_max = drawn.region.xyxy
            assert 0 <= x_min < x_max <= resolution_wh[0]
            assert 0 <= y_min < y_max <= resolution_wh[1]


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["as drawn", "mirrored"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_box_of_a_kind_encloses_the_pixels_drawn(kind: str, is_mirrored: bool) -> None:
    blank = Image.new("RGB", (600, 400), (1, 2, 3))
    picture = blank.copy()
    placement = scenes._Placement(kind, "red", COLORS["red"], (0.2, 0.1, 0.7, 0.9), is_mirrored)
    scenes._paint_thing(picture, placement)
    drawn = ImageChops.difference(picture, blank).getbbox()
    assert drawn == pytest.approx(placement.to_thing((600, 400)).region.xyxy, abs=2)


def test_the_box_in_a_whole_scene_encloses_the_pixels_drawn() -> None:
    scene = make_scene(1)  # one pink car on a meadow, on the lower band
    assert [t.description for t in scene.things] == ["pink car"]
    pixels = np.asarray(scene.image).astype(int)
    rows, columns = np.nonzero(np.abs(pixels - pixels[:, :1]).sum(axis=2) > 60)
    drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert drawn == pytest.approx(scene.things[0].region.xyxy, abs=2)


@pytest.mark.parametrize("kind", KINDS)
def test_an_outline_has_the_box_of_its_parts(kind: str) -> None:
    parts = np.array([point for part in DRAWINGS[kind].parts for point in part.polygon])
    outline = np.array(DRAWINGS[kind].outline)
    np.testing.assert_allclose(outline.min(axis=0), parts.min(axis=0), atol=0.001)
    np.testing.assert_allclose(outline.max(axis=0), parts.max(axis=0), atol=0.001)


def test_scenes_vary_in_everything_that_there_is() -> None:
    drawn = [make_scene(seed, resolution_wh=(16, 16)) for seed in range(300)]
    assert {scene.background for scene in drawn} == set(BACKGROUNDS)
    assert {t.kind for scene in drawn for t in scene.things} == set(KINDS)
    assert {t.color for scene in drawn for t in scene.things} == set(COLORS)
    assert {len(scene.things) for scene in drawn} == {1, 2, 3, 4, 5, 6}


def test_max_things_is_obeyed() -> None:
    assert max(len(make_scene(seed, resolution_wh=(16, 16), max_things=2).things) for seed in range(50)) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"max_things": 0}, "max_things must be in 1..6, but got 0", id="no things"),
        pytest.param({"max_things": 7}, "max_things must be in 1..6, but got 7", id="too many things"),
        pytest.param({"resolution_wh": (0, 5)}, r"of at least 1, but got \(0, 5\)", id="no width"),
    ],
)
def test_impossible_scenes_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_scene(1, **options)


def test_each_learned_task_has_an_example() -> None:
    scene = scene_of(RED_CAR, ORANGE_FISH)
    expected = {
        "<OD>", "<DENSE_REGION_CAPTION>", "<REGION_PROPOSAL>", "<CAPTION>", "<DETAILED_CAPTION>",
        "<CAPTION_TO_PHRASE_GROUNDING>", "<OPEN_VOCABULARY_DETECTION>", "<REFERRING_EXPRESSION_SEGMENTATION>",
        "<REGION_TO_SEGMENTATION>", "<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>",
    }
    assert set(examples(scene)) == expected
    assert [get_task(task_id).id for task_id in examples(scene)] == list(examples(scene))


@pytest.mark.parametrize(
    ("task_id", "labels", "things"),
    [
        pytest.param("<OD>", ["fish", "fish", "car", "car"],
                     [ORANGE_FISH, FISH_BETWEEN, RED_CAR, BLUE_CAR], id="by kind, the highest first"),
        pytest.param("<REGION_PROPOSAL>", ["", "", "", ""],
                     [ORANGE_FISH, FISH_BETWEEN, RED_CAR, BLUE_CAR], id="without names"),
        pytest.param("<DENSE_REGION_CAPTION>", ["orange fish", "orange fish", "red car", "blue car"],
                     [ORANGE_FISH, FISH_BETWEEN, RED_CAR, BLUE_CAR], id="by description"),
        pytest.param("<CAPTION_TO_PHRASE_GROUNDING>", ["two fish", "two fish", "two cars", "two cars"],
                     [ORANGE_FISH, FISH_BETWEEN, RED_CAR, BLUE_CAR], id="by phrase"),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", ["car", "car"], [RED_CAR, BLUE_CAR], id="of one kind"),
    ],
)
def test_boxes_are_grouped_by_label_from_the_top(task_id: str, labels: list[str], things: list[Thing]) -> None:
    example = examples(scene_of(BLUE_CAR, FISH_BETWEEN, RED_CAR, ORANGE_FISH), about=BLUE_CAR)[task_id]
    assert [region.label for region in example.regions] == labels
    assert [region.xyxy for region in example.regions] == [thing.region.xyxy for thing in things]


@pytest.mark.parametrize(
    ("things", "caption", "detailed"),
    [
        pytest.param([RED_CAR], "A car on a beach.", "The image shows a red car on a beach.", id="one thing"),
        pytest.param([RED_CAR, ORANGE_FISH], "A fish and a car on a beach.",
                     "The image shows an orange fish and a red car on a beach.", id="two kinds"),
        pytest.param([RED_CAR, ORANGE_FISH, BLUE_CAR, thing("box", "black", (0, 96, 9, 99)),
                      thing("box", "black", (0, 97, 9, 99)), thing("umbrella", "pink", (0, 98, 9, 99))],
                     "A fish, two cars, two boxes and an umbrella on a beach.",
                     "The image shows an orange fish, a red car, a blue car, a black box, a black box and a pink "
                     "umbrella on a beach.", id="plurals"),
    ],
)
def test_captions(things: list[Thing], caption: str, detailed: str) -> None:
    answers = examples(scene_of(*things))
    assert answers["<CAPTION>"].text == answers["<CAPTION_TO_PHRASE_GROUNDING>"].prompt_input == caption
    assert answers["<DETAILED_CAPTION>"].text == detailed
    assert answers["<CAPTION>"].regions == ()


@pytest.mark.parametrize("drawn", [RED_CAR, ORANGE_FISH], ids=["car", "fish"])
def test_region_tasks_ask_with_the_box_and_answer_about_the_thing(drawn: Thing) -> None:
    answers = examples(scene_of(RED_CAR, ORANGE_FISH), about=drawn)
    for task_id in ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>", "<REGION_TO_SEGMENTATION>"):
        assert answers[task_id].prompt_input == drawn.region.xyxy
    assert answers["<REGION_TO_CATEGORY>"].text == drawn.kind
    assert answers["<REGION_TO_DESCRIPTION>"].text == f"{drawn.color} {drawn.kind}"
    assert answers["<REGION_TO_SEGMENTATION>"].regions[0].polygons == drawn.region.polygons


def test_a_referring_expression_names_the_color_where_the_kind_is_not_enough() -> None:
    answers = examples(scene_of(RED_CAR, BLUE_CAR), about=RED_CAR)
    assert answers["<REFERRING_EXPRESSION_SEGMENTATION>"].prompt_input == "the red car"
    assert answers["<REFERRING_EXPRESSION_SEGMENTATION>"].regions[0].polygons == RED_CAR.region.polygons


def test_a_thing_that_no_words_single_out_has_no_referring_expression() -> None:
    assert "<REFERRING_EXPRESSION_SEGMENTATION>" not in examples(scene_of(ORANGE_FISH, FISH_BETWEEN))


def test_examples_of_a_scene_are_the_same_every_time() -> None:
    scene = make_scene(12)
    assert examples(scene) == examples(scene)


@pytest.mark.parametrize("size", ["200x200", "160x240"])
def test_the_command_writes_a_dataset_that_supervision_reads(tmp_path: Path, size: str) -> None:
    assert scenes.main(["--out", str(tmp_path), "--count", "3", "--seed", "10", "--size", size]) == 0
    dataset = sv.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "annotations.json"), force_masks=True)
    assert len(dataset) == 3
    resolution_wh = tuple(int(side) for side in size.split("x"))
    for seed, (path, image, detections) in zip(range(10, 13), dataset, strict=True):
        scene = make_scene(seed, resolution_wh=resolution_wh)
        assert Path(path).name == f"scene_{seed:06d}.png"
        np.testing.assert_array_equal(image[:, :, ::-1], np.asarray(scene.image))
        assert [dataset.classes[i] for i in detections.class_id] == [t.kind for t in scene.things]
        np.testing.assert_allclose(detections.xyxy, [t.region.xyxy for t in scene.things], atol=0.01)
        assert detections.mask is not None
        assert detections.mask.any(axis=(1, 2)).all()


def test_the_annotated_area_is_that_of_the_outline(tmp_path: Path) -> None:
    scenes.write_dataset(tmp_path, count=20, resolution_wh=(100, 200))
    coco = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    areas = [a for a in coco["annotations"] if names[a["category_id"]] == "box"]
    assert areas
    for annotation in areas:  # a box is a rectangle
        assert annotation["area"] == pytest.approx(annotation["bbox"][2] * annotation["bbox"][3])


@pytest.mark.parametrize(
    ("count", "size", "sentence"),
    [
        pytest.param("1", "512", "'512' is not a size", id="one side"),
        pytest.param("1", "axb", "'axb' is not a size", id="letters"),
        pytest.param("1", "0x5", "'0x5' is not a size", id="no width"),
        pytest.param("1", "1x2x3", "'1x2x3' is not a size", id="three sides"),
        pytest.param("0", "64x64", "'0' is not a count", id="no scenes"),
        pytest.param("few", "64x64", "'few' is not a count", id="a word for a count"),
    ],
)
def test_an_impossible_option_is_refused(
    count: str, size: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        scenes.main(["--out", str(tmp_path), "--count", count, "--size", size])
    assert sentence in capsys.readouterr().err


def test_scenes_are_drawn_without_torch() -> None:
    code = "import playground.tiny.scenes, sys; assert not {'torch', 'transformers', 'supervision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=EXAMPLES.parent.parent)


def test_the_examples_are_the_pictures_of_the_truth() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == sorted([*TRUTH, "truth.json"])
    assert len(TRUTH) == 8


@pytest.mark.parametrize("name", TRUTH)
def test_an_example_is_what_its_seed_draws(name: str) -> None:
    truth = TRUTH[name]
    scene = make_scene(truth["seed"], resolution_wh=tuple(truth["resolution_wh"]))
    with Image.open(EXAMPLES / name) as picture:
        assert ImageChops.difference(picture.convert("RGB"), scene.image).getbbox() is None
    assert [(t["label"], t["color"]) for t in truth["things"]] == [(t.kind, t.color) for t in scene.things]
    for stated, drawn in zip(truth["things"], scene.things, strict=True):
        assert stated["xyxy"] == pytest.approx(drawn.region.xyxy, abs=0.01)
    assert truth["caption"] == examples(scene)["<CAPTION>"].text
    assert (EXAMPLES / name).stat().st_size < 400_000
