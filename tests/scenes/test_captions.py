"""The captions of a scene, word by word, and what their phrases stand for."""

from dataclasses import replace

import pytest

from playground.regions import Box
from playground.scenes.captions import caption, detailed_caption, more_detailed_caption
from playground.scenes.examples import examples
from playground.scenes.scene import ScenePlan
from tests.scenes.samples import BEACH, BLUE_CAR, EMPTY, OPEN_SIGN, ORANGE_FISH, RED_CAR, drawn_scenes, scene_of, thing


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
def test_captions(scene: ScenePlan, short: str, detailed: str, paragraph: str) -> None:
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
def test_a_detailed_caption_says_where_its_first_two_are_to_each_other(xyxy: Box, relation: str) -> None:
    scene = scene_of(thing("black", "tree", (40, 40, 60, 60)), thing("pink", "cat", xyxy))
    assert detailed_caption(scene)[0] == f"The image shows a pink cat {relation} a black tree on a beach."


def test_groups_are_to_each_other_as_wholes() -> None:
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
