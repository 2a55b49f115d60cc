"""What is said about a scene: asked as the predictor asks, spelled as the grammar reads, and true."""

import random
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from playground import grammar
from playground.checkpoints import catalog
from playground.events import Event, Finished
from playground.predictor import Predictor
from playground.regions import Box, Region
from playground.scenes.examples import (
    PLURALS,
    TASKS,
    Example,
    caption,
    detailed_caption,
    examples,
    more_detailed_caption,
)
from playground.scenes.scene import SIGN, Scene, Thing, make_scene
from playground.scenes.things import COLORS, KINDS
from playground.tasks import InputKind, OutputKind, get_task

REGION_TASKS = ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>", "<REGION_TO_SEGMENTATION>", "<REGION_TO_OCR>")
REFERRING, GROUNDING = "<REFERRING_EXPRESSION_SEGMENTATION>", "<CAPTION_TO_PHRASE_GROUNDING>"
NAMING = "<OPEN_VOCABULARY_DETECTION>"
SINGULARS = {plural: kind for kind, plural in PLURALS.items()}


def thing(color: str, kind: str, xyxy: Box, *, size: str = "medium", hidden: float = 0.0, word: str = "") -> Thing:
    x_min, y_min, x_max, y_max = xyxy
    triangle = ((x_min, y_max), ((x_min + x_max) / 2, y_min), (x_max, y_max))
    quad = (x_min + 2, y_min + 2, x_max - 2, y_min + 2, x_max - 2, y_max - 2, x_min + 2, y_max - 2)
    writing = Region(word, (x_min + 2, y_min + 2, x_max - 2, y_max - 2), xyxyxyxy=quad) if word else None
    return Thing(kind, color, size, Region(kind, xyxy, polygons=(triangle,)), writing, hidden)


def scene_of(*things: Thing, background: str = "beach") -> Scene:
    return Scene(seed=1, background=background, things=things, image=Image.new("RGB", (100, 100)))


ORANGE_FISH = thing("orange", "fish", (20, 10, 50, 30))
RED_CAR = thing("red", "car", (10, 40, 60, 70))
BLUE_CAR = thing("blue", "car", (62, 80, 80, 95), size="small", hidden=0.2)
OPEN_SIGN = thing("white", SIGN, (70, 5, 95, 25), size="large", word="OPEN")
BEACH = scene_of(OPEN_SIGN, ORANGE_FISH, RED_CAR, BLUE_CAR)
EMPTY = scene_of()


def drawn_scenes(count: int = 70) -> list[Scene]:
    resolutions = ((64, 64), (90, 40))
    return [make_scene(seed, resolution_wh=resolutions[seed % 2], supersampling=1) for seed in range(count)]


def fitting(scene: Scene, words: str) -> list[Thing]:
    """Return the things that an expression fits, read as a person would: "the leftmost car", "a small red car"."""
    *said, noun = words.lower().removeprefix("the ").removeprefix("a ").removeprefix("an ").split()
    fits = [
        t
        for t in sorted(scene.things, key=lambda t: t.region.xyxy[0])
        if t.kind == SINGULARS.get(noun, noun) and set(said) <= {t.color, t.size, "leftmost", "rightmost"}
    ]
    return fits[:1] if "leftmost" in said else fits[-1:] if "rightmost" in said else fits


def boxes(things: list[Thing]) -> list[Box]:
    return sorted(t.region.xyxy for t in things)


# --- Asked as the predictor asks, spelled as the grammar reads


class Listener:
    """An engine, and the pool that has it: remembers the prompt and says nothing."""

    max_prompt_tokens, max_answer_tokens, max_prompts = 445, 1024, 8
    current_name = "florence-2-base"

    def __init__(self) -> None:
        self.loaded = SimpleNamespace(
            checkpoint=catalog.resolve("florence-2-base"), banned_phrases=frozenset(), notice=""
        )
        self.prompts: list[str] = []

    @contextmanager
    def acquire(self, _name: str, **_options: Any) -> Iterator["Listener"]:
        yield self

    def num_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(
        self, _image: Any, prompts: Sequence[str], _decoding: Any, *, stop: threading.Event, **_: Any
    ) -> Generator[Event, None, None]:
        self.prompts += prompts
        yield from (Finished(is_truncated=False, is_stopped=False, answer=answer) for answer in range(len(prompts)))


def form_of(example: Example) -> dict[str, Any]:
    """Return the inputs of a run that asks an example's question."""
    if isinstance(example.prompt_input, str):
        return {"phrase": example.prompt_input}
    return {"regions": [example.prompt_input]} if example.prompt_input else {}


