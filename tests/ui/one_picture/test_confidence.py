"""What the page makes of an answer of which the model is not sure, and of what was not found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.question import Question
from playground.regions import Region
from playground.ui import text
from playground.ui.components import RegionTableData
from playground.ui.shown import above, answer_text, lowest_score
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER, CAR, TREE, UNSCORED, WRITING
from tests.ui.one_picture.tab import Tab

Ask = Callable[..., Tab]

TINY = resolve(BUNDLED)
GHOST = Region("cat", (2.0, 2.0, 50.0, 30.0), 0.01)
UNSURE = replace(ANSWER, regions=(GHOST, GHOST), text="2 × cat", is_unsure=True, notices=(TINY.unsure_note,))
CLASSES = "<OPEN_VOCABULARY_DETECTION>"


def notes_of(shown: Updates) -> list[str]:
    return [line["text"] for line in shown["notes"]]


def lowered(tab: Tab, min_score: float) -> Updates:
    return tab.call(tab.handlers.redraw, table=RegionTableData(hidden=[]), min_score=min_score)


# The slider


@pytest.mark.parametrize(
    ("scores", "is_unsure", "start"),
    [
        pytest.param((0.9, 0.1), False, 0.3, id="the checkpoint's"),
        pytest.param((0.9, 0.1), True, 0.91, id="above all that is unsure"),
        pytest.param((0.29,), True, 0.3, id="to a hundredth"),
        pytest.param((0.05,), True, 0.3, id="never below the checkpoint's"),
        pytest.param((1.0,), True, 1.0, id="never beyond the slider"),
        pytest.param((), True, 0.3, id="no region"),
        pytest.param((None,), True, 0.3, id="no score"),
    ],
)
def test_the_slider_starts_where_the_model_is_sure(scores: tuple[Any, ...], is_unsure: bool, start: float) -> None:
    regions = tuple(replace(CAR, score=score) for score in scores)
    assert lowest_score(replace(ANSWER, regions=regions, is_unsure=is_unsure), 0.3) == start


def test_without_bounds_the_slider_starts_at_zero() -> None:
    assert lowest_score(ANSWER, 0.0) == 0.0


def test_a_region_without_a_score_is_not_judged_by_it() -> None:
    assert above(ANSWER, 0.5).regions == (CAR, UNSCORED)


def test_regions_that_score_too_little_are_hidden_and_counted(ask: Ask) -> None:
    tab = ask(replace(ANSWER, regions=(CAR, GHOST), text="car, cat"))
    shown = tab.answer(task="<OD>")
    assert [box.id for box in shown["stage"].boxes] == [box.id for box in shown["table"].boxes] == [0]
    assert (shown["answer"], shown["stage"].alt) == ("car", "Found: 1 × car.")
    assert shown["min_score"] == TINY.min_score
    assert shown["status"][-1]["text"] == "Done in 0.90 s · 1 region"
    (note,) = notes_of(shown)
    assert note.startswith("1 region is hidden: the score is below the lowest that is shown.")
    shown = lowered(tab, 0.0)
    assert (len(shown["table"].boxes), shown["answer"], shown["notes"]) == (2, "car, cat", [])


# An answer of which the model is not sure


def test_an_unsure_answer_draws_nothing_and_says_why_at_the_answer(ask: Ask) -> None:
    tab = ask(UNSURE)
    shown = tab.answer(task="<OD>")
    assert (shown["stage"].boxes, shown["stage"].annotated, shown["table"].boxes, shown["answer"]) == ([], None, [], "")
    assert shown["stage"].alt == text.UNSURE
    assert notes_of(shown) == [
        TINY.unsure_note,
        "2 regions are hidden for that reason. Lower “Lowest score” to see more.",
    ]
    assert shown["looks"]["visible"]  # where the slider is
    assert tab.item.prediction is not None
    assert tab.item.prediction.regions == (GHOST, GHOST)


def test_what_is_hidden_comes_back_with_a_lower_slider(ask: Ask) -> None:
    tab = ask(UNSURE)
    tab.answer(task="<OD>", labels=["cat"])
    shown = lowered(tab, 0.0)
    assert (len(shown["table"].boxes), shown["answer"], notes_of(shown)) == (2, "2 × cat", [TINY.unsure_note])


@pytest.mark.parametrize("task", ["<CAPTION>", "<OCR>"])
def test_an_unsure_text_is_left_to_what_the_model_wrote(ask: Ask, task: str) -> None:
    tab = ask(replace(UNSURE, regions=(), text="A bus in the snow.", raw_text="<s>A bus in the snow.</s>"))
    shown = tab.answer(task=task)
    assert (shown["answer"], shown["stage"].alt) == ("", text.UNSURE)
    assert notes_of(shown) == [TINY.unsure_note, "What it wrote stands under “What the model wrote”."]
    assert ("A bus in the snow.", None) in shown["raw"]


@pytest.mark.parametrize(
    ("changes", "ids", "answer"),
    [
        pytest.param({"regions": (GHOST,), "text": "cat", "is_unsure": True}, [], "", id="unsure so far"),
        pytest.param({"regions": (CAR, GHOST), "text": "car, cat"}, [0], "car", id="one of two regions"),
    ],
)
def test_nothing_unsure_is_shown_while_it_is_written(
    ask: Ask, changes: dict[str, Any], ids: list[int], answer: str
) -> None:
    step, _ = ask(replace(WRITING, **changes), UNSURE).run(task="<OD>")
    assert [box.id for box in step["stage"].boxes] == [box.id for box in step["table"].boxes] == ids
    assert step["answer"] == answer


def test_an_unsure_answer_does_not_tell_what_is_missing(ask: Ask) -> None:
    tab = ask(replace(UNSURE, regions=(), text=""))
    shown = tab.answer(task=CLASSES, phrase="helmet")
    assert (shown["answer"], notes_of(shown)) == ("", ["Nothing found.", TINY.unsure_note])


# What was not found


@pytest.mark.parametrize(
    ("labels", "answer", "note", "alt"),
    [
        pytest.param(
            ("bus",), "no helmet, no vest; one bus", "Not found: helmet, vest.",
            "Found: 1 × bus. Not found: helmet, vest.", id="one of three",
        ),
        pytest.param(
            ("bus", "bus", "vest"), "no helmet; 2 × bus, one vest", "Not found: helmet.",
            "Found: 2 × bus, 1 × vest. Not found: helmet.", id="two of three",
        ),
        pytest.param((), "no helmet, no vest, no bus", "Not found: helmet, vest, bus.", "Nothing found.", id="none"),
    ],
)  # fmt: skip
def test_what_was_not_found_is_said_by_name(
    ask: Ask, labels: tuple[str, ...], answer: str, note: str, alt: str
) -> None:
    regions = tuple(Region(label, (1.0, 1.0, 9.0, 9.0), 0.9) for label in labels)
    tab = ask(replace(ANSWER, regions=regions, text=", ".join(labels)))
    shown = tab.answer(task=CLASSES, phrase="helmet, vest, bus")
    assert (shown["answer"], notes_of(shown), shown["stage"].alt) == (answer, [note], alt)


def test_what_is_only_hidden_is_not_called_missing(ask: Ask) -> None:
    shown = ask(replace(ANSWER, regions=(GHOST,), text="cat")).answer(task=CLASSES, phrase="cat")
    assert (shown["answer"], shown["stage"].alt) == ("", text.FILTERED)
    assert notes_of(shown)[0].startswith("1 region is hidden")


def test_what_is_read_is_read_line_by_line_without_what_is_hidden() -> None:
    question = Question("<OCR_WITH_REGION>")
    signs = replace(ANSWER, question=question, regions=(CAR, TREE), text="car\ntree")
    assert answer_text(signs, above(signs, 0.5)) == "car"
    assert answer_text(signs, signs) == "car\ntree"
