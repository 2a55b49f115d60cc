"""The page's own sentences."""

from dataclasses import replace
from typing import Any

import pytest

from playground.checkpoints.catalog import CATALOG
from playground.engines import State, Status
from playground.events import RunStage
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction, Timings
from playground.scenes.examples import Example
from playground.tasks import InputKind, get_task
from playground.ui import text

CAR = Region("car", (0, 0, 9, 9), 0.5)
TREE = Region("tree", (0, 0, 9, 9), 0.5)
NAMELESS = Region("", (0, 0, 9, 9), 0.5)


def answer(task: str = "<OD>", **changes: Any) -> Prediction:
    done = Prediction(Question(task), "tiny-florence2", (10, 10), stage=RunStage.DONE, is_final=True)
    return replace(done, **{"timings": Timings(total=1500), **changes})


@pytest.mark.parametrize(
    ("changes", "sentence", "tone"),
    [
        pytest.param({"stage": RunStage.WAITING}, "Waiting for the model…", "busy", id="waiting"),
        pytest.param({"stage": RunStage.ENCODING_IMAGE}, "Looking at the picture…", "busy", id="encoding image"),
        pytest.param({"stage": RunStage.ENCODING_PROMPT}, "Reading the question…", "busy", id="encoding prompt"),
        pytest.param({"stage": RunStage.WRITING}, "Writing…", "busy", id="writing"),
        pytest.param({"stage": RunStage.WRITING, "regions": (CAR,)}, "Writing… · 1 region", "busy", id="one region"),
        pytest.param(
            {"stage": RunStage.WRITING, "regions": (CAR, TREE), "is_draft": True},
            "Writing… · 2 regions (a draft: the careful search may still change it)", "busy", id="draft",
        ),
        pytest.param({"regions": (CAR, TREE)}, "Done in 1.5 s · 2 regions", "good", id="done"),
        pytest.param({}, "Done in 1.5 s", "good", id="done, only text"),
        pytest.param(
            {"stage": RunStage.STOPPED, "regions": (CAR,)},
            "Stopped after 1.5 s; what was drawn is kept · 1 region", "warning", id="stopped",
        ),
    ],
)  # fmt: skip
def test_a_line_says_what_a_run_is_doing(changes: dict[str, Any], sentence: str, tone: str) -> None:
    assert text.run_line(answer(**changes)) == {"text": sentence, "tone": tone}


def test_every_stage_of_a_run_has_its_line() -> None:
    lines = [text.run_line(answer(stage=stage)) for stage in RunStage]
    assert len({line["text"] for line in lines}) == len(RunStage)


def test_a_run_that_was_stopped_before_it_began_names_no_time() -> None:
    line = text.run_line(answer(stage=RunStage.STOPPED, timings=Timings()))
    assert line["text"].startswith("Stopped")
    assert "–" not in line["text"]


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        pytest.param(None, "–", id="not measured"),
        pytest.param(0, "0.00 s", id="nothing"),
        pytest.param(42, "0.04 s", id="hundredths"),
        pytest.param(999, "1.00 s", id="almost a second"),
        pytest.param(1000, "1.0 s", id="a second"),
        pytest.param(9940, "9.9 s", id="tenths"),
        pytest.param(12_300, "12 s", id="whole seconds"),
        pytest.param(90_000, "90 s", id="minutes are seconds too"),
    ],
)
def test_a_duration_for_a_person(milliseconds: float | None, said: str) -> None:
    assert text.seconds(milliseconds) == said


