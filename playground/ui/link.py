"""A link that opens the page with a question and a picture that everybody has: a drawn scene, or an example.

A picture of a user's own is never in a link. A link comes from outside: whatever it is, a page opens.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from playground.errors import InputRejected
from playground.paths import EXAMPLES
from playground.question import Question
from playground.ui.session import Item

_DEFAULT = Question("")
_FIELDS = [name for name in Question.__dataclass_fields__ if name != "task"]


@dataclass(frozen=True, slots=True)
class Link:
    """What a link asks, and about which picture: the `seed` of a drawn scene, or the path of an `example`.

    One that has lost its picture names a scene or an example that is none.
    """

    question: Question
    seed: int | None = None
    example: Path | None = None
    has_lost_its_picture: bool = False

    @classmethod
    def read(cls, query: str) -> "Link | None":
        """Read the query of an address; None where it asks nothing that can be asked."""
        given = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
        wire = {name: _value(name, given[name]) for name in ("task", *_FIELDS) if name in given}
        try:
            question = Question.from_dict(wire)
        except InputRejected:
            return None
        seed, example = _seed(given.get("seed", "")), _examples().get(given.get("example", ""))
        names_one = bool(given.get("seed") or given.get("example"))
        return cls(question, seed, example, names_one and seed is None and example is None)

    @classmethod
    def is_meant(cls, query: str) -> bool:
        """Whether a query, readable or not, is to ask something: other pages' parameters are none of ours."""
        return "task" in dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))

    def write(self) -> str:
        """Return the query of an address; what is as it is by default is left out."""
        wire = self.question.to_dict()
        fields = {name: wire[name] for name in ("task", *_FIELDS) if wire.get(name) != _DEFAULT.to_dict().get(name)}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        about = {"seed": self.seed, "example": self.example.stem if self.example else None}
        return urlencode(texts | {name: value for name, value in about.items() if value is not None})


def link_to(item: Item, question: Question) -> Link:
    """Return the link to a question about the picture of an item, without the picture where it is a user's own."""
    example = _examples().get(Path(item.path).stem)
    return Link(question, item.seed, example if example and str(example) == item.path else None)


def _examples() -> dict[str, Path]:
    return {path.stem: path for path in (*EXAMPLES.glob("*.png"), *EXAMPLES.glob("photographs/*.jpg"))}


def _value(name: str, text: str) -> object:
    """Return a field as JSON says it, where it is no text."""
    if isinstance(getattr(_DEFAULT, name, ""), str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _seed(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None
