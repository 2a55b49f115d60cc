"""The list of tasks with its headings in a real browser, also with titles that a style sheet could stumble over."""

from dataclasses import replace

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect

from playground.paths import ASSETS
from playground.tasks import TASKS, Group
from playground.ui import task_list
from tests.ui.browser.small_page import serving

pytestmark = pytest.mark.browser
ODD = 'My "own\\prompt"\n{}'
HEADINGS = {
    "Find every object": '"Find"',
    "Short caption": '"Describe"',
    "Read the text": '"Read"',
    "Name a region": '"Ask about a region"',
    ODD: '"Custom"',
}


def test_each_heading_stands_once_above_the_first_task_of_its_group(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = [task.title if task.group is not Group.CUSTOM else ODD for task in TASKS]
    tasks = tuple(replace(task, title=title) for task, title in zip(TASKS, titles, strict=True))
    monkeypatch.setattr(task_list, "TASKS", tasks)
    with gr.Blocks(analytics_enabled=False, delete_cache=None) as demo:
        gr.Dropdown([(task.title, task.id) for task in tasks], value=tasks[0].id, interactive=True, elem_id="task")
    with serving(demo, css=task_list.task_headings(), css_paths=[ASSETS / "page.css"]) as url:
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.goto(url)
        page.click("#task input")
        options = page.locator("#task [role=option]")
        expect(options).to_have_count(len(tasks))
        shown = options.evaluate_all(
            """options => options.map(option => [
              option.ariaLabel, getComputedStyle(option, "::before").content, option.clientHeight])"""
        )
        page.close()
    assert [title for title, _, _ in shown] == titles
    assert {title: content for title, content, _ in shown if content != "none"} == HEADINGS
    lower = [height for title, _, height in shown if title not in HEADINGS]
    higher = [height for title, _, height in shown if title in HEADINGS]
    assert min(higher) > max(lower) + 10  # a heading has a line of its own


@pytest.mark.parametrize(
    ("typed", "titles"),
    [
        ("ocr", ["Read the text", "Read the text and mark its place", "Read a region", "Read a region, cut out first"]),
        ("mask", ["Outline what I describe", "Outline the thing in a region"]),
        ("Count", ["Find every object", "Find the things I name"]),
        ("name read", []),
    ],
)
def test_a_task_is_found_by_everyday_words(browser: Browser, address: str, typed: str, titles: list[str]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.click("#task input")
    page.keyboard.type(typed)
    options = page.locator("#task [role=option]:visible")
    expect(options).to_have_count(len(titles))
    assert options.evaluate_all("options => options.map(option => option.ariaLabel)") == titles
    page.keyboard.press("Escape")
    expect(page.locator("#task [role=option]:visible")).to_have_count(0)
    expect(page.locator("#task input")).to_have_value("Find every object")
    page.click("#task input")
    expect(page.locator("#task [role=option]:visible")).to_have_count(len(TASKS))
    page.keyboard.type(typed)
    if titles:
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    else:
        page.keyboard.press("Tab")
        expect(page.locator("#run")).to_be_focused()  # not the list, which goes
    expect(page.locator("#task input")).to_have_value(titles[1] if titles else "Find every object")
    page.close()
