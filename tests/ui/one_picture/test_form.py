"""The form: what each task needs, what is refused before anything runs, and the checkpoint with its limits."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from playground.checkpoints.catalog import BUNDLED, OFFERED, resolve
from playground.engines import State, Status
from playground.settings import Settings
from playground.tasks import TASKS
from playground.ui import text
from playground.ui.components import StageData
from playground.ui.pages import build_app
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER, WRITING, ScriptedEngines, ScriptedPredictor
from tests.ui.one_picture.tab import Tab, tab_of

Ask = Callable[..., Tab]

NEEDS = {
    "<OD>": "",
    "<DENSE_REGION_CAPTION>": "",
    "<REGION_PROPOSAL>": "",
    "<OPEN_VOCABULARY_DETECTION>": "phrase",
    "<OPEN_VOCABULARY_DETECTION>+<COVER>": "phrase",
    "<CAPTION_TO_PHRASE_GROUNDING>": "phrase",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "phrase",
    "<CAPTION>": "",
    "<DETAILED_CAPTION>": "",
    "<MORE_DETAILED_CAPTION>": "",
    "<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>": "",
    "<DETAILED_CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>": "",
    "<MORE_DETAILED_CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>": "",
    "<OCR>": "",
    "<OCR_WITH_REGION>": "",
    "<REGION_TO_CATEGORY>": "regions",
    "<REGION_TO_DESCRIPTION>": "regions",
    "<REGION_TO_SEGMENTATION>": "regions",
    "<REGION_TO_OCR>": "regions",
    "<OCR>+<CROP>": "regions",
    "<CUSTOM>": "phrase",
}


def test_the_needs_of_every_task_are_known_here() -> None:
    assert list(NEEDS) == [task.id for task in TASKS]


@pytest.mark.parametrize(("task", "need"), NEEDS.items(), ids=NEEDS.keys())
def test_a_task_shows_only_what_it_needs(ask: Ask, task: str, need: str) -> None:
    tab = ask()
    shown = tab.call(tab.handlers.choose_task, task=task)
    phrase, draw, stage = shown["phrase"], shown["draw"], shown["stage"]
    assert phrase["visible"] is (need == "phrase")
    assert bool(phrase["label"]) is bool(phrase["placeholder"]) is (need == "phrase")
    assert (draw["visible"], stage.draw) == (need == "regions", need == "regions")
    assert stage.keep  # an answer stays whole
    assert shown.keys() == {"phrase", "names", "look_closer", "draw", "stage"}


def test_the_user_chooses_whether_to_draw_or_to_scroll(ask: Ask) -> None:
    tab = ask()
    drawn = [tab.call(tab.handlers.choose_drawing, draw=draw)["stage"].draw for draw in (False, True)]
    assert drawn == [False, True]


# What is missing is refused before anything runs

NAMES = "Type the names of the things to find, separated by commas, such as “tree, house”."
MARK = "Mark a region: drag on the picture from one corner to the other."


@pytest.mark.parametrize(
    ("task", "phrase", "regions", "field", "sentence"),
    [
        pytest.param("<OPEN_VOCABULARY_DETECTION>", "", [], "phrase", NAMES, id="no names"),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", " , \n,", [], "phrase", NAMES, id="only commas"),
        pytest.param(
            "<CAPTION_TO_PHRASE_GROUNDING>", "  ", [], "phrase",
            "Type a sentence about the picture, such as “A tree and two boats on a beach.”", id="no sentence",
        ),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>", "", [], "phrase",
            "Describe what to outline, separated by commas, such as “the red car, the green tree”.",
            id="no description",
        ),
        pytest.param(
            "<CUSTOM>", "", [], "phrase",
            "Type the prompt of your fine-tune, such as “<DocVQA> What is the date on the letter?”", id="no prompt",
        ),
        pytest.param("<REGION_TO_CATEGORY>", "", None, "draw", MARK, id="no region"),
        pytest.param("<OCR>+<CROP>", "", [], "draw", MARK, id="no region to cut out"),
        pytest.param(
            "<REGION_TO_OCR>", "", [[100, 100, 200, 200]], "draw",
            "Region 1 has no area inside the picture of 60 x 40 pixels. Draw it again.", id="region outside",
        ),
    ],
)  # fmt: skip
def test_a_missing_input_is_refused_at_its_field(
    ask: Ask, task: str, phrase: str, regions: Any, field: str, sentence: str
) -> None:
    assert ask().check(task=task, phrase=phrase, stage=StageData(regions=regions)) == {field: sentence}


def test_without_a_picture_the_sentence_stands_at_the_picture() -> None:
    assert tab_of(ScriptedPredictor()).check() == {"picture": text.NO_PICTURE}


@pytest.mark.parametrize(
    ("task", "phrase", "regions"),
    [
        pytest.param("<OD>", "", [], id="nothing needed"),
        pytest.param("<OD>", "", [[9, 9, 9, 9]], id="what is not needed is not judged"),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", "</s><img src=x onerror=alert(1)>", [], id="hostile"),
        pytest.param("<REGION_TO_CATEGORY>", "", [[1.0, 2.0, 30.0, 20.0]], id="a region"),
    ],
)
def test_a_complete_form_passes(ask: Ask, task: str, phrase: str, regions: Any) -> None:
    assert ask().check(task=task, phrase=phrase, stage=StageData(regions=regions)) == {}


def can_press(updates: Updates) -> tuple[bool, bool]:
    return updates["run"]["interactive"], updates["stop"]["interactive"]


def test_stop_can_be_pressed_only_while_a_run_goes_on(ask: Ask) -> None:
    tab, without_picture = ask(ANSWER), tab_of(ScriptedPredictor())
    assert can_press(tab.call(tab.handlers.rest)) == (True, False)
    assert can_press(tab.begin()) == (False, True)
    assert can_press(tab.call(tab.handlers.rest)) == (False, True)  # the end of a run before this one
    assert can_press(without_picture.begin()) == (True, False)
    tab.answer()
    assert can_press(tab.call(tab.handlers.rest)) == (True, False)


def test_whom_a_full_queue_turns_away_is_told_so_and_can_ask_again(ask: Ask) -> None:
    tab = ask(WRITING, ANSWER)
    tab.begin()
    turned_away = tab.call(tab.handlers.turned_away)
    assert turned_away["status"][-1] == {"text": text.BUSY, "tone": "warning"}
    assert can_press(turned_away) == (True, False)
    tab.begin()
    running = tab.run()
    next(running)
    assert can_press(tab.call(tab.handlers.turned_away)) == (False, True)  # a run before the one that goes on


@pytest.mark.usefixtures("every_step")
def test_a_refused_form_leaves_the_run_that_goes_on_alone(ask: Ask) -> None:
    tab = ask(WRITING, ANSWER)
    tab.begin()
    running = tab.run()
    next(running)
    assert tab.check(task="<CUSTOM>").keys() == {"phrase"}
    assert can_press(tab.begin()) == (False, True)
    assert [step["status"][-1]["text"][:4] for step in running] == ["Done"]


# The checkpoint


def tab_with(*states: State, max_answer_tokens: int = 512, **settings: Any) -> tuple[Tab, ScriptedEngines]:
    engines = ScriptedEngines(*states, max_answer_tokens=max_answer_tokens)
    return tab_of(ScriptedPredictor(engines=engines), **settings), engines


def poll(tab: Tab) -> Updates:
    return tab.call(tab.handlers.poll)


@pytest.mark.parametrize(
    ("state", "tone", "is_asked_again"),
    [
        pytest.param(State.ABSENT, "plain", True, id="absent"),
        pytest.param(State.LOADING, "busy", True, id="loading"),
        pytest.param(State.READY, "good", False, id="ready"),
        pytest.param(State.FAILED, "error", False, id="failed"),
    ],
)
def test_the_status_follows_a_checkpoint_until_it_is_settled(state: State, tone: str, is_asked_again: bool) -> None:
    tab, _ = tab_with(state)
    polled = poll(tab)
    assert polled["status"] == [{"text": f"Tiny demo model is {state.value}.", "tone": tone}]
    assert "tiny demo model" in polled["banner"][0]["text"]
    assert polled["timer"].active is is_asked_again


def test_a_checkpoint_without_a_note_has_no_banner(ask: Ask) -> None:
    tab = ask()
    assert tab.call(tab.handlers.poll, checkpoint="florence-2-base")["banner"] == []


class TwoCheckpoints(ScriptedEngines):
    """The demo model, ready, and Florence-2 base, which passes through states."""

    def names(self) -> list[tuple[str, str]]:
        return [*super().names(), ("Florence-2 base", OFFERED)]

    def status(self, name: str = "") -> Status:
        if name == OFFERED:
            return replace(super().status(name), checkpoint=resolve(OFFERED))
        return Status(resolve(BUNDLED), State.READY, "Tiny demo model is ready.", max_answer_tokens=77)


def offering(*states: State, **settings: Any) -> tuple[Tab, TwoCheckpoints]:
    engines = TwoCheckpoints(*states)
    return tab_of(ScriptedPredictor(engines=engines), **settings), engines


def test_the_real_model_is_offered_fetched_beside_the_demo_and_then_taken() -> None:
    tab, engines = offering(State.ABSENT)
    shown = poll(tab)
    assert shown["get"] == gr.update(value="Get Florence-2 base (0.5 GB)", visible=True, interactive=True)
    assert shown["timer"].active is False
    engines.states = [State.DOWNLOADING]
    shown = tab.call(tab.handlers.accept_offer)
    assert engines.requested == [OFFERED]
    assert shown["get"]["interactive"] is False
    assert shown["banner"][-1]["tone"] == "busy"
    assert shown["timer"].active is True
    assert "checkpoint" not in shown
    engines.states = [State.READY]
    shown = poll(tab)
    assert shown["checkpoint"] == OFFERED
    assert shown["banner"] == []
    assert shown["get"] == gr.update(visible=False)


def test_an_offer_that_fails_says_so_and_can_be_taken_again() -> None:
    tab, engines = offering(State.FAILED)
    shown = tab.call(tab.handlers.accept_offer)
    assert engines.requested == [OFFERED]
    assert shown["banner"][-1]["tone"] == "error"
    assert shown["get"]["interactive"] is True
    assert shown["is_wanted"] is False
    assert shown["timer"].active is False


def test_what_another_tab_has_fetched_is_offered_for_use_and_not_taken() -> None:
    tab, _ = offering(State.READY)
    shown = poll(tab)
    assert shown["get"]["value"] == "Use Florence-2 base"
    assert "checkpoint" not in shown


def test_offline_nothing_is_offered() -> None:
    tab, engines = offering(State.ABSENT, offline=True)
    assert poll(tab)["get"] == gr.update(visible=False)
    tab.call(tab.handlers.accept_offer)
    assert engines.requested == []


def test_a_checkpoint_that_is_chosen_begins_to_load(ask: Ask) -> None:
    tab, engines = tab_with(State.ABSENT, State.LOADING)
    chosen = tab.call(tab.handlers.choose_checkpoint, checkpoint="tiny-florence2")
    assert engines.requested == ["tiny-florence2"]
    assert chosen["timer"].active is True


def test_a_checkpoint_that_is_none_is_a_sentence(ask: Ask) -> None:
    tab = ask()
    with pytest.raises(gr.Error, match="<img src=x>' is not a checkpoint"):
        tab.call(tab.handlers.choose_checkpoint, checkpoint="<img src=x>")


# The longest answer


@pytest.fixture
def polled(upload: Callable[..., str]) -> Callable[..., tuple[Any, int, int | None]]:
    """Let the slider stand somewhere when a checkpoint is ready; gives its new end and value, and a run's limit."""

    def look(value: int, longest: int, end: int) -> tuple[Any, int, int | None]:
        engines = ScriptedEngines(State.READY, max_answer_tokens=end)
        predictor = ScriptedPredictor(ANSWER, engines=engines)
        tab = tab_of(predictor)
        tab.take(upload(), max_new_tokens=value, longest=longest)
        slider = poll(tab)["max_new_tokens"]
        assert slider["interactive"]
        tab.answer()
        return slider["maximum"], tab.form["max_new_tokens"], predictor.asked[0][1].max_new_tokens

    return look


