"""What is answered: `Prediction`, complete in itself at every moment of its being written, and its wire form.

`Prediction.to_dict()` and `Prediction.from_dict()` are the one wire form: page, API, journal and export use it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from playground.errors import InputRejected, PredictionInvalid
from playground.events import RunStage
from playground.question import Question, called_names, same_name
from playground.regions import MAX_REGIONS, Number, Region, Text
from playground.wire import what_is_wrong

_Flag = Annotated[bool, Field(strict=True)]


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"it must be a whole number, but got {type(value).__name__}")
    return value


_Share = Annotated[Number, Field(ge=0, le=1)]
_Side = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_number)]  # pixels


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds: the two encodings as work done (0 from the cache), the rest since the run was started."""

    encode_image: Number | None = None
    encode_prompt: Number | None = None
    first_token: Number | None = None
    first_region: Number | None = None
    total: Number | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer, complete in itself at every moment of its being written.

    `digest` is the picture's (SHA-256), `checkpoint` the name of the one that answered. `text` is what a person reads,
    `raw_text` what the model wrote with its tokens (several prompts: a line each). `is_draft` says that a beam search
    is still weighing, so that the final answer need not begin like this; `is_truncated` that the token budget ended
    before the answer did. `notices` are sentences for the user.

    `confidence` says in 0..1 how sure the model is of the answer as a whole, `picture_confidence` how sure it is that
    the picture is of its kind; None where that was not measured. `is_unsure` says that either is below the bounds of
    the checkpoint, so that the answer is not to be shown as if it were sure. `scores_are_likeness` says that the scores
    of the regions are no measure of how sure it is, but of how alike they are to an example.
    """

    question: Question
    checkpoint: Text
    resolution_wh: tuple[_Side, _Side]
    digest: Text = ""
    text: Text = ""
    regions: Annotated[tuple[Region, ...], Field(max_length=MAX_REGIONS)] = ()
    raw_text: Text = ""
    stage: RunStage = RunStage.WAITING
    is_final: _Flag = False
    is_draft: _Flag = False
    is_truncated: _Flag = False
    notices: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    confidence: _Share | None = None
    picture_confidence: _Share | None = None
    is_unsure: _Flag = False
    scores_are_likeness: _Flag = False
    timings: Annotated[Timings, Field(alias="timings_ms")] = field(default_factory=Timings)

    def __post_init__(self) -> None:
        if len(self.resolution_wh) != 2 or min(self.resolution_wh) < 1:
            raise ValueError(f"resolution_wh must be a width and a height of at least 1, but got {self.resolution_wh}.")

    @property
    def task(self) -> str:
        """The id of the task that was asked."""
        return self.question.task

    def keep(self, wanted: Callable[[int, Region], bool]) -> "Prediction":
        """Return this prediction with only the regions for which `wanted(index, region)` is true."""
        return replace(self, regions=tuple(r for i, r in enumerate(self.regions) if wanted(i, r)))

    def missing_names(self) -> tuple[str, ...]:
        """Return the names that were asked for and under which nothing is here; none where that cannot be told.

        A name counts as found in its plural too, and where a person has renamed what was found under it. A region
        without a label is of the name, if there is but one.
        """
        names = called_names(self.question)
        found = [*self.regions, *(region.original for region in self.regions if region.original)]
        labels = {same_name(region.label) for region in found}
        if self.stage is not RunStage.DONE or self.is_truncated or (len(names) == 1 and "" in labels):
            return ()
        return tuple(name for name in names if same_name(name) not in labels)

    def label_counts(self) -> dict[str, int]:
        """Return how many regions each label has, in the order of first appearance."""
        return dict(Counter(region.label for region in self.regions))

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: values that JSON can carry. `task` stands beside the question, which holds it too."""
        rest = {"question", "regions"} | (set() if self.scores_are_likeness else {"scores_are_likeness"})
        wire: dict[str, Any] = _WIRE.dump_python(self, mode="json", by_alias=True, exclude=rest, warnings=False)
        regions = [region.to_dict() for region in self.regions]
        return {"task": self.task, "question": self.question.to_dict(), **wire, "regions": regions}

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any]) -> "Prediction":
        """Read the wire form, from whoever sent it. Raises PredictionInvalid with what is wrong.

        A prediction that was written before there were questions has only a `task`.
        """
        if not isinstance(wire, Mapping):
            raise _invalid(f"it must be an object, but got {type(wire).__name__}")
        if "question" not in wire and "task" not in wire:
            raise _invalid("'task' is missing")
        asked = wire.get("question", {"task": wire.get("task")})
        try:
            question = Question.from_dict(asked)
            return _WIRE.validate_python({"stage": "done", "is_final": True, **wire, "question": question})
        except ValidationError as error:
            raise _invalid(what_is_wrong(error)) from error
        except InputRejected as error:
            raise _invalid(str(error).partition(": ")[2].partition(". ")[0]) from error


_WIRE = TypeAdapter(Prediction)


def _invalid(reason: str) -> PredictionInvalid:
    return PredictionInvalid(f"This is not a prediction of the playground: {reason}. Send one as `/run` returned it.")
