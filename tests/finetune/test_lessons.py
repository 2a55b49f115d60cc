"""Lessons are written as the model is asked and answers; another view of a picture moves what is true of it along."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from playground import grammar
from playground.finetune.lessons import Lesson, lessons_about
from playground.finetune.views import view
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Region
from playground.scenes.examples import EXAMPLE_TASKS, examples
from playground.scenes.scene import make_scene
from playground.tasks import get_task

WH = (400, 300)
IMAGE = read_image(Image.new("RGB", WH, "gray"))
RED, GREEN = (230, 20, 20), (20, 200, 20)


def lesson(question: Question, *regions: Region, text: str = "") -> Lesson:
    return Lesson("a picture", lambda: IMAGE, question, regions, text)


@pytest.mark.parametrize("task", EXAMPLE_TASKS)
def test_the_answer_of_every_task_is_the_one_that_the_scenes_teach_and_reads_back(task: str) -> None:
    scene = make_scene(1_000_000, resolution_wh=(160, 160), supersampling=1)
    example = examples(scene)[task]
    image = read_image(scene.image)
    taught = Lesson("scene", lambda: image, example.question, example.regions, example.text)
    answer = taught.answer(scene.resolution_wh)
    assert (taught.prompt(scene.resolution_wh), answer) == (
        example.prompt(scene.resolution_wh), example.answer(scene.resolution_wh)
    )  # fmt: skip
    read = grammar.parse(answer, task, scene.resolution_wh)
    assert len(read.regions) == (len(example.regions) if get_task(task).output_kind.name != "TEXT" else 0)


def test_things_are_listed_from_left_to_right_those_of_one_label_together() -> None:
    car, tree, other_car = (Region(name, (x, 0, x + 40, 90)) for name, x in (("car", 200), ("tree", 100), ("car", 8)))
    assert lesson(Question("<OD>"), car, tree, other_car).answer(WH) == (
        "car<loc_20><loc_0><loc_120><loc_300><loc_500><loc_0><loc_600><loc_300>tree<loc_250><loc_0><loc_350><loc_300>"
    )


@pytest.mark.parametrize(
    ("question", "prompts"),
    [
        pytest.param(Question("<REGION_TO_CATEGORY>"), ["What is the region <loc_0><loc_0><loc_250><loc_500>?",
                     "What is the region <loc_500><loc_0><loc_999><loc_999>?"], id="one a region"),
        pytest.param(Question("<OPEN_VOCABULARY_DETECTION>"), ["Locate car<and>tree in the image."], id="all names"),
        pytest.param(Question("<REFERRING_EXPRESSION_SEGMENTATION>"), ["Locate car in the image with mask",
                     "Locate tree in the image with mask"], id="one a name"),
        pytest.param(Question("<CUSTOM>", "<DocVQA> What is it?"), ["<DocVQA> What is it?"], id="a free prompt"),
        pytest.param(Question("<CAPTION>"), ["What does the image describe?"], id="a caption"),
    ],
)  # fmt: skip
def test_what_a_labeled_picture_is_asked(question: Question, prompts: list[str]) -> None:
    corners = ((0.0, 0.0), (100.0, 0.0), (100.0, 150.0))
    regions = (Region("car", (0, 0, 100, 150), polygons=(corners,)),
               Region("tree", (200, 0, 400, 300), polygons=(corners,)))  # fmt: skip
    made = list(lessons_about("a", lambda: IMAGE, question, regions, ["A car."]))
    assert [one.prompt(WH) for one in made] == prompts
    assert all(one.answer(WH) for one in made)


@pytest.mark.parametrize("text", ["a <loc_5> b", "</s>"])
def test_an_answer_in_words_that_holds_a_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="would be read as a token"):
        lesson(Question("<CAPTION>"), text=text).answer(WH)


@pytest.mark.parametrize("size", [WH, (200, 260)], ids=["of the same size", "of another"])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_seen_in_another_view_is_where_the_lesson_says(seed: int, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", WH, (120, 120, 120))
    boxes = {"sign red": (60, 40, 160, 140), "sign green": (240, 150, 340, 260)}
    for color, box in zip((RED, GREEN), boxes.values(), strict=True):
        ImageDraw.Draw(picture).rectangle(box, fill=color)
    regions = tuple(Region(label, box) for label, box in boxes.items())  # a color is named: it must stay
    seen, about = view(random.Random(seed), picture, lesson(Question("<OD>"), *regions), size)
    assert seen.size == size
    pixels = np.asarray(seen).astype(int)
    found = {region.label: region.xyxy for region in about.regions}
    for label, mine, other in (("sign red", 0, 1), ("sign green", 1, 0)):
        rows, columns = np.nonzero(pixels[..., mine] - pixels[..., other] > 70)
        if label in found:
            drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert drawn == pytest.approx(found[label], abs=8)