@pytest.mark.parametrize(
    ("value", "longest", "end", "new_value", "limit"),
    [
        pytest.param(32, 32, 512, 512, None, id="the first one is ready"),
        pytest.param(64, 512, 1024, 64, 64, id="a limit of the user's stays for one that can write more"),
        pytest.param(64, 512, 128, 64, 64, id="a limit of the user's stays for one that can write less"),
        pytest.param(512, 512, 1024, 1024, None, id="no limit stays none for one that can write more"),
        pytest.param(1024, 1024, 512, 512, None, id="no limit stays none for one that can write less"),
        pytest.param(256, 512, 128, 128, None, id="a limit that is none to one that writes less"),
    ],
)
def test_the_longest_answer_is_what_the_checkpoint_can_write(
    polled: Callable[..., tuple[Any, int, int | None]], value: int, longest: int, end: int, new_value: int, limit: Any
) -> None:
    assert polled(value, longest, end) == (end, new_value, limit)


def test_a_checkpoint_that_is_not_ready_leaves_the_longest_answer_as_it_is() -> None:
    tab, _ = tab_with(State.DOWNLOADING)
    assert poll(tab).keys().isdisjoint({"max_new_tokens", "longest"})


def test_what_a_poll_reads_is_what_the_page_held_at_one_moment() -> None:
    """Two overlap when a page is opened: one that met the other's end, kept by the server, would cut all answers."""
    config = build_app(ScriptedPredictor(), Settings()).get_config_file()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    of_the_page = config["page"][""]["dependencies"]
    names = ("poll", "choose_checkpoint")
    polls = [
        row for row in config["dependencies"] if str(row["api_name"]).startswith(names) and row["id"] in of_the_page
    ]
    assert len(polls) == 3
    assert all("state" not in [kinds[id_] for id_ in row["inputs"]] for row in polls)


