"""A run as the page shows it: the steps on the way, the end by an answer, by Stop, by another run, and by an error."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from playground.errors import CheckpointUnavailable, EngineFailed, InputRejected
from playground.events import RunStage
from playground.predictor import Predictor
from playground.question import Question
from playground.scenes.scene import Scene, make_scene
from playground.ui import streams
from playground.ui.components import StageData
from playground.ui.one_picture.handlers import Handlers
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER, CAR, TREE, WRITING
from tests.ui.one_picture.tab import Tab, answered, pixels, tab_of

Ask = Callable[..., Tab]


def said(updates: Updates) -> str:
    """What the status says of the run."""
    return str(updates["status"][-1]["text"])


# On the bundled checkpoint


@pytest.fixture(scope="module")
def finished(predictor: Predictor, scene: Scene, cache: Path) -> tuple[Tab, list[Updates]]:
    """A tab after one run about a picture that nobody has asked about, and everything that the run has shown."""
    path = cache / "scene.png"
    make_scene(scene.seed, resolution_wh=(500, 500)).image.save(path)
    tab = tab_of(predictor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_SECONDS_BETWEEN_UPDATES", 0)
        tab.take(str(path))
        return tab, list(tab.run())


@pytest.fixture(scope="module")
def steps(finished: tuple[Tab, list[Updates]]) -> list[Updates]:
    return finished[1]


def test_boxes_come_one_after_another_while_the_model_writes(steps: list[Updates]) -> None:
    counts = [len(step["stage"].boxes) for step in steps]
    assert all(before <= after for before, after in pairwise(counts))
    assert set(counts) == set(range(max(counts) + 1))
    assert max(counts) > 2
    assert [step["table"].boxes for step in steps] == [step["stage"].boxes for step in steps]


def test_the_stage_is_busy_until_the_answer_is_final(steps: list[Updates]) -> None:
    assert [step["stage"].busy for step in steps] == [True] * (len(steps) - 1) + [False]


def test_the_status_says_what_is_being_done(steps: list[Updates]) -> None:
    order = ("Waiting for the model", "Looking at the picture", "Reading the question", "Writing", "Done in")
    found = [next(index for index, words in enumerate(order) if said(step).startswith(words)) for step in steps]
    assert found == sorted(found)
    assert set(found) == set(range(len(order)))
    assert all(len(step["status"]) == 2 for step in steps)  # the checkpoint's line stays above


def test_only_the_final_answer_opens_what_is_below_the_picture(finished: tuple[Tab, list[Updates]]) -> None:
    tab, (*partial, final) = finished
    later = {"looks", "style", "min_score", "labels", "raw", "timings"}
    assert all(step.keys().isdisjoint(later) for step in partial)
    assert not any(step["details"]["visible"] for step in partial)  # what is there is about the answer before
    assert (final["details"]["visible"], final["looks"]["visible"]) == (True, True)
    assert final["style"]["value"] == ["box"]
    assert {"box", "corners", "blur"} <= {style for _, style in final["style"]["choices"]}
    assert "oriented-box" not in {style for _, style in final["style"]["choices"]}
    assert tab.item.prediction is not None
    counts = tab.item.prediction.label_counts()
    assert final["labels"]["value"] == list(counts)
    assert final["labels"]["choices"] == [(f"{label} · {count}", label) for label, count in counts.items()]
    assert final["min_score"] == tab.predictor.engines.status().checkpoint.min_score
    assert [kind for _, kind in final["raw"]][:3] == ["token", None, "location"]
    assert final["timings"][0]["text"].startswith("picture ")


def test_the_workspace_keeps_the_final_prediction(finished: tuple[Tab, list[Updates]], scene: Scene) -> None:
    tab, (*_, final) = finished
    prediction = tab.item.prediction
    assert prediction is not None
    assert (prediction.is_final, prediction.stage) == (True, RunStage.DONE)
    assert prediction.question == Question("<OD>", max_new_tokens=64)
    assert sorted(region.label for region in prediction.regions) == sorted(thing.kind for thing in scene.things)
    assert final["answer"] == prediction.text


def test_the_picture_that_is_shown_at_the_end_has_the_boxes_drawn_on_it(finished: tuple[Tab, list[Updates]]) -> None:
    tab, (*partial, final) = finished
    assert all(step["stage"].annotated is None for step in partial)
    assert (pixels(final["stage"].annotated.path) != pixels(tab.item.display_path)).any()
    assert final["stage"].alt.startswith("Found: ")


def test_a_run_that_is_stopped_in_the_queue_ends_at_once_and_the_answer_before_stays_whole(
    finished: tuple[Tab, list[Updates]],
) -> None:
    tab, _ = finished
    tab.begin()
    assert said(tab.call(tab.handlers.stop)) == "Stopped before it began."
    assert list(tab.run()) == []
    assert tab.kept.answer is not None
    assert tab.kept.answer.stage is RunStage.DONE


# With answers of the test's own


def test_a_run_asks_what_the_form_says_and_nothing_that_is_left_in_it_of_other_questions(ask: Ask) -> None:
    tab, drawn = ask(ANSWER), [[1.0, 2.0, 30.0, 20.0]]
    options = {"checkpoint": "tiny-florence2", "decoding": "careful", "max_new_tokens": 16}
    tab.answer(task="<REGION_TO_OCR>", phrase="words", stage=StageData(regions=drawn), **options)
    tab.answer(task="<REFERRING_EXPRESSION_SEGMENTATION>")
    questions = [
        Question("<REGION_TO_OCR>", "", ((1.0, 2.0, 30.0, 20.0),), **options),
        Question("<REFERRING_EXPRESSION_SEGMENTATION>", "words", **options),
    ]
    assert tab.predictor.asked == [(tab.item.path, question) for question in questions]


@pytest.mark.usefixtures("every_step")
def test_a_run_forgets_what_was_hidden_and_then_leaves_it_to_the_user(ask: Ask) -> None:
    steps = list(ask(replace(WRITING, stage=RunStage.WAITING), WRITING, WRITING, ANSWER).run())
    assert [step["stage"].hidden for step in steps] == [[], None, None, []]
    assert [step["table"].hidden for step in steps] == [[], None, None, []]
    assert all(step["stage"].regions is None for step in steps)  # drawn regions are the user's all along


@pytest.mark.usefixtures("every_step")
def test_whether_the_user_draws_during_a_run_is_left_to_the_user(ask: Ask) -> None:
    drawn = StageData(regions=[[1.0, 2.0, 30.0, 20.0]])
    steps = ask(WRITING, ANSWER).run(task="<REGION_TO_CATEGORY>", stage=drawn)
    assert [step["stage"].draw for step in steps] == [None, None]


def test_the_note_of_the_demo_model_is_not_told_twice(ask: Ask) -> None:
    tab = ask()
    note = tab.predictor.engines.status().checkpoint.note
    assert note
    tab.predictor.script = (replace(ANSWER, notices=(note, "The answer was cut.")),)
    assert tab.answer()["notes"] == [{"text": "The answer was cut.", "tone": "warning"}]


# Stop


@pytest.mark.usefixtures("every_step")
def test_stop_keeps_what_was_drawn(ask: Ask) -> None:
    tab = ask(replace(WRITING, regions=(CAR,)), replace(WRITING, regions=(CAR, TREE)), ANSWER)
    running = tab.run()
    next(running)
    tab.call(tab.handlers.stop)
    (last,) = running
    assert tab.item.prediction.regions == (CAR, TREE)
    assert said(last).startswith("Stopped")


@pytest.mark.usefixtures("every_step")
def test_stop_and_a_closed_tab_do_not_touch_the_run_of_another_tab(ask: Ask, upload: Callable[..., str]) -> None:
    for end, last in ((Handlers.stop, ["Stopped"]), (Handlers.leave, [])):
        ann = ask(WRITING, ANSWER)
        bob = ann.beside("bob")
        bob.take(upload())
        of_ann, of_bob = ann.run(), bob.run()
        next(of_ann)
        next(of_bob)
        ann.call(end.__get__(ann.handlers))
        assert [said(step)[:7] for step in of_ann] == last
        assert [said(step)[:4] for step in of_bob] == ["Done"]


def test_stop_without_a_run_does_not_stop_the_next_one(ask: Ask) -> None:
    tab = ask(ANSWER)
    tab.call(tab.handlers.stop)
    tab.begin()
    assert said(tab.answer()).startswith("Done")


def test_the_run_after_a_stopped_one_is_not_stopped(ask: Ask) -> None:
    tab = ask(ANSWER)
    tab.begin()
    tab.call(tab.handlers.stop)
    assert list(tab.run()) == []
    tab.begin()
    assert said(tab.answer()).startswith("Done")


@pytest.mark.usefixtures("every_step")
def test_a_run_is_stopped_when_its_reader_goes(ask: Ask) -> None:
    tab = ask(WRITING, WRITING, ANSWER)
    with closing(tab.run()) as running:
        next(running)
    assert tab.predictor.stops[0].is_set()


@pytest.mark.usefixtures("every_step")
def test_a_new_run_of_the_same_tab_ends_the_old_one(ask: Ask) -> None:
    tab = ask(WRITING, ANSWER)
    old = tab.run()
    next(old)
    tab.begin()
    assert said(tab.answer()).startswith("Done")
    assert list(old) == []
    assert tab.predictor.stops[0].is_set()


# Errors


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(EngineFailed("There is not enough memory. Close other programs."), id="engine"),
        pytest.param(CheckpointUnavailable("<b>That</b> is not a checkpoint."), id="checkpoint"),
        pytest.param(InputRejected("That is no way to decode.", field="decoding"), id="input"),
    ],
)
def test_a_failed_run_says_why_and_keeps_what_was_drawn(ask: Ask, error: Exception) -> None:
    drawn, failed = ask(replace(WRITING, regions=(CAR,)), error).run()
    assert failed["status"][-1] == {"text": str(error), "tone": "error"}
    assert [box.label for box in failed["stage"].boxes] == ["car"]
    assert (drawn["stage"].busy, failed["stage"].busy) == (True, False)
    assert failed.keys() == {"stage", "notes", "status"}


def test_a_run_that_fails_before_it_began_leaves_the_answer_before_whole(ask: Ask) -> None:
    tab = answered(ask(CheckpointUnavailable("It is still loading.")), ANSWER)
    (failed,) = tab.run()
    assert failed == {"status": [*failed["status"][:-1], {"text": "It is still loading.", "tone": "error"}]}
    assert tab.kept.answer == ANSWER


def test_a_bug_is_a_sentence_too_and_only_where_it_was_met_is_logged(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    *_, failed = ask(replace(WRITING, regions=(CAR,)), ZeroDivisionError("of Ann's secret")).run()
    assert failed["status"][-1]["tone"] == "error"
    assert said(failed).startswith("Something is wrong with the playground itself (ZeroDivisionError). Try again")
    assert [box.label for box in failed["stage"].boxes] == ["car"]
    assert "ZeroDivisionError, most recent call last" in caplog.text
    assert "handlers.py" in caplog.text
    assert "secret" not in caplog.text


def test_after_a_failure_the_tab_can_run_again(ask: Ask) -> None:
    tab = ask(EngineFailed("No memory."))
    tab.begin()
    assert said(tab.answer()) == "No memory."
    tab.predictor.script = (ANSWER,)
    assert said(tab.answer()).startswith("Done")


def test_a_picture_that_is_no_longer_kept_is_a_sentence_and_not_a_crash(ask: Ask) -> None:
    tab = ask(ANSWER)
    Path(tab.item.display_path).unlink()
    Path(tab.item.path).unlink()
    (failed,) = tab.run()
    assert failed["status"][-1]["tone"] == "error"
    assert said(failed).startswith("That picture is no longer on the server, which keeps for 60 minutes what no open")


def test_an_answer_is_not_lost_for_the_copy_that_is_shown(ask: Ask) -> None:
    tab = ask(ANSWER)
    Path(tab.item.display_path).unlink()
    *_, last = tab.run()
    assert said(last).startswith("Done")
    assert (tab.item.prediction.text, last["stage"].annotated) == (ANSWER.text, None)
