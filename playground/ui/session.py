"""What the server remembers of a tab, as values: its pictures and answers, and what of them the page shows.

Knows no component and no handler. How all of it changes is a table in `docs/architecture.md`.
"""

import secrets
import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from playground.corrections import NO_CORRECTIONS, Corrections, corrected, ids_of
from playground.drawing.detections import shapes_of
from playground.masks.prompts import MaskPoint
from playground.regions import Box
from playground.results import Prediction
from playground.scenes.examples import Example

_MAX_ITEMS = 16  # of a tab: a prediction can have 200 KB


@dataclass(frozen=True, slots=True)
class Item:
    """A picture and the last answer about it, as it was corrected: paths in Gradio's cache, never pixels.

    `name` is that of its file without an extension, for the files that are made of it; `seed` is that of a drawn scene,
    and `truth` what was right to answer about it, where that is known. A picture that is a page of a file with several
    knows which one, from 0, and the `file` that has the others. One that `is_welcome` was brought by nobody: it is the
    example that a first visit begins with.
    """

    path: str = ""
    display_path: str = ""
    resolution_wh: tuple[int, int] = (0, 0)
    name: str = "picture"
    prediction: Prediction | None = None
    seed: int | None = None
    truth: Example | None = None
    file: str = ""
    page: int = 0
    num_pages: int = 1
    is_welcome: bool = False
    said: Prediction | None = None  # what the model had said
    corrections: Corrections = NO_CORRECTIONS
    asked_at: float = 0.0  # when the answer came, in seconds since 1970
    answer_id: str = ""  # another one for each answer: corrections that come late are those of the one before
    version: int = 0  # how often the answer was corrected, as the page counts it
    shapes: frozenset[str] = frozenset()  # which its styles are for

    @property
    def unasked(self) -> "Item":
        """The picture without its answer."""
        return replace(
            self, prediction=None, truth=None, said=None, corrections=NO_CORRECTIONS, answer_id="", version=0,
            is_welcome=False,
        )  # fmt: skip

    @property
    def answers(self) -> tuple[Prediction, ...]:
        """All that is kept of answers: what the model said, and what was made of it."""
        kept = (self.said, self.prediction if self.prediction is not self.said else None)
        return tuple(answer for answer in kept if answer)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the regions of the answer; they stay what they are whatever is deleted."""
        return ids_of(self.said, self.corrections) if self.said else ()

    def with_answer(self, prediction: Prediction, truth: Example | None) -> "Item":
        """Return the picture with another answer, as the model said it."""
        return replace(
            self,
            prediction=prediction,
            truth=truth,
            said=prediction,
            corrections=NO_CORRECTIONS,
            asked_at=time.time(),
            answer_id=secrets.token_hex(8),
            version=0,
            shapes=frozenset(shapes_of(prediction)),
        )

    def with_corrections(self, corrections: Corrections, version: int) -> "Item":
        """Return the picture with its answer corrected."""
        answer = corrected(self.said, corrections) if self.said else None
        return replace(self, prediction=answer, corrections=corrections, version=version)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The pictures of a tab, the newest last. The page shows `item`."""

    items: tuple[Item, ...] = ()
    let_go: Item | None = None  # the last answer that made way for another one: a correction of it may be on its way

    @property
    def item(self) -> Item:
        """The picture that is worked on; one without a path where there is none yet."""
        return self.items[-1] if self.items else Item()

    @property
    def files(self) -> frozenset[str]:
        """What must stay on the disk as long as the tab is open."""
        return frozenset(path for item in self.items for path in (item.path, item.display_path, item.file) if path)

    def with_new(self, item: Item) -> "Workspace":
        """Return a workspace that goes on to another picture; the oldest ones are let go."""
        return Workspace((*self.items, item)[-_MAX_ITEMS:], self.let_go)

    def with_answer(self, path: str, prediction: Prediction, truth: Example | None) -> "Workspace":
        """Return a workspace in which the newest picture at this path has an answer; no other one is touched.

        The answer before stays beside the new one, unless it was to the same question and nobody has corrected it.
        """
        items, let_go = list(self.items), self.let_go
        for index in reversed(range(len(items))):
            if items[index].path == path:
                before = items[index].said
                is_said_again = before is None or before.question == prediction.question
                stays = [] if is_said_again and not items[index].corrections else [items[index]]
                let_go = let_go if stays or before is None else items[index]
                items[index : index + 1] = [*stays, items[index].with_answer(prediction, truth)]
                break
        return Workspace(tuple(items)[-_MAX_ITEMS:], let_go)

    @property
    def corrected(self) -> Item | None:
        """The picture that is worked on with the last answer about it that was corrected."""
        of_this = (item for item in reversed(self.items) if item.path == self.item.path and item.corrections)
        return next(of_this, None)

    def with_last(self, last: Item) -> "Workspace":
        """Return a workspace that goes back to one of its items."""
        return Workspace((*(item for item in self.items if item is not last), last), self.let_go)

    def without(self, answer_id: str) -> "Workspace":
        """Return a workspace that has forgotten an answer other than the one that it goes on with."""
        kept = (item for item in self.items if item.answer_id != answer_id or item is self.item)
        return Workspace(tuple(kept), self.let_go)

    def with_corrections(self, answer_id: str, corrections: Corrections, version: int) -> "Workspace":
        """Return a workspace in which an answer is corrected, unless later corrections of it have come before.

        One that had made way comes back for it, beside what has taken its place.
        """
        items, let_go = self.items, self.let_go
        if let_go and let_go.answer_id == answer_id:
            items, let_go = (*items[:-1], let_go, *items[-1:])[-_MAX_ITEMS:], None

        def change(item: Item) -> Item:
            is_older = item.answer_id == answer_id and item.version < version
            return item.with_corrections(corrections, version) if is_older else item

        return Workspace(tuple(map(change, items)), let_go)

    def find(self, answer_id: str) -> Item | None:
        """Return the item that has an answer, if it is kept."""
        kept = (*self.items, *([self.let_go] if self.let_go else []))
        return next((item for item in kept if item.answer_id == answer_id and item.said), None)


