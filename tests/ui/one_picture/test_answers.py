"""An answer that is there, seen in other ways and saved: never by asking the model again."""

import errno
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from playground.export import FORMATS
from playground.pictures.reader import is_inside
from playground.ui import text
from playground.ui.components import CloseupData, RegionTableData, StageData
from playground.ui.wiring import Updates
from tests.ui.doubles import ANSWER, ScriptedPredictor
from tests.ui.one_picture.tab import Tab, answered, pixels, tab_of

Ask = Callable[..., Tab]


@pytest.fixture
def tab(ask: Ask) -> Tab:
    """A tab whose picture has an answer: a car, a tree, and a car without a score."""
    return answered(ask(), ANSWER)


def redraw(tab: Tab, *, hidden: tuple[int, ...] = (), **form: Any) -> Updates:
    return tab.call(tab.handlers.redraw, table=RegionTableData(hidden=list(hidden)), **form)


def save(tab: Tab, format_id: str, *, hidden: tuple[int, ...] = (), **form: Any) -> Path:
    table = RegionTableData(hidden=list(hidden))
    return Path(tab.call(tab.handlers.saving.save, format=format_id, table=table, **form)["file"])


def drawn_on(path: str) -> list[int]:
    """Tell which regions are drawn on the picture of one color, by a pixel of the left edge of each box."""
    difference = np.abs(pixels(path) - (0x88, 0xAA, 0xCC)).max(axis=2)
    edges = [(int(region.xyxy[3]) - 4, int(region.xyxy[0])) for region in ANSWER.regions]
    return [index for index, edge in enumerate(edges) if difference[edge] > 40]  # more than JPEG does to plain ground


def test_an_answer_without_regions_has_neither_styles_nor_a_drawn_picture(ask: Ask) -> None:
    shown = ask(replace(ANSWER, text="A car.", regions=())).answer(task="<CAPTION>")
    assert (shown["details"]["visible"], shown["looks"]["visible"]) == (True, False)
    assert (shown["style"]["choices"], shown["labels"]["choices"]) == ([], [])
    assert (shown["stage"].annotated, shown["stage"].alt, shown["answer"]) == (None, "A car.", "A car.")


@pytest.mark.parametrize(
    ("task", "answer", "sentence"),
    [
        pytest.param("<OD>", "", "Nothing found.", id="nothing found"),
        pytest.param("<CAPTION>", "A car.", text.TABLE_EMPTY, id="a caption has no regions to be found"),
    ],
)
def test_an_empty_table_says_why(ask: Ask, task: str, answer: str, sentence: str) -> None:
    assert ask(replace(ANSWER, text=answer, regions=())).answer(task=task)["table"].empty == sentence


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        pytest.param({"hidden": (1,)}, "2 × car", id="a row"),
        pytest.param({"labels": ["tree"]}, "tree", id="a label"),
        pytest.param({"min_score": 1}, "car", id="by its score"),
    ],
)
def test_the_words_of_a_saved_answer_do_not_name_what_is_hidden(tab: Tab, seen: dict[str, Any], words: str) -> None:
    assert json.loads(save(tab, "json", **seen).read_bytes())["text"] == words
    with zipfile.ZipFile(save(tab, "crops", **seen)) as archive:
        assert json.loads(archive.read("prediction.json"))["text"] == words


def test_an_emptied_table_says_that_it_was_filtered(tab: Tab) -> None:
    assert redraw(tab, labels=[])["table"].empty == "Every region is filtered out."


@pytest.mark.parametrize(
    ("seen", "ids", "drawn"),
    [
        pytest.param({}, [0, 1, 2], [0, 1, 2], id="all"),
        pytest.param({"min_score": 0.5}, [0, 2], [0, 2], id="a region without a score is never hidden by the slider"),
        pytest.param({"min_score": 1}, [2], [2], id="no score is high enough"),
        pytest.param({"labels": ["tree"]}, [1], [1], id="one label, under the id it had"),
        pytest.param({"hidden": (0,)}, [0, 1, 2], [1, 2], id="a hidden region keeps its row"),
        pytest.param({"hidden": (0,), "labels": ["car"]}, [0, 2], [2], id="hidden while filtered"),
        pytest.param({"hidden": (7,)}, [0, 1, 2], [0, 1, 2], id="hidden in another answer"),
        pytest.param({"labels": []}, [], [], id="no label"),
    ],
)
def test_what_is_chosen_is_listed_drawn_and_saved(tab: Tab, seen: dict[str, Any], ids: list[int], drawn: list[int]):
    shown = redraw(tab, **seen)
    stage, table = shown["stage"], shown["table"]
    assert [box.id for box in table.boxes] == [box.id for box in stage.boxes] == ids
    assert (drawn_on(stage.annotated.path) if stage.annotated else []) == drawn
    assert drawn_on(str(save(tab, "png", **seen))) == drawn
    written = json.loads(save(tab, "json", **seen).read_bytes())["regions"]
    assert written == [ANSWER.regions[index].to_dict() for index in drawn]


def test_a_redraw_leaves_hidden_rows_and_drawn_regions_to_the_page(tab: Tab) -> None:
    shown = redraw(tab, hidden=(1,))
    assert (shown["stage"].hidden, shown["stage"].regions, shown["table"].hidden) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        pytest.param({"style": ["background"]}, True, id="style"),
        pytest.param({"style": ["background"], "opacity": 1.0}, True, id="opacity"),
        pytest.param({"min_score": 0.1}, False, id="nothing that is seen"),
    ],
)
def test_a_look_changes_the_drawn_picture_and_the_saved_one(tab: Tab, change: dict[str, Any], is_other: bool) -> None:
    before, saved_before = pixels(redraw(tab)["stage"].annotated.path), pixels(str(save(tab, "png")))
    assert (pixels(redraw(tab, **change)["stage"].annotated.path) != before).any() == is_other
    assert (pixels(str(save(tab, "png"))) != saved_before).any() == is_other


