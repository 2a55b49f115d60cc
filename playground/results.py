"""The values that travel: events from the engine, regions from the grammar, predictions to everybody.

`Prediction.to_dict()` and `Prediction.from_dict()` are the one wire form: page, API and export use it.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from typing import Any, cast

from playground.errors import PredictionInvalid

Box = tuple[float, float, float, float]
Quad = tuple[float, float, float, float, float, float, float, float]
Point = tuple[float, float]
Polygon = tuple[Point, ...]

# One answer has at most 1024 tokens, so 256 boxes; a run over many drawn regions or phrases has several answers.
MAX_REGIONS = 5000
MAX_POINTS = 100_000
MAX_TEXT = 200_000


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is searched for. One beam is greedy decoding; three are what Microsoft's samples use."""

    num_beams: int = 1
    max_new_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer.

    `text` is empty while a letter that spans several tokens is incomplete. `logprob` comes from the raw logits.
    `bin_probability` is, for a location token, the probability mass within a few bins of the chosen one. Only a
    special token can be a location or a separator: the same characters spelled out by ordinary tokens are text.
    `answer` is the index of the prompt that is answered, here and in the other events.
    """

    id: int
    text: str
    logprob: float | None = None
    bin_probability: float | None = None
    is_special: bool = False
    answer: int = 0


class Stage(Enum):
    """What is being done, in the order in which it happens."""

    WAITING = "waiting"  # for the checkpoint or for the model's turn
    ENCODING_IMAGE = "encoding image"
    ENCODING_PROMPT = "encoding prompt"
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage begins. `encode_image_ms` and `encode_prompt_ms` are known once done; 0 means from the cache."""

    stage: Stage
    encode_image_ms: float | None = None
    encode_prompt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """The leading beam of a beam search, whole. The final answer need not begin with it."""

    tokens: tuple[Token, ...]
    answer: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every answer. Truncated: the token budget ended before the answer did."""

    is_truncated: bool
    is_stopped: bool
    answer: int = 0


Event = Progress | Token | Draft | Finished


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds: the two encodings as work done (0 from the cache), the rest since the run was started."""

    encode_image: float | None = None
    encode_prompt: float | None = None
    first_token: float | None = None
    first_region: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One located thing. Coordinates are pixels of the upright original, as floats.

    `score` is in 0..1, or None where it was not measured. `xyxyxyxy` holds the corners of a quad, clockwise from
    the top left of the text; `polygons` the parts of one outline, each of at least three points.
    """

    label: str
    xyxy: Box
    score: float | None = None
    xyxyxyxy: Quad | None = None
    polygons: tuple[Polygon, ...] = ()

    def __post_init__(self) -> None:
        if len(self.xyxy) != 4:
            raise ValueError(f"xyxy must have 4 numbers, but got {len(self.xyxy)}.")
        if self.xyxyxyxy is not None and len(self.xyxyxyxy) != 8:
            raise ValueError(f"xyxyxyxy must have 8 numbers, but got {len(self.xyxyxyxy)}.")
        if any(len(polygon) < 3 for polygon in self.polygons):
            raise ValueError("a polygon must have at least 3 points.")
        points = [value for polygon in self.polygons for point in polygon for value in point]
        numbers = [*self.xyxy, *(self.xyxyxyxy or ()), *points]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("coordinates must be finite numbers.")
        x_min, y_min, x_max, y_max = self.xyxy
        if x_max < x_min or y_max < y_min:
            raise ValueError(f"xyxy must be ordered as x_min, y_min, x_max, y_max, but got {self.xyxy}.")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score must be in 0..1 or None, but got {self.score}.")

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        x_min, y_min, x_max, y_max = self.xyxy
        return (x_max - x_min) * (y_max - y_min)

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form; `xyxyxyxy` and `polygons` are there only where the region has them."""
        wire: dict[str, Any] = {"label": self.label, "score": self.score, "xyxy": list(self.xyxy)}
        if self.xyxyxyxy is not None:
            wire["xyxyxyxy"] = list(self.xyxyxyxy)
        if self.polygons:
            wire["polygons"] = [[list(point) for point in polygon] for polygon in self.polygons]
        return wire


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer, complete in itself at every moment of its being written.

    `text` is what a person reads, `raw_text` what the model wrote with its tokens (several prompts: a line each).
    `is_draft` says that a beam search is still weighing, so that the final answer need not begin like this;
    `is_truncated` that the token budget ended before the answer did. `notices` are sentences for the user.
    """

    task: str
    checkpoint: str
    resolution_wh: tuple[int, int]
    text: str = ""
    regions: tuple[Region, ...] = ()
    raw_text: str = ""
    stage: Stage = Stage.WAITING
    is_final: bool = False
    is_draft: bool = False
    is_truncated: bool = False
    notices: tuple[str, ...] = ()
    timings: Timings = field(default_factory=Timings)

    def __post_init__(self) -> None:
        if len(self.resolution_wh) != 2 or min(self.resolution_wh) < 1:
            raise ValueError(f"resolution_wh must be a width and a height of at least 1, but got {self.resolution_wh}.")

    def keep(self, wanted: Callable[[int, Region], bool]) -> "Prediction":
        """Return this prediction with only the regions for which `wanted(index, region)` is true."""
        return replace(self, regions=tuple(r for i, r in enumerate(self.regions) if wanted(i, r)))

    def label_counts(self) -> dict[str, int]:
        """Return how many regions each label has, in the order of first appearance."""
        return dict(Counter(region.label for region in self.regions))

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: values that JSON can carry."""
        return {
            "task": self.task,
            "checkpoint": self.checkpoint,
            "resolution_wh": list(self.resolution_wh),
            "text": self.text,
            "regions": [region.to_dict() for region in self.regions],
            "raw_text": self.raw_text,
            "stage": self.stage.value,
            "is_final": self.is_final,
            "is_draft": self.is_draft,
            "is_truncated": self.is_truncated,
            "notices": list(self.notices),
            "timings_ms": asdict(self.timings),
        }

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any]) -> "Prediction":
        """Read the wire form, from whoever sent it. Raises PredictionInvalid with what is wrong."""
        try:
            return _read_prediction(wire)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
            raise PredictionInvalid(
                f"This is not a prediction of the playground: {reason}. Send one as `/run` returned it."
            ) from error


