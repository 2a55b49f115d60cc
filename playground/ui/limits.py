"""The lowest score of each name, on the page: a slider a label, with how many regions reach it.

Counts change in the browser, as the slider does; what is drawn follows. What it looks like is in `assets/limits.*`.
"""

import math
from collections.abc import Mapping

from gradio.data_classes import GradioModel
from pydantic import Field

from playground.drawing.colors import colors_of
from playground.paths import read_asset
from playground.results import Prediction
from playground.ui.components import AssetComponent

_FEWEST = 2  # labels: of one alone the slider of all is its own
_MOST = 100


class LimitData(GradioModel):
    """A label, its color, the scores of its regions, and its own lowest score where it has one."""

    label: str
    color: str = ""
    scores: list[float] = Field(default_factory=list)
    value: float | None = None


class LimitsData(GradioModel):
    """A row for each label; what has no lowest score of its own has that of all `others`."""

    rows: list[LimitData] = Field(default_factory=list)
    others: float = 0.0

    @property
    def own(self) -> dict[str, float]:
        """The lowest scores of labels that have one."""
        return {row.label: row.value for row in self.rows if row.value is not None}


def limits_of(prediction: Prediction, others: float, own: Mapping[str, float], *, fewest: int = _FEWEST) -> LimitsData:
    """Return the rows for an answer; none where it has fewer labels."""
    colors = colors_of(tuple(region.label for region in prediction.regions))
    scores: dict[str, list[float]] = {}
    for region in prediction.regions:
        if region.score is not None and region.source == "model":
            scores.setdefault(region.label, []).append(round(region.score, 3))
    rows = [
        LimitData(label=label, color=colors[label], scores=some, value=own.get(label))
        for label, some in list(scores.items())[:_MOST]
    ]
    return LimitsData(rows=rows if len(rows) >= fewest else [], others=others)


class LimitSliders(AssetComponent):
    """A slider for each label. Event: `limit`, while one is moved."""

    template, style, script = read_asset("limits.html"), read_asset("limits.css"), read_asset("limits.js")
    data_model = LimitsData

    def preprocess(self, payload: LimitsData | None) -> LimitsData:  # type: ignore[override]
        """Take only what the user can change, as far as it is a score."""
        rows = payload.rows if payload else []
        return LimitsData(rows=[LimitData(label=row.label, value=row.value) for row in rows if _is_score(row.value)])

    def postprocess(self, value: LimitsData | None) -> LimitsData:  # type: ignore[override]
        return value or LimitsData()


def _is_score(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= 1
