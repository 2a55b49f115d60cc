"""What a user wants to see of an answer: from which score on, which labels, which regions, and how it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from playground.drawing.styles import Look
from playground.merging import without_duplicates
from playground.regions import Region
from playground.results import Prediction


@dataclass(frozen=True, slots=True)
class View:
    """What the user wants to see of an answer."""

    look: Look
    min_score: float
    labels: frozenset[str]
    hidden: frozenset[int]
    limits: Mapping[str, float] = field(default_factory=dict)  # the lowest scores of labels that have one of their own
    merged: frozenset[int] | None = None  # what lies on a surer region; None where that is no matter

    def merging(self, prediction: Prediction | None) -> "View":
        """Return the view in which of regions that lie on one another the surest stays."""
        regions = prediction.regions if prediction else ()
        seen = [place for place, region in enumerate(regions) if self.lists(place, region)]
        kept = {id(region) for region in without_duplicates([regions[place] for place in seen], "iou")}
        return replace(self, merged=frozenset(place for place in seen if id(regions[place]) not in kept))

    def shows(self, index: int, region: Region) -> bool:
        """Whether this region is drawn and saved."""
        return index not in self.hidden and self.lists(index, region)

    def lists(self, index: int, region: Region) -> bool:
        """Whether this region has a row in the table."""
        return region.label in self.labels and self.counts(index, region)

    def counts(self, index: int, region: Region) -> bool:
        """Whether this region is sure enough, and the only one of its thing."""
        is_single = region.cover or index not in (self.merged or ())
        return bool(is_single) and region.is_sure(self.limits.get(region.label, self.min_score))
