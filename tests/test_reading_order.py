"""Lines in reading order: what people call the right order, on pages laid out by hand."""

import math
import random
import time
from collections.abc import Sequence

import pytest

from playground.reading_order import TextLine, lines_in_order
from playground.regions import Region


def text(label: str, x: float, y: float, *, height: float = 10, angle: float = 0, score: float | None = None) -> Region:
    """A piece of text whose top left corner is at a place, as wide as its characters, turned about that corner."""
    width = len(label) * height * 0.5
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [
        (x + u * cosine - v * sine, y + u * sine + v * cosine)
        for u, v in ((0, 0), (width, 0), (width, height), (0, height))
    ]
    xs, ys = zip(*corners, strict=True)
    box = (min(xs), min(ys), max(xs), max(ys))
    return Region(label, box, score, xyxyxyxy=tuple(value for corner in corners for value in corner))


def turned(regions: Sequence[Region], angle: float) -> list[Region]:
    """The whole page, turned about its corner."""
    return [text(r.label, *about_corner(r.xyxy[:2], angle), angle=angle) for r in regions]


def about_corner(point: tuple[float, float], angle: float) -> tuple[float, float]:
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return point[0] * cosine - point[1] * sine, point[0] * sine + point[1] * cosine


def read(regions: Sequence[Region]) -> list[str]:
    shuffled = list(regions)
    random.Random(3).shuffle(shuffled)
    return [line.text for line in lines_in_order(shuffled)]


PROSE = [
    text("A heading over both of the two columns", 40, 0),
    *[text(f"left line number {n}", 0, 20 + 12 * n) for n in range(4)],
    *[text(f"right line number {n}", 120, 20 + 12 * n) for n in range(4)],
    text("A footer under both of the two columns", 40, 90),
]
IN_ORDER = [
    "A heading over both of the two columns",
    *[f"left line number {n}" for n in range(4)],
    *[f"right line number {n}" for n in range(4)],
    "A footer under both of the two columns",
]


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([text("two", 40, 1), text("one", 0, 0), text("three", 0, 30)], ["one two", "three"], id="signs"),
        pytest.param([text("two", 18, 0), text("one", 0, 1), text("three", 0, 12)], ["one two", "three"], id="words"),
        pytest.param(PROSE, IN_ORDER, id="columns under a heading"),
        pytest.param(
            [*PROSE[:5], *[text(f"right line number {n}", 120, 26 + 12 * n) for n in range(4)], PROSE[-1]],
            IN_ORDER, id="columns whose lines are staggered",
        ),
        pytest.param(
            [text("Milk", 0, 0), text("1.20", 90, 0), text("Bread", 0, 12), text("2.30", 90, 12)],
            ["Milk 1.20", "Bread 2.30"], id="rows of a table",
        ),
        pytest.param([text(" ", 0, 0), text("a\nb", 0, 20)], ["a b"], id="no text, and a break"),
        pytest.param([Region("box alone", (0.0, 0.0, 50.0, 9.0)), Region("dot", (3.0, 20.0, 3.0, 20.0))],
                     ["box alone", "dot"], id="boxes, one of no size"),
        pytest.param([Region("far", (-1e308, -1e308, 1e308, 1e308), xyxyxyxy=(1e308, -1e308) * 4)], ["far"],
                     id="far away"),
    ],
)  # fmt: skip
def test_lines_come_in_reading_order(regions: list[Region], expected: list[str]) -> None:
    assert read(regions) == expected


@pytest.mark.parametrize("angle", [-7, 90, 180, -90, 33])
def test_a_page_that_is_turned_is_read_like_one_that_is_not(angle: float) -> None:
    lines = lines_in_order(turned(PROSE, angle))
    assert [line.text for line in lines] == IN_ORDER
    assert {round(line.angle) for line in lines} == {-180 if angle == 180 else angle}


def test_what_is_turned_another_way_follows_and_says_so() -> None:
    regions = [text("in the margin", 200, 90, angle=-90), *PROSE, text("a stamp", 20, 120, angle=30)]
    lines = lines_in_order(regions)
    assert [line.text for line in lines[:-2]] == IN_ORDER
    assert {(line.text, line.turn) for line in lines[-2:]} == {
        ("in the margin", "sideways, read upwards"), ("a stamp", "slanted by 30°, falling"),
    }  # fmt: skip
    assert lines[0].turn == ""


def test_a_line_knows_its_regions_its_lowest_score_and_where_its_words_are() -> None:
    line: TextLine
    (line,) = lines_in_order([text("of the", 45, 0, score=0.5), text("Museum", 10, 1, score=0.9), text("x", 80, 0)])
    assert (line.text, line.indices, line.score) == ("Museum of the x", (1, 0, 2), 0.5)
    museum, of, the, x = line.words
    assert museum.xyxyxyxy == pytest.approx((10, 1, 40, 1, 40, 11, 10, 11))
    assert of.xyxyxyxy[0] == 45
    assert of.xyxyxyxy[2] < the.xyxyxyxy[0]
    assert the.xyxyxyxy[2] == pytest.approx(75)
    assert x.xyxyxyxy[0] == 80
    assert line.xyxyxyxy == pytest.approx((10, 0, 85, 0, 85, 11, 10, 11))


@pytest.mark.parametrize("spread", [1, 40_000])
def test_as_many_pieces_as_a_prediction_can_have_are_ordered_in_seconds(spread: int) -> None:
    rng = random.Random(1)
    regions = [
        text("word", rng.random() * spread, rng.random() * spread, angle=rng.choice((0, 0, 90, rng.random() * 360)))
        for _ in range(5000)
    ]
    start = time.perf_counter()
    lines = lines_in_order(regions)
    assert time.perf_counter() - start < 10
    assert sorted(index for line in lines for index in line.indices) == list(range(5000))
