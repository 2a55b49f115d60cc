"""Drawn scenes: the same for everybody, true to what is drawn, and as varied as promised."""

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageChops, ImageDraw

from playground.paths import EXAMPLES
from playground.regions import Polygon
from playground.scenes import scene as scene_module
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.composition import SIZES, Composition, compose
from playground.scenes.examples import examples
from playground.scenes.painting import paint
from playground.scenes.scene import MAX_THINGS, SIGN, TRAINING_SEEDS, ScenePlan, Thing, make_scene, plan_scene
from playground.scenes.things import COLORS, KINDS

ROOT = Path(__file__).parents[2]
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

Pixels = npt.NDArray[np.uint8]


@cache
def small_scenes() -> tuple[ScenePlan, ...]:
    return tuple(plan_scene(seed, resolution_wh=(64, 64)) for seed in range(300))


planned = cache(plan_scene)


@cache
def composed(seed: int) -> Composition:
    return compose(random.Random(seed), (1.0, 1.0))


def painted(composition: Composition) -> Pixels:
    return np.asarray(paint(random.Random(0), composition, (SIDE, SIDE)))


@cache
def whole_picture(seed: int) -> Pixels:
    return painted(composed(seed))


def things_of(num_seeds: int) -> Iterator[tuple[int, int, Thing]]:
    """Yield seed, index and thing of everything in scenes of SIDE x SIDE."""
    for seed in range(num_seeds):
        for index, thing in enumerate(planned(seed).things):
            yield seed, index, thing


def pixels_of(seed: int, index: int) -> npt.NDArray[np.bool_]:
    """Return where a scene looks different without one of its things: what can be seen of that thing."""
    things = composed(seed).things
    without = painted(replace(composed(seed), things=things[:index] + things[index + 1 :]))
    return np.asarray((whole_picture(seed) != without).any(axis=2))


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
    scenes = [make_scene(seed, resolution_wh=(64, 64), supersampling=1) for seed in range(100)]
    assert len({scene.image.tobytes() for scene in scenes}) == 100


@pytest.mark.parametrize("resolution_wh", [(512, 512), (61, 47), (300, 700)], ids=["square", "tiny", "tall"])
def test_a_plan_is_all_that_is_true_of_the_picture_and_paints_nothing(
    resolution_wh: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [make_scene(seed, resolution_wh=resolution_wh, supersampling=1) for seed in range(25)]
    monkeypatch.setattr(scene_module, "paint", lambda *_, **__: pytest.fail("a plan was painted"))
    for scene in drawn:
        facts = ScenePlan(*(getattr(scene, field.name) for field in fields(ScenePlan)))
        assert plan_scene(scene.seed, resolution_wh=resolution_wh) == facts
    assert any(thing.writing for scene in drawn for thing in scene.things)
    assert any(thing.hidden for scene in drawn for thing in scene.things)


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
        scene, scaled = plan_scene(seed, resolution_wh=resolution_wh), plan_scene(seed, resolution_wh=scaled_wh)
        assert scaled.resolution_wh == scaled_wh
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
    assert make_scene(1, resolution_wh=resolution_wh).image.size == resolution_wh
    for seed in range(60):
        scene = plan_scene(seed, resolution_wh=resolution_wh)
        for region in itertools.chain.from_iterable((thing.region, thing.writing) for thing in scene.things):
            if region:
                x_min, y_min, x_max, y_max = region.xyxy
                assert 0 <= x_min < x_max <= resolution_wh[0]
                assert 0 <= y_min < y_max <= resolution_wh[1]


def test_the_box_and_the_outline_of_a_whole_thing_enclose_its_pixels() -> None:
    whole = [(seed, index, thing) for seed, index, thing in things_of(25) if not thing.hidden]
    assert len(whole) > 60
    for seed, index, thing in whole:
        drawn, outline = pixels_of(seed, index), rasterize(thing.region.polygons)
        assert box_of(drawn) == pytest.approx(thing.region.xyxy, abs=2.5), (seed, thing.description)
        assert (drawn & outline).sum() > 0.87 * (drawn | outline).sum(), (seed, thing.description)


def test_the_box_and_the_outline_of_a_hidden_thing_enclose_what_is_left_of_it() -> None:
    hidden = [(seed, index, thing) for seed, index, thing in things_of(60) if thing.hidden]
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
    for seed, index, thing in things_of(60):
        placed = composed(seed).things[index]
        whole = rasterize((placed.outline(SIDE),)).sum()
        seen = rasterize(thing.region.polygons).sum()
        assert 0 <= thing.hidden <= 0.4
        assert seen / whole == pytest.approx(1 - thing.hidden, abs=0.08), (seed, thing.description)
        x_min, y_min, x_max, y_max = (value * SIDE for value in placed.outline_box())
        left, top, right, bottom = thing.region.xyxy
        num_smaller_boxes += (right - left) * (bottom - top) < 0.95 * (x_max - x_min) * (y_max - y_min)
    assert num_smaller_boxes > 5


def test_a_quad_stands_where_the_word_is_printed() -> None:
    signs = [(seed, index, thing) for seed, index, thing in things_of(60) if thing.writing]
    assert len(signs) > 10
    for seed, index, thing in signs:
        things = list(composed(seed).things)
        things[index] = replace(things[index], word="")
        blank = painted(replace(composed(seed), things=tuple(things)))
        assert thing.writing is not None
        assert thing.writing.xyxyxyxy is not None
        rows, columns = np.nonzero((whole_picture(seed) != blank).any(axis=2))
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
    scenes = [plan_scene(seed, resolution_wh=(32, 32), sign_share=1.0) for seed in range(50)]
    assert {thing.kind for scene in scenes for thing in scene.things} == {SIGN}


# The pictures that come with the playground


def test_the_examples_are_the_pictures_of_the_truth() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.png")) == sorted(TRUTH)
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
