"""Both directions of Florence-2's answer language: tokens to regions and text, regions to text.

    answer   = { [label] shape { shape } }      a label holds for all shapes up to the next label; a quad's for one
    shape    = box | quad | polygon | "<poly>" polygon "</poly>"
    box      = 4 locations      quad = 8 locations      polygon = 6 or more locations, its parts divided by "<sep>"

Each task's output kind says which shapes it has. Only a special token is a location or a separator; the same
characters spelled out by ordinary tokens are text. Knows nothing of models, prompts or pictures.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np

from playground.events import Token
from playground.locations import NUM_BINS, dequantize, location_bin, location_token, quantize
from playground.regions import Box, Quad, Region
from playground.tasks import AND, OutputKind, Task, get_task

SEP, POLY, END_POLY = "<sep>", "<poly>", "</poly>"

CONTROL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # as in BART's vocabulary; they say nothing to a reader

# All special tokens that an answer may hold.
SPECIAL_TOKENS = frozenset([AND, SEP, POLY, END_POLY, *CONTROL_TOKENS, *map(location_token, range(NUM_BINS))])

_MARKUP = re.compile(r"</?[^\W\d]\w*>")  # whatever could name a token of this or another checkpoint
_MIN_OUTLINE = 6  # coordinates: three points

# How many coordinates make a shape; None where only a separator, a text or the end of the answer ends it.
_SIZES = {
    OutputKind.TEXT_WITH_BOX: 4,
    OutputKind.LABELED_BOXES: 4,
    OutputKind.BOXES: 4,
    OutputKind.BOXES_OR_POLYGONS: 4,
    OutputKind.QUADS: 8,
    OutputKind.POLYGONS: None,
}

Score = Callable[[Sequence[Token], Sequence[Token]], float | None]  # label tokens, location tokens

_Location = tuple[Token, float]  # a location token and its coordinate in pixels


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says, for a person and as regions.

    `text` is the text itself for the text kinds; the labels, a line each, for quads; else what `summarize` says. An
    answer without a complete region keeps whatever text it has, so that prose (as a fine-tune may answer a custom
    prompt) or the label of a box cut short is not lost.
    """

    text: str
    regions: tuple[Region, ...]


class _Text:
    """Text being written. Blank tokens and `<and>` wait for what follows: they join, and never begin or end it."""

    def __init__(self) -> None:
        self.tokens: list[Token] = []  # empty until there is something to read
        self._text = ""
        self._gap = ""
        self._gap_tokens: list[Token] = []

    @property
    def text(self) -> str:
        return self._text.strip()

    def add(self, token: Token) -> None:
        piece = ", " if token.is_special else token.text
        self._gap += piece
        self._gap_tokens.append(token)
        if not token.is_special and piece.strip():
            self._text = self._text + self._gap if self._text else piece
            # The blank ones count: a character that spans several tokens is all in the last one's text.
            self.tokens += self._gap_tokens
            self._gap, self._gap_tokens = "", []


