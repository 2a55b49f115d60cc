"""How a user likes answers to be seen: kept by the browser, applied to the next answer, and what is kept of what."""

import json
from dataclasses import replace

import pytest

from playground.drawing.styles import Look
from playground.question import Question
from playground.ui.one_picture.looks import KeptLooks
from playground.ui.view import View
from tests.ui.doubles import ANSWER

OWN = 0.2  # the checkpoint's lowest score


def view(styles: tuple[str, ...] = ("box",), min_score: float = OWN, **look: float) -> View:
    return View(Look(styles, **look), min_score, frozenset(ANSWER.label_counts()), frozenset())


def kept(changed: View) -> KeptLooks:
    return KeptLooks.read(KeptLooks().changed_to(changed, ANSWER, OWN).write())


def test_what_is_changed_holds_for_the_next_answer_of_its_kind() -> None:
    changed = view(("ellipse",), min_score=0.6, opacity=0.8, label_size=2.0)
    assert kept(changed).first_view(ANSWER, OWN) == changed


def test_the_lowest_score_is_kept_for_its_checkpoint_alone_and_forgotten_at_the_checkpoints_own() -> None:
    looks = kept(view(min_score=0.6))
    assert looks.first_view(replace(ANSWER, checkpoint="another"), 0.1).min_score == 0.1
    assert looks.changed_to(view(), ANSWER, OWN).write() == ""


def test_styles_are_kept_for_their_kind_of_answer_alone() -> None:
    square = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))
    outlined = replace(ANSWER, regions=tuple(replace(region, polygons=(square,)) for region in ANSWER.regions))
    assert kept(view(("ellipse",))).first_view(outlined, OWN).look.styles == ("mask", "polygon")


def test_an_answer_without_any_style_is_not_what_all_are_to_be() -> None:
    assert kept(view(())).first_view(ANSWER, OWN).look.styles == ("box",)


ABOVE_ALL = max(region.score or 0 for region in ANSWER.regions) + 0.01
COVER = Question("<OPEN_VOCABULARY_DETECTION>+<COVER>", "car")


@pytest.mark.parametrize(
    ("answer", "lowest"),
    [
        pytest.param(replace(ANSWER, is_unsure=True), ABOVE_ALL, id="what the model is not sure of"),
        pytest.param(replace(ANSWER, scores_are_likeness=True), 0.8, id="what is alike"),
        pytest.param(replace(ANSWER, question=COVER), 0.0, id="what is covered"),
    ],
)
def test_a_lowest_score_that_says_nothing_of_other_answers_is_neither_kept_for_them_nor_theirs(answer, lowest) -> None:
    changed = KeptLooks().changed_to(view(min_score=lowest, opacity=0.8), answer, OWN)
    assert changed.first_view(ANSWER, OWN).min_score == OWN
    first = kept(view(min_score=0.6)).first_view(answer, OWN).min_score
    assert first == pytest.approx(max(lowest, 0.6) if answer.is_unsure else lowest, abs=0.011)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param(json.dumps({"styles": 5, "min_scores": [], "opacity": "1", "label_size": True}), id="types"),
        pytest.param(json.dumps({"styles": {"boxes": ["x"]}, "min_scores": {"a": 7}, "opacity": 9}), id="ranges"),
        pytest.param('{"opacity": NaN, "label_size": Infinity}', id="not a number"),
        pytest.param(json.dumps({"styles": {"boxes": ["ellipse"]}, "x": "x" * 30_000}), id="too long"),
    ],
)
def test_what_makes_no_sense_is_as_if_it_were_not_there(content: str) -> None:
    assert KeptLooks.read(content) == KeptLooks()
