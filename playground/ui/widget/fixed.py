"""What the address of a widget fixes: whoever puts it into a page writes it, and anybody may.

What makes no sense is left out, and told in a sentence.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from playground.drawing.styles import Look
from playground.errors import PlaygroundError
from playground.tasks import DEFAULT_TASK, get_task

_LONGEST = 2000  # characters


@dataclass(frozen=True, slots=True)
class Fixed:
    """The question of a widget and its looks; `has_phrase` says that the phrase is not to be typed."""

    task: str = DEFAULT_TASK.id
    phrase: str = ""
    checkpoint: str = ""
    look: Look = field(default_factory=lambda: Look(()))
    example: str = ""
    problems: tuple[str, ...] = ()

    @property
    def has_phrase(self) -> bool:
        """Whether the address says what to ask for."""
        return bool(self.phrase)

    def with_look(self, **changes: Any) -> "Fixed":
        """Return the widget in another look. Raises PlaygroundError for one that cannot be."""
        return replace(self, look=replace(self.look, **changes))

    @classmethod
    def read(cls, query: str, *, checkpoints: Collection[str], examples: Collection[str]) -> "Fixed":
        """Read what follows the question mark; `checkpoints` and `examples` are those that may be asked for."""
        given = dict(parse_qsl(query.removeprefix("?")[:_LONGEST]))
        fixed = cls(phrase=given.get("phrase", ""))
        for name, change in _CHANGES.items():
            if name in given:
                fixed = _changed(fixed, given, name, change)
        for name, known in (("checkpoint", checkpoints), ("example", examples)):
            if given.get(name):
                fixed = _chosen(fixed, name, given[name], known)
        return fixed


def _changed(fixed: Fixed, given: Mapping[str, str], name: str, change: Callable[[Fixed, str], Fixed]) -> Fixed:
    try:
        return change(fixed, given[name])
    except PlaygroundError as error:
        return _told(fixed, name, str(error))
    except ValueError:
        return _told(fixed, name, f"{given[name][:40]!r} is not a number.")


def _chosen(fixed: Fixed, name: str, value: str, known: Collection[str]) -> Fixed:
    if value in known:
        return replace(fixed, checkpoint=value) if name == "checkpoint" else replace(fixed, example=value)
    return _told(fixed, name, f"{value[:80]!r} is none of this playground: {', '.join(known)}.")


def _told(fixed: Fixed, name: str, sentence: str) -> Fixed:
    return replace(fixed, problems=(*fixed.problems, f"The address of this widget has a wrong {name}. {sentence}"))


_CHANGES: Mapping[str, Callable[[Fixed, str], Fixed]] = {
    "task": lambda fixed, value: replace(fixed, task=get_task(value).id),
    "style": lambda fixed, value: fixed.with_look(styles=tuple(filter(None, value.split(",")))),
    "labels": lambda fixed, value: fixed.with_look(labels=value != "0"),
    "opacity": lambda fixed, value: fixed.with_look(opacity=float(value)),
    "label_size": lambda fixed, value: fixed.with_look(label_size=float(value)),
}
