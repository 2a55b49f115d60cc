"""The components under the picture by which an answer is seen."""

from dataclasses import dataclass, replace

from playground.drawing.styles import Look
from playground.merging import without_duplicates
from playground.ui.components import RegionTableData
from playground.ui.limits import LimitsData
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
    limits: LimitsData
    merge: bool

    def view_of(self, item: Item) -> View:
        """What the user wants to see of an answer. Raises PlaygroundError for a look that cannot be.

        A label that came with a correction, and is not offered yet, is seen.
        """
        look = Look(tuple(self.style), self.has_labels, opacity=self.opacity, label_size=self.label_size)
        new = {region.label for region in item.prediction.regions} - item.offered if item.prediction else set()
        hidden = set(self.table.hidden or ())
        places = (place for place, number in enumerate(item.ids) if number in hidden)
        view = View(look, self.min_score, frozenset(self.labels) | new, frozenset(places), self.limits.own)
        return replace(view, merged=_merged(item, view)) if self.merge else view


def _merged(item: Item, view: View) -> frozenset[int]:
    """Which regions of an answer lie on a surer one that is seen."""
    regions = item.prediction.regions if item.prediction else ()
    seen = [place for place, region in enumerate(regions) if view.lists(place, region)]
    kept = {id(region) for region in without_duplicates([regions[place] for place in seen], "iou")}
    return frozenset(place for place in seen if id(regions[place]) not in kept)