class Parser:
    """Reads an answer token by token. At each moment `regions` and `text` are what `finish` would return.

    Never raises, whatever the model says: a box or quad cut short by a text, a separator or the end is dropped, so are
    an outline's odd last coordinate and its parts of less than three points; corners in the wrong order are sorted.
    `<poly>` turns boxes into polygons until `</poly>` where the kind allows both.
    """

    def __init__(self, output_kind: OutputKind, resolution_wh: tuple[int, int], *, score: Score | None = None) -> None:
        """Read answers of one kind; `score` replaces `region_score`, for comparing formulas."""
        self._kind = output_kind
        self._resolution_wh = resolution_wh
        self._score = score or region_score
        self._size = _SIZES.get(output_kind)
        self._complete: list[Region] = []
        self._text = _Text()
        self._since_location = _Text()  # the next label, if a location follows
        self._label = _Text()
        self._parts: list[list[_Location]] = [[]]  # of the shape being written; a box or quad is the last one

    @property
    def regions(self) -> tuple[Region, ...]:
        """The complete regions, and last the outline being written, from its third point on."""
        outline = self._outline()
        return (*self._complete, outline) if outline else tuple(self._complete)

    @property
    def text(self) -> str:
        """What a person reads so far, as described at `Answer`."""
        regions = self.regions
        return self._text.text if self._kind.is_text or not regions else words_of(regions, self._kind)

    def feed(self, token: Token) -> None:
        """Take the next token of the answer."""
        if not token.is_special or token.text == AND:
            self._read_text(token)
        elif self._kind is OutputKind.TEXT:
            return
        elif token.text in (SEP, POLY, END_POLY):
            self._read_separator(token.text)
        elif (bin_ := location_bin(token.text)) is not None:
            self._read_location(token, bin_)

    def finish(self) -> Answer:
        """Return the answer as far as it was written."""
        return Answer(self.text, self.regions)

    def _read_text(self, token: Token) -> None:
        self._text.add(token)
        self._since_location.add(token)
        if self._since_location.tokens:
            self._end_shape()

    def _read_separator(self, separator: str) -> None:
        if separator == SEP:
            self._parts.append([])
            return
        self._end_shape()
        if self._kind is OutputKind.BOXES_OR_POLYGONS:
            self._size = None if separator == POLY else 4

    def _read_location(self, token: Token, bin_: int) -> None:
        if self._since_location.tokens:
            self._label = self._since_location
        self._since_location = _Text()
        part = self._parts[-1]
        extent = self._resolution_wh[len(part) % 2]
        part.append((token, float(dequantize(bin_, extent))))
        if len(part) == self._size:
            self._complete.append(self._region([part]))
            self._parts = [[]]
            if self._kind is OutputKind.QUADS:
                self._label = _Text()

    def _end_shape(self) -> None:
        outline = self._outline()
        if outline:
            self._complete.append(outline)
        self._parts = [[]]

    def _outline(self) -> Region | None:
        if self._size is not None or self._kind is OutputKind.TEXT:
            return None
        parts = [part[: len(part) // 2 * 2] for part in self._parts if len(part) >= _MIN_OUTLINE]
        return self._region(parts) if parts else None

    def _region(self, parts: list[list[_Location]]) -> Region:
        outlines = [[coordinate for _, coordinate in part] for part in parts]
        xs = [x for outline in outlines for x in outline[0::2]]
        ys = [y for outline in outlines for y in outline[1::2]]
        is_quad, is_outline = self._size == 8, self._size is None
        return Region(
            label=self._label.text,
            xyxy=(min(xs), min(ys), max(xs), max(ys)),
            score=self._score(self._label.tokens, [token for part in parts for token, _ in part]),
            xyxyxyxy=cast(Quad, tuple(outlines[0])) if is_quad else None,
            polygons=tuple(tuple(zip(o[0::2], o[1::2], strict=True)) for o in outlines) if is_outline else (),
        )


def words_of(regions: Sequence[Region], kind: OutputKind) -> str:
    """Return what the regions of an answer say to a person: read words a line each, things by their number."""
    if kind is OutputKind.QUADS:
        return "\n".join(region.label for region in regions if region.label)
    return summarize(regions)


def summarize(regions: Sequence[Region]) -> str:
    """Count regions by label for a person, in the order of first appearance: "car, 2 × wheel, 3 regions"."""
    return ", ".join(_count(label, count) for label, count in Counter(region.label for region in regions).items())


def _count(label: str, count: int) -> str:
    if not label:
        return "1 region" if count == 1 else f"{count} regions"
    return label if count == 1 else f"{count} × {label}"


def region_score(label: Sequence[Token], locations: Sequence[Token]) -> float | None:
    """Return a region's score in 0..1: how sure the model is of the label, times how sure it is of the place.

    The label counts with the geometric mean of its tokens' probabilities, the place with the mean `bin_probability`
    of its location tokens; what a region does not have counts as 1. None when any token was not measured.

    Source: `python -m playground.evaluation.calibrate` compares it with other formulas (docs/measurements.md): label
    and place together tell right regions from wrong ones better than either alone. The product of the label's tokens
    does as well as their mean, but would punish long labels, and Florence-2's are longer than those of drawn scenes.
    """
    logprob = _mean([token.logprob for token in label]) if label else 0.0
    mass = _mean([token.bin_probability for token in locations]) if locations else 1.0
    if logprob is None or mass is None or not (label or locations):
        return None
    # Rounding may leave a certain token slightly above its bound.
    return math.exp(min(logprob, 0.0)) * min(max(mass, 0.0), 1.0)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None when a value is missing or is no measurement."""
    measured = [value for value in values if value is not None and value < math.inf]
    return sum(measured) / len(measured) if len(measured) == len(values) else None


def tokenize(text: str) -> list[Token]:
    """Split an answer's text into its special tokens and the text between them; ids are -1, nothing is scored."""
    tokens, end = [], 0
    for match in _MARKUP.finditer(text):
        if match[0] in SPECIAL_TOKENS:
            tokens += [Token(-1, text[end : match.start()]), Token(-1, match[0], is_special=True)]
            end = match.end()
    return [token for token in [*tokens, Token(-1, text[end:])] if token.text]


def parse(text: str, task: Task | str, resolution_wh: tuple[int, int]) -> Answer:
    """Read an answer given as text, in which everything that looks like a special token is one.

    Raises UnknownTask for a task id that is not in the table.
    """
    parser = Parser(_row(task).output_kind, resolution_wh)
    for token in tokenize(text):
        parser.feed(token)
    return parser.finish()


def render(regions: Sequence[Region], task: Task | str, resolution_wh: tuple[int, int]) -> str:
    """Write regions as Florence-2 would, quantized; of each region what the task's kind of answer can carry.

    `parse` gives them back: at the centers of their bins, without a score. Raises ValueError for a label that would
    come back changed and for a region without the quad or the polygons that the task needs, UnknownTask as `parse`.
    """
    kind = _row(task).output_kind
    limit = {OutputKind.TEXT: 0, OutputKind.TEXT_WITH_BOX: 1}.get(kind, len(regions))
    if len(regions) > limit:
        raise ValueError(f"an answer of kind {kind.value!r} must have at most {limit} regions, but got {len(regions)}.")
    is_bare = kind is OutputKind.POLYGONS and len(regions) == 1
    answer, label_before = "", ""
    for region in regions:
        _check_label(region.label, label_before, kind)
        is_shared = region.label == label_before and kind is not OutputKind.QUADS
        answer += ("" if is_shared else region.label) + _render_shape(region, kind, resolution_wh, is_bare=is_bare)
        label_before = region.label
    return answer


def render_region(xyxy: Box, resolution_wh: tuple[int, int]) -> str:
    """Write a box as the four location tokens that a prompt names it by; corners are sorted and clamped."""
    x1, y1, x2, y2 = xyxy
    return _render_locations((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), resolution_wh)


def neutralize(text: str) -> str:
    """Break whatever could name a token (`<OCR>`, `</s>`, `<loc_5>`) by a space after its `<`: user text is data.

    Other uses of `<` and `>` stay as they are. Doing it twice is doing it once.
    """
    return _MARKUP.sub(lambda match: "< " + match[0][1:], text)


def _row(task: Task | str) -> Task:
    return task if isinstance(task, Task) else get_task(task)


def _check_label(label: str, label_before: str, kind: OutputKind) -> None:
    special = next((token.text for token in tokenize(label) if token.is_special), None)
    if special:
        raise ValueError(f"a label must not hold {special}, which would be read as a token, but got {label!r}.")
    if label != label.strip():
        raise ValueError(f"a label must not begin or end with white space, which is not kept, but got {label!r}.")
    if label and kind is OutputKind.BOXES:
        raise ValueError(f"a label must be empty where boxes are written bare, but got {label!r}.")
    if not label and label_before and kind is not OutputKind.QUADS:
        raise ValueError(f"a label must not be empty after {label_before!r}, which would be read as its label.")


def _render_shape(region: Region, kind: OutputKind, resolution_wh: tuple[int, int], *, is_bare: bool) -> str:
    if kind is OutputKind.QUADS:
        if region.xyxyxyxy is None:
            raise ValueError(f"xyxyxyxy must be given for an answer of quads, but {region.label!r} has none.")
        return _render_locations(region.xyxyxyxy, resolution_wh)
    if kind is OutputKind.POLYGONS and not region.polygons:
        raise ValueError(f"polygons must be given for an answer of polygons, but {region.label!r} has none.")
    if kind is OutputKind.POLYGONS or (kind is OutputKind.BOXES_OR_POLYGONS and region.polygons):
        parts = (_render_locations(list(chain(*polygon)), resolution_wh) for polygon in region.polygons)
        outline = SEP.join(parts)
        return outline if is_bare else POLY + outline + END_POLY
    return render_region(region.xyxy, resolution_wh)


def _render_locations(coordinates: Sequence[float], resolution_wh: tuple[int, int]) -> str:
    bins_xy = quantize(np.reshape(coordinates, (-1, 2)), np.array(resolution_wh))
    return "".join(map(location_token, bins_xy.ravel().tolist()))