def places_of(region: Region, kind: OutputKind) -> npt.NDArray[np.float64]:
    """Return the points of a region that an answer of a kind spells."""
    if kind is OutputKind.QUADS:
        assert region.xyxyxyxy is not None
        return np.reshape(region.xyxyxyxy, (-1, 2))
    return np.concatenate(region.polygons) if kind is OutputKind.POLYGONS else np.reshape(region.xyxy, (-1, 2))


def test_each_task_has_an_example_where_there_is_a_thing() -> None:
    assert len(TASKS) == 15
    assert set(examples(BEACH)) == set(TASKS)
    assert all(example.task == get_task(task).id == task for task, example in examples(BEACH).items())


def test_without_things_there_is_no_region_to_ask_about() -> None:
    assert set(examples(EMPTY)) == set(TASKS) - set(REGION_TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_is_what_the_predictor_asks(task: str) -> None:
    for scene in [*drawn_scenes(12), BEACH]:
        example = examples(scene).get(task)
        if example is None:
            continue
        engine = Listener()
        Predictor(engine).predict(scene.image, task, **form_of(example))  # type: ignore[arg-type]
        assert engine.prompts == [example.prompt(scene.resolution_wh)]


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_is_read_back_as_what_is_true(task: str) -> None:
    for scene in [*drawn_scenes(), BEACH, EMPTY]:
        example = examples(scene).get(task)
        if example is None:
            continue
        read = grammar.parse(example.answer(scene.resolution_wh), task, scene.resolution_wh)
        kind, half_a_bin = get_task(task).output_kind, np.array(scene.resolution_wh) / 2000
        assert not kind.is_text or read.text == example.text
        assert [region.label for region in read.regions] == [region.label for region in example.regions]
        for region, meant in zip(read.regions, example.regions, strict=True):
            assert len(region.polygons) == (len(meant.polygons) if kind is OutputKind.POLYGONS else 0)
            assert (np.abs(places_of(region, kind) - places_of(meant, kind)) <= half_a_bin + 1e-9).all()


def test_examples_of_a_scene_are_the_same_every_time() -> None:
    scene = make_scene(12, resolution_wh=(64, 64))
    assert examples(scene) == examples(scene)
    assert examples(scene, rng=random.Random(3)) == examples(scene, rng=random.Random(3))


def test_chance_asks_many_questions_of_a_scene() -> None:
    asked = [examples(BEACH, rng=random.Random(seed)) for seed in range(40)]
    for task in (NAMING, GROUNDING, REFERRING, *REGION_TASKS):
        assert len({made[task].prompt_input for made in asked}) > 2, task


# --- True: boxes, words and regions


@pytest.mark.parametrize(
    ("task", "labels", "things"),
    [
        pytest.param("<OD>", ["car", "car", "fish", SIGN],
                     [RED_CAR, BLUE_CAR, ORANGE_FISH, OPEN_SIGN], id="one kind after the other"),
        pytest.param("<DENSE_REGION_CAPTION>", ["red car", "orange fish", "small blue car", "large white sign"],
                     [RED_CAR, ORANGE_FISH, BLUE_CAR, OPEN_SIGN], id="described"),
        pytest.param("<REGION_PROPOSAL>", [""] * 4,
                     [RED_CAR, ORANGE_FISH, BLUE_CAR, OPEN_SIGN], id="without names"),
    ],
)  # fmt: skip
def test_boxes_are_listed_from_the_left_with_those_of_one_label_together(
    task: str, labels: list[str], things: list[Thing]
) -> None:
    example = examples(BEACH)[task]
    assert [region.label for region in example.regions] == labels
    assert [region.xyxy for region in example.regions] == [t.region.xyxy for t in things]


def test_words_are_read_from_the_left() -> None:
    answers = examples(scene_of(OPEN_SIGN, thing("red", SIGN, (5, 50, 40, 70), word="42"), RED_CAR))
    assert answers["<OCR>"].text == "42 OPEN"
    assert [region.label for region in answers["<OCR_WITH_REGION>"].regions] == ["42", "OPEN"]
    assert all(region.xyxyxyxy for region in answers["<OCR_WITH_REGION>"].regions)


@pytest.mark.parametrize(
    ("about", "category", "description", "word"),
    [
        pytest.param(RED_CAR, "car", "red car", "", id="a car"),
        pytest.param(BLUE_CAR, "car", "small blue car", "", id="a small car"),
        pytest.param(OPEN_SIGN, "sign", "large white sign", "OPEN", id="a sign"),
    ],
)
def test_region_tasks_ask_with_the_box_and_answer_about_the_thing(
    about: Thing, category: str, description: str, word: str
) -> None:
    for seed in range(5):
        answers = examples(BEACH, about=about, rng=random.Random(seed))
        assert {answers[task].prompt_input for task in REGION_TASKS} == {about.region.xyxy}
        assert answers["<REGION_TO_CATEGORY>"].text == category
        assert answers["<REGION_TO_DESCRIPTION>"].text == description
        assert answers["<REGION_TO_OCR>"].text == word
        assert answers["<REGION_TO_SEGMENTATION>"].regions[0].polygons == about.region.polygons


def test_nothing_is_an_answer_too() -> None:
    for seed in range(20):
        answers = examples(EMPTY, rng=random.Random(seed))
        for task in TASKS:
            if task in answers and "CAPTION>" not in task:
                assert answers[task].answer((100, 100)) == ""
        assert answers[GROUNDING].regions == ()
        assert answers[REFERRING].prompt_input in {f"the {color} {kind}" for color in COLORS for kind in KINDS}


# --- True: questions with a text


def test_classes_are_found_wherever_they_are_and_nowhere_else() -> None:
    num_absent = 0
    for scene in drawn_scenes():
        example = examples(scene)[NAMING]
        assert isinstance(example.prompt_input, str)
        names = example.prompt_input.split(", ")
        assert {region.label for region in example.regions} <= set(names)
        for name in names:
            found = [region.xyxy for region in example.regions if region.label == name]
            assert sorted(found) == boxes(fitting(scene, name)), (scene.seed, name)
            num_absent += not found
    assert num_absent > 10


def test_grounding_finds_what_its_phrases_stand_for() -> None:
    num_absent = 0
    for scene in [*drawn_scenes(), BEACH]:
        for seed in range(3):
            example = examples(scene, rng=random.Random(seed))[GROUNDING]
            text = str(example.prompt_input).lower()
            num_absent += not example.regions
            for label in {region.label for region in example.regions}:
                assert label in text, (scene.seed, label)
                words = label.partition(" ")[2]  # without the article or number
                things = fitting(scene, words)
                if text.startswith("there "):  # this caption leaves no size unsaid but medium
                    things = [t for t in things if t.description == words]
                found = [region.xyxy for region in example.regions if region.label == label]
                assert sorted(found) == boxes(things), (scene.seed, text, label)
    assert num_absent > 10


def test_a_referring_expression_fits_one_thing_alone() -> None:
    num_absent = 0
    for scene in drawn_scenes():
        for about in scene.things:
            example = examples(scene, about=about)[REFERRING]
            fits = fitting(scene, str(example.prompt_input))
            if example.regions:
                assert [region.polygons for region in example.regions] == [t.region.polygons for t in fits]
            else:
                assert fits == [], (scene.seed, example.prompt_input)
                num_absent += 1
    assert num_absent > 10


def expressions(scene: Scene, about: Thing) -> set[str]:
    """Return the referring expressions that chance chooses for what is there."""
    made = [examples(scene, about=about, rng=random.Random(seed))[REFERRING] for seed in range(60)]
    return {str(example.prompt_input) for example in made if example.regions}


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        pytest.param([RED_CAR], {"the car", "the red car"}, id="alone"),
        pytest.param([RED_CAR, BLUE_CAR], {"the red car", "the leftmost car"}, id="of another color"),
        pytest.param([RED_CAR, thing("red", "car", (70, 0, 90, 20))], {"the leftmost car"}, id="by its place"),
    ],
)
def test_a_referring_expression_says_as_much_as_is_needed(things: list[Thing], expected: set[str]) -> None:
    assert expressions(scene_of(*things), RED_CAR) == expected


