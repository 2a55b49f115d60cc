"""What a checkpoint answers before it is taught is taught along; what it is not sure of is not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground.errors import SourceRejected
from playground.finetune.demo import scene_lesson
from playground.finetune.rehearsal import pictures_to_rehearse, rehearsed
from playground.predictor import Predictor
from playground.question import Question

QUESTION = Question("<OD>")


def test_the_answers_about_a_folder_become_lessons_without_those_that_are_unsure(
    tmp_path: Path, predictor: Predictor
) -> None:
    scene = scene_lesson(7, (), guests=0).read().pixels
    scene.save(tmp_path / "1.png")
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "2.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    pictures, left_out = pictures_to_rehearse(tmp_path, QUESTION)
    assert [lesson.name for lesson in pictures] == ["1.png", "2.png"]
    assert len(left_out) == 1
    assert left_out[0].startswith("3.png: ")
    (lesson,) = rehearsed(predictor, pictures)
    assert lesson.name == "1.png"
    assert lesson.is_rehearsed
    alone = predictor.predict(tmp_path / "1.png", "<OD>").regions
    assert [(region.label, region.xyxy) for region in lesson.regions] == [(one.label, one.xyxy) for one in alone]
    assert lesson.answer((320, 320))


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceRejected, match="There is no file or folder"):
        pictures_to_rehearse(tmp_path / "nothing", QUESTION)
