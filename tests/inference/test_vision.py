"""Pictures to features, beside transformers' own processor and vision tower."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from playground.checkpoints.loader import LoadedCheckpoint
from playground.engines import Ask
from playground.events import Decoding
from playground.inference import vision
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel
from playground.inference.vision import pixel_values
from playground.pictures.reader import read_image
from tests.inference.asking import Counter, before, part


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    torch.manual_seed(5)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(
    "side_hw",
    [
        pytest.param((160, 160), id="windows that fit"),
        pytest.param((136, 176), id="windows beyond the edges"),
    ],
)
def test_the_features_are_those_of_transformers(
    loaded: LoadedCheckpoint, prepared: PreparedModel, side_hw: tuple[int, int]
) -> None:
    pictures = torch.randn(2, 3, *side_hw)
    expected = loaded.model.get_image_features(pictures).pooler_output
    torch.testing.assert_close(prepared.encode_images(pictures), expected)


@pytest.mark.parametrize("num_groups", [1, 4])
def test_channels_read_the_same_in_groups_and_in_one_product(num_groups: int) -> None:
    rows = torch.randn(2, 500, 3 * 32) * 0.2
    torch.testing.assert_close(vision._in_one(rows, num_groups), vision._by_groups(rows, num_groups))


@pytest.mark.parametrize(
    ("num_pictures", "num_passes"), [pytest.param(3, 1, id="all at once"), pytest.param(9, 3, id="four at once")]
)
def test_small_pictures_go_through_the_tower_together(
    engine: Engine, prepared: PreparedModel, num_pictures: int, num_passes: int
) -> None:
    passes = Counter()
    asks = [Ask(read_image(Image.new("RGB", (9, 9 + number))), "?") for number in range(num_pictures)]
    with before(part(prepared, "model.vision_tower.convs.0.conv"), passes):
        list(engine.generate(asks, Decoding(max_new_tokens=1)))
    assert passes.calls == num_passes


@pytest.mark.parametrize("resolution_wh", [(640, 480), (3, 5), (1000, 100)])
def test_the_pixels_are_those_of_the_processor(
    loaded: LoadedCheckpoint, processor: Any, resolution_wh: tuple[int, int]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*resolution_wh[::-1], 3), np.uint8)
    picture, theirs = Image.fromarray(noise), processor.image_processor
    expected = theirs(images=picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixel_values(picture, loaded.image_processor), expected, rtol=0, atol=1e-5)
    cropping = copy.deepcopy(theirs)
    cropping.do_center_crop = True
    cropping.crop_size = {"height": 100, "width": 100}
    assert pixel_values(picture, cropping).shape == (1, 3, 100, 100)


def test_a_pass_may_be_ended_before_any_step(loaded: LoadedCheckpoint, prepared: PreparedModel) -> None:
    checks = Counter()
    prepared.encode_images(torch.randn(1, 3, 160, 160), checks)
    num_blocks = 2 * sum(loaded.model.config.vision_config.depths)
    assert checks.calls > 3 * num_blocks
