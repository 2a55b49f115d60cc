"""The components under the picture by which an answer is seen."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.drawing.styles import STYLES, Look, default_styles, styles_for
from playground.results import Prediction
from playground.ui.components import RegionTableData, StageData
from playground.ui.limits import LimitsData
from playground.ui.one_picture.names import NamesData
from playground.ui.session import Item
from playground.ui.view import View


class Choices(gr.CheckboxGroup):
    """A choice that is taken as it was made, though others may be offered by now than the page has heard of."""

    # Without a constructor of its own: Gradio tells the page what the parameters of that are called.

    def get_block_name(self) -> str:
        """The page has one component for this class and its parent."""
        return "checkboxgroup"

    def preprocess(self, payload: Any) -> list[str]:  # type: ignore[override]
        """Pass on what was chosen; what that is, is looked at where it is used."""
        return [choice for choice in payload or () if isinstance(choice, str)]


@dataclass(frozen=True, slots=True)
class Controls:
    """What they hold, each field called after one."""

    style: list[str]
    has_labels: bool
    opacity: float
    label_size: float
    min_score: float
    labels: list[str]
    table: RegionTableData
    limits: LimitsData
    names: NamesData
    merge: bool
    stage: StageData

    def view_of(self, item: Item) -> View:
        """What the user wants to see of an answer. Raises PlaygroundError for a look that cannot be.

        A label that came with a correction, and was not offered on the page yet, is seen.
        """
        answer = item.prediction
        styles = self.styles_of(answer) if answer else tuple(self.style)
        look = Look(styles, self.has_labels, opacity=self.opacity, label_size=self.label_size)
        offered = self.stage.edits.offered if self.stage.edits else None
        new = set(answer.label_counts()).difference(offered) if answer and offered is not None else set()
        hidden = set(self.table.hidden or ())
        places = (place for place, number in enumerate(item.ids) if number in hidden)
        limits = self.limits.own | (self.names.limits_of(answer) if answer else {})
        view = View(look, self.min_score, frozenset(self.labels) | new, frozenset(places), limits)
        return view.merging(answer) if self.merge else view

    def styles_of(self, answer: Prediction) -> tuple[str, ...]:
        """The styles that were chosen; where none of them draws anything of an answer, those that it has at first."""
        useless = {style.id for style in STYLES} - {style.id for style in styles_for(answer)}
        return default_styles(answer) if self.style and useless.issuperset(self.style) else tuple(self.style)
