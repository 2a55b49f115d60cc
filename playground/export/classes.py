"""Classes of data sets: the names that labels become, and the one order in which every format numbers them."""

from playground.errors import UnknownTask
from playground.export.texts import for_xml
from playground.question import Question, called_names
from playground.results import Prediction

UNNAMED = "region"
MAX_CLASS_LENGTH = 500  # characters

NAMING = (
    f"An empty label becomes “{UNNAMED}”, control characters are left out, line breaks become spaces, "
    f"and {MAX_CLASS_LENGTH} characters of a label are kept."
)
NUMBERING = (
    "Classes are numbered from {first}: the names that were asked for in the order of the question, found or not, then "
    "the other labels as they first appear."
)


def class_name(label: str) -> str:
    """Return a label as the name of a class, in characters that XML (1.0, production 2) and YAML (1.2) can carry."""
    return " ".join(for_xml(label[: 2 * MAX_CLASS_LENGTH]).split())[:MAX_CLASS_LENGTH].strip() or UNNAMED


class ClassNumbers:
    """Numbers of classes from 0, over any number of pictures.

    The names that a question asks for come first, in its order, so that all answers to it agree; other labels follow
    as they first appear. A label that differs from an asked name in upper and lower case alone is that name.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._asked: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The names so far, each at the place of its number."""
        return list(self._numbers)

    def is_asked(self, name: str) -> bool:
        """Whether a question asked for this name."""
        return self._asked.get(name.casefold()) == name

    def number(self, prediction: Prediction) -> list[int]:
        """Return the number of each region's class."""
        for name in map(class_name, _called_names(prediction.question)):
            self._asked.setdefault(name.casefold(), name)
            self._numbers.setdefault(name, len(self._numbers))
        return [self._number(class_name(region.label)) for region in prediction.regions]

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            name = self._asked.get(name.casefold(), name)
        return self._numbers.setdefault(name, len(self._numbers))


def _called_names(question: Question) -> tuple[str, ...]:
    try:
        return called_names(question)
    except UnknownTask:  # a prediction from outside may name any task
        return ()
