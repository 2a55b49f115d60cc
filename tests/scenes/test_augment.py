"""What happens to a picture on its way keeps its size, and the truth stays where the pixels are."""

import random
from functools import cache

import numpy as np
import pytest
from PIL import Image

from playground.regions import Region
from playground.scenes.augment import degrade, jpeg, on_page
from playground.scenes.scene import Scene, make_scene

RESOLUTIONS = [
    pytest.param((256, 256), id="square"),
    pytest.param((300, 140), id="wide"),
    pytest.param((140, 300), id="tall"),
    pytest.param((32, 32), id="small"),
]
STRIPS = [pytest.param((3, 40), id="a strip"), pytest.param((1, 1), id="one pixel")]


@cache
def drawn(seed: int, resolution_wh: tuple[int, int] = (256, 256)) -> Scene:
    return make_scene(seed, resolution_wh=resolution_wh, supersampling=1)


def difference(some: Image.Image, others: Image.Image) -> float:
    """Return the mean distance of two pictures, in levels of 0..255."""
    return float(np.abs(np.asarray(some, dtype=float) - np.asarray(others, dtype=float)).mean())


def places(scene: Scene) -> list[np.ndarray]:
    """Return every point of the truth: corners of boxes, outlines and quads."""
    regions = [region for thing in scene.things for region in (thing.region, thing.writing) if region]
    coordinates = [np.array([*region.xyxy, *(region.xyxyxyxy or ())]) for region in regions]
    outlines = [np.array(outline) for region in regions for outline in region.polygons]
    return [points.reshape(-1, 2) for points in (*coordinates, *outlines)]


# Flaws


@pytest.mark.parametrize("resolution_wh", [*RESOLUTIONS, *STRIPS])
def test_a_degraded_picture_has_its_size_and_mode(resolution_wh: tuple[int, int]) -> None:
    image = drawn(0, resolution_wh).image
    for seed in range(40):
        degraded = degrade(random.Random(seed), image)
        assert (degraded.size, degraded.mode) == (resolution_wh, "RGB")


def test_the_same_chance_makes_the_same_flaws() -> None:
    image = drawn(0).image
    for seed in range(20):
        assert degrade(random.Random(seed), image).tobytes() == degrade(random.Random(seed), image).tobytes()


def test_flaws_are_mild_and_spare_some_pictures() -> None:
    image = drawn(0).image
    before = image.tobytes()
    degraded = [degrade(random.Random(seed), image) for seed in range(100)]
    assert image.tobytes() == before
    distances = [difference(image, other) for other in degraded]
    assert 10 < sum(distance == 0 for distance in distances) < 50
    assert max(distances) < 60
    assert np.median(distances) < 12


def test_a_jpeg_is_nearer_to_its_picture_the_better_its_quality() -> None:
    image = drawn(0).image
    distances = [difference(image, jpeg(image, quality)) for quality in (95, 50, 10)]
    assert 0 < distances[0] < distances[1] < distances[2] < 10
    assert (jpeg(image, 50).size, jpeg(image, 50).mode) == (image.size, "RGB")


# Screenshots


@pytest.mark.parametrize("resolution_wh", RESOLUTIONS)
def test_a_page_has_the_size_of_the_scene_and_all_its_things(resolution_wh: tuple[int, int]) -> None:
    for seed in range(20):
        scene = drawn(seed, resolution_wh)
        page = on_page(random.Random(seed), scene)
        assert page.image.size == page.resolution_wh == resolution_wh
        assert (page.seed, page.background) == (scene.seed, scene.background)
        for thing, moved in zip(scene.things, page.things, strict=True):
            assert (moved.description, moved.hidden) == (thing.description, thing.hidden)
            assert (moved.writing and moved.writing.label) == (thing.writing and thing.writing.label)
        for points in places(page):
            assert (points >= 0).all()
            assert (points <= resolution_wh).all()


def test_the_same_chance_makes_the_same_page() -> None:
    some, other = (on_page(random.Random(5), drawn(1)) for _ in range(2))
    assert some.image.tobytes() == other.image.tobytes()
    assert some.things == other.things


def test_all_truth_of_a_page_is_moved_alike() -> None:
    for seed in range(20):
        scene = drawn(seed)
        page = on_page(random.Random(seed), scene)
        if not scene.things:
            continue
        before, after = np.concatenate(places(scene)), np.concatenate(places(page))
        for axis in (0, 1):
            scale, offset = np.polyfit(before[:, axis], after[:, axis], 1)
            assert 0.55 < scale < 0.95
            np.testing.assert_allclose(before[:, axis] * scale + offset, after[:, axis], atol=1e-6)


def look(image: Image.Image, region: Region) -> Image.Image:
    """Return what is in a box, coarsely, in a common size."""
    return image.resize((10, 10), Image.Resampling.BOX, box=region.xyxy)


def test_the_truth_of_a_page_is_where_the_pixels_are() -> None:
    num_regions = 0
    for seed in range(25):
        scene = drawn(seed, (512, 512))
        page = on_page(random.Random(seed), scene)
        for thing, moved in zip(scene.things, page.things, strict=True):
            pairs = [(thing.region, moved.region), (thing.writing, moved.writing)]
            for region, there in pairs:
                if region and there:
                    num_regions += 1
                    in_place = difference(look(scene.image, region), look(page.image, there))
                    left_behind = difference(look(scene.image, region), look(page.image, region))
                    assert in_place < 8, (seed, thing.description)
                    assert in_place < 0.3 * left_behind, (seed, thing.description)
    assert num_regions > 80
