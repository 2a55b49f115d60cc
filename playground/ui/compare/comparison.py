"""What the server remembers of a tab that compares: its picture, and the two answers about it. Knows no component."""

from dataclasses import dataclass, field, replace

from playground.results import Prediction
from playground.ui.session import Item, Shown, num_bytes_of

TwoAnswers = tuple[Prediction, Prediction]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One tab: its picture, the last two whole answers, what it shows, and what its last run told of itself."""

    item: Item = field(default_factory=Item)
    answers: TwoAnswers | None = None
    shown: Shown = Shown.PICTURE
    line: dict[str, str] | None = None
    gesture: int = -1  # what the user did to bring the picture, as the page counts it

    @property
    def whole(self) -> TwoAnswers | None:
        """The answers that the page shows whole."""
        return self.answers if self.shown is Shown.ANSWER else None

    @property
    def files(self) -> frozenset[str]:
        """What must stay on the disk as long as the tab is open."""
        return frozenset(path for path in (self.item.path, self.item.display_path, self.item.file) if path)

    @property
    def num_bytes(self) -> int:
        """About how much memory the answers take."""
        return sum(map(num_bytes_of, self.answers or ()))

    def with_picture(self, item: Item, gesture: int) -> "Comparison":
        """Return the tab with another picture; one that was given after this one, and was read sooner, stays."""
        return self if gesture < self.gesture else Comparison(item, gesture=gesture)

    def with_answers(self, answers: TwoAnswers, line: dict[str, str]) -> "Comparison":
        """Return the tab with two whole answers."""
        return replace(self, answers=answers, shown=Shown.ANSWER, line=line)

    def saying(self, line: dict[str, str] | None) -> "Comparison":
        """Return the tab with the sentence in which its last run tells of itself."""
        return replace(self, line=line)

    def without_partial(self) -> "Comparison":
        """Return the tab without what a run has shown that was given up; whole answers stay."""
        is_whole = self.shown is Shown.ANSWER
        return replace(self, shown=self.shown if is_whole else Shown.PICTURE, line=self.line if is_whole else None)

    def to_keep(self) -> "Comparison":
        """Return what a reload brings back: the picture with its last whole answers."""
        return Comparison(self.item, self.answers, Shown.ANSWER if self.answers else Shown.PICTURE)
