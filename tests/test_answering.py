"""A question to prompts, and several answers to one text; answers from an engine are tested through the predictor."""

import pytest

from playground.answering import Prompt, filled_prompts, follow_up, join_texts
from playground.errors import InputRejected
from playground.question import Question
from playground.regions import Region
from playground.tasks import get_task

GROUNDING = get_task("<CAPTION_TO_PHRASE_GROUNDING>")


@pytest.mark.parametrize(
    ("question", "prompts"),
    [
        pytest.param(Question("<OD>", "ignored"), ["Locate the objects with category name in the image."], id="none"),
        pytest.param(
            Question("<OPEN_VOCABULARY_DETECTION>", "cat, t-shirt"),
            ["Locate cat<and>t-shirt in the image."],
            id="classes",
        ),
        pytest.param(
            Question("<REFERRING_EXPRESSION_SEGMENTATION>", "the red car, a tree"),
            ["Locate the red car in the image with mask", "Locate a tree in the image with mask"],
            id="a prompt an expression",
        ),
        pytest.param(
            Question("<REGION_TO_CATEGORY>", regions=((0, 0, 50, 80), (99.9, 79.9, 20, 40))),
            [
                "What is the region <loc_0><loc_0><loc_500><loc_999>?",
                "What is the region <loc_200><loc_500><loc_999><loc_998>?",
            ],
            id="a prompt a region",
        ),
        pytest.param(
            Question("<OCR>+<CROP>", regions=((0, 0, 50, 80),)), ["What is the text in the image?"], id="a crop"
        ),
        pytest.param(Question("<CUSTOM>", "<DocVQA> {input}?"), ["<DocVQA> {input}?"], id="a prompt of one's own"),
    ],
)
def test_a_question_is_put_in_the_words_of_its_task(question: Question, prompts: list[str]) -> None:
    assert filled_prompts(question, (100, 80)) == prompts


def test_a_question_that_cannot_be_answered_has_no_prompts() -> None:
    with pytest.raises(InputRejected, match="Mark a region"):
        filled_prompts(Question("<REGION_TO_CATEGORY>"), (100, 80))


@pytest.mark.parametrize(
    ("text", "room", "left"),
    [
        pytest.param("one two three", 13, "one two three", id="fits"),
        pytest.param("one two three", 12, "one two", id="cut between words"),
        pytest.param("incomprehensibility", 9, "incompreh", id="cut within the only word"),
    ],
)
def test_a_text_is_shortened_to_what_the_model_can_take(text: str, room: int, left: str) -> None:
    sentence = len(GROUNDING.fill())  # a token a character
    assert Prompt(GROUNDING, text).shortened(sentence + room, len) == Prompt(GROUNDING, left)


def test_what_is_asked_next_is_the_first_answer_as_plain_text() -> None:
    cascade = get_task("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>")
    assert follow_up(cascade, "A sign <OCR>.") == Prompt(GROUNDING, "A sign < OCR>.")
    assert follow_up(cascade, "") is None
    assert follow_up(GROUNDING, "A sign.") is None


@pytest.mark.parametrize(
    ("task", "texts", "is_numbered", "text"),
    [
        pytest.param("<CAPTION>", ["a car"], False, "a car", id="one text"),
        pytest.param("<REGION_TO_OCR>", ["EXIT", "", "GO"], True, "1. EXIT\n2. \n3. GO", id="a line a region"),
        pytest.param("<REGION_TO_OCR>", ["", ""], True, "", id="nothing was read"),
        pytest.param("<REFERRING_EXPRESSION_SEGMENTATION>", ["car", "car"], False, "2 × car", id="things"),
        pytest.param("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>", ["a car", "car"], False, "a car", id="caption"),
        pytest.param("<OD>", [], False, "", id="nothing yet"),
    ],
)
def test_several_answers_are_one_text(task: str, texts: list[str], is_numbered: bool, text: str) -> None:
    regions = [Region("car", (0, 0, 1, 1))] * 2
    assert join_texts(get_task(task), texts, regions, is_numbered=is_numbered) == text