def _read_prediction(wire: Mapping[str, Any]) -> Prediction:
    if not isinstance(wire, Mapping):
        raise TypeError(f"it must be an object, but got {type(wire).__name__}")
    regions = _list(wire["regions"], "regions", MAX_REGIONS)
    width, height = _numbers(wire["resolution_wh"], "resolution_wh", 2)
    if not (width.is_integer() and height.is_integer()):
        raise ValueError(f"resolution_wh must be whole numbers, but got {[width, height]}")
    timings = _mapping(wire.get("timings_ms", {}), "timings_ms")
    return Prediction(
        task=_text(wire["task"], "task"),
        checkpoint=_text(wire["checkpoint"], "checkpoint"),
        resolution_wh=(int(width), int(height)),
        text=_text(wire["text"], "text"),
        regions=tuple(_read_region(_mapping(region, "a region")) for region in regions),
        raw_text=_text(wire.get("raw_text", ""), "raw_text"),
        stage=Stage(wire.get("stage", Stage.DONE.value)),
        is_final=_flag(wire.get("is_final", True), "is_final"),
        is_draft=_flag(wire.get("is_draft", False), "is_draft"),
        is_truncated=_flag(wire.get("is_truncated", False), "is_truncated"),
        notices=tuple(_text(notice, "a notice") for notice in _list(wire.get("notices", []), "notices", 100)),
        timings=Timings(**{f.name: _optional_number(timings.get(f.name), f.name) for f in fields(Timings)}),
    )


def _read_region(wire: Mapping[str, Any]) -> Region:
    quad = wire.get("xyxyxyxy")
    polygons = _list(wire.get("polygons", []), "polygons", MAX_REGIONS)
    return Region(
        label=_text(wire["label"], "label"),
        xyxy=cast(Box, _numbers(wire["xyxy"], "xyxy", 4)),
        score=_optional_number(wire.get("score"), "score"),
        xyxyxyxy=None if quad is None else cast(Quad, _numbers(quad, "xyxyxyxy", 8)),
        polygons=tuple(
            tuple(cast(Point, _numbers(point, "a point", 2)) for point in _list(polygon, "a polygon", MAX_POINTS))
            for polygon in polygons
        ),
    )


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be an object, but got {type(value).__name__}")
    return value


def _list(value: Any, name: str, limit: int) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} must be a list, but got {type(value).__name__}")
    if len(value) > limit:
        raise ValueError(f"{name} may have at most {limit} entries, but got {len(value)}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, but got {type(value).__name__}")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{name} may have at most {MAX_TEXT} letters, but got {len(value)}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):  # JSON can carry half a surrogate pair, a file cannot
        raise ValueError(f"{name} must hold whole letters")
    return value


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false, but got {type(value).__name__}")
    return value


def _numbers(value: Any, name: str, count: int) -> tuple[float, ...]:
    values = _list(value, name, count)
    if len(values) != count:
        raise ValueError(f"{name} must have {count} numbers, but got {len(values)}")
    return tuple(_number(number, name) for number in values)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must hold finite numbers, but got {str(value)[:40]!r}")
    return float(value)


def _optional_number(value: Any, name: str) -> float | None:
    return None if value is None else _number(value, name)
