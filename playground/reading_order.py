"""What was read, in the order in which a person reads it: lines in columns, each with its place and its angle.

Knows where pieces of text lie, and nothing of languages: lines go from left to right and from the top down.
"""

import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import cast

from playground.regions import Point, Quad, Region

_SAME_DIRECTION = 15  # degrees by which pieces may differ that are read in one direction
_BIN = 10  # degrees, in which directions are counted
_WORD_GAP = 0.7  # heights of text up to which pieces are words of one line, and from which on a gap divides columns
_SAME_ROW = 0.5  # heights by which the middles of a row may differ
_SHRUNK = 0.25  # share of a height at either end that may overlap the next line
_SHORT_CELL = 12  # characters: such texts beside one another are a row of a table, and no columns of prose
_MAX_DEPTH = 20  # of columns inside columns
_UPRIGHT = 3  # degrees that nobody sees

_INFINITE = math.inf
_Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its four corners, clockwise from the top left of its text. Inside a line they are reckoned."""

    text: str
    xyxyxyxy: Quad


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text and its corners. `indices` are those of its regions; `angle` is in degrees, clockwise, 0 upright.

    Lines of one `block` stand under one another. `score` is the lowest of its regions, None where none was measured.
    """

    text: str
    xyxyxyxy: Quad
    angle: float
    block: int
    words: tuple[Word, ...]
    indices: tuple[int, ...]
    score: float | None

    @property
    def turn(self) -> str:
        """How the line is turned, in words; nothing for one that is upright."""
        degrees = round(self.angle)
        if abs(degrees) <= _UPRIGHT:
            return ""
        if abs(abs(degrees) - 90) <= _UPRIGHT:
            return f"sideways, read {'downwards' if degrees > 0 else 'upwards'}"
        if 180 - abs(degrees) <= _UPRIGHT:
            return "upside down"
        return f"slanted by {abs(degrees)}°, {'falling' if degrees > 0 else 'rising'}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A region with text, in the frame of its direction: `left` to `right` along the text, `top` to `bottom` across."""

    index: int
    region: Region
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


_Segment = list[_Piece]  # pieces of one row without a wide gap


def lines_in_order(regions: Sequence[Region]) -> tuple[TextLine, ...]:
    """Return the lines of text that regions hold, in reading order.

    Most of the text says which way the page is turned; what is turned another way follows, direction by direction.
    """
    lines: list[TextLine] = []
    for angle, members in _directions(regions):
        pieces = [_turned(index, regions[index], angle) for index in members]
        for block in _blocks(_segments(pieces), 0):
            number = lines[-1].block + 1 if lines else 0
            lines += [_line(sorted(row, key=lambda piece: piece.left), number) for row in _rows(block)]
    return tuple(lines)


