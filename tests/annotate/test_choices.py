"""What of the answers goes into files."""

from dataclasses import replace

import pytest

from playground.annotate.choices import Choices, read_min_scores, read_names, with_names, without_duplicates
from playground.errors import InputRejected
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction

CAR = Region("car", (0.0, 0.0, 100.0, 100.0), 0.6)
VAN = Region("van", (2.0, 0.0, 100.0, 98.0), 0.8)
FAR = Region("car", (200.0, 0.0, 300.0, 90.0), 0.2)
DRAWN = Region("car", (0.0, 0.0, 100.0, 100.0), None, source="added")
ANSWER = Prediction(Question("<OD>"), "tiny-florence2", (400, 100), regions=(CAR, VAN, FAR, DRAWN), is_final=True)


def test_of_regions_on_one_another_the_surest_stays_whatever_it_is_called():
    assert without_duplicates(ANSWER.regions) == [VAN, FAR, DRAWN]
    assert without_duplicates([DRAWN]) == [DRAWN]


@pytest.mark.parametrize(
    ("choices", "shown_from", "kept"),
    [
        pytest.param(Choices(), None, (CAR, VAN, FAR, DRAWN), id="all"),
        pytest.param(Choices(), 0.3, (CAR, VAN, DRAWN), id="what the page shows"),
        pytest.param(Choices(min_score=0.0), 0.3, (CAR, VAN, FAR, DRAWN), id="none is too low"),
        pytest.param(Choices(min_score=0.7), 0.3, (VAN, DRAWN), id="one for all"),
        pytest.param(Choices(min_scores={"car": 0.5}), None, (CAR, VAN, DRAWN), id="one for a name"),
        pytest.param(Choices(merge_duplicates=True, min_score=0.5), None, (VAN, DRAWN), id="merged"),
    ],
)
def test_regions_that_are_wanted(choices, shown_from, kept):
    assert choices.apply(ANSWER, shown_from=shown_from).regions == kept


def test_of_an_answer_that_is_unsure_nothing_is_shown_unless_a_score_is_given():
    unsure = replace(ANSWER, is_unsure=True)
    assert Choices().apply(unsure, shown_from=0.1).regions == (DRAWN,)
    assert Choices(min_score=0.5).apply(unsure, shown_from=0.1).regions == (CAR, VAN, DRAWN)


def test_names_replace_what_was_asked_in_regions_and_in_the_order_of_classes():
    names = read_names(["person wearing helmet=helmet", "van=car"])
    question = with_names(Question("<OPEN_VOCABULARY_DETECTION>", "vest, van"), names)
    assert question.phrase == "vest, van, person wearing helmet"
    named = Choices(names).apply(replace(ANSWER, question=question))
    assert named.question.phrase == "vest, car, helmet"
    assert [region.label for region in named.regions] == ["car", "car", "car", "car"]
    assert with_names(Question("<OD>"), names) == Question("<OD>")


@pytest.mark.parametrize("pair", ["helmet", "=helmet", "helmet=", "a, b=c"])
def test_what_gives_no_name_is_refused(pair):
    with pytest.raises(InputRejected, match="gives no name"):
        read_names([pair])


def test_scores_are_read_or_refused():
    assert read_min_scores("") == (None, {})
    assert read_min_scores("0.3") == (0.3, {})
    assert read_min_scores("helmet=0.3, vest=0.5,0.1") == (0.1, {"helmet": 0.3, "vest": 0.5})
    for text in ("often", "1.5", "helmet=", "nan"):
        with pytest.raises(InputRejected, match="is no lowest score"):
            read_min_scores(text)
