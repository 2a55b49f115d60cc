"""What a checkpoint answers before it is taught is taught along; what it is not sure of is not."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground.errors import SourceRejected
from playground.finetune.command import main
from playground.finetune.demo import scene_lesson
from playground.finetune.rehearsal import pictures_to_rehearse, rehearsed
from playground.predictor import Predictor
from playground.question import Question

QUESTION = Question("<OD>")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scene, noise of which nothing is sure, and what is no picture."""
    folder = tmp_path / "unlabeled"
    folder.mkdir()
    scene_lesson(7, (), guests=0).read().pixels.save(folder / "1.png")
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "2.png")
    (folder / "3.png").write_bytes(b"no picture")
    return folder


def test_the_answers_about_a_folder_become_lessons_without_those_that_are_unsure(
    folder: Path, predictor: Predictor
) -> None:
    pictures, left_out = pictures_to_rehearse(folder, QUESTION)
    assert [lesson.name for lesson in pictures] == ["1.png", "2.png"]
    assert len(left_out) == 1
    assert left_out[0].startswith("3.png: ")
    (lesson,) = rehearsed(predictor, pictures)
    assert lesson.name == "1.png"
    assert lesson.is_rehearsed
    alone = predictor.predict(folder / "1.png", "<OD>").regions
    assert [(region.label, region.xyxy) for region in lesson.regions] == [(one.label, one.xyxy) for one in alone]
    assert {region.score for region in lesson.regions} == {None}
    assert lesson.answer((320, 320))


def test_the_command_teaches_them_along_and_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (100, 80), "navy").save(tmp_path / "a.png")
    line = {"image": "a.png", "prefix": "<OD>", "suffix": "owl<loc_1><loc_1><loc_9><loc_9>"}
    (tmp_path / "lines.jsonl").write_text(json.dumps(line), encoding="utf-8")
    out = tmp_path / "out"
    options = {"--data": tmp_path, "--rehearse": folder, "--out": out, "--task": "<OD>", "--steps": 1, "--views": 1,
               "--batch-size": 2, "--held-out": 0}  # fmt: skip
    main([str(part) for option in options.items() for part in option])
    assert "1 of 3 pictures without labels are rehearsed" in capsys.readouterr().out
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "from 1 picture, and what it answered before about 1 picture without labels" in card
    assert "| owl | 1 |" in card
    assert "snail" not in card


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceRejected, match="There is no file or folder"):
        pictures_to_rehearse(tmp_path / "nothing", QUESTION)
