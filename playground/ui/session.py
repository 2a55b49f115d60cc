"""What the server remembers of a tab: pictures and answers, what of them it shows, and the runs that can be stopped.

Knows no component and no handler. How all of it changes is a table in `docs/architecture.md`.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from playground.corrections import NO_CORRECTIONS, Corrections, corrected, ids_of
from playground.drawing.detections import shapes_of
from playground.drawing.styles import Look
from playground.masks.prompts import MaskPoint
from playground.merging import without_duplicates
from playground.regions import Box, Region
from playground.results import Prediction
from playground.scenes.examples import Example

_MAX_ITEMS = 16  # of a tab: a prediction can have 200 KB
_MAX_TABS = 512
_MAX_BYTES = 64_000_000  # of the answers of all tabs


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
    offered: frozenset[str] = frozenset()  # the labels that the page offers to choose from
    shapes: frozenset[str] = frozenset()  # which its styles are for

    @property
    def unasked(self) -> "Item":
        """The picture without its answer."""
        return replace(
            self, prediction=None, truth=None, said=None, corrections=NO_CORRECTIONS, answer_id="", version=0,
            offered=frozenset(), is_welcome=False,
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
            offered=_labels(prediction),
            shapes=frozenset(shapes_of(prediction)),
        )

    def with_corrections(self, corrections: Corrections, version: int) -> "Item":
        """Return the picture with its answer corrected."""
        answer = corrected(self.said, corrections) if self.said else None
        return replace(self, prediction=answer, corrections=corrections, version=version)


def _labels(prediction: Prediction | None) -> frozenset[str]:
    return frozenset(prediction.label_counts()) if prediction else frozenset()


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
        """Return the tab when the page offers labels and styles of the answer as it stands, and says so in a line."""
        answer = self.item.prediction
        shapes = frozenset(shapes_of(answer)) if answer else frozenset()
        item = replace(self.item, offered=_labels(answer), shapes=shapes)
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


class AnyTab(Protocol):
    """What `Tabs` keeps of a tab, whatever its page is."""

    @property
    def item(self) -> Item:
        """The picture that is worked on."""

    @property
    def gesture(self) -> int:
        """What the user did to bring the picture, as the page counts it."""

    @property
    def files(self) -> frozenset[str]:
        """What must stay on the disk as long as the tab is open."""

    @property
    def num_bytes(self) -> int:
        """About how much memory the answers take."""

    def with_picture(self, item: Item, gesture: int) -> Self:
        """Return the tab with another picture; one that was given after this one, and was read sooner, stays."""

    def saying(self, line: dict[str, str] | None) -> Self:
        """Return the tab with the sentence in which its last run tells of itself."""

    def to_keep(self) -> Self:
        """Return what a reload brings back."""


_Tab = TypeVar("_Tab", bound=AnyTab)


@dataclass
class _Entry(Generic[_Tab]):
    tab: _Tab
    closed_at: float | None = None  # of a tab that is not open


class Tabs(Generic[_Tab]):
    """All tabs of a page: each is known by its session, and after a reload by a key that only its browser has.

    So many are kept and no more; of those that were closed, none longer than `keep_seconds`. `new` makes an empty one.
    """

    def __init__(self, new: Callable[[], _Tab], keep_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._new = new
        self._keep_seconds = keep_seconds
        self._now = now
        self._entries: OrderedDict[str, _Entry[_Tab]] = OrderedDict()  # by session, the one used last at the end
        self._sessions: dict[str, str] = {}  # by key
        self._lock = threading.RLock()

    def of(self, session: str) -> _Tab:
        """Return the tab of a session; a new one where there is none."""
        with self._lock:
            entry = self._entries.get(session)
            return entry.tab if entry else self._new()

    def change(self, session: str, change: Callable[[_Tab], _Tab]) -> _Tab:
        """Put in place of a tab what a function makes of it, in one step; returns it."""
        with self._lock:
            entry = self._entries.setdefault(session, _Entry(self._new()))
            entry.tab = change(entry.tab)
            entry.closed_at = None  # a page that lost its connection for a moment goes on
            self._entries.move_to_end(session)
            self._forget()
            return entry.tab

    def open(self, session: str, before: str, key: str) -> _Tab:
        """A page was loaded: bring back the tab that the key of before stands for, and know it by another from now on.

        A copy is brought back, for a tab that a browser duplicates has the key of the first one too. A page that has a
        picture already keeps that: its user was quicker.
        """
        with self._lock:
            self._forget()
            old = self._entries.get(self._sessions.get(before, "")) if before else None
            kept = old.tab.to_keep() if old else self._new()
            tab = self.change(session, lambda tab: tab if tab.item.path or not is_there(kept.item) else kept)
            if key:
                self._sessions[key] = session
            return tab

    def kept_by(self, key: str) -> _Tab:
        """Return the tab that a key stands for, whose page may have been left; a new one where there is none."""
        with self._lock:
            entry = self._entries.get(self._sessions.get(key, "")) if key else None
            return entry.tab if entry else self._new()

    def close(self, session: str) -> None:
        """The page was left: what it showed is kept for a while."""
        with self._lock:
            if entry := self._entries.get(session):
                entry.tab, entry.closed_at = entry.tab.to_keep(), self._now()

    def _forget(self) -> None:
        """Let go of what is too old, then of the closed ones and of the longest unused where there is too much."""
        latest = self._now() - self._keep_seconds
        for session, entry in list(self._entries.items()):
            if entry.closed_at is not None and entry.closed_at <= latest:
                del self._entries[session]
        num_bytes = sum(entry.tab.num_bytes for entry in self._entries.values())
        order = sorted(self._entries, key=lambda session: self._entries[session].closed_at is None)
        for session in order[:-1]:
            if len(self._entries) <= _MAX_TABS and num_bytes <= _MAX_BYTES:
                break
            num_bytes -= self._entries.pop(session).tab.num_bytes
        self._sessions = {key: session for key, session in self._sessions.items() if session in self._entries}


@dataclass(frozen=True, slots=True)
class Held:
    """What the page of a session holds on to, as the keeper of files asks for it."""

    tabs: Tabs[Any]
    session: str

    @property
    def files(self) -> frozenset[str]:
        """The files of its pictures."""
        files: frozenset[str] = self.tabs.of(self.session).files
        return files


def is_there(item: Item) -> bool:
    """Whether the files of an item are still kept."""
    return bool(item.path) and Path(item.path).is_file() and Path(item.display_path).is_file()


@dataclass(frozen=True, slots=True)
class View:
    """What the user wants to see of an answer."""

    look: Look
    min_score: float
    labels: frozenset[str]
    hidden: frozenset[int]
    limits: Mapping[str, float] = field(default_factory=dict)  # the lowest scores of labels that have one of their own
    merged: frozenset[int] | None = None  # what lies on a surer region; None where that is no matter

    def merging(self, prediction: Prediction | None) -> "View":
        """Return the view in which of regions that lie on one another the surest stays."""
        regions = prediction.regions if prediction else ()
        seen = [place for place, region in enumerate(regions) if self.lists(place, region)]
        kept = {id(region) for region in without_duplicates([regions[place] for place in seen], "iou")}
        return replace(self, merged=frozenset(place for place in seen if id(regions[place]) not in kept))

    def shows(self, index: int, region: Region) -> bool:
        """Whether this region is drawn and saved."""
        return index not in self.hidden and self.lists(index, region)

    def lists(self, index: int, region: Region) -> bool:
        """Whether this region has a row in the table."""
        return region.label in self.labels and self.counts(index, region)

    def counts(self, index: int, region: Region) -> bool:
        """Whether this region is sure enough, and the only one of its thing."""
        is_single = region.cover or index not in (self.merged or ())
        return bool(is_single) and region.is_sure(self.limits.get(region.label, self.min_score))


class RunKey(NamedTuple):
    """Which run of which tab: a page may have several at the same time."""

    session: str
    run: str


class Ending(threading.Event):
    """Set when a run is to end; it is abandoned where nobody wants to see what it has, or more of it."""

    is_abandoned = False
    has_begun = False


class Runs:
    """One event for each run, from the moment it is asked for: it can be stopped in the queue already.

    A page has one run at a time. What comes in the name of another one, late, has no event here and is nobody's.
    """

    def __init__(self) -> None:
        self._endings: dict[RunKey, Ending] = {}
        self._lock = threading.Lock()

    def expect(self, key: RunKey) -> None:
        """A run is about to be queued; one of this key that is still going is abandoned."""
        self.abandon(key)
        with self._lock:
            self._endings[key] = Ending()
            # Those of pages that were never there are as many as names that somebody invents.
            for old in [old for old, ending in self._endings.items() if not ending.has_begun][:-_MAX_TABS]:
                del self._endings[old]

    def find(self, key: RunKey) -> Ending | None:
        """Return the event of the run that is expected or going on, if there is one."""
        with self._lock:
            return self._endings.get(key)

    def stop(self, key: RunKey) -> bool:
        """Stop this run, if there is one; returns whether it ends before it has begun."""
        with self._lock:
            ending = self._endings.get(key)
            if ending is None:
                return False
            ending.set()
            if ending.has_begun:
                return False
            ending.is_abandoned = True
            del self._endings[key]
            return True

    def abandon(self, key: RunKey) -> bool:
        """Stop this run, in the queue too, and let it show nothing more; returns whether there was one."""
        with self._lock:
            ending = self._endings.pop(key, None)
            if ending is None:
                return False
            ending.is_abandoned = True
            ending.set()
            return True

    def abandon_session(self, session: str) -> None:
        """Abandon all runs of a tab."""
        with self._lock:
            keys = [key for key in self._endings if key.session == session]
        for key in keys:
            self.abandon(key)

    @contextmanager
    def run(self, key: RunKey) -> Iterator[Ending]:
        """Hold the event of the run that is expected, and forget it at the end. Without one, it is abandoned."""
        with self._lock:
            ending = self._endings.get(key)
            if ending is None or ending.has_begun:
                ending = Ending()
                ending.is_abandoned = True
            ending.has_begun = True
        try:
            yield ending
        finally:
            ending.set()
            with self._lock:
                if self._endings.get(key) is ending:
                    del self._endings[key]
