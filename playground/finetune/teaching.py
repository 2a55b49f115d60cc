"""What decides the weights of an adapter, beside the lessons; and how far a teaching is."""

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from playground.results import Prediction

# Of those in the table of docs/finetuning.md; that of large models is what others use for LoRA, and was not searched.
SMALL_MODEL_RATE, LARGE_MODEL_RATE = 1.5e-3, 3e-4
_SMALL_SIGHT_RATE = 2.5e-3  # of a small model whose vision tower learns too
_VIEWS_TO_LEARN_FROM, _VIEWS_TO_ENCODE_ONCE = 80, 8  # a frozen vision tower's features of a view are kept
_BLUR_OF_BUNDLED = 2.5  # bins: with so much it was trained


@dataclass(frozen=True, slots=True)
class Teaching:
    """How to teach.

    `rank` is the width of the adapter, `vision` whether the last stages of the vision tower learn too. A step takes
    `batch_size` lessons, `accumulate` times. Each lesson is seen in `views` ways, of which the first is as it is given;
    up to `pasted` things of other lessons are pasted into the others. `location_blur` is the width, in bins, of the
    bell that is learned in place of a coordinate: that with which the checkpoint was trained, 0 where that learned the
    coordinate alone; `location_weight` is what a coordinate counts beside a word. Over the last `decay` of the steps
    the learning rate falls to zero. What is None, the checkpoint and `vision` decide. `patience` is after how many
    measurements in a row without a lower held-out loss it ends; 0 goes on to the last step. `max_seconds` ends it early
    too.
    """

    steps: int = 300
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float | None = None
    decay: float = 0.5
    rank: int = 16
    vision: bool = False
    views: int | None = None
    pasted: int = 4
    location_blur: float | None = None
    location_weight: float = 0.25
    seed: int = 0
    measure_every: int = 50
    max_measured: int = 24
    patience: int = 3
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "rank", "views", "measure_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, but got {value}.")
        for name in ("pasted", "patience", "location_blur"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0, but got {value:g}.")
        if not 0 < self.location_weight < math.inf:
            raise ValueError(f"location_weight must be above 0, but got {self.location_weight:g}.")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, but got {self.decay:g}.")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must be between 0 and 1, but got {self.learning_rate:g}.")

    def settled(self, *, is_small: bool, is_bundled: bool) -> "Teaching":
        """Return it with nothing left open, for a checkpoint of that size; `is_bundled` is the one that comes along."""
        small_rate = _SMALL_SIGHT_RATE if self.vision else SMALL_MODEL_RATE
        rate = small_rate if is_small else LARGE_MODEL_RATE
        views = _VIEWS_TO_LEARN_FROM if self.vision else _VIEWS_TO_ENCODE_ONCE
        blur = _BLUR_OF_BUNDLED if is_bundled else 0.0
        return replace(
            self,
            learning_rate=self.learning_rate or rate,
            views=self.views or views,
            location_blur=blur if self.location_blur is None else self.location_blur,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by their names."""
        return asdict(self)


class TeachingStage(Enum):
    """What a teaching is doing."""

    LOADING = "loading the checkpoint"
    CHECKING = "checking the lessons"
    MEASURING = "asking about the held-out pictures"
    TEACHING = "teaching"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """What was measured after a step; of held-out lessons, None without any. `quality` is in 0..1.

    `loss` is the mean of the steps since the point before; None at the first.
    """

    step: int
    loss: float | None
    held_out_loss: float | None = None
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class HeldOutAnswer:
    """What the model answers to a held-out lesson at this moment."""

    name: str
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class TeachingProgress:
    """How far a teaching is, complete in itself.

    `loss` is that of the last steps, smoothed. `answers` are those of the last measurement. `folder` is where the
    adapter lies once it is `DONE`; `is_stopped_early` whether it was before the last step. `notices` are sentences.
    """

    stage: TeachingStage
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    quality_name: str = ""
    points: tuple[MeasuredPoint, ...] = ()
    answers: tuple[HeldOutAnswer, ...] = ()
    notices: tuple[str, ...] = ()
    folder: Path | None = None
    is_stopped_early: bool = False


def number_of(text: str) -> int:
    """Return a number for a text that is the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
