"""The rules that write headings into the list of tasks; how they look is in `browser/test_task_list.py`."""

from dataclasses import replace

import pytest

from playground.tasks import TASKS, Group
from playground.ui import task_list


def test_the_first_task_of_each_group_carries_the_heading() -> None:
    assert task_list.task_headings().splitlines() == [
        '#task [role=option][aria-label="Find every object"] { flex-wrap: wrap; --heading: "Find"; }',
        '#task [role=option][aria-label="Short caption"] { flex-wrap: wrap; --heading: "Describe"; }',
        '#task [role=option][aria-label="Read the text"] { flex-wrap: wrap; --heading: "Read"; }',
        '#task [role=option][aria-label="Name a region"] { flex-wrap: wrap; --heading: "Ask about a region"; }',
        '#task [role=option][aria-label="A prompt of my own (for fine-tunes)"]'
        ' { flex-wrap: wrap; --heading: "Custom"; }',
    ]


def test_the_tasks_of_a_group_stand_together_under_its_heading() -> None:
    groups = [task.group for task in TASKS]
    assert groups == sorted(groups, key=list(Group).index)


def test_a_title_cannot_end_the_string_that_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_list, "TASKS", (replace(TASKS[0], title='say "a\\b"\n'),))
    assert r'[aria-label="say \22 a\5c b\22 \a "]' in task_list.task_headings()


def test_no_title_and_no_heading_could_end_the_style_sheet() -> None:
    assert "<" not in "".join(task.title + task.group.value for task in TASKS)
