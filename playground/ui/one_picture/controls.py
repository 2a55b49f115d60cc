"""The components under the picture by which an answer is seen."""

from dataclasses import dataclass

from playground.drawing.styles import Look
from playground.ui.components import RegionTableData
from playground.ui.limits import LimitsData
from playground.ui.one_picture.names import NamesData
from playground.ui.session import Item
from playground.ui.view import View


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

    def view_of(self, item: Item) -> View:
        """What the user wants to see of an answer. Raises PlaygroundError for a look that cannot be.

        A label that came with a correction, and is not offered yet, is seen.
        """
        look = Look(tuple(self.style), self.has_labels, opacity=self.opacity, label_size=self.label_size)
        new = {region.label for region in item.prediction.regions} - item.offered if item.prediction else set()
        hidden = set(self.table.hidden or ())
        places = (place for place, number in enumerate(item.ids) if number in hidden)
        limits = self.limits.own | (self.names.limits_of(item.prediction) if item.prediction else {})
        view = View(look, self.min_score, frozenset(self.labels) | new, frozenset(places), limits)
        return view.merging(item.prediction) if self.merge else view
