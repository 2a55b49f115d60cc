"""Names, a closer look, the lowest score of each name and merging, on the page of one picture."""

import json
from dataclasses import replace
from typing import Any

import pytest

from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.ui.limits import LimitData, LimitsData
from playground.ui.link import Link
from playground.ui.one_picture.looks import KeptLooks, Liked
from playground.ui.one_picture.names import NameData, NamesData, NamesTable
from playground.ui.one_picture.wording import Wording
from tests.ui.one_picture.tab import Tab, answered

CLASSES = "<OPEN_VOCABULARY_DETECTION>"
CAR = Region("car", (0.0, 0.0, 20.0, 20.0), 0.6)
VAN = Region("van", (0.0, 0.0, 20.0, 19.0), 0.8)
FAR = Region("car", (30.0, 0.0, 40.0, 10.0), 0.3)
ANSWER = Prediction(
    Question("<OD>"), "tiny-florence2", (40, 30), text="2 × car, van", regions=(CAR, VAN, FAR), is_final=True
)
BY_NAME = replace(ANSWER, question=Question(CLASSES, "cars, van"))


def table(*, limits: dict[str, float] | None = None, one_by_one: bool = False, **called: str) -> NamesData:
    """What the page sends of the table."""
    names = [NameData(asked=asked.replace("_", " "), called=name) for asked, name in called.items()]
    return NamesData(names=names, limits=limits or {}, one_by_one=one_by_one)


def wording(task: str, phrase: str, names: NamesData, *, look_closer: bool = False) -> Wording:
    return Wording(task, phrase, names, look_closer, checkpoint="")


def test_the_form_becomes_a_question_as_far_as_its_task_and_its_phrase_take_it():
    names = table(a_man="man", a_dog="pet", one_by_one=True)
    question = wording(CLASSES, "dog, a  man", names, look_closer=True).question(())
    assert (question.names, question.one_by_one, question.tiles) == ((("a  man", "man"),), True, 0)
    assert wording("<CAPTION>", "a man", names, look_closer=True).question(()) == Question("<CAPTION>")
    assert wording("<OD>", "", names, look_closer=True).question(()).tiles == 0


def test_what_a_browser_sends_of_names_is_taken_as_far_as_it_makes_sense():
    given: Any = NamesData(
        names=[
            NameData(asked=" a  man ", called=" man"),
            NameData(asked="x", called=" "),
            NameData(asked="y", called="y"),
        ],
        limits={"cat": 0.5, "dog": float("nan"), "fish": 2.0},
    )
    taken = NamesTable(render=False).preprocess(given)
    assert (taken.names, taken.limits, taken.one_by_one) == (
        [NameData(asked="a man", called="man")],
        {"cat": 0.5},
        False,
    )


@pytest.mark.parametrize(
    ("form", "listed", "answer"),
    [
        pytest.param({}, [0, 1, 2], "2 × car, van", id="all"),
        pytest.param({"min_score": 0.5}, [0, 1], "car, van", id="one score for all"),
        pytest.param({"min_score": 0.5, "limits": {"car": 0.2, "van": 0.9}}, [0, 2], "2 × car", id="one each"),
        pytest.param({"merge": True}, [1, 2], "van, car", id="merged"),
        pytest.param({"merge": True, "limits": {"van": 0.9}}, [0, 2], "2 × car", id="merged of what is sure enough"),
    ],
)
def test_each_name_has_its_lowest_score_and_each_thing_one_region(ask, form, listed, answer):
    own = form.pop("limits", {})
    rows = LimitsData(rows=[LimitData(label=label, value=value) for label, value in own.items()])
    for said, limits in ((ANSWER, {"limits": rows}), (BY_NAME, {"names": table(limits=own)})):
        tab = answered(ask(), said)
        shown = tab.call(tab.handlers.redraw, labels=["car", "van"], **form, **limits)
        assert [box.id for box in shown["table"].boxes] == listed
        assert shown["answer"] == answer
        sliders = shown["limits"].rows if said is ANSWER else shown["names"].found
        assert [(row.label, row.scores) for row in sliders] == [("car", [0.6, 0.3]), ("van", [0.8])]
        assert bool(shown["limits"].rows) != bool(shown["names"].found), "one place for each slider"
    assert shown["names"].limits is None, "what the user moves meanwhile stays"


def test_lowest_scores_hold_for_the_next_answer_too_and_go_with_a_link(ask):
    liked = Liked(KeptLooks(merge=True).write(), table(limits={"Cars": 0.5}))
    view = liked.first_view(BY_NAME, 0.2)
    assert ([place for place, region in enumerate(BY_NAME.regions) if view.counts(place, region)]) == [1]
    assert liked.first_view(ANSWER, 0.2).limits == {}, "nobody named these"
    tab: Tab = answered(ask(), BY_NAME)
    link = tab.call(tab.handlers.saving.copy, copied="link", labels=["car", "van"], merge=True, names=liked.names)
    asked = Link.read(link["copied"])
    assert asked is not None
    assert (dict(asked.question.min_scores), asked.question.merge) == ({"car": 0.5}, "iou")
    opened = tab.beside("linked").call(tab.handlers.open, memory=json.dumps({"link": link["copied"]}))
    assert opened["names"].limits == {"car": 0.5}
    assert KeptLooks.read(opened["looks_kept"]).merge
