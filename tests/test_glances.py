"""Where the model looked: words of tokens, and the things of a drawn scene."""

from dataclasses import replace

import numpy as np
import pytest

from playground.errors import InputRejected
from playground.events import Attention
from playground.glances import glances_of
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        pytest.param((), [], id="nothing"),
        pytest.param(
            ("<s>", "car", "<loc_1>", "<loc_2>"), ["<s>", "car", "<loc_1>", "<loc_2>"], id="special ones alone"
        ),
        pytest.param(("A", " umb", "rella", " in"), ["A", " umbrella", " in"], id="a word of two tokens"),
        pytest.param(("<s>", "umb", "rella", "<loc_1>", "s"), ["<s>", "umbrella", "<loc_1>", "s"], id="between tokens"),
        pytest.param(("a<b", ">", " <"), ["a<b>", " <"], id="what only looks like a token"),
    ],
)
def test_tokens_are_joined_to_words(texts: tuple[str, ...], words: list[str]) -> None:
    cells = np.arange(len(texts) * 3 * 4, dtype=np.float32).reshape(len(texts), 3, 2, 2)
    glances = glances_of(Attention(texts, cells))
    assert [glance.text for glance in glances] == words
    assert all(glance.cells.shape == (2, 2) and glance.cells.max() == 1 for glance in glances)


def test_the_name_of_a_thing_was_written_with_a_look_at_it(predictor: Predictor, image: InputImage) -> None:
    answer = predictor.predict(image, Question("<OD>"))
    names = [glance for glance in predictor.look(image, answer) if not glance.is_special]
    assert [glance.text for glance in names] == [region.label for region in answer.regions]
    for glance, region in zip(names, answer.regions, strict=True):
        rows, columns = glance.cells.shape
        row, column = np.unravel_index(glance.cells.argmax(), glance.cells.shape)
        x, y = (column + 0.5) / columns * image.resolution_wh[0], (row + 0.5) / rows * image.resolution_wh[1]
        x0, y0, x1, y1 = region.xyxy
        half = image.resolution_wh[0] / columns / 2
        assert x0 - half <= x <= x1 + half, glance.text
        assert y0 - half <= y <= y1 + half, glance.text


def test_what_is_no_answer_about_the_whole_picture_is_refused(predictor: Predictor, image: InputImage) -> None:
    answer = predictor.predict(image, Question("<CAPTION>"))
    with pytest.raises(InputRejected, match="about another picture"):
        predictor.look(image, replace(answer, digest="0" * 64))
    with pytest.raises(InputRejected, match="about parts that were cut out"):
        predictor.look(image, replace(answer, question=replace(answer.question, task="<OD>", tiles=0)))
