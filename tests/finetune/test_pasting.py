"""What is pasted into a picture is where its lesson says, and nothing is where it would make an answer wrong."""

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from playground.finetune.lessons import Lesson
from playground.finetune.pasting import Scraps, paste
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Polygon, Region

WH = (400, 300)
RED, BLUE = (230, 20, 20), (20, 20, 230)
BOX = (250.0, 60.0, 310.0, 140.0)
OUTLINE = ((250.0, 60.0), (310.0, 60.0), (310.0, 140.0), (250.0, 140.0))


def picture(*boxes: tuple[float, ...]) -> Image.Image:
    drawn = Image.new("RGB", WH, (120, 120, 120))
    for box in boxes:
        ImageDraw.Draw(drawn).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=RED)
    return drawn


def lesson(*regions: Region, phrase: str = "") -> Lesson:
    question = Question("<OPEN_VOCABULARY_DETECTION>", phrase) if phrase else Question("<OD>")
    return Lesson("a picture", lambda: read_image(picture()), question, regions)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("polygons", [(), (OUTLINE,)], ids=["boxed", "outlined"])
def test_what_is_pasted_is_where_the_lesson_says(seed: int, polygons: tuple[Polygon, ...]) -> None:
    kept = Region("hat", (0.0, 200.0, 100.0, 300.0))
    thing = Region("red box", BOX, polygons=polygons)  # a color is named: it must stay
    pasted, about = paste(random.Random(seed), picture(), lesson(kept), picture(BOX), thing)
    assert about.regions[0] == kept
    rows, columns = np.nonzero(np.asarray(pasted).astype(int) @ (1, -1, 0) > 150)
    drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert about.regions[1].label == "red box"
    assert drawn == pytest.approx(about.regions[1].xyxy, abs=3)


def test_of_two_that_overlap_both_boxes_are_around_what_is_left_to_see() -> None:
    triangle = ((60.0, 120.0), (340.0, 120.0), (200.0, 260.0))
    blue = Region("blue box", (60.0, 120.0, 340.0, 260.0), polygons=(triangle,))
    given = Image.new("RGB", WH, (120, 120, 120))
    ImageDraw.Draw(given).polygon(triangle, fill=BLUE)
    orders = set()
    for seed in range(80):
        red = Region("red box", BOX, polygons=(OUTLINE,))
        pasted, about = paste(random.Random(seed), given, lesson(blue), picture(BOX), red)
        pixels = np.asarray(pasted).astype(int)
        for region, channels in zip(about.regions, ((-1, 0, 1), (1, -1, 0)), strict=False):
            rows, columns = np.nonzero(pixels @ channels > 150)
            drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert drawn == pytest.approx(region.xyxy, abs=3), (seed, region.label)
        wide, high = (about.regions[-1].xyxy[2 + n] - about.regions[-1].xyxy[n] for n in (0, 1))
        is_cut = len(about.regions) == 2 and abs(wide / high - 60 / 80) > 0.05
        orders.add("behind" if is_cut else "before" if about.regions[0] != blue else "apart")
    assert orders == {"behind", "before", "apart"}


def test_it_is_not_pasted_where_there_is_no_room() -> None:
    full = lesson(Region("wall", (0.0, 0.0, 400.0, 300.0)))
    for seed in range(8):
        pasted, about = paste(random.Random(seed), picture(), full, picture(BOX), Region("hat", BOX))
        assert (pasted, about) == (picture(), full)


def test_what_is_rare_is_chosen_as_often_as_what_is_not() -> None:
    rare = lesson(Region("owl", BOX))
    common = [lesson(Region("cat", BOX)) for _ in range(29)]
    scraps = Scraps([rare, *common])
    chosen = [scrap.label for seed in range(300) for scrap in scraps.choose(random.Random(seed), 1, 3)]
    assert 0.4 < chosen.count("owl") / len(chosen) < 0.6


@pytest.mark.parametrize(
    "given",
    [
        lesson(Region("left hand", BOX)),
        lesson(Region("cat", BOX), phrase="cat"),
        lesson(Region("cat", BOX), Region("hat", (260.0, 70.0, 300.0, 110.0)), Region("bow", BOX)),
        lesson(),
    ],
    ids=["a side is named", "a phrase is asked", "others reach in", "nothing there"],
)
def test_nothing_is_pasted_that_would_make_an_answer_wrong(given: Lesson) -> None:
    scraps = Scraps([given, lesson()])
    assert not any(scraps.choose(random.Random(seed), place, 3) for seed in range(20) for place in (0, 1))


def test_what_is_new_is_chosen_more_often_where_others_are_rehearsed() -> None:
    labeled = [lesson(Region(name, BOX)) for name in ("owl", *"abcdefghi")]
    known = [replace(lesson(Region(name, BOX)), is_rehearsed=True) for name in "abcdefghi"]
    scraps = Scraps([*labeled, *known])
    chosen = [scrap.label for seed in range(300) for scrap in scraps.choose(random.Random(seed), 1, 3)]
    assert 0.3 < chosen.count("owl") / len(chosen) < 0.55
