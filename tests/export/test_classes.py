"""The order of classes: one question has one, in every picture and every format."""

from dataclasses import replace

import pytest
import yaml

from playground.export import Annotated
from playground.export.classes import ClassNumbers, class_name
from playground.question import Question
from playground.regions import Region
from tests.export.samples import CAR, READERS, TREE, files_of, instances_of, labels_of, noise, predict, written

CAT, DOG = replace(CAR, label="cat"), replace(CAR, label="dog")
QUESTION = Question("<OPEN_VOCABULARY_DETECTION>", "dog, cat, bird")


def names_in(format_id: str, content: bytes) -> list[str]:
    files = files_of(content)
    if format_id == "coco":
        return [row["name"] for row in instances_of(content)["categories"]]
    names = [*yaml.safe_load(files["data.yaml"])["names"]]
    assert files["classes.txt"].decode().splitlines() == names
    return names


def numbers_in(format_id: str, content: bytes) -> list[int]:
    """The numbers of the classes of all regions, counted from 0."""
    files = files_of(content)
    if format_id == "coco":
        return [row["category_id"] - 1 for row in instances_of(content)["annotations"]]
    labels = "".join(content.decode() for name, content in files.items() if name.startswith("labels/"))
    return [int(line.split()[0]) for line in labels.splitlines()]


@pytest.mark.parametrize("format_id", ["coco", "yolo"])
@pytest.mark.parametrize(
    ("regions", "numbers"),
    [
        pytest.param((CAT, DOG), [1, 0], id="found in another order"),
        pytest.param((TREE, CAT), [3, 1], id="one that was not asked for comes first"),
        pytest.param((), [], id="nothing found"),
    ],
)
def test_names_that_were_asked_for_keep_their_order_found_or_not(
    format_id: str, regions: tuple[Region, ...], numbers: list[int]
) -> None:
    content = written([Annotated("street", predict(*regions, question=QUESTION), noise())], format_id)
    assert names_in(format_id, content)[:3] == ["dog", "cat", "bird"]
    assert numbers_in(format_id, content) == numbers


@pytest.mark.parametrize("format_id", READERS)
def test_all_pictures_of_a_data_set_share_one_order(tmp_path, format_id: str) -> None:
    answers = ((TREE, CAT), (DOG, replace(CAR, label="bus")), (CAT, TREE, DOG))
    pictures = [Annotated("street", predict(*regions, question=QUESTION), noise()) for regions in answers]
    content = written(pictures, format_id)
    assert labels_of(READERS[format_id](content, tmp_path)) == {
        "street.png": ["tree", "cat"],
        "street-2.png": ["dog", "bus"],
        "street-3.png": ["cat", "tree", "dog"],
    }
    if format_id != "voc":  # which has names alone
        assert names_in(format_id, content) == ["dog", "cat", "bird", "tree", "bus"]
        assert numbers_in(format_id, content) == [3, 1, 0, 4, 1, 3, 0]


@pytest.mark.parametrize(
    ("question", "labels", "names"),
    [
        pytest.param(QUESTION, ["Cat", "Tree", "tree"], ["dog", "cat", "bird", "Tree", "tree"], id="another case"),
        pytest.param(Question("<OD>", "dog, cat"), ["cat"], ["cat"], id="a task without names"),
        pytest.param(Question("<CAPTION_TO_PHRASE_GROUNDING>", "a cat, a dog"), ["a dog"], ["a dog"], id="a sentence"),
        pytest.param(
            Question("<REFERRING_EXPRESSION_SEGMENTATION>", "the cat, a dog"),
            ["a dog"],
            ["the cat", "a dog"],
            id="expressions",
        ),
        pytest.param(Question("<NO_SUCH_TASK>", "dog, cat"), ["cat"], ["cat"], id="a task that is not in the table"),
        pytest.param(replace(QUESTION, phrase="a\x00b, <loc_1>"), [], ["ab", "< loc_1>"], id="odd names"),
    ],
)
def test_names_of_a_question(question: Question, labels: list[str], names: list[str]) -> None:
    classes = ClassNumbers()
    numbers = classes.number(predict(*[replace(CAR, label=label) for label in labels], question=question))
    assert classes.names == names
    assert [names[number].casefold() for number in numbers] == [class_name(label).casefold() for label in labels]
