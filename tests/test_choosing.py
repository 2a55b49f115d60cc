"""What is made of an answer, and what is asked for it: names, lowest scores, one region for a thing."""

from dataclasses import replace

import pytest

from playground.choosing import chosen
from playground.question import Question, asked_names, called_names
from playground.regions import Region
from playground.results import Prediction

CLASSES = "<OPEN_VOCABULARY_DETECTION>"
CAR = Region("car", (0.0, 0.0, 100.0, 100.0), 0.6)
VAN = Region("van", (2.0, 0.0, 100.0, 98.0), 0.8)
FAR = Region("car", (200.0, 0.0, 300.0, 90.0), 0.2)
WHEEL = Region("wheel", (210.0, 50.0, 230.0, 70.0), 0.1)
DRAWN = Region("car", (0.0, 0.0, 100.0, 100.0), None, source="added")
ALL = (CAR, VAN, FAR, WHEEL, DRAWN)
ANSWER = Prediction(Question("<OD>"), "tiny-florence2", (400, 100), text="words", regions=ALL, is_final=True)


def answer_to(**fields: object) -> Prediction:
    return replace(ANSWER, question=Question(**{"task": "<OD>"} | fields))  # type: ignore[arg-type]  # mappings become pairs


@pytest.mark.parametrize(
    ("fields", "shown_from", "kept"),
    [
        pytest.param({}, None, ALL, id="all"),
        pytest.param({}, 0.3, (CAR, VAN, DRAWN), id="what the page shows"),
        pytest.param({"task": f"{CLASSES}+<COVER>", "phrase": "car"}, 0.3, ALL, id="all is covered, in a data set too"),
        pytest.param({"min_scores": 0.0}, 0.3, ALL, id="none is too low"),
        pytest.param({"min_scores": 0.7}, 0.3, (VAN, DRAWN), id="one for all"),
        pytest.param({"min_scores": {"Cars": 0.5}}, None, (CAR, VAN, WHEEL, DRAWN), id="one for a name"),
        pytest.param({"min_scores": {"car": 0.5, "": 0.9}}, None, (CAR, DRAWN), id="one for a name, one for the rest"),
        pytest.param({"merge": "iou"}, None, (VAN, FAR, WHEEL, DRAWN), id="what lies on another goes"),
        pytest.param({"merge": "ios"}, None, (VAN, FAR, DRAWN), id="what lies inside another goes too"),
        pytest.param({"merge": "iou", "min_scores": {"van": 0.9}}, None, (CAR, FAR, WHEEL, DRAWN), id="scores first"),
    ],
)
def test_regions_that_are_wanted(fields, shown_from, kept):
    seen = chosen(answer_to(**fields), shown_from=shown_from)
    assert seen.regions == kept
    assert chosen(seen, shown_from=shown_from) == seen


def test_of_an_answer_that_is_unsure_nothing_is_shown_unless_a_score_is_given():
    unsure = replace(ANSWER, is_unsure=True)
    assert chosen(unsure, shown_from=0.1).regions == (DRAWN,)
    given = replace(unsure, question=Question("<OD>", min_scores=0.5))  # type: ignore[arg-type]
    assert chosen(given, shown_from=0.1).regions == (CAR, VAN, DRAWN)


def test_things_are_asked_for_as_they_are_typed_and_called_as_they_are_named():
    names = (("person wearing helmet", "helmet"), ("van", "car"))
    question = Question(CLASSES, "vest, van", names=names, min_scores=(("helmet", 0.5),), merge="iou")
    assert asked_names(question) == ("vest", "van", "person wearing helmet")
    assert called_names(question) == ("vest", "car", "helmet")
    assert question.without_choices() == Question(CLASSES, "vest, van, person wearing helmet")
    found = replace(ANSWER, question=question, regions=(VAN, replace(FAR, label="Persons wearing  helmet")))
    named = chosen(replace(found, question=replace(question, min_scores=(), names=(("persons wearing helmet", "helmet"),
                                                                                   ("van", "car")))))  # fmt: skip
    assert ([region.label for region in named.regions], named.text) == (["car", "helmet"], "car, helmet")
    assert called_names(Question("<OD>", names=names)) == ()
    caption = replace(ANSWER, question=Question("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>", names=names))
    assert chosen(caption).text == "words"