@dataclass(frozen=True, slots=True)
class AskedRegions:
    """What is to be asked about regions of an answer: `what` is the id of a follow-up, or of what `RegionAsks` knows.

    `points` and `box` are those of a sharper outline.
    """

    what: str
    answer_id: str
    ids: tuple[int, ...]
    points: tuple[MaskPoint, ...] = ()
    box: Box | None = None


class Shown(Enum):
    """What a page has under its form."""

    PICTURE = "the picture alone"
    PARTIAL = "an answer that is being written, or that an error cut off"
    ANSWER = "the last answer, whole"


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: its workspace, what it shows of it, and the sentence in which its last run told of itself."""

    workspace: Workspace = Workspace()
    shown: Shown = Shown.PICTURE
    line: dict[str, str] | None = None
    answer_line: dict[str, str] | None = None  # what the run told that brought the answer
    wanted: AskedRegions | None = None  # what is asked about regions, or was
    gesture: int = -1  # what the user did to bring the picture, as the page counts it

    @property
    def item(self) -> Item:
        """The picture that is worked on."""
        return self.workspace.item

    @property
    def answer(self) -> Prediction | None:
        """The answer that the page shows whole."""
        return self.item.prediction if self.shown is Shown.ANSWER else None

    def with_picture(self, item: Item, gesture: int) -> "Tab":
        """Return the tab with another picture; one that was given after this one, and was read sooner, stays."""
        if gesture < self.gesture:
            return self
        return Tab(self.workspace.with_new(item), gesture=gesture)

    def with_answer(self, path: str, prediction: Prediction, truth: Example | None, line: dict[str, str]) -> "Tab":
        """Return the tab with a whole answer about the picture at a path."""
        workspace = self.workspace.with_answer(path, prediction, truth)
        return replace(self, workspace=workspace, shown=Shown.ANSWER, line=line, answer_line=line)

    def saying(self, line: dict[str, str] | None) -> "Tab":
        """Return the tab with the sentence in which its last run tells of itself."""
        return replace(self, line=line)

    @property
    def put_aside(self) -> Item | None:
        """The corrected answer about this picture that is not shown, since something else was asked."""
        before = self.workspace.corrected
        return None if before is self.item and self.shown is Shown.ANSWER else before

    def with_corrections(self, answer_id: str, corrections: Corrections, version: int) -> "Tab":
        """Return the tab with an answer corrected."""
        return replace(self, workspace=self.workspace.with_corrections(answer_id, corrections, version))

    def offering(self, line: dict[str, str]) -> "Tab":
        """Return the tab when the page offers the styles of the answer as it stands, and says so in a line."""
        answer = self.item.prediction
        shapes = frozenset(shapes_of(answer)) if answer else frozenset()
        item = replace(self.item, shapes=shapes)
        workspace = replace(self.workspace, items=(*self.workspace.items[:-1], item))
        told = line if self.line == self.answer_line else self.line  # a question about a region has told of itself
        return replace(self, workspace=workspace, line=told, answer_line=line)

    def with_corrected(self, line: dict[str, str]) -> "Tab":
        """Return the tab with the answer that was put aside."""
        before = self.put_aside
        if before is None:
            return self
        workspace = self.workspace.with_last(before)
        return replace(self, workspace=workspace, shown=Shown.ANSWER, line=line, answer_line=line)

    def with_past(self, answer_id: str, line: dict[str, str]) -> "Tab":
        """Return the tab with an answer that was given before; as it is where that is not kept any more."""
        past = self.workspace.find(answer_id)
        if past is None:
            return self
        workspace = self.workspace.with_last(past)
        return replace(self, workspace=workspace, shown=Shown.ANSWER, line=line, answer_line=line)

    def without_past(self, answer_id: str) -> "Tab":
        """Return the tab without an answer that was given before."""
        return replace(self, workspace=self.workspace.without(answer_id))

    def without_partial(self) -> "Tab":
        """Return the tab without what a run has shown that was given up; a whole answer stays, and tells of itself."""
        is_answer = self.shown is Shown.ANSWER
        return replace(
            self, shown=Shown.ANSWER if is_answer else Shown.PICTURE, line=self.answer_line if is_answer else None
        )

    def to_keep(self) -> "Tab":
        """Return what a reload brings back: the last picture with its last whole answer, and the answers before."""
        shown = Shown.ANSWER if self.item.prediction else Shown.PICTURE
        kept = tuple(item for item in self.workspace.items if item is self.item or item.prediction)
        return Tab(replace(self.workspace, items=kept), shown, self.answer_line, self.answer_line)

    @property
    def files(self) -> frozenset[str]:
        """What must stay on the disk as long as the tab is open."""
        return self.workspace.files

    @property
    def num_bytes(self) -> int:
        """About how much memory the answers take."""
        return sum(num_bytes_of(answer) for item in self.workspace.items for answer in item.answers)


def num_bytes_of(answer: Prediction) -> int:
    """About how much memory an answer takes."""
    return 1000 + 2 * len(answer.raw_text) + 500 * len(answer.regions)


def is_there(item: Item) -> bool:
    """Whether the files of an item are still kept."""
    return bool(item.path) and Path(item.path).is_file() and Path(item.display_path).is_file()
