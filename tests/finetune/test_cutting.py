"""Outlines of boxed things: found where a thing differs from what is around it, and nowhere else."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from playground.finetune.cutting import outlined
from playground.finetune.lessons import Lesson
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Region

BOX = (120.0, 60.0, 220.0, 200.0)
BALL = Region("ball", BOX)


def drawn() -> Image.Image:
    sky = Image.linear_gradient("L").resize((400, 300))
    picture = Image.merge("RGB", (sky.point([n // 3 + 60 for n in range(256)]), sky, sky))
    ImageDraw.Draw(picture).ellipse((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=(230, 30, 20))
    ImageDraw.Draw(picture).ellipse((150, 100, 170, 120), fill=(250, 250, 250))  # an eye is no hole
    return picture


def lesson(*regions: Region) -> Lesson:
    return Lesson("a picture", lambda: read_image(drawn()), Question("<OD>"), regions)


def test_a_thing_is_cut_out_of_its_box() -> None:
    found = outlined(drawn(), lesson(BALL)).regions[0]
    assert found.xyxy == BOX
    ellipse, mask = (Image.new("1", (400, 300)) for _ in range(2))
    ImageDraw.Draw(ellipse).ellipse(BOX, fill=1)
    for part in found.polygons:
        ImageDraw.Draw(mask).polygon([*part], fill=1)
    ours, true = np.asarray(mask), np.asarray(ellipse)
    assert (ours & true).sum() / (ours | true).sum() > 0.95


@pytest.mark.parametrize(
    "region",
    [
        pytest.param(Region("nothing", (240.0, 100.0, 380.0, 280.0)), id="nothing to see"),
        pytest.param(Region("dot", (120.0, 60.0, 122.0, 62.0)), id="too small"),
        pytest.param(Region("all", (0.0, 0.0, 400.0, 300.0)), id="the whole picture"),
        pytest.param(Region("ball", BOX, polygons=(((120.0, 60.0), (220.0, 60.0), (170.0, 200.0)),)), id="outlined"),
    ],
)
def test_what_cannot_be_told_from_its_surroundings_stays_as_it_is(region: Region) -> None:
    assert outlined(drawn(), lesson(region)).regions == (region,)