def _directions(regions: Sequence[Region]) -> Iterator[tuple[float, list[int]]]:
    """Yield directions in degrees with the regions that are read in each, the one of most characters first."""
    angles = {index: _angle(region) for index, region in enumerate(regions) if region.label.strip()}
    while angles:
        weights = [0] * (360 // _BIN)
        for index, angle in angles.items():
            weights[math.floor(angle % 360 / _BIN) % len(weights)] += len(regions[index].label)
        around = [weights[place - 1] + weight + weights[(place + 1) % len(weights)]
                  for place, weight in enumerate(weights)]  # fmt: skip
        center = (around.index(max(around)) + 0.5) * _BIN
        near = [(len(regions[index].label), _difference(angle, center)) for index, angle in angles.items()]
        near = [(weight, difference) for weight, difference in near if abs(difference) <= 1.5 * _BIN + 1e-6]
        angle = center + sum(weight * difference for weight, difference in near) / sum(weight for weight, _ in near)
        members = {index for index in angles if abs(_difference(angles[index], angle)) <= _SAME_DIRECTION}
        yield angle, sorted(members)
        angles = {index: other for index, other in angles.items() if index not in members}


def _angle(region: Region) -> float:
    if region.xyxyxyxy is None:
        return 0.0
    x1, y1, x2, y2 = region.xyxyxyxy[:4]
    return math.degrees(math.atan2(y2 - y1, x2 - x1))


def _difference(angle: float, other: float) -> float:
    return (angle - other + 180) % 360 - 180


def _corners(region: Region) -> list[Point]:
    x_min, y_min, x_max, y_max = region.xyxy
    numbers = region.xyxyxyxy or (x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _turned(index: int, region: Region, angle: float) -> _Piece:
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = [x * cosine + y * sine for x, y in _corners(region)]
    across = [y * cosine - x * sine for x, y in _corners(region)]
    return _Piece(index, region, min(along), min(across), max(along), max(across))


def _rows(segments: Sequence[_Segment]) -> list[_Segment]:
    """Return the pieces of segments as rows, from the top down."""
    rows: list[_Segment] = []
    middle = height = 0.0
    for piece in sorted((piece for segment in segments for piece in segment), key=lambda piece: piece.middle):
        if rows and piece.middle - middle <= _SAME_ROW * min(height, piece.height):
            rows[-1].append(piece)
        else:
            rows.append([piece])
        middle, height = piece.middle, piece.height
    return rows


def _segments(pieces: Sequence[_Piece]) -> list[_Segment]:
    """Return the pieces of each row, cut where the gap is wider than between words."""
    segments: list[_Segment] = []
    for row in _rows([[piece] for piece in pieces]):
        end = -_INFINITE
        for piece in sorted(row, key=lambda piece: piece.left):
            if piece.left - end > _WORD_GAP * piece.height:
                segments.append([])
            segments[-1].append(piece)
            end = max(end, piece.right)
    return segments


def _blocks(segments: Sequence[_Segment], depth: int) -> Iterator[list[_Segment]]:
    """Yield blocks, whose rows stand under one another: columns from left to right where a gap divides them."""
    block: list[_Segment] = []
    for run, gaps in _runs(segments):
        columns = _columns(run, gaps) if depth < _MAX_DEPTH else []
        if not columns:
            block += [segment for band in run for segment in band]
            continue
        if block:
            yield block
            block = []
        for column in columns:
            yield from _blocks(column, depth + 1)
    if block:
        yield block


def _runs(segments: Sequence[_Segment]) -> Iterator[tuple[list[list[_Segment]], list[_Span]]]:
    """Yield bands of segments that have gaps in common, from the top down, and these gaps."""
    run: list[list[_Segment]] = []
    gaps: list[_Span] = [(-_INFINITE, _INFINITE)]
    for band in _bands(segments):
        common = _common(gaps, _free(band))
        if run and not any(low > -_INFINITE and high < _INFINITE for low, high in common):
            yield run, gaps
            run, common = [], _free(band)
        run.append(band)
        gaps = common
    if run:
        yield run, gaps


def _bands(segments: Sequence[_Segment]) -> list[list[_Segment]]:
    """Return groups of segments between which nothing stands, from the top down."""
    bands: list[list[_Segment]] = []
    end = -_INFINITE
    for segment in sorted(segments, key=_top):
        if not bands or _top(segment) >= end:
            bands.append([])
        bands[-1].append(segment)
        end = max(end, *(piece.bottom - _SHRUNK * piece.height for piece in segment))
    return bands


def _top(segment: _Segment) -> float:
    return min(piece.top + _SHRUNK * piece.height for piece in segment)


def _free(band: Sequence[_Segment]) -> list[_Span]:
    """Return where nothing stands beside the segments of a band, as far as it is wider than between words."""
    least = _WORD_GAP * min(piece.height for segment in band for piece in segment)
    free, end = [], -_INFINITE
    for left, right in sorted((segment[0].left, max(piece.right for piece in segment)) for segment in band):
        if left - end >= least:
            free.append((end, left))
        end = max(end, right)
    return [*free, (end, _INFINITE)]


def _common(spans: Sequence[_Span], others: Sequence[_Span]) -> list[_Span]:
    """Return what two lists of spans have in common; each is sorted and without overlaps."""
    common, first, second = [], 0, 0
    while first < len(spans) and second < len(others):
        low, high = max(spans[first][0], others[second][0]), min(spans[first][1], others[second][1])
        if low < high:
            common.append((low, high))
        if spans[first][1] < others[second][1]:
            first += 1
        else:
            second += 1
    return common


def _columns(run: Sequence[list[_Segment]], gaps: Sequence[_Span]) -> list[list[_Segment]]:
    """Return the columns of bands with common gaps, from left to right; none where they are rows."""
    cuts = [(low + high) / 2 for low, high in gaps if low > -_INFINITE and high < _INFINITE]
    columns: list[list[_Segment]] = [[] for _ in range(len(cuts) + 1)]
    placed: list[tuple[int, _Piece]] = []
    for segment in (segment for band in run for segment in band):
        place = bisect_left(cuts, segment[0].left)
        columns[place].append(segment)
        placed.append((place, segment[0]))
    placed.sort(key=lambda one: one[1].top)
    beside = [
        abs(piece.middle - before.middle) <= _SAME_ROW * min(before.height, piece.height)
        for (place_before, before), (place, piece) in pairwise(placed)
        if place != place_before and piece.top < before.bottom - _SHRUNK * before.height
    ]
    if len(beside) < 2:
        return []
    columns = [column for column in columns if column]
    are_cells = sum(beside) > len(beside) / 2 and any(_is_short(column) for column in columns)
    return [] if are_cells else columns


def _is_short(column: Sequence[_Segment]) -> bool:
    lengths = sorted(sum(len(piece.region.label) for piece in segment) for segment in column)
    return lengths[len(lengths) // 2] <= _SHORT_CELL


def _line(pieces: Sequence[_Piece], block: int) -> TextLine:
    regions = [piece.region for piece in pieces]
    words = tuple(word for region in regions for word in _words(region))
    scores = [region.score for region in regions if region.score is not None]
    angle = _difference(_angle(max(regions, key=lambda region: len(region.label))), 0)
    return TextLine(
        " ".join(word.text for word in words),
        _hull(regions, angle),
        round(angle, 1) + 0.0,
        block,
        words,
        tuple(piece.index for piece in pieces),
        min(scores) if scores else None,
    )


def _hull(regions: Sequence[Region], angle: float) -> Quad:
    """Return the corners of the smallest box in the direction of the text that holds all regions."""
    if len(regions) == 1:
        return cast(Quad, tuple(value for corner in _corners(regions[0]) for value in corner))
    turned = [_turned(0, region, angle) for region in regions]
    left, right = min(piece.left for piece in turned), max(piece.right for piece in turned)
    top, bottom = min(piece.top for piece in turned), max(piece.bottom for piece in turned)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    numbers = [value for u, v in corners for value in (u * cosine - v * sine, u * sine + v * cosine)]
    return cast(Quad, tuple(numbers))


def _words(region: Region) -> Iterator[Word]:
    """Yield the words of a region; each has as much of the quad as its characters are wide."""
    text = " ".join(region.label.split())
    ends = [0.0]
    for character in text:
        ends.append(ends[-1] + _width(character))
    top_left, top_right, bottom_right, bottom_left = _corners(region)
    for match in re.finditer(r"\S+", text):
        start, end = ends[match.start()] / ends[-1], ends[match.end()] / ends[-1]
        corners = (
            _between(top_left, top_right, start),
            _between(top_left, top_right, end),
            _between(bottom_left, bottom_right, end),
            _between(bottom_left, bottom_right, start),
        )
        yield Word(match.group(), cast(Quad, tuple(value for corner in corners for value in corner)))


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _width(character: str) -> float:
    """Return about how wide a character is set, in ems."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in " .,:;'|!iljtfI()[]":
        return 0.3
    if character in "mwMW@%":
        return 0.85
    return 0.7 if character.isupper() else 0.55


def paragraphs(lines: Sequence[TextLine]) -> Iterator[list[TextLine]]:
    """Yield the lines of each block."""
    for _, block in groupby(lines, key=lambda line: line.block):
        yield list(block)