def test_a_medium_thing_is_not_told_by_leaving_its_size_out() -> None:
    small = thing("red", "car", (70, 0, 90, 20), size="small")
    assert expressions(scene_of(RED_CAR, small), RED_CAR) == {"the leftmost car"}


def test_the_thing_that_stands_in_for_one_that_no_words_tell_is_told_from_all() -> None:
    left, middle, right = (thing(c, "car", (x, 0, x + 9, 9)) for c, x in (("red", 0), ("red", 20), ("blue", 40)))
    scene = scene_of(left, middle, right)
    assert all(len(fitting(scene, expression)) == 1 for expression in expressions(scene, middle))


# --- Captions, word by word


@pytest.mark.parametrize(
    ("scene", "short", "detailed", "paragraph"),
    [
        pytest.param(
            BEACH,
            "A fish, two cars and a sign on a beach.",
            "The image shows an orange fish above a red car, a blue car and a white sign on a beach.",
            "There are four things on a beach. From left to right, they are a red car, an orange fish, a small blue "
            "car and a large white sign. The blue car is partly hidden. The white sign says OPEN.",
            id="several things",
        ),
        pytest.param(
            replace(EMPTY, background="snow"),
            "An empty field of snow.",
            "The image shows nothing in the snow.",
            "There is nothing in the snow.",
            id="nothing",
        ),
        pytest.param(
            scene_of(BLUE_CAR, background="night"),
            "A car at night.",
            "The image shows a blue car at night.",
            "There is one thing at night. It is a small blue car. The blue car is partly hidden.",
            id="one thing",
        ),
        pytest.param(
            scene_of(*(thing("green", "tree", (x, 50, x + 9, 60)) for x in (80, 0, 40)), background="meadow"),
            "Three trees in a meadow.",
            "The image shows three green trees in a meadow.",
            "There are three things in a meadow. From left to right, they are a green tree, a green tree and a green "
            "tree.",
            id="three of the same",
        ),
    ],
)
def test_captions(scene: Scene, short: str, detailed: str, paragraph: str) -> None:
    answers = examples(scene)
    assert answers["<CAPTION>"].text == caption(scene)[0] == short
    assert answers["<DETAILED_CAPTION>"].text == detailed_caption(scene)[0] == detailed
    assert answers["<MORE_DETAILED_CAPTION>"].text == more_detailed_caption(scene)[0] == paragraph


