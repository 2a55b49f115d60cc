"""What is said about a scene: asked as the predictor asks, spelled as the grammar reads, and true."""

import math
import random
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from playground import grammar
from playground.checkpoints import catalog
from playground.engines import Ask, State, Status
from playground.events import Decoding, Event, Finished
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Box, Region
from playground.scenes.captions import PLURALS
from playground.scenes.examples import EXAMPLE_TASKS, Example, examples
from playground.scenes.scene import SIGN, ScenePlan, Thing
from playground.scenes.things import COLORS, KINDS
from playground.tasks import InputKind, OutputKind, get_task
from tests.scenes.samples import BEACH, BLUE_CAR, EMPTY, OPEN_SIGN, ORANGE_FISH, RED_CAR, drawn_scenes, scene_of, thing

REGION_TASKS = ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>", "<REGION_TO_SEGMENTATION>", "<REGION_TO_OCR>")
REFERRING, GROUNDING = "<REFERRING_EXPRESSION_SEGMENTATION>", "<CAPTION_TO_PHRASE_GROUNDING>"
NAMING = "<OPEN_VOCABULARY_DETECTION>"
SINGULARS = {plural: kind for kind, plural in PLURALS.items()}


def fitting(scene: ScenePlan, words: str) -> list[Thing]:
    """Return the things that an expression fits, read as a person would: "the leftmost car", "a small red car"."""
    *said, noun = words.lower().removeprefix("the ").removeprefix("a ").removeprefix("an ").split()
    fits = [
        t
        for t in sorted(scene.things, key=lambda t: t.region.xyxy[0])
        if t.kind == SINGULARS.get(noun, noun) and set(said) <= {t.color, t.size, "leftmost", "rightmost"}
    ]
    return fits[:1] if "leftmost" in said else fits[-1:] if "rightmost" in said else fits


@cache
def drawn_examples() -> tuple[tuple[ScenePlan, dict[str, Example]], ...]:
    return tuple((scene, examples(scene)) for scene in (*drawn_scenes(), BEACH, EMPTY))


def boxes(things: list[Thing]) -> list[Box]:
    return sorted(t.region.xyxy for t in things)


# --- Asked as the predictor asks, spelled as the grammar reads


