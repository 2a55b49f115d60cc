"""How a question is worded on the page beside its phrase: names, each by itself, and a closer look."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.annotate.choices import read_names, typed_names
from playground.question import DECODINGS, Question
from playground.tasks import InputKind, Task, get_task
from playground.ui.parts import Components
from playground.ui.wiring import Updates


@dataclass(frozen=True, slots=True)
class Wording:
    """What the form holds, each field called after a component."""

    task: str
    phrase: str
    names: str
    one_by_one: bool
    look_closer: bool
    checkpoint: str

    def question(self, regions: Any, decoding: str = "greedy", limit: int | None = None) -> Question:
        """Return what is asked; what is left in the form of other questions is no part of it.

        Raises InputRejected or UnknownTask.
        """
        task = get_task(self.task)
        takes_names = _takes_names(task)
        return Question(
            self.task,
            self.phrase if task.input_kind.is_text else "",
            regions if task.input_kind is InputKind.REGIONS else (),
            self.checkpoint, decoding, limit,
            names=read_names(list(filter(str.strip, self.names.splitlines()))) if takes_names else (),
            one_by_one=self.one_by_one and takes_names,
            tiles=0 if self.look_closer and task.can_tile else None,
        )  # fmt: skip


def wording_fields() -> Components:
    """Put the fields for names under the phrase."""
    with gr.Accordion("Names", open=False, visible=False, elem_id="names-fold") as fold:
        names = gr.Textbox(
            "",  # of a field that was never unfolded, the page would say nothing
            label="What is asked for, and what it is called",
            placeholder="person wearing helmet = helmet",
            info="A line each. What has a name is asked for too.",
            lines=2,
            max_lines=8,
            interactive=True,
            elem_id="names",
        )
        one_by_one = gr.Checkbox(
            False,
            label="Ask for each name by itself",
            info="Slower; finds more where there are many names.",
            interactive=True,
            elem_id="one-by-one",
        )
    return {"names_fold": fold, "names": names, "one_by_one": one_by_one}


def closer_field() -> Any:
    """The switch for large pictures with small things."""
    return gr.Checkbox(
        False,
        label="Look closer",
        info="For small things in large pictures: looks at parts of it too, which takes longer.",
        interactive=True,
        elem_id="look-closer",
    )


def filled_with(question: Question) -> Updates:
    """Write a question into the form that was asked before, or elsewhere."""
    return {
        "task": question.task,
        "phrase": gr.update(value=question.phrase),
        "names": typed_names(question.names),
        "one_by_one": question.one_by_one,
        "look_closer": gr.update(value=question.tiles is not None),
        **({"decoding": question.decoding} if question.decoding in DECODINGS else {}),
    }


def fields_for(task: Task) -> Updates:
    """Show what the task can take."""
    return {"names_fold": gr.update(visible=_takes_names(task)), "look_closer": gr.update(visible=task.can_tile)}


def _takes_names(task: Task) -> bool:
    return task.input_kind in (InputKind.CLASSES, InputKind.EXPRESSIONS)
