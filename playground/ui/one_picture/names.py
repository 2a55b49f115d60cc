"""What is asked for by name, on the page: a row for each name, with what it is called and its lowest score.

The names are those of the phrase, which the table follows in the browser; counts change there too, as a slider does.
What it looks like is in `assets/names.*`.
"""

import math
from collections.abc import Mapping
from typing import Any

from gradio.data_classes import GradioModel

from playground.paths import read_asset
from playground.question import Question, same_name
from playground.results import Prediction
from playground.tasks import InputKind, Task, get_task, split_classes
from playground.ui.components import AssetComponent
from playground.ui.limits import LimitData, LimitsData, limits_of
from playground.ui.wiring import Updates

_MOST = 1000  # names that are remembered
_LONGEST = 1000  # characters of one


class NameData(GradioModel):
    """What is asked for, and what it is called."""

    asked: str
    called: str


class NamesData(GradioModel):
    """What the table holds. As an input `names`, `limits` and `one_by_one`, which are the user's.

    `names` are those that are called otherwise than they are asked for, some of which may be no part of the phrase any
    more; `limits` the lowest scores of labels that have one of their own. `kind` is how the task takes names, empty
    where it takes none; `found` are the scores of the answer by label; what has no lowest score of its own has that of
    all `others`. From Python, None leaves what is there.
    """

    kind: str | None = None
    names: list[NameData] | None = None
    limits: dict[str, float] | None = None
    one_by_one: bool | None = None
    found: list[LimitData] | None = None
    others: float | None = None

    def over(self, other: "NamesData") -> "NamesData":
        """Return this where it says something, else the other."""
        said = {name: getattr(self, name) for name in NamesData.model_fields}
        return other.model_copy(update={name: value for name, value in said.items() if value is not None})

    def pairs(self, phrase: str) -> tuple[tuple[str, str], ...]:
        """Return what is called otherwise than it is asked for, of what a phrase asks for."""
        called = {row.asked: row.called for row in self.names or ()}
        pairs = {asked: called.get(_plain(asked), "") for asked in split_classes(phrase)}
        return tuple((asked, name) for asked, name in pairs.items() if name)

    def limits_of(self, prediction: Prediction) -> dict[str, float]:
        """Return the lowest scores that labels of an answer have of their own; none where it was not asked by name."""
        if not _is_by_name(prediction):
            return {}
        alike = {same_name(name): score for name, score in (self.limits or {}).items()}
        labels = dict.fromkeys(region.label for region in prediction.regions)
        return {label: alike[same_name(label)] for label in labels if same_name(label) in alike}


class NamesTable(AssetComponent):
    """A row for each name. Events: `named`, once a name is changed, and `limit`, while a slider is moved."""

    template, style = read_asset("names.html"), read_asset("names.css")
    script = read_asset("workspace.js") + read_asset("names.js")
    data_model = NamesData

    def preprocess(self, payload: NamesData | None) -> NamesData:  # type: ignore[override]
        """Take only what the user can change, as far as it makes sense."""
        return _sensible(payload or NamesData())

    def postprocess(self, value: NamesData | None) -> NamesData:  # type: ignore[override]
        return value or NamesData()


def names_things(task: Task) -> bool:
    """Whether a task asks for things by their names."""
    return task.input_kind in (InputKind.CLASSES, InputKind.EXPRESSIONS)


def names_for(task: Task, others: float) -> NamesData:
    """Return the table as a task needs it; `others` is the lowest score of what has none of its own."""
    return NamesData(kind=task.input_kind.value if names_things(task) else "", others=others)


def names_asked(question: Question) -> NamesData:
    """Return what a question holds of the table, with what its names are asked for in the phrase."""
    return NamesData(
        names=[NameData(asked=asked.strip(), called=called) for asked, called in question.names],
        limits={name: score for name, score in question.min_scores if name} or None,
        one_by_one=question.one_by_one,
    )


def phrase_asked(question: Question) -> str:
    """Return a phrase that asks for all that a question asks for by name."""
    asked = split_classes(question.phrase)
    more = [name.strip() for name, _ in question.names if name.strip() not in asked]
    return ", ".join([question.phrase, *more] if question.phrase.strip() else more) if more else question.phrase


def limits_shown(prediction: Prediction, others: float, own: Mapping[str, float]) -> Updates:
    """Return the sliders of an answer: in the table of names where it was asked by name, else among its looks."""
    if not _is_by_name(prediction):
        return {"limits": limits_of(prediction, others, own), "names": NamesData(found=[])}
    found = limits_of(prediction, others, {}, fewest=1)
    return {"limits": LimitsData(), "names": NamesData(found=found.rows, others=others)}


def joined(form: Updates, shown: Updates) -> Updates:
    """Return what is written of the form and of an answer, which share the table."""
    return form | shown | {"names": shown.get("names", NamesData()).over(form.get("names", NamesData()))}


def _is_by_name(prediction: Prediction) -> bool:
    return names_things(get_task(prediction.task)) and not prediction.scores_are_likeness


def names_kept(kept: Any) -> NamesData:
    """Read what a browser has kept; what makes no sense is as if it were not there."""
    try:
        return _sensible(NamesData.model_validate(kept))
    except ValueError:
        return _sensible(NamesData())


def _sensible(given: NamesData) -> NamesData:
    rows = [NameData(asked=_plain(row.asked), called=_plain(row.called)) for row in (given.names or [])[:_MOST]]
    return NamesData(
        names=[row for row in rows if row.asked and row.called and row.asked != row.called],
        limits=dict([row for row in (given.limits or {}).items() if _is_score(row[1])][:_MOST]),
        one_by_one=bool(given.one_by_one),
    )


def _plain(name: str) -> str:
    return " ".join(name.split())[:_LONGEST]


def _is_score(value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= 1
