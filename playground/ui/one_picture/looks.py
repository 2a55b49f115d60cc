"""How a user likes answers to be seen, kept by the browser from run to run. It comes from outside: whatever it is, a
page opens.

What is kept is what differs from the defaults: styles by the kind of answer, the lowest score by the checkpoint.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from playground.drawing.detections import shapes_of
from playground.drawing.styles import LABEL_SIZES, STYLES, Look, default_styles
from playground.export import FORMATS
from playground.results import Prediction
from playground.tasks import get_task
from playground.ui.memory import kept_object
from playground.ui.one_picture.names import NamesData
from playground.ui.shown import has_own_lowest_score, lowest_score
from playground.ui.view import View

_MOST_CHECKPOINTS = 50
_DEFAULT = Look(())
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class KeptLooks:
    """What a user has changed. Made by `read`, which holds it against what can be."""

    styles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    min_scores: Mapping[str, float] = field(default_factory=dict)
    has_labels: bool = _DEFAULT.labels
    opacity: float = _DEFAULT.opacity
    label_size: float = _DEFAULT.label_size
    merge: bool = False
    format: str = ""  # that answers are saved as

    @classmethod
    def read(cls, content: str) -> "KeptLooks":
        """Read what the page sends; what makes no sense is as if it were not there."""
        given = kept_object(content)
        scores = list(_object(given.get("min_scores")).items())[:_MOST_CHECKPOINTS]
        return cls(
            styles={kind: _known(ids) for kind, ids in _object(given.get("styles")).items() if _known(ids)},
            min_scores={name: score for name, score in scores if _is_within(score, 0, 1)},
            has_labels=given.get("has_labels") is not False,
            opacity=_within(given.get("opacity"), 0, 1, _DEFAULT.opacity),
            label_size=_within(given.get("label_size"), *LABEL_SIZES, _DEFAULT.label_size),
            merge=given.get("merge") is True,
            format=next((row.id for row in FORMATS if row.id == given.get("format")), ""),
        )

    def write(self) -> str:
        """Return what the browser keeps; nothing where all is as it comes."""
        return "" if self == KeptLooks() else json.dumps(asdict(self))

    def first_view(self, prediction: Prediction, min_score: float, limits: Mapping[str, float] = _NONE) -> View:
        """How an answer is seen at first, where `min_score` is the checkpoint's own lowest score.

        `limits` are those of labels that have one of their own.
        """
        styles = self.styles.get(_kind(prediction)) or default_styles(prediction)
        has_labels = self.has_labels and not get_task(prediction.task).covers  # what is covered needs no name
        look = Look(styles, labels=has_labels, opacity=self.opacity, label_size=self.label_size)
        lowest = lowest_score(prediction, self.min_scores.get(prediction.checkpoint, min_score))
        view = View(look, lowest, frozenset(prediction.label_counts()), frozenset(), limits)
        return view.merging(prediction) if self.merge else view

    def changed_to(self, view: View, prediction: Prediction, min_score: float) -> "KeptLooks":
        """Return what is kept after the user has changed the view of an answer.

        The score by which an answer is looked at is not kept for others where it says nothing of them.
        """
        styles = _with(self.styles, _kind(prediction), view.look.styles, default_styles(prediction))
        scores = self.min_scores
        if not has_own_lowest_score(prediction):
            scores = _with(scores, prediction.checkpoint, view.min_score, min_score)
        look = view.look
        return replace(
            self,
            styles=styles if look.styles else self.styles,  # nothing drawn is no way to draw
            min_scores=scores,
            has_labels=self.has_labels if get_task(prediction.task).covers else look.labels,
            opacity=look.opacity,
            label_size=look.label_size,
            merge=view.merged is not None,
        )


@dataclass(frozen=True, slots=True)
class Liked:
    """How answers are to be seen at first, each field called after a component."""

    looks_kept: str = ""
    names: NamesData = field(default_factory=NamesData)

    @property
    def looks(self) -> KeptLooks:
        """What the browser keeps."""
        return KeptLooks.read(self.looks_kept)

    def first_view(self, prediction: Prediction, min_score: float) -> View:
        """How an answer is seen at first, where `min_score` is the checkpoint's own lowest score."""
        return self.looks.first_view(prediction, min_score, self.names.limits_of(prediction))


def _kind(prediction: Prediction) -> str:
    """What the styles of an answer are chosen for: to cover, or the finest shape that it has."""
    if get_task(prediction.task).covers:
        return "covers"
    return next((shape for shape in ("polygons", "quads", "boxes") if shape in shapes_of(prediction)), "")


def _with(kept: Mapping[str, Any], key: str, value: Any, default: Any) -> dict[str, Any]:
    changed = {name: other for name, other in kept.items() if name != key}
    return changed if value == default else {**changed, key: value}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _known(ids: Any) -> tuple[str, ...]:
    return tuple(style.id for style in STYLES if style.id in ids) if isinstance(ids, list) else ()


def _is_within(value: Any, low: float, high: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and low <= value <= high


def _within(value: Any, low: float, high: float, default: float) -> float:
    return float(value) if _is_within(value, low, high) else default