@pytest.mark.parametrize(
    ("timings", "said"),
    [
        pytest.param(
            Timings(1400, 300, 1800, 2400, 5000),
            "picture 1.4 s · question 0.30 s · first word after 1.8 s · first region after 2.4 s · all in 5.0 s",
            id="all of them",
        ),
        pytest.param(
            Timings(0, 300, 400, None, 900),
            "picture remembered · question 0.30 s · first word after 0.40 s · all in 0.90 s",
            id="the picture was known, and there is no region",
        ),
        pytest.param(
            Timings(0, 0, 50, None, 100),
            "picture remembered · question remembered · first word after 0.05 s · all in 0.10 s",
            id="both were known",
        ),
        pytest.param(
            Timings(total=100), "picture – · question – · first word after – · all in 0.10 s", id="stopped early"
        ),
    ],
)
def test_the_time_of_each_stage(timings: Timings, said: str) -> None:
    assert text.timings_line(timings) == said


# For each kind of answer: what the model found and said, and whether that is nothing.
@pytest.mark.parametrize(
    ("task", "said", "regions", "is_nothing"),
    [
        pytest.param("<CAPTION>", "A car.", (), False, id="text"),
        pytest.param("<CAPTION>", "", (), True, id="text, empty"),
        pytest.param("<REGION_TO_CATEGORY>", "car", (CAR,), False, id="text with box"),
        pytest.param("<REGION_TO_CATEGORY>", "", (), True, id="text with box, empty"),
        pytest.param("<OD>", "car", (CAR,), False, id="labeled boxes"),
        pytest.param("<OD>", "", (), True, id="labeled boxes, none"),
        pytest.param("<OD>", "no boxes here", (), True, id="labeled boxes, only prose"),
        pytest.param("<REGION_PROPOSAL>", "", (NAMELESS,), False, id="boxes"),
        pytest.param("<REGION_PROPOSAL>", "", (), True, id="boxes, none"),
        pytest.param("<OCR_WITH_REGION>", "", (), True, id="quads, none"),
        pytest.param("<REFERRING_EXPRESSION_SEGMENTATION>", "", (), True, id="polygons, none"),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", "", (), True, id="boxes or polygons, none"),
        pytest.param("<CUSTOM>", "$ 12", (), False, id="a prompt of one's own, answered in text"),
        pytest.param("<CUSTOM>", "", (), True, id="a prompt of one's own, not answered"),
        pytest.param("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>", "A car.", (), False, id="a caption without its things"),
    ],
)
def test_what_counts_as_nothing(task: str, said: str, regions: tuple[Region, ...], is_nothing: bool) -> None:
    prediction = answer(task, text=said, regions=regions)
    assert text.is_nothing_found(prediction) is is_nothing
    assert ({"text": "Nothing found.", "tone": "plain"} in text.notes(prediction)) is is_nothing


def test_a_stopped_run_has_not_found_nothing() -> None:
    assert text.notes(answer(stage=RunStage.STOPPED)) == []


def test_nothing_is_said_to_be_missing_before_the_end() -> None:
    assert text.notes(answer(stage=RunStage.WRITING, is_final=False)) == []


def test_notices_follow_what_was_not_found() -> None:
    cut = "The answer was cut after 64 tokens. Raise the limit under Advanced to see the rest."
    assert text.notes(answer(is_truncated=True, notices=(cut,))) == [
        {"text": "Nothing found.", "tone": "plain"},
        {"text": cut, "tone": "warning"},
    ]


def test_a_notice_that_the_page_tells_already_is_left_out() -> None:
    prediction = answer(text="car", regions=(CAR,), notices=("A demo model.", "Cut."))
    assert text.notes(prediction, told="A demo model.") == [{"text": "Cut.", "tone": "warning"}]


