"""The components under the picture by which an answer is seen."""

from dataclasses import dataclass

from playground.drawing.styles import Look
from playground.ui.components import RegionTableData
from playground.ui.session import Item, View


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

    def view_of(self, item: Item) -> View:
        """What the user wants to see of an answer. Raises PlaygroundError for a look that cannot be.

        A label that came with a correction, and is not offered yet, is seen.
        """
        look = Look(tuple(self.style), self.has_labels, opacity=self.opacity, label_size=self.label_size)
        new = {region.label for region in item.prediction.regions} - item.offered if item.prediction else set()
        hidden = set(self.table.hidden or ())
        places = (place for place, number in enumerate(item.ids) if number in hidden)
        return View(look, self.min_score, frozenset(self.labels) | new, frozenset(places))
