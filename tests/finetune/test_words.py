"""Which words a checkpoint has yet to tell from others."""

import pytest

from playground.checkpoints.catalog import BUNDLED
from playground.checkpoints.loader import LoadedCheckpoint
from playground.finetune.lessons import Lesson
from playground.finetune.loop import load_to_teach
from playground.finetune.words import words_to_learn
from playground.question import Question
from playground.regions import Region


@pytest.fixture(scope="module")
def loaded() -> LoadedCheckpoint:
    return load_to_teach(BUNDLED)


def lesson(*labels: str) -> Lesson:
    regions = tuple(Region(label, (0.0, 0.0, 9.0, 9.0)) for label in labels)
    return Lesson("a picture", lambda: pytest.fail("no picture is needed"), Question("<OD>"), regions)


def test_a_word_that_was_never_written_begins_amid_those_that_were(loaded: LoadedCheckpoint) -> None:
    found = words_to_learn(loaded, [lesson("robot", "owl"), lesson("cat")])
    table = loaded.model.get_input_embeddings().weight
    ids = {name: loaded.tokenizer(name)["input_ids"][1:-1] for name in ("owl", "robot", "cat")}
    assert list(found) == sorted(ids["owl"])
    middle = table[ids["robot"] + ids["cat"]].mean(0)
    assert all(row.allclose(middle) for row in found.values())


@pytest.mark.parametrize("labels", [("robot", "cat"), ()], ids=["known", "none"])
def test_where_all_words_are_known_none_is_to_be_learned(loaded: LoadedCheckpoint, labels: tuple[str, ...]) -> None:
    assert words_to_learn(loaded, [lesson(*labels)]) == {}
