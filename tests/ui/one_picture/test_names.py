"""Names, a closer look, the lowest score of each name and merging, on the page of one picture."""

import pytest

from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.ui.limits import LimitData, LimitsData
from playground.ui.one_picture.wording import Wording
from tests.ui.one_picture.tab import Tab, answered

CLASSES = "<OPEN_VOCABULARY_DETECTION>"
CAR = Region("car", (0.0, 0.0, 20.0, 20.0), 0.6)
VAN = Region("van", (0.0, 0.0, 20.0, 19.0), 0.8)
FAR = Region("car", (30.0, 0.0, 40.0, 10.0), 0.3)
ANSWER = Prediction(
    Question("<OD>"), "tiny-florence2", (40, 30), text="2 × car, van", regions=(CAR, VAN, FAR), is_final=True
)


def wording(task: str = CLASSES, names: str = "a man = man\n\na=b=c", **form: bool) -> Wording:
    return Wording(task, "dog", names, **{"one_by_one": False, "look_closer": False, **form}, checkpoint="")


def test_the_form_becomes_a_question_as_far_as_its_task_takes_it():
    question = wording(one_by_one=True, look_closer=True).question(())
    assert (question.names, question.one_by_one, question.tiles) == ((("a man", "man"), ("a=b", "c")), True, 0)
    assert wording("<CAPTION>", one_by_one=True, look_closer=True).question(()) == Question("<CAPTION>")
    assert wording("<OD>", look_closer=True).question(()).tiles == 0


def test_a_line_that_is_no_name_is_refused_at_its_field(ask):
    tab: Tab = ask()
    assert tab.check(task=CLASSES, phrase="", names="a man") == {
        "names": "“a man” gives no name: write what is asked for, =, and what it is called, such as “person wearing "
        "helmet = helmet”."
    }
    assert tab.check(names="a man = man") == {}  # which is a phrase too


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
    tab = answered(ask(), ANSWER)
    own = form.pop("limits", {})
    rows = LimitsData(rows=[LimitData(label=label, value=value) for label, value in own.items()])
    shown = tab.call(tab.handlers.redraw, labels=["car", "van"], limits=rows, **form)
    assert [box.id for box in shown["table"].boxes] == listed
    assert shown["answer"] == answer
    assert [(row.label, row.scores) for row in shown["limits"].rows] == [("car", [0.6, 0.3]), ("van", [0.8])]
    assert shown["limits"].own == own
