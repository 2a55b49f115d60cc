"""What becomes of a picture that the page is given: uploaded, picked among the examples, or drawn on demand."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from playground.events import RunStage
from playground.paths import EXAMPLES
from playground.pictures.reader import is_inside
from playground.question import Question
from playground.results import Prediction
from playground.scenes.scene import TRAINING_SEEDS
from playground.ui import picture, scene
from playground.ui.components import StageData
from playground.ui.parts import PHOTOGRAPHS, SCENES
from playground.ui.session import Item
from tests.ui.doubles import ANSWER, WRITING, ScriptedPredictor
from tests.ui.one_picture.tab import Tab, pixels, tab_of

Ask = Callable[..., Tab]
Upload = Callable[..., str]


def draw(tab: Tab, seed: Any) -> Any:
    return tab.call(tab.handlers.take_scene, seed=seed)


def test_the_name_that_came_with_a_picture_is_remembered(upload: Upload) -> None:
    tab = tab_of(ScriptedPredictor())
    tab.call(tab.handlers.take_picture, picture=picture.Upload(upload(name="ab.png"), "a?b.png"))
    assert tab.item.name == "a?b"


def test_a_picture_is_shown_and_remembered_by_its_path(upload: Upload, cache: Path) -> None:
    tab, path = tab_of(ScriptedPredictor()), upload(name="my street.png")
    shown = tab.take(path)
    strip, stage = shown["picture"], shown["stage"]
    assert (strip["value"], strip["placeholder"], shown["problem"]) == (None, "Drop another picture here", [])
    assert (stage.w, stage.h, stage.regions) == (60, 40, [])
    assert is_inside(stage.image.path, cache)
    assert tab.item == Item(path, stage.image.path, (60, 40), "my street")
    assert (shown["answer"], shown["table"].boxes, shown["notes"]) == ("", [], [])
    assert shown["details"]["visible"] is False


def test_of_two_pictures_the_one_that_was_given_later_stays_whichever_comes_first(upload: Upload) -> None:
    tab = tab_of(ScriptedPredictor())
    tab.take(upload(name="later.png"), gesture=2)
    late = tab.call(tab.handlers.take_example, examples=0, gesture=1)
    assert (tab.item.name, late.keys()) == ("later", {"picture"})


def test_a_large_picture_is_shown_as_a_copy_and_keeps_its_coordinates(upload: Upload) -> None:
    stage = tab_of(ScriptedPredictor()).take(upload((2000, 1000), "large.png"))["stage"]
    assert (stage.w, stage.h) == (2000, 1000)
    assert pixels(stage.image.path).shape == (800, 1600, 3)


def test_the_pages_of_a_file_are_counted_and_another_can_be_chosen(cache: Path) -> None:
    path = cache / "scan.tiff"
    red, blue = Image.new("RGB", (60, 40), "red"), Image.new("RGB", (30, 20), "blue")
    red.save(path, save_all=True, append_images=[blue, red])
    tab = tab_of(ScriptedPredictor(ANSWER))
    shown = tab.take(str(path))["page"]
    assert shown["choices"] == [("Page 1 of 3", 0), ("Page 2 of 3", 1), ("Page 3 of 3", 2)]
    assert (shown["value"], shown["visible"]) == (0, True)
    shown = tab.call(tab.handlers.take_page, page=1)
    assert (shown["page"]["value"], shown["stage"].w, shown["stage"].h) == (1, 30, 20)
    assert pixels(tab.item.path).reshape(-1, 3).tolist() == [[0, 0, 255]] * 600  # what a run reads
    assert tab.item.name == "scan"
    tab.call(tab.handlers.take_page, page=2)
    assert tab.item.resolution_wh == (60, 40)
    assert "there is no page 8" in tab.call(tab.handlers.take_page, page=7)["problem"][0]["text"]
    assert tab.take(str(SCENES[0]))["page"]["visible"] is False


def test_the_bytes_of_a_data_url_are_kept_in_the_cache(upload: Upload, cache: Path) -> None:
    tab = tab_of(ScriptedPredictor())
    tab.take(Path(upload()).read_bytes())
    assert is_inside(tab.item.path, cache)
    assert tab.item.resolution_wh == (60, 40)


def test_without_a_picture_everything_stays_as_it_is(ask: Ask) -> None:
    assert ask().take(None) == {}


def test_what_is_no_picture_is_one_sentence_at_the_field_and_changes_nothing_else(ask: Ask, cache: Path) -> None:
    path = cache / "notes.png"
    path.write_text("not a picture")
    written = ask().take(str(path))
    assert written.keys() == {"picture", "problem"}
    (problem,) = written["problem"]
    assert (written["picture"], problem["tone"], problem["text"][-1]) == (None, "error", ".")
    assert str(cache) not in problem["text"]


def test_a_full_disk_is_a_sentence(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tab = ask()
    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    (problem,) = tab.take(tab.item.path)["problem"]
    assert problem["text"] == "The disk of the playground is full. Try again later, or tell whoever runs it."


def test_the_examples_are_there_and_taken_like_uploads() -> None:
    assert {"beach", "meadow", "night", "astronaut"} <= {path.stem for path in SCENES}
    tab = tab_of(ScriptedPredictor())
    for index, path in enumerate(SCENES):
        tab.call(tab.handlers.take_example, examples=index)
        assert tab.item.name == path.stem
    for index, path in enumerate(PHOTOGRAPHS):
        tab.call(tab.handlers.take_photograph, photographs=index)
        assert tab.item.name == path.stem


def test_each_photograph_is_listed_with_its_source_and_its_terms() -> None:
    listed = (EXAMPLES / "SOURCES.md").read_text(encoding="utf-8")
    rows = [row.split("|") for row in listed.splitlines() if row.startswith("| `photographs/")]
    assert [cells[1].strip(" `") for cells in rows] == [f"photographs/{path.name}" for path in PHOTOGRAPHS]
    assert all(cell.strip() for cells in rows for cell in cells[2:-1])


@pytest.mark.parametrize(
    ("task", "is_drawing"),
    [pytest.param("<OD>", False, id="no region"), pytest.param("<REGION_TO_CATEGORY>", True, id="regions")],
)
def test_a_new_picture_takes_regions_where_the_task_wants_them(
    ask: Ask, upload: Upload, task: str, is_drawing: bool
) -> None:
    assert ask().take(upload(), task=task)["stage"].draw is is_drawing


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda tab: tab.take(b"not a picture"), id="no picture"),
        pytest.param(lambda tab: draw(tab, -3), id="a bad seed"),
    ],
)
def test_what_is_refused_leaves_the_run_that_goes_on_alone(ask: Ask, take: Callable[[Tab], Any]) -> None:
    tab = ask(WRITING, ANSWER)
    running = tab.run()
    next(running)
    take(tab)
    assert [step["status"][-1]["text"][:4] for step in running] == ["Done"]
    assert tab.item.prediction is not None


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda tab, path: tab.take(path), id="an upload"),
        pytest.param(lambda tab, _: draw(tab, 5), id="a scene"),
    ],
)
@pytest.mark.parametrize(
    "is_queued", [pytest.param(False, id="while it writes"), pytest.param(True, id="while it waits in the queue")]
)
def test_a_new_picture_ends_the_run_and_the_old_answer_is_not_shown(
    ask: Ask, upload: Upload, take: Callable[[Tab, str], Any], is_queued: bool
) -> None:
    tab = ask(WRITING, WRITING, ANSWER)
    tab.begin()
    running = tab.run()
    if not is_queued:
        next(running)
    take(tab, upload((30, 30), "other.png"))
    assert list(running) == []  # what it showed would replace the new picture
    assert [item.prediction for item in tab.kept.workspace.items] == [None, None]


# A drawn scene


def test_a_scene_is_drawn_and_shown_like_any_picture(cache: Path) -> None:
    tab = tab_of(ScriptedPredictor())
    tab.form["task"] = "<REGION_TO_CATEGORY>"
    shown = draw(tab, 5)
    assert (shown["seed"], shown["picture"]["placeholder"], shown["problem"]) == (5, "Drop another picture here", [])
    assert (shown["stage"].w, shown["stage"].h, shown["stage"].draw) == (768, 768, True)
    assert is_inside(tab.item.path, cache)
    assert (tab.item.name, tab.item.seed) == ("scene-5", 5)


def test_the_same_seed_gives_the_same_picture_and_another_one_another() -> None:
    tab = tab_of(ScriptedPredictor())
    paths = [draw(tab, seed)["stage"].image.path for seed in (5, 5.0, 6)]
    assert paths[0] == paths[1] != paths[2]


def test_a_new_scene_shows_its_seed_and_is_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = next(seed for seed in range(1000) if not scene.draw_scene(seed).things)
    full = next(seed for seed in range(1000) if scene.draw_scene(seed).things)
    chosen = iter((empty, full))
    monkeypatch.setattr("random.choice", lambda seeds: next(chosen))
    tab = tab_of(ScriptedPredictor())
    assert tab.call(tab.handlers.take_new_scene)["seed"] == tab.item.seed == full
    draw(tab, empty)
    assert tab.item.seed == empty  # but it is drawn when it is asked for


def test_new_scenes_differ_and_are_none_that_the_model_has_learned_from() -> None:
    tab = tab_of(ScriptedPredictor())
    seeds = {tab.call(tab.handlers.take_new_scene)["seed"] for _ in range(4)}
    assert len(seeds) > 1
    assert min(seeds) >= TRAINING_SEEDS


@pytest.mark.parametrize(
    ("seed", "came"),
    [
        pytest.param(None, "the field is empty", id="empty"),
        pytest.param(-3, "got -3", id="negative"),
        pytest.param(2.5, "got 2.5", id="not whole"),
        pytest.param(1_000_000_000, "got 1000000000", id="too large"),
        pytest.param(1e300, "got 1e+300", id="far too large"),
        pytest.param(float("nan"), "got nan", id="no number"),
    ],
)
def test_a_bad_seed_is_a_sentence_and_nothing_else_changes(ask: Ask, seed: float | None, came: str) -> None:
    sentence = f"A seed must be a whole number from 0 to 999,999,999, but {came}."
    assert draw(ask(), seed) == {"problem": [{"text": sentence, "tone": "error"}]}


def test_another_picture_forgets_the_scene(upload: Upload) -> None:
    tab = tab_of(ScriptedPredictor())
    draw(tab, 5)
    tab.take(upload())
    assert tab.item.seed is None


# What is right to answer about a scene


def truth_of(stage: StageData) -> tuple[str, list[str]]:
    assert stage.truth is not None
    return stage.truth.text, sorted(box.label for box in stage.truth.boxes)


@pytest.mark.usefixtures("every_step")
def test_the_truth_about_a_scene_comes_with_the_final_answer_and_stays_when_it_is_restyled() -> None:
    tab = tab_of(ScriptedPredictor(WRITING, ANSWER))
    draw(tab, 5)
    *steps, last = tab.run()
    assert [step["stage"].truth for step in steps] == [None]
    assert truth_of(last["stage"])[1] == sorted(thing.kind for thing in scene.draw_scene(5).things)
    assert tab.call(tab.handlers.redraw, labels=[])["stage"].truth == last["stage"].truth


def test_the_truth_answers_what_was_asked() -> None:
    tab, thing = tab_of(ScriptedPredictor(ANSWER)), scene.draw_scene(5).things[0]
    draw(tab, 5)
    drawn = StageData(regions=[list(thing.region.xyxy)])
    assert truth_of(tab.answer(task="<REGION_TO_CATEGORY>", stage=drawn)["stage"]) == (thing.kind, [thing.kind])
    named = truth_of(tab.answer(task="<OPEN_VOCABULARY_DETECTION>", phrase=thing.kind)["stage"])
    assert set(named[1]) == {thing.kind}


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        pytest.param(Prediction(Question("<OD>"), "florence-2-base", (768, 768), stage=RunStage.DONE, is_final=True),
                     {}, id="another checkpoint"),
        pytest.param(ANSWER, {"task": "<OPEN_VOCABULARY_DETECTION>", "phrase": "vehicle"},
                     id="words that no scene uses"),
        pytest.param(ANSWER, {"task": "<CUSTOM>", "phrase": "<OD2>"}, id="a prompt of one's own"),
    ],
)  # fmt: skip
def test_no_truth_is_shown_where_none_is_known(answer: Prediction, question: dict[str, str]) -> None:
    tab = tab_of(ScriptedPredictor(answer))
    draw(tab, 5)
    assert tab.answer(**question)["stage"].truth is None


def test_a_picture_from_elsewhere_has_no_truth(ask: Ask) -> None:
    assert ask(ANSWER).answer()["stage"].truth is None
