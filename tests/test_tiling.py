"""A picture in tiles: where they lie, and how what was found in them becomes one answer."""

import threading
from contextlib import closing
from itertools import pairwise

import pytest

from playground.events import RunStage
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Box, Region
from playground.scenes.scene import make_scattered_scene
from playground.tiling import MAX_TILES, TileAnswer, count_tiles, join_parts, side_for, tiles_of

SIZE = (175, 100)
LEFT, RIGHT, WHOLE = (0.0, 0.0, 100.0, 100.0), (75.0, 0.0, 175.0, 100.0), (0.0, 0.0, 175.0, 100.0)


@pytest.mark.parametrize(("size", "side"), [((3000, 2000), 400), ((1001, 300), 500), ((300, 4000), 333)])
def test_tiles_cover_the_picture_and_overlap_by_a_quarter(size: tuple[int, int], side: int) -> None:
    tiles = tiles_of(size, side)
    assert len(tiles) == count_tiles(size, side)
    for axis in (0, 1):
        spans = sorted({(tile[axis], tile[axis + 2]) for tile in tiles})
        assert (spans[0][0], spans[-1][1]) == (0, size[axis])
        assert all(span[1] - span[0] == min(side, size[axis]) for span in spans)
        assert all(before[1] - after[0] >= 0.25 * side - 1 for before, after in pairwise(spans))


def test_the_side_of_tiles_suits_the_picture_and_the_model() -> None:
    assert side_for((3000, 2000), 768) == 1536
    assert side_for((1600, 900), 768) == 960
    assert tiles_of((700, 500), side_for((700, 500), 768)) == []
    assert 0 < count_tiles((9000, 9000), side_for((9000, 9000), 160)) <= MAX_TILES


def box(label: str, x_min: float, x_max: float, score: float = 0.8, *, is_text: bool = False) -> Region:
    """A region 20 pixels high, or 10 of a text."""
    bottom = 50.0 if is_text else 60.0
    quad = (x_min, 40.0, x_max, 40.0, x_max, bottom, x_min, bottom) if is_text else None
    return Region(label, (x_min, 40.0, x_max, bottom), score, quad)


@pytest.mark.parametrize(
    ("found", "joined"),
    [
        pytest.param([(LEFT, box("cat", 80, 95)), (RIGHT, box("cat", 81, 96, 0.9))],
                     [("cat", 81, 96)], id="seen by two, once and by the surer"),
        pytest.param([(LEFT, box("cat", 80, 95)), (RIGHT, box("dog", 81, 95, 0.9))],
                     [("dog", 81, 95)], id="named in two ways"),
        pytest.param([(LEFT, box("cat", 10, 30)), (LEFT, box("cat", 12, 32)), (RIGHT, box("cat", 120, 140))],
                     [("cat", 10, 30), ("cat", 12, 32), ("cat", 120, 140)], id="two of one tile are two"),
        pytest.param([(LEFT, box("snail", 90, 100)), (RIGHT, box("cat", 90, 110))],
                     [("cat", 90, 110)], id="a piece goes where the whole thing is"),
        pytest.param([(LEFT, box("bus", 70, 100)), (RIGHT, box("bus", 75, 110))],
                     [("bus", 70, 110)], id="two pieces are put together"),
        pytest.param([(LEFT, box("bus", 90, 100))], [], id="a piece that the neighbor does not confirm"),
        pytest.param([(WHOLE, box("bus", 20, 160)), (LEFT, box("car", 30, 60, 0.7)), (RIGHT, box("bus", 80, 120, 0.9))],
                     [("bus", 20, 160)], id="of what is large the whole picture speaks"),
        pytest.param([(WHOLE, box("man", 20, 160)), (LEFT, box("hat", 30, 45, 0.9))],
                     [("man", 20, 160), ("hat", 30, 45)], id="a thing on another, surely"),
        pytest.param([(WHOLE, box("rat", 12, 30)), (LEFT, box("cat", 10, 30, 0.6))],
                     [("cat", 10, 30)], id="of what is small the tile speaks"),
        pytest.param([(LEFT, box("HELLO WO", 20, 100, is_text=True)), (RIGHT, box("LO WORLD", 75, 150, is_text=True))],
                     [("HELLO WORLD", 20, 150)], id="a line that no tile has whole"),
    ],
)  # fmt: skip
def test_of_all_tiles_each_thing_is_told_once(
    found: list[tuple[Box, Region]], joined: list[tuple[str, float, float]]
) -> None:
    tiles = dict.fromkeys((*(tile for tile, _ in found), LEFT, RIGHT))
    parts = [TileAnswer(tile, [region for other, region in found if other == tile]) for tile in tiles]
    regions = join_parts(parts, SIZE)
    assert [(region.label, region.xyxy[0], region.xyxy[2]) for region in regions] == joined


@pytest.fixture(scope="module")
def vast() -> tuple[object, list[str]]:
    scene = make_scattered_scene(1_000_003, resolution_wh=(1200, 900), side=40, count=4)
    return scene.image, sorted(thing.kind for thing in scene.things)


def test_small_things_of_a_large_picture_are_found_in_its_tiles(predictor: Predictor, vast) -> None:
    image, kinds = vast
    assert predictor.predict(image, Question("<OD>", min_scores=0.5)).regions == ()  # type: ignore[arg-type]
    closer = predictor.predict(image, Question("<OD>", tiles=0, min_scores=0.5))  # type: ignore[arg-type]
    assert sorted(region.label for region in closer.regions) == kinds
    together = predictor.predict_together([image, image], Question("<OD>", tiles=0, min_scores=0.5))  # type: ignore[arg-type]
    assert [sorted(region.label for region in answer.regions) for answer in together] == [kinds] * 2


def test_an_answer_grows_tile_by_tile_and_ends_where_it_is_stopped(predictor: Predictor, vast) -> None:
    stop = threading.Event()
    with closing(predictor.run(vast[0], Question("<OD>", tiles=0), stop=stop)) as predictions:
        for prediction in predictions:
            if prediction.regions:
                stop.set()
    assert (prediction.is_final, prediction.stage) == (True, RunStage.STOPPED)
    assert prediction.regions
    assert prediction.raw_text.count("\n") < count_tiles((1200, 900), 320)
