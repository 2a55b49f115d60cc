"""The question of the page of many pictures."""

from dataclasses import asdict, dataclass, fields

from playground.annotate.choices import read_min_scores, read_names, typed_names
from playground.annotate.options import SourceOptions
from playground.question import Question
from playground.tasks import DEFAULT_TASK
from playground.ui.memory import kept_object


@dataclass(frozen=True, slots=True)
class ManyForm:
    """What is asked, each field called after a component."""

    task: str = DEFAULT_TASK.id
    phrase: str = ""
    names: str = ""
    min_scores: str = ""
    merge: bool = False
    checkpoint: str = ""
    decoding: str = "greedy"
    then: str = ""
    one_by_one: bool = False
    tiles: bool = False
    pages: str = ""
    password: str = ""
    own_text: bool = False
    every: str = ""
    start: str = ""
    end: str = ""

    @classmethod
    def of(cls, question: Question, options: SourceOptions) -> "ManyForm":
        """Return the form in which a question was asked; a password is nobody's to be shown."""
        scores = ", ".join(f"{name}={score:g}" if name else f"{score:g}" for name, score in question.min_scores)
        return cls(
            question.task,
            question.phrase,
            typed_names(question.names),
            scores,
            bool(question.merge),
            question.checkpoint,
            question.decoding,
            question.then,
            question.one_by_one,
            question.tiles is not None,
            **options.to_dict(),
        )

    @property
    def question(self) -> Question:
        """What is asked. Raises InputRejected."""
        return Question(
            self.task,
            self.phrase,
            checkpoint=self.checkpoint,
            decoding=self.decoding,
            names=read_names([line for line in self.names.splitlines() if line.strip()]),
            min_scores=read_min_scores(self.min_scores),
            merge="iou" if self.merge else "",
            one_by_one=self.one_by_one,
            tiles=0 if self.tiles else None,
            then=self.then,
        )

    @property
    def options(self) -> SourceOptions:
        """What of the files is wanted."""
        pages, every, start, end = (text.strip() for text in (self.pages, self.every, self.start, self.end))
        return SourceOptions(pages, self.password, self.own_text, every, start, end)

    def updates(self) -> dict[str, object]:
        """Return the values of the components."""
        return asdict(self)


def kept_key(memory: str) -> str:
    """Return the key of the job that the page is to show; nothing where that makes no sense."""
    key = kept_object(memory).get("key")
    return key if isinstance(key, str) else ""


def id_of(key: str) -> str:
    """Return the part of a key that the address shows."""
    return key[:8]


def kept_keys(memory: str) -> tuple[str, ...]:
    """Return the keys of all jobs that the browser has kept."""
    keys = kept_object(memory).get("keys")
    return tuple(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else ()


FIELDS = tuple(field.name for field in fields(ManyForm))