def test_labels_are_written_by_the_page_and_into_the_saved_picture(tab: Tab) -> None:
    pictures = []
    for seen, size in (({}, 1), ({"label_size": 2.0}, 2), ({"has_labels": False}, 0)):
        stage = redraw(tab, **seen)["stage"]
        assert stage.label_size == size
        pictures.append((pixels(stage.annotated.path), pixels(str(save(tab, "png")))))
    (plain, saved), *others = pictures
    for shown, written in others:
        assert (shown == plain).all()
        assert (written != saved).any()


@pytest.mark.parametrize(
    "xyxy", [[], [1, 2, 3], [5, 5, 5, 9], [9, 0, 1, 5], [0, 0, float("nan"), 9], [-9, -9, 0, 0]], ids=str
)
def test_a_part_in_view_that_is_none_is_a_sentence(tab: Tab, xyxy: list[float]) -> None:
    with pytest.raises(gr.Error, match="The part in view must be"):
        tab.call(tab.handlers.look_closer, stage=StageData(closeup=CloseupData(xyxy=xyxy)))


def test_a_part_in_view_is_shown_with_what_the_look_shows_there(tab: Tab) -> None:
    seen = StageData(closeup=CloseupData(xyxy=[0, 0, 60, 50], of="./a.jpg"))
    shown = tab.call(tab.handlers.look_closer, stage=seen)["stage"]
    assert shown.keep
    assert shown.closeup.of == "./a.jpg"
    drawn = pixels(shown.closeup.image.path)
    hidden = tab.call(tab.handlers.look_closer, stage=seen, labels=[])["stage"]
    assert (pixels(hidden.closeup.image.path) != drawn).any()


def test_without_an_answer_there_is_nothing_to_redraw(ask: Ask) -> None:
    assert redraw(ask()) == {}


def test_seeing_and_saving_never_run_the_model(ask: Ask) -> None:
    tab = ask(ANSWER)
    tab.answer()
    redraw(tab, style=["corners"], hidden=(0, 1))
    save(tab, "json")
    assert len(tab.predictor.asked) == 1


# What is saved


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.id)
def test_every_format_can_be_saved_and_says_what_it_cannot_carry(tab: Tab, cache: Path, row: Any) -> None:
    path = save(tab, row.id)
    assert is_inside(str(path), cache)
    assert path.name.startswith("street")
    assert path.stat().st_size > 0
    assert tab.call(tab.handlers.saving.choose_format)["format"]["info"] == row.cannot_carry


def test_what_is_saved_has_the_size_of_the_picture_and_not_of_what_is_shown(upload: Callable[..., str]) -> None:
    large = replace(ANSWER, resolution_wh=(2000, 1000))
    tab = tab_of(ScriptedPredictor(large))
    tab.take(upload((2000, 1000), "large.png"))
    tab.answer()
    with Image.open(save(tab, "png")) as picture:
        assert picture.size == (2000, 1000)


def test_there_is_nothing_to_save_before_an_answer(ask: Ask) -> None:
    with pytest.raises(gr.Error, match="There is no answer to save yet"):
        save(ask(), "png")


def test_what_was_pressed_is_about_the_answer_that_was_there_whatever_takes_its_place(
    tab: Tab, upload: Callable[..., str]
) -> None:
    def heard_late(handler: Callable[..., Updates], **form: Any) -> Updates:
        tab.seen = seen
        return tab.call(handler, **form)

    seen, saving = tab.seen, tab.handlers.saving
    for replaced in (
        lambda: answered(tab, replace(ANSWER, regions=())),  # to the same question
        lambda: tab.take(upload(name="other.png")),
        lambda: answered(tab, ANSWER),
    ):
        replaced()
        saved = Path(heard_late(saving.save, format="csv")["file"])
        assert (saved.name, saved.read_text().count("\ncar,")) == ("street.csv", 2)
        assert heard_late(saving.copy, copied="table")["copied"].count("\ncar") == 2
        assert heard_late(tab.handlers.redraw) == {}


def test_a_new_answer_sets_every_control_to_what_is_drawn(ask: Ask) -> None:
    """The file that is saved is drawn from the controls, so that a control which a run forgets makes them differ."""
    tab = ask(ANSWER)
    tab.answer()
    first = save(tab, "png").read_bytes()
    unlike_it: dict[str, Any] = {"style": ["blur"], "has_labels": False, "opacity": 1.0, "min_score": 1, "labels": []}
    assert save(tab, "png", **unlike_it).read_bytes() != first
    tab.answer()
    assert {name for name, value in unlike_it.items() if tab.form[name] == value} == set()
    assert save(tab, "png").read_bytes() == first


def test_a_full_disk_is_a_sentence(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(gr.Error, match="The disk of the playground is full"):
        save(tab, "png")


@pytest.mark.parametrize(
    ("format_id", "style"), [("<img src=x>", "box"), ("png", "<img src=x>")], ids=["format", "style"]
)
def test_what_cannot_be_saved_is_quoted(tab: Tab, format_id: str, style: str) -> None:
    with pytest.raises(gr.Error, match="<img src=x>"):
        save(tab, format_id, style=[style])
