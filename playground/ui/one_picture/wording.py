"""How a question is worded on the page beside its phrase: names, each by itself, and a closer look."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.question import DECODINGS, Question
from playground.tasks import InputKind, Task, get_task
from playground.ui.memory import kept_object
from playground.ui.one_picture.names import (
    NamesData,
    NamesTable,
    names_asked,
    names_for,
    names_kept,
    names_things,
    phrase_asked,
)
from playground.ui.parts import Components
from playground.ui.wiring import Updates


@dataclass(frozen=True, slots=True)
class Wording:
    """What the form holds, each field called after a component."""

    task: str
    phrase: str
    names: NamesData
    look_closer: bool
    checkpoint: str

    def question(self, regions: Any, decoding: str = "greedy", limit: int | None = None) -> Question:
        """Return what is asked; what is left in the form of other questions is no part of it.

        Raises InputRejected or UnknownTask.
        """
        task = get_task(self.task)
        takes_names = names_things(task)
        return Question(
            self.task,
            self.phrase if task.input_kind.is_text else "",
            regions if task.input_kind is InputKind.REGIONS else (),
            self.checkpoint, decoding, limit,
            names=self.names.pairs(self.phrase) if takes_names else (),
            one_by_one=bool(self.names.one_by_one) and takes_names,
            tiles=0 if self.look_closer and task.can_tile else None,
        )  # fmt: skip


def wording_fields() -> Components:
    """Put the table of names under the phrase."""
    return {"names": NamesTable(elem_id="names")}


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
        "phrase": gr.update(value=phrase_asked(question)),
        "names": names_asked(question),
        "look_closer": gr.update(value=question.tiles is not None),
        **({"decoding": question.decoding} if question.decoding in DECODINGS else {}),
    }


def filled_again(kept: str) -> Updates:
    """Write into the form what a browser has kept of it for a reload, beside task and phrase."""
    form = kept_object(kept)
    return {
        "names": names_kept(form.get("names")),
        "look_closer": gr.update(value=form.get("look_closer") is True),
    }


def fields_for(task: Task, min_score: float) -> Updates:
    """Show what the task can take; `min_score` is that from which on regions are shown."""
    return {"names": names_for(task, min_score), "look_closer": gr.update(visible=task.can_tile)}
