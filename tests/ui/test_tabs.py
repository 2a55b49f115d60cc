"""The tabs of a page, and what a reload brings back."""

from dataclasses import replace
from pathlib import Path

import pytest

from playground.ui.session import Item, Shown, Tab
from playground.ui.tabs import Tabs
from tests.ui.doubles import ANSWER


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def item(tmp_path: Path) -> Item:
    path = tmp_path / "street.png"
    path.write_bytes(b"a picture")
    return Item(str(path), str(path), (60, 40), seed=7)


def answered(tab: Tab, item: Item) -> Tab:
    return tab.with_picture(item, 0).with_answer(item.path, ANSWER, None, {"text": "Done"})


@pytest.fixture
def tabs(item: Item) -> Tabs:
    """Ann's tab has an answer."""
    tabs = Tabs(Tab, 3600, Clock())
    tabs.open("ann", "", "a" * 32)
    tabs.change("ann", lambda tab: answered(tab, item))
    return tabs


def test_a_reload_brings_back_the_picture_with_its_last_answer(tabs: Tabs, item: Item) -> None:
    tabs.change("ann", lambda tab: replace(tab, shown=Shown.PARTIAL, line={"text": "Writing"}))
    tabs.close("ann")
    tab = tabs.open("anns next", "a" * 32, "b" * 32)
    assert (tab.item.path, tab.answer, tab.line) == (item.path, ANSWER, {"text": "Done"})
    assert tabs.open("again", "b" * 32, "c" * 32) == tab


def test_nobody_else_sees_it(tabs: Tabs) -> None:
    for key in ("", "b" * 32, "ann", "a" * 31):
        assert tabs.open("bob", key, "c" * 32) == Tab()
    assert tabs.of("bob") == Tab()


def test_a_duplicated_tab_goes_its_own_way(tabs: Tabs) -> None:
    tabs.open("twin", "a" * 32, "b" * 32)
    tabs.change("twin", lambda tab: tab.with_picture(Item("other"), 1))
    assert tabs.of("ann").answer == ANSWER
    assert tabs.of("twin").item == Item("other")


def test_who_was_quicker_than_the_load_of_the_page_keeps_the_new_picture(tabs: Tabs) -> None:
    tabs.change("anns next", lambda tab: tab.with_picture(Item("new"), 5))
    assert tabs.open("anns next", "a" * 32, "b" * 32).item == Item("new")


def test_a_picture_whose_file_is_gone_is_not_brought_back(tabs: Tabs, item: Item) -> None:
    Path(item.path).unlink()
    assert tabs.open("anns next", "a" * 32, "b" * 32) == Tab()


def test_a_closed_tab_is_kept_as_long_as_files_are_and_an_open_one_longer(item: Item) -> None:
    clock = Clock()
    tabs = Tabs(Tab, 60, clock)
    for session in ("open", "closed"):
        tabs.open(session, "", session[0] * 32)
        tabs.change(session, lambda tab: answered(tab, item))
    tabs.close("closed")
    clock.now = 61
    assert tabs.open("next", "c" * 32, "d" * 32) == Tab()
    assert tabs.of("open").answer == ANSWER


def test_a_connection_that_was_lost_for_a_moment_costs_nothing(tabs: Tabs) -> None:
    tabs.close("ann")
    assert tabs.change("ann", lambda tab: tab).answer == ANSWER


def test_so_many_tabs_and_answers_are_kept_and_closed_ones_go_first(
    item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.ui.tabs._MAX_BYTES", 3 * answered(Tab(), item).num_bytes)
    tabs = Tabs(Tab, 3600, Clock())
    for session in map(str, range(3)):
        tabs.change(session, lambda tab: answered(tab, item))
    tabs.close("1")
    tabs.change("3", lambda tab: answered(tab, item))
    assert [tabs.of(str(n)).answer is not None for n in range(4)] == [True, False, True, True]
    monkeypatch.setattr("playground.ui.tabs._MAX_TABS", 2)
    tabs.change("4", lambda tab: answered(tab, item))
    assert [tabs.of(str(n)).answer is not None for n in range(5)] == [False, False, False, True, True]


def test_of_two_pictures_the_one_that_was_given_last_stays(item: Item) -> None:
    tab = Tab().with_picture(Item("second"), 2)
    assert tab.with_picture(Item("first, but large"), 1) is tab
    assert tab.with_picture(item, 3).item == item
