"""The list of tasks: what a dropdown of Gradio shows, and what it lacks, headings and words to search.

Knows the table of tasks and how Gradio marks the options of a dropdown. How a heading looks is in `assets/page.css`;
how a task is found is in `assets/task_list.js`.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import gradio as gr

from playground.tasks import DEFAULT_TASK, TASKS, Group, Task


def listed(tasks: Sequence[Task]) -> str:
    """Return what the page keeps of the tasks in its list: those of the checkpoint's own, and how they are headed."""
    own = [task for task in tasks if task.group is Group.OWN]
    rule = _rule(own[0].title, own[0].group.value) if own else ""
    return json.dumps({"ids": [task.id for task in own], "rule": rule})


def listing(tasks: Sequence[Task], kept: str, task: str) -> dict[str, Any]:
    """Return the updates that let the list hold these tasks; none where it does, so that a search in it goes on.

    A chosen task that is not among them gives way to the default.
    """
    now = listed(tasks)
    if now == kept:
        return {}
    choices = [(row.title, row.id) for row in tasks]
    changed: dict[str, Any] = {} if task in [row.id for row in tasks] else {"value": DEFAULT_TASK.id}
    return {"task": gr.update(choices=choices, **changed), "listed": now}


def task_headings() -> str:
    """Return the rules that give the first task of each group the group's name, for `css=` of `gr.Blocks.launch`."""
    firsts: dict[Group, str] = {}
    for task in TASKS:
        firsts.setdefault(task.group, task.title)
    return "\n".join(_rule(title, group.value) for group, title in firsts.items())


def search_words() -> dict[str, str]:
    """Return the everyday words by which a task is found beside its title and its group, by the title."""
    return {task.title: " ".join([task.group.value, *task.words]) for task in TASKS}


def _rule(title: str, heading: str) -> str:
    option = f"#task [role=option][aria-label={_css_string(title)}]"
    return f"{option} {{ flex-wrap: wrap; --heading: {_css_string(heading)}; }}"


def _css_string(text: str) -> str:
    """Quote a text for a style sheet: escaped are what ends a string and what no string may hold.

    `</style` would end the sheet however it is escaped, since Gradio's page parses the rules and writes them anew into
    HTML; the tests hold that no title has a `<`.
    """
    return '"' + re.sub(r'["\\\x00-\x1f\x7f]', lambda match: f"\\{ord(match[0]):x} ", text) + '"'