# The wait for a checkpoint


@pytest.fixture
def waiting(
    monkeypatch: pytest.MonkeyPatch, upload: Callable[..., str]
) -> Callable[..., tuple[Tab, ScriptedEngines, Iterator[Updates]]]:
    """Let a tab wait for a checkpoint that passes through states."""
    monkeypatch.setattr("playground.ui.running._SECONDS_BETWEEN_LOOKS", 0)

    def wait(*states: State, **settings: Any) -> tuple[Tab, ScriptedEngines, Iterator[Updates]]:
        tab, engines = tab_with(*states, **settings)
        tab.take(upload())
        tab.begin()
        return tab, engines, tab.wait()

    return wait


def test_a_run_waits_for_its_checkpoint_outside_the_models_queue(waiting) -> None:
    _, engines, looks = waiting(*[State.DOWNLOADING] * 6, State.READY)
    assert "downloading" in next(looks)["status"][0]["text"]
    assert "ready" in list(looks)[-1]["status"][0]["text"]
    assert engines.requested == [""]


def test_a_checkpoint_that_fails_ends_the_wait_in_its_sentence_and_is_not_tried_again(waiting) -> None:
    _, engines, looks = waiting(*[State.DOWNLOADING] * 6, State.FAILED)
    seen = []
    with pytest.raises(gr.Error, match="Tiny demo model is failed"):
        seen.extend(looks)  # keeps what came before
    assert [line["text"] for line in seen[0]["status"]] == ["Tiny demo model is downloading.", text.WAITING]
    assert [line["text"] for line in seen[-1]["status"]] == ["Tiny demo model is failed."]
    assert engines.requested == [""]


def test_stop_ends_the_wait_for_a_checkpoint_at_once(waiting) -> None:
    tab, _, looks = waiting(State.DOWNLOADING)
    next(looks)
    stopped = tab.call(tab.handlers.stop)
    assert stopped["status"][-1] == {"text": text.STOPPED, "tone": "warning"}
    assert can_press(stopped) == (True, False)
    assert list(looks) == []
    assert list(tab.run()) == []  # the last of a chain that Stop has cut


def test_the_wait_for_a_checkpoint_is_bounded_and_says_what_to_do(waiting) -> None:
    _, _, looks = waiting(State.DOWNLOADING, load_wait_seconds=0)
    with pytest.raises(gr.Error, match=r"Tiny demo model is still loading after 0 seconds\. Try again later"):
        list(looks)