@pytest.mark.parametrize(
    ("task", "said", "regions", "alt"),
    [
        pytest.param("<CAPTION>", "A car.", (), "A car.", id="a caption"),
        pytest.param("<OD>", "car, tree", (CAR, TREE, CAR), "Found: 2 × car, 1 × tree.", id="counts"),
        pytest.param("<REGION_PROPOSAL>", "", (NAMELESS, NAMELESS), "Found: 2 × region.", id="without names"),
        pytest.param("<OD>", "", (), "Nothing found.", id="nothing"),
        pytest.param("<CAPTION>", "", (), "Nothing found.", id="no caption"),
        pytest.param("<CUSTOM>", "$ 12", (), "$ 12", id="a prompt of one's own, answered in text"),
        pytest.param(
            "<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>", "A car.", (CAR,), "A car.", id="a caption with its things"
        ),
    ],
)
def test_the_result_in_words(task: str, said: str, regions: tuple[Region, ...], alt: str) -> None:
    assert text.alt_text(answer(task, text=said, regions=regions)) == alt


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        pytest.param(Example(Question("<CAPTION>"), text="A car."), "A car.", id="text"),
        pytest.param(Example(Question("<OCR>")), "Nothing.", id="nothing is written"),
        pytest.param(Example(Question("<OD>"), regions=(CAR, TREE, CAR)), "2 × car, tree", id="regions"),
        pytest.param(Example(Question("<REGION_PROPOSAL>"), regions=(NAMELESS,)), "1 region", id="without a name"),
        pytest.param(Example(Question("<OD>")), "Nothing.", id="nothing is there"),
        pytest.param(
            Example(Question("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>"), regions=(CAR,), text="A car."), "A car.",
            id="a caption with its things",
        ),
    ],
)  # fmt: skip
def test_the_truth_is_put_in_the_words_of_an_answer(truth: Example, said: str) -> None:
    assert text.truth(truth) == said


def test_labels_are_offered_with_their_counts() -> None:
    prediction = answer(regions=(CAR, NAMELESS, CAR))
    assert text.label_choices(prediction) == [("car · 2", "car"), ("(no label) · 1", "")]


@pytest.mark.parametrize(
    ("raw_text", "pieces"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("A car.", [("A car.", None)], id="prose is one piece"),
        pytest.param(
            "<s>car<loc_1><loc_2><loc_3><loc_4>tree<loc_999></s>",
            [
                ("<s>", "token"),
                ("car", None),
                ("<loc_1><loc_2><loc_3><loc_4>", "location"),
                ("tree", None),
                ("<loc_999>", "location"),
                ("</s>", "token"),
            ],
            id="neighbors of one kind are joined",
        ),
        pytest.param("a<loc_1000>b", [("a<loc_1000>b", None)], id="a bin that does not exist is text"),
        pytest.param(
            "<img src=x onerror=x()>", [("<img src=x onerror=x()>", None)], id="markup stays as it was written"
        ),
        pytest.param("红色<loc_5>\nb", [("红色", None), ("<loc_5>", "location"), ("\nb", None)], id="any script"),
    ],
)
def test_what_the_model_wrote_in_pieces(raw_text: str, pieces: list[tuple[str, str | None]]) -> None:
    assert list(text.raw_segments(raw_text)) == pieces


def test_the_field_for_text_says_what_it_is_for() -> None:
    labels = {kind: text.phrase_label(replace(get_task("<OD>"), input_kind=kind)) for kind in InputKind}
    assert {kind for kind, label in labels.items() if label} == {kind for kind in InputKind if kind.is_text}
    assert labels[InputKind.CLASSES] == "Things to find, separated by commas"


@pytest.mark.parametrize(
    ("state", "tone"),
    [
        (State.ABSENT, "plain"),
        (State.DOWNLOADING, "busy"),
        (State.LOADING, "busy"),
        (State.READY, "good"),
        (State.FAILED, "error"),
    ],
    ids=[state.value for state in State],
)
def test_the_checkpoints_own_sentence_has_the_tone_of_its_state(state: State, tone: str) -> None:
    status = Status(CATALOG[0], state, "Downloading it: 42 %")
    assert text.checkpoint_line(status) == {"text": "Downloading it: 42 %", "tone": tone}


def test_every_way_to_decode_has_a_title() -> None:
    assert text.decoding_choices() == [("Fast (greedy)", "greedy"), ("Careful (three beams)", "careful")]