class Listener:
    """An engine, and the engines that are asked for it: remembers the prompts and says nothing."""

    checkpoint = catalog.resolve("florence-2-base")
    current_name = checkpoint.name
    notice, banned_phrases = "", frozenset[str]()
    max_prompt_tokens, max_answer_tokens, max_asks = 445, 1024, 8

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def names(self) -> list[tuple[str, str]]:
        return [(self.checkpoint.title, self.checkpoint.name)]

    def status(self, name: str = "") -> Status:
        return Status(self.checkpoint, State.READY, "")

    request = status

    @contextmanager
    def acquire(self, name: str = "", *, cancelled: Callable[[], bool] = lambda: False) -> Iterator["Listener"]:
        yield self

    def num_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(
        self,
        asks: Sequence[Ask],
        decoding: Decoding = Decoding(),
        *,
        stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[Event, None, None]:
        self.prompts += [ask.prompt for ask in asks]
        yield from (Finished(is_truncated=False, is_stopped=False, answer=index) for index in range(len(asks)))


def places_of(region: Region, kind: OutputKind) -> npt.NDArray[np.float64]:
    """Return the points of a region that an answer of a kind spells."""
    if kind is OutputKind.QUADS:
        assert region.xyxyxyxy is not None
        return np.reshape(region.xyxyxyxy, (-1, 2))
    return np.concatenate(region.polygons) if kind is OutputKind.POLYGONS else np.reshape(region.xyxy, (-1, 2))


def test_each_task_has_an_example_where_there_is_a_thing() -> None:
    assert len(EXAMPLE_TASKS) == 15
    assert set(examples(BEACH)) == set(EXAMPLE_TASKS)
    assert all(example.task == get_task(task).id == task for task, example in examples(BEACH).items())


def test_without_things_there_is_no_region_to_ask_about() -> None:
    assert set(examples(EMPTY)) == set(EXAMPLE_TASKS) - set(REGION_TASKS)


@pytest.mark.parametrize("task", EXAMPLE_TASKS)
def test_a_prompt_is_what_the_predictor_asks(task: str) -> None:
    asked = [(scene, made[task]) for scene, made in drawn_examples()[-15:] if task in made]
    assert len(asked) > 10
    for scene, example in asked:
        engine = Listener()
        Predictor(engine).predict(Image.new("RGB", scene.resolution_wh), example.question)
        assert engine.prompts == [example.prompt(scene.resolution_wh)]


@pytest.mark.parametrize(
    ("question", "prompt"),
    [
        pytest.param(Question("<OCR>"), "What is the text in the image?", id="no input"),
        pytest.param(Question(NAMING, "cats, red car"), "Locate cats<and>red car in the image.", id="names"),
        pytest.param(Question(REFERRING, "the red car"), "Locate the red car in the image with mask", id="expression"),
        pytest.param(
            Question("<REGION_TO_CATEGORY>", regions=(OPEN_SIGN.region.xyxy,)),
            "What is the region <loc_700><loc_50><loc_950><loc_250>?",
            id="region",
        ),
    ],
)
def test_a_prompt_has_the_input_in_its_place(question: Question, prompt: str) -> None:
    assert Example(question).prompt((100, 100)) == prompt


@pytest.mark.parametrize("task", EXAMPLE_TASKS)
def test_an_answer_is_read_back_as_what_is_true(task: str) -> None:
    for scene, example in ((scene, made[task]) for scene, made in drawn_examples() if task in made):
        read = grammar.parse(example.answer(scene.resolution_wh), task, scene.resolution_wh)
        kind, half_a_bin = get_task(task).output_kind, np.array(scene.resolution_wh) / 2000
        assert not kind.is_text or read.text == example.text
        assert [region.label for region in read.regions] == [region.label for region in example.regions]
        for region, meant in zip(read.regions, example.regions, strict=True):
            assert len(region.polygons) == (len(meant.polygons) if kind is OutputKind.POLYGONS else 0)
            assert (np.abs(places_of(region, kind) - places_of(meant, kind)) <= half_a_bin + 1e-9).all()


def test_examples_of_a_scene_are_the_same_every_time() -> None:
    scene = drawn_scenes()[12]
    assert examples(scene) == examples(scene)
    assert examples(scene, rng=random.Random(3)) == examples(scene, rng=random.Random(3))


def test_chance_asks_many_questions_of_a_scene() -> None:
    asked = [examples(BEACH, rng=random.Random(seed)) for seed in range(40)]
    for task in (NAMING, GROUNDING, REFERRING, *REGION_TASKS):
        assert len({made[task].question for made in asked}) > 2, task


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
        assert {answers[task].question.regions for task in REGION_TASKS} == {(about.region.xyxy,)}
        assert answers["<REGION_TO_CATEGORY>"].text == category
        assert answers["<REGION_TO_DESCRIPTION>"].text == description
        assert answers["<REGION_TO_OCR>"].text == word
        assert answers["<REGION_TO_SEGMENTATION>"].regions[0].polygons == about.region.polygons


def test_nothing_is_an_answer_too() -> None:
    for seed in range(20):
        answers = examples(EMPTY, rng=random.Random(seed))
        for task in EXAMPLE_TASKS:
            if task in answers and "CAPTION>" not in task:
                assert answers[task].answer((100, 100)) == ""
        assert answers[GROUNDING].regions == ()
        assert answers[REFERRING].question.phrase in {f"the {color} {kind}" for color in COLORS for kind in KINDS}


# --- True: questions with a text


def test_classes_are_found_wherever_they_are_and_nowhere_else() -> None:
    num_absent = 0
    for scene, made in drawn_examples():
        example = made[NAMING]
        names = example.question.phrase.split(", ")
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
            text = example.question.phrase.lower()
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
            fits = fitting(scene, example.question.phrase)
            if example.regions:
                assert [region.polygons for region in example.regions] == [t.region.polygons for t in fits]
            else:
                assert fits == [], (scene.seed, example.question.phrase)
                num_absent += 1
    assert num_absent > 10


def expressions(scene: ScenePlan, about: Thing) -> set[str]:
    """Return the referring expressions that chance chooses for what is there."""
    made = [examples(scene, about=about, rng=random.Random(seed))[REFERRING] for seed in range(60)]
    return {example.question.phrase for example in made if example.regions}


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


def test_a_text_input_is_one_that_its_form_takes() -> None:
    for task, example in examples(BEACH).items():
        kind = get_task(task).input_kind
        assert bool(example.question.phrase) == kind.is_text
        assert bool(example.question.regions) == (kind is InputKind.REGIONS)
