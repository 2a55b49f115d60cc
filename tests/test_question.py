"""A question: its wire form, and the check, in which every missing or odd input has its sentence and its field."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from playground.errors import InputRejected, UnknownTask
from playground.events import Decoding
from playground.pictures.reader import InputImage, read_image
from playground.question import MAX_INPUTS, CheckedQuestion, Question, asked_names, check_question

CLASSES, SENTENCE = "<OPEN_VOCABULARY_DETECTION>", "<CAPTION_TO_PHRASE_GROUNDING>"
EXPRESSIONS, REGION, CUSTOM = "<REFERRING_EXPRESSION_SEGMENTATION>", "<REGION_TO_CATEGORY>", "<CUSTOM>"


@pytest.fixture(scope="module")
def picture() -> InputImage:
    return read_image(Image.new("RGB", (100, 80)))


def check(picture: InputImage, task: str, **inputs: Any) -> CheckedQuestion:
    return check_question(Question(task, **inputs), picture.resolution_wh)


def refusal(picture: InputImage, task: str, **inputs: Any) -> InputRejected:
    with pytest.raises(InputRejected) as caught:
        check(picture, task, **inputs)
    return caught.value


# --- Phrases


@pytest.mark.parametrize("phrase", [pytest.param("", id="empty"), pytest.param(" \n\t", id="blank")])
@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (SENTENCE, "Type a sentence about the picture, such as “A tree and two boats on a beach.”"),
        (CLASSES, "Type the names of the things to find, separated by commas, such as “tree, house”."),
        (EXPRESSIONS, "Describe what to outline, separated by commas, such as “the red car, the green tree”."),
        (CUSTOM, "Type the prompt of your fine-tune, such as “<DocVQA> What is the date on the letter?”"),
    ],
)
def test_a_missing_phrase_is_asked_for(picture: InputImage, task: str, sentence: str, phrase: str) -> None:
    error = refusal(picture, task, phrase=phrase)
    assert (str(error), error.field) == (sentence, "phrase")


@pytest.mark.parametrize("task", [CLASSES, EXPRESSIONS])
def test_commas_alone_are_no_phrase(picture: InputImage, task: str) -> None:
    assert refusal(picture, task, phrase=" , ,<and>,\n").field == "phrase"


@pytest.mark.parametrize(
    ("task", "phrase", "phrases"),
    [
        pytest.param(SENTENCE, " A car, a tree. ", ("A car, a tree.",), id="a sentence keeps its commas"),
        pytest.param(CLASSES, "car, t-shirt ,,\ncafé", ("car<and>t-shirt<and>café",), id="classes share a prompt"),
        pytest.param(CLASSES, "cat<and>dog", ("cat<and>dog",), id="classes as Florence-2 joins them"),
        pytest.param(EXPRESSIONS, "the red car, a tree", ("the red car", "a tree"), id="a prompt an expression"),
        pytest.param(CUSTOM, " <DocVQA> What, <loc_5>? ", ("<DocVQA> What, <loc_5>?",), id="a prompt as it stands"),
        pytest.param("<OD>", "ignored", (), id="a task without a phrase"),
    ],
)
def test_a_phrase_is_read_as_its_task_wants_it(
    picture: InputImage, task: str, phrase: str, phrases: tuple[str, ...]
) -> None:
    assert check(picture, task, phrase=phrase).phrases == phrases


@pytest.mark.parametrize(
    ("phrase", "put", "is_neutralized"),
    [
        pytest.param("</s>", "< /s>", True, id="the end"),
        pytest.param("a <OCR> sign", "a < OCR> sign", True, id="a task"),
        pytest.param("<loc_5>", "< loc_5>", True, id="a location"),
        pytest.param("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>", False, id="markup"),
        pytest.param("1 < 2 > 0", "1 < 2 > 0", False, id="plain signs"),
    ],
)
@pytest.mark.parametrize("task", [SENTENCE, CLASSES, EXPRESSIONS])
def test_names_of_tokens_in_a_phrase_are_broken_and_remembered(
    picture: InputImage, task: str, phrase: str, put: str, is_neutralized: bool
) -> None:
    request = check(picture, task, phrase=phrase)
    assert (request.phrases, request.is_neutralized) == ((put,), is_neutralized)


def test_the_sign_that_joins_classes_is_a_token_in_a_sentence(picture: InputImage) -> None:
    sentence = check(picture, SENTENCE, phrase="a cat<and>a dog")
    assert (sentence.phrases, sentence.is_neutralized) == (("a cat< and>a dog",), True)
    assert not check(picture, CLASSES, phrase="cat<and>dog").is_neutralized


@pytest.mark.parametrize(
    ("phrase", "sentence"),
    [
        pytest.param("What?</s>", "A prompt may not contain </s>; remove it.", id="the end"),
        pytest.param(
            "<OD>", "<OD> is one of Florence-2's own tasks; pick “Find every object” in the list instead.", id="a task"
        ),
        pytest.param(
            "find <OCR>",
            "<OCR> is one of Florence-2's own tasks; pick “Read the text” in the list instead.",
            id="in it",
        ),
    ],
)
def test_a_prompt_of_ones_own_may_not_hold_an_end_or_a_task(picture: InputImage, phrase: str, sentence: str) -> None:
    error = refusal(picture, CUSTOM, phrase=phrase)
    assert (str(error), error.field) == (sentence, "phrase")


def test_a_phrase_must_be_text(picture: InputImage) -> None:
    error = refusal(picture, SENTENCE, phrase=5)
    assert (str(error), error.field) == ("The phrase must be text, but got int.", "phrase")


def test_half_a_letter_is_replaced(picture: InputImage) -> None:
    assert check(picture, SENTENCE, phrase="a \ud800 car").phrases == ("a ? car",)


def test_too_many_expressions_are_refused(picture: InputImage) -> None:
    assert len(check(picture, EXPRESSIONS, phrase="car," * MAX_INPUTS).phrases) == 24
    error = refusal(picture, EXPRESSIONS, phrase="car," * 25)
    assert str(error) == "That is 25 phrases; at most 24 are answered in one run. Ask for fewer at once."
    assert error.field == "phrase"


# --- Regions


@pytest.mark.parametrize("regions", [[], (), None])
def test_a_missing_region_is_asked_for(picture: InputImage, regions: Any) -> None:
    error = refusal(picture, REGION, regions=regions)
    assert str(error) == "Mark a region: drag on the picture from one corner to the other."
    assert error.field == "regions"


@pytest.mark.parametrize(("regions", "kind"), [("abcd", "str"), ({"x": 1}, "dict"), (5, "int")])
def test_regions_that_are_no_list_are_refused_with_what_they_are(picture: InputImage, regions: Any, kind: str) -> None:
    error = refusal(picture, REGION, regions=regions)
    sentence = "The regions must be a list of boxes [x_min, y_min, x_max, y_max] in pixels, but got"
    assert (str(error), error.field) == (f"{sentence} {kind}.", "regions")


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        pytest.param([5, 5, 5, 40], "has no area inside the picture of 100 x 80 pixels", id="no width"),
        pytest.param([5, 40, 50, 40], "has no area inside the picture of 100 x 80 pixels", id="no height"),
        pytest.param([100, 0, 130, 40], "has no area inside the picture of 100 x 80 pixels", id="right of the picture"),
        pytest.param([0, -40, 30, -1], "has no area inside the picture of 100 x 80 pixels", id="above the picture"),
        pytest.param([1, 2, 3], "must be four numbers", id="three numbers"),
        pytest.param([1, 2, 3, "4"], "must be four numbers", id="text"),
        pytest.param([1, 2, 3, True], "must be four numbers", id="flag"),
        pytest.param([1, 2, 3, float("nan")], "must be four numbers", id="not a number"),
        pytest.param([1, 2, 3, float("inf")], "must be four numbers", id="infinite"),
        pytest.param([1, 2, 3, 10**400], "must be four numbers", id="beyond a float"),
        pytest.param("1234", "must be four numbers", id="text of four characters"),
        pytest.param(None, "must be four numbers", id="nothing"),
    ],
)
def test_a_region_that_is_none_is_refused_with_its_number(picture: InputImage, region: Any, sentence: str) -> None:
    error = refusal(picture, REGION, regions=[[1, 2, 30, 40], region])
    assert str(error).startswith(f"Region 2 {sentence}")
    assert error.field == "regions"


@pytest.mark.parametrize(
    ("region", "xyxy"),
    [
        pytest.param([10, 5, 90, 70], (10.0, 5.0, 90.0, 70.0), id="as it stands"),
        pytest.param([90, 70, 10, 5], (10.0, 5.0, 90.0, 70.0), id="drawn from below"),
        pytest.param([90, 5, 10, 70], (10.0, 5.0, 90.0, 70.0), id="drawn from the right"),
        pytest.param([-9, -9, 500, 500], (0.0, 0.0, 100.0, 80.0), id="larger than the picture"),
    ],
)
def test_a_region_is_ordered_and_inside_the_picture(
    picture: InputImage, region: list[float], xyxy: tuple[float, ...]
) -> None:
    assert check(picture, REGION, regions=[region]).regions == (xyxy,)


def test_regions_may_be_an_array(picture: InputImage) -> None:
    boxes = np.array([[10, 5, 90, 70], [1, 2, 3, 4]], dtype=np.float32)
    for given in (boxes, list(boxes), [tuple(box) for box in boxes]):
        assert check(picture, REGION, regions=given).regions == ((10, 5, 90, 70), (1, 2, 3, 4))
    numbers = {"max_new_tokens": np.int64(5), "tiles": np.int32(64), "min_scores": {"a": np.float32(0.5)}}
    asked = check(picture, "<OD>", **numbers).question
    assert asked.to_dict() == Question("<OD>").to_dict() | {"max_new_tokens": 5, "tiles": 64, "min_scores": {"a": 0.5}}


def test_too_many_regions_are_refused(picture: InputImage) -> None:
    region = [1, 2, 30, 40]
    assert len(check(picture, REGION, regions=[region] * MAX_INPUTS).regions) == 24
    error = refusal(picture, REGION, regions=[region] * 25)
    assert str(error) == "That is 25 regions; at most 24 are answered in one run. Remove some."
    assert error.field == "regions"


def test_regions_are_ignored_where_the_task_has_none(picture: InputImage) -> None:
    assert check(picture, "<OD>", regions=[[1, 1, 1, 1]]).regions == ()


# --- The rest


@pytest.mark.parametrize("decoding", ["fast", "", None, 3, ["greedy"]])
def test_an_unknown_way_to_decode_is_refused(picture: InputImage, decoding: Any) -> None:
    error = refusal(picture, "<OD>", decoding=decoding)
    assert str(error).endswith("is no way to decode; choose one of: greedy, careful.")
    assert error.field == "decoding"


@pytest.mark.parametrize("limit", [0, -5, 0.5, 1.5, 1e300, float("nan"), float("inf"), 2**70, "x", "12", True])
def test_a_limit_of_tokens_that_is_none_is_refused(picture: InputImage, limit: Any) -> None:
    error = refusal(picture, "<OD>", max_new_tokens=limit)
    assert f"The limit of new tokens must be a whole number from 1 to 1000000, but got {limit!r}. " in str(error)
    assert error.field == "decoding"


@pytest.mark.parametrize(("limit", "read"), [(1, 1), (7.0, 7), (5000, 5000), (None, None)])
def test_without_a_limit_of_tokens_the_checkpoint_decides(picture: InputImage, limit: Any, read: int | None) -> None:
    assert check(picture, "<OD>", max_new_tokens=limit).decoding == Decoding(1, read)


def test_careful_decoding_is_three_beams(picture: InputImage) -> None:
    assert check(picture, "<OD>", decoding="careful").decoding == Decoding(3)


@pytest.mark.parametrize("task", ["<NOPE>", "", None, 5, ["<OD>"]])
def test_an_unknown_task_is_refused_with_those_there_are(picture: InputImage, task: Any) -> None:
    with pytest.raises(UnknownTask, match=r"is not a task of this playground\. Tasks: <OD>, .*, <CUSTOM>\.$"):
        check(picture, task)


# --- The value


def test_a_question_is_a_frozen_value_of_tuples() -> None:
    question = Question(REGION, regions=[[1, 2, 3, 4]])  # type: ignore[arg-type]
    assert question == Question(REGION, regions=((1, 2, 3, 4),))
    assert len({question, Question(REGION, regions=np.array([[1, 2, 3, 4]]))}) == 1  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        question.task = "<OD>"  # type: ignore[misc]


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(Question("<OD>"), id="a task alone"),
        pytest.param(Question(CLASSES, "t-shirt, café", (), "florence-2-large", "careful", 64), id="all that is text"),
        pytest.param(Question(REGION, regions=((1.5, 2.0, 30.0, 40.25), (0.0, 0.0, 9.0, 9.0))), id="regions"),
        pytest.param(
            Question(
                CLASSES,
                "",
                names=(("a man", "man"),),
                min_scores=(("", 0.5), ("man", 0.25)),
                merge="ios",
                one_by_one=True,
                tiles=0,
            ),
            id="what is made of the answer",
        ),
    ],
)
def test_a_question_comes_back_from_json_as_it_was(question: Question) -> None:
    assert Question.from_dict(json.loads(json.dumps(question.to_dict(), allow_nan=False))) == question


def test_on_the_wire_names_and_scores_are_objects_and_are_told_only_where_there_are_some():
    assert set(Question("<OD>").to_dict()) == {
        "task", "phrase", "regions", "checkpoint", "decoding", "max_new_tokens",
    }  # fmt: skip
    wire = {"task": CLASSES, "names": {"a man": "man"}, "min_scores": 0.5}
    question = Question.from_dict(wire)
    assert (question.names, question.min_scores) == ((("a man", "man"),), (("", 0.5),))
    assert question.to_dict()["names"] == {"a man": "man"}
    assert question.to_dict()["min_scores"] == {"": 0.5}


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        pytest.param({"names": {"a man": " "}}, "names", "gives no name: say what is asked for", id="no name"),
        pytest.param({"names": 5}, "names", "gives no name: say what is asked for", id="a number for names"),
        pytest.param({"names": {"a man, a dog": "x"}}, "names", "“a man, a dog” is several names", id="several"),
        pytest.param({"min_scores": {"man": 2}}, "min_scores", "is no lowest score: give each name", id="too high"),
        pytest.param({"min_scores": "0.5"}, "min_scores", "is no lowest score: give each name", id="a text"),
        pytest.param({"tiles": 5}, "tiles", "must be a whole number from 32 to 1000000 pixels, but got 5", id="tiny"),
        pytest.param({"tiles": 1e300}, "tiles", "must be a whole number from 32 to 1000000 pixels", id="endless"),
        pytest.param({"tiles": 300.5}, "tiles", "1000000 pixels, but got 300.5", id="half a pixel"),
        pytest.param({"one_by_one": "no"}, "question", "valid boolean, but got 'no'", id="a text for yes or no"),
        pytest.param({"phrase": 5}, "question", "phrase: input should be a valid string, but got 5", id="ignored"),
        pytest.param({"merge": "all"}, "merge", "'all' is no way to merge; choose iou", id="no way to merge"),
    ],
)
def test_what_cannot_be_made_of_an_answer_is_refused(picture, fields, field, sentence):
    error = refusal(picture, "<OD>", **fields)
    assert sentence in str(error)
    assert error.field == field


def test_a_closer_look_is_for_what_has_a_place(picture):
    for task, fields in (("<OD>", {}), (CLASSES, {"phrase": "a"}), ("<OCR_WITH_REGION>", {})):
        assert check(picture, task, tiles=0, **fields)
    for task, fields in (("<CAPTION>", {}), ("<OCR>", {}), (EXPRESSIONS, {"phrase": "a"}), (CUSTOM, {"phrase": "a"}),
                         (REGION, {"regions": ((1, 1, 9, 9),)})):  # fmt: skip
        assert "cannot look closer. Choose a task that finds" in str(refusal(picture, task, tiles=0, **fields))
    with pytest.raises(InputRejected, match=r"That is 504 tiles; at most 200"):
        check_question(Question("<OD>", tiles=50), (900, 800))


def test_names_are_asked_for_together_or_one_by_one_and_a_name_alone_is_a_phrase(picture):
    question = {"phrase": "dog, cat", "names": {"a man": "man", "cat": "pet"}}
    assert check(picture, CLASSES, **question).phrases == ("dog<and>cat<and>a man",)
    assert check(picture, CLASSES, **question, one_by_one=True).phrases == ("dog", "cat", "a man")
    assert check(picture, CLASSES, names={"a man": "man"}).phrases == ("a man",)
    assert check(picture, SENTENCE, phrase="A dog, a cat.", one_by_one=True).phrases == ("A dog, a cat.",)


def test_no_phrase_is_an_empty_one_and_an_answer_with_it_can_be_read(picture):
    asked = check(picture, "<OD>", phrase=None).question
    assert Question.from_dict(asked.to_dict()) == asked == Question("<OD>")


def test_a_whole_limit_of_tokens_travels_as_a_whole_number() -> None:
    sent = (Question("<OD>", max_new_tokens=9.0), Question.from_dict({"task": "<OD>", "max_new_tokens": 9}))
    assert ['"max_new_tokens": 9}' in json.dumps(question.to_dict()) for question in sent] == [True, True]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param({}, "task: field required", id="no task"),
        pytest.param([], "input should be a JSON object, but got list", id="a list"),
        pytest.param({"task": 5}, "task: input should be a valid string, but got 5", id="a number"),
        pytest.param({"task": "<OD>", "regions": [[1, 2]]}, r"regions\[0\]\[2\]: field required", id="half a box"),
        pytest.param({"task": "<OD>", "max_new_tokens": "9"}, "max_new_tokens: input should be a valid", id="text"),
        pytest.param(
            {"task": "<OD>", "min_scores": "0.5"}, "min_scores: input .* JSON object, but got '0.5'", id="pairs"
        ),
        pytest.param({"task": "<OD>", "image": "a.png"}, r"there is no 'image'\.", id="unlike any"),
    ],
)
def test_what_is_no_question_is_refused_with_the_reason(sent: Any, reason: str) -> None:
    with pytest.raises(InputRejected, match=rf"^This is not a question of the playground: {reason}.* Send at least"):
        Question.from_dict(sent, is_asked=True)


def test_a_misspelled_key_is_told_to_who_asks_and_read_over_in_what_was_kept() -> None:
    wire = {"task": "<OD>", "min_score": 0.3}
    with pytest.raises(InputRejected, match="there is no 'min_score', but 'min_scores'\\. Send"):
        Question.from_dict(wire, is_asked=True)
    assert Question.from_dict(wire) == Question("<OD>")


@pytest.mark.parametrize(
    ("question", "names"),
    [
        pytest.param(Question(CLASSES, "dog, cat,\ndog<and>car"), ("dog", "cat", "car"), id="classes, each once"),
        pytest.param(Question(EXPRESSIONS, "the red car, a tree"), ("the red car", "a tree"), id="expressions"),
        pytest.param(Question(SENTENCE, "A dog, a cat."), (), id="a sentence"),
        pytest.param(Question("<OD>", "dog"), (), id="a task that names nothing"),
    ],
)
def test_names_are_those_that_were_asked_for_in_their_order(question: Question, names: tuple[str, ...]) -> None:
    assert asked_names(question) == names
