"""What a dropdown of Gradio lacks to be a list of tasks: headings, which the page's style writes, and words to search.

Knows the table of tasks and how Gradio marks the options of a dropdown. How a heading looks is in `assets/page.css`;
how a task is found is in `assets/task_list.js`.
"""

import re

from playground.tasks import TASKS, Group


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
