"""What the tests of teaching share."""

import pytest

from playground.finetune.lessons import Lesson
from playground.pictures.reader import read_image
from playground.scenes.examples import detection
from playground.scenes.scene import TRAINING_SEEDS, make_scene


def lesson_of(number: int) -> Lesson:
    """The lesson of a scene that nothing was learned from."""
    scene = make_scene(TRAINING_SEEDS + number, resolution_wh=(200, 160), supersampling=1)
    image, example = read_image(scene.image), detection(scene)
    return Lesson(f"scene {number}", lambda: image, example.question, example.regions)


@pytest.fixture(scope="session")
def lessons() -> list[Lesson]:
    return [lesson_of(number) for number in (0, 2, 6)]