@pytest.mark.parametrize(
    ("hidden", "is_said"), [pytest.param(0.04, False, id="hardly"), pytest.param(0.06, True, id="in part")]
)
def test_only_what_is_hidden_in_part_is_said_to_be(hidden: float, is_said: bool) -> None:
    text, _ = more_detailed_caption(scene_of(replace(RED_CAR, hidden=hidden)))
    assert text.endswith(" The red car is partly hidden.") == is_said


@pytest.mark.parametrize(
    ("xyxy", "relation"),
    [
        pytest.param((0, 0, 30, 100), "left of", id="left"),
        pytest.param((70, 0, 99, 100), "right of", id="right"),
        pytest.param((10, 0, 90, 30), "above", id="above"),
        pytest.param((10, 70, 90, 99), "below", id="below"),
        pytest.param((10, 20, 50, 60), "next to", id="overlapping"),
        pytest.param((0, 0, 40, 30), "left of", id="both left and above"),
    ],
)
def test_a_detailed_caption_says_how_its_first_two_stand_to_each_other(xyxy: Box, relation: str) -> None:
    scene = scene_of(thing("black", "tree", (40, 40, 60, 60)), thing("pink", "cat", xyxy))
    assert detailed_caption(scene)[0] == f"The image shows a pink cat {relation} a black tree on a beach."


def test_groups_stand_to_each_other_as_wholes() -> None:
    trees = [thing("green", "tree", (x, 0, x + 9, 20)) for x in (50, 80)]
    beside, between = thing("red", "car", (0, 0, 40, 20)), thing("red", "car", (62, 0, 75, 20))
    assert detailed_caption(scene_of(*trees, beside))[0] == (
        "The image shows a red car left of two green trees on a beach."
    )
    assert detailed_caption(scene_of(*trees, between))[0] == (
        "The image shows a red car next to two green trees on a beach."
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("car", "Two cars", id="regular"),
        pytest.param("fish", "Two fish", id="the same"),
        pytest.param("butterfly", "Two butterflies", id="a y"),
        pytest.param("bus", "Two buses", id="a bus"),
        pytest.param("cactus", "Two cactuses", id="a cactus"),
    ],
)
def test_plurals(kind: str, words: str) -> None:
    pair = [thing("red", kind, (x, 0, x + 9, 9)) for x in (0, 20)]
    assert caption(scene_of(*pair))[0] == f"{words} on a beach."


def test_the_phrases_of_a_caption_stand_for_things() -> None:
    assert caption(BEACH)[1] == {"a fish": [ORANGE_FISH], "two cars": [RED_CAR, BLUE_CAR], "a sign": [OPEN_SIGN]}
    assert list(detailed_caption(BEACH)[1]) == ["an orange fish", "a red car", "a blue car", "a white sign"]
    twins = [thing("red", "car", (x, 0, x + 9, 9)) for x in (0, 20)]
    assert more_detailed_caption(scene_of(*twins))[1] == {"a red car": twins}
    assert all(write(EMPTY)[1] == {} for write in (caption, detailed_caption, more_detailed_caption))


def test_all_phrases_of_captions_are_words_of_theirs() -> None:
    for scene in drawn_scenes():
        for write in (caption, detailed_caption, more_detailed_caption):
            text, phrases = write(scene)
            assert all(phrase in text.lower() for phrase in phrases), text
            located = [t for things in phrases.values() for t in things]
            assert sorted(map(id, located)) == sorted(map(id, scene.things)), text


def test_a_text_input_is_one_that_its_form_takes() -> None:
    for task, example in examples(BEACH).items():
        kind = get_task(task).input_kind
        assert isinstance(example.prompt_input, str) == kind.is_text
        assert isinstance(example.prompt_input, tuple) == (kind is InputKind.REGIONS)
