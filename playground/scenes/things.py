"""How the things of a picture book look: polygons, colors and where a thing belongs. Data; nothing is random.

Every kind is drawn in units of its own, in true proportions with y down, and fitted into the unit square at the end.
Knows nothing of pictures, scenes or pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from playground.regions import Box, Point, Polygon

Rgb = tuple[int, int, int]


class Habitat(Enum):
    """Where a thing belongs in a scene."""

    GROUND = "stands on the ground"
    SKY = "floats in the air"
    ANY = "anywhere"


@dataclass(frozen=True, slots=True)
class Part:
    """A filled polygon.

    `fill` None stands for the color of the thing, by the share `tone` lighter (positive, towards white) or darker
    (negative, towards black). A part in the very color of the thing, tone 0, gets a dark edge.
    """

    polygon: Polygon
    fill: Rgb | None = None
    tone: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a kind of thing looks: its parts from back to front and its outline, in the unit square with y down.

    `aspect` is width over height in true proportions. The unit square is the box of the outline and of the parts.
    The outline runs clockwise from its topmost point, the leftmost of these.
    """

    aspect: float
    outline: Polygon
    parts: tuple[Part, ...]
    habitat: Habitat


COLORS: dict[str, Rgb] = {
    "red": (214, 48, 49),
    "orange": (243, 156, 18),
    "yellow": (247, 220, 72),
    "green": (46, 160, 67),
    "blue": (52, 120, 219),
    "purple": (142, 68, 173),
    "pink": (240, 130, 180),
    "brown": (130, 84, 50),
    "white": (245, 245, 245),
    "black": (40, 40, 45),
}
_WHITE: Rgb = (255, 255, 255)
_DARK: Rgb = (30, 30, 35)
_GRAY: Rgb = (150, 155, 165)
_SILVER: Rgb = (215, 220, 226)
_GLASS: Rgb = (190, 228, 250)
_GOLD: Rgb = (252, 205, 70)
_BEAK: Rgb = (240, 125, 30)
_ROSE: Rgb = (240, 150, 165)
_CREAM: Rgb = (250, 236, 205)
_MAUVE: Rgb = (182, 134, 152)
_WOOD: Rgb = (120, 78, 46)
_CLAY: Rgb = (196, 104, 66)
_LEAF: Rgb = (76, 160, 70)


def _ellipse(x: float, y: float, x_radius: float, y_radius: float | None = None) -> Polygon:
    return _arc(x, y, x_radius, x_radius if y_radius is None else y_radius, 0, 360 - 360 / 32, 32)


def _arc(x: float, y: float, x_radius: float, y_radius: float, start: float, end: float, count: int = 17) -> Polygon:
    """Return `count` points of an ellipse; angles in degrees, clockwise from three o'clock."""
    angles = [math.radians(start + (end - start) * step / (count - 1)) for step in range(count)]
    return tuple((x + x_radius * math.cos(angle), y + y_radius * math.sin(angle)) for angle in angles)


def _rectangle(x_min: float, y_min: float, x_max: float, y_max: float, radius: float = 0) -> Polygon:
    if radius == 0:
        return ((x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max))
    left, top, right, bottom = x_min + radius, y_min + radius, x_max - radius, y_max - radius
    corners = ((left, top, 180), (right, top, 270), (right, bottom, 0), (left, bottom, 90))
    return tuple(point for x, y, start in corners for point in _arc(x, y, radius, radius, start, start + 90, 7))


def _star(x: float, y: float, radius: float, inner: float) -> Polygon:
    spokes = [(radius if step % 2 == 0 else inner, math.pi * (step / 5 - 0.5)) for step in range(10)]
    return tuple((x + r * math.cos(angle), y + r * math.sin(angle)) for r, angle in spokes)


def _heart(x: float, y: float, size: float) -> Polygon:
    """The heart curve x = 16 sin³t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t (Weisstein, MathWorld), scaled."""
    points = []
    for t in (math.tau * step / 48 for step in range(48)):
        height = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x + 16 * math.sin(t) ** 3 * size, y - height * size))
    return tuple(points)


def _spline(before: Point, start: Point, end: Point, after: Point) -> Polygon:
    """Return eight points of the Catmull-Rom curve from `start` to just before `end`."""

    def at(t: float, axis: int) -> float:
        p, q, r, s = before[axis], start[axis], end[axis], after[axis]
        return q + t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * q - p - 3 * r + s))) / 2

    return tuple((at(step / 8, 0), at(step / 8, 1)) for step in range(8))


def _blob(*points: Point) -> Polygon:
    """Return a smooth closed shape through the points."""
    count = len(points)
    quads = [[points[(first + step) % count] for step in (-1, 0, 1, 2)] for first in range(count)]
    return tuple(point for p, q, r, s in quads for point in _spline(p, q, r, s))


def _stroke(width: float, *points: Point) -> Polygon:
    """Return a thick smooth line through the points, with round ends."""
    padded = [points[0], *points, points[-1]]
    line = [point for p, q, r, s in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
            for point in _spline(p, q, r, s)]  # fmt: skip
    line.append(points[-1])
    ends = [(line[0], line[0], line[1]), *zip(line, line[1:], line[2:], strict=False), (line[-2], line[-1], line[-1])]
    headings = [(point, math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))) for a, point, b in ends]
    radius = width / 2
    right = [_arc(x, y, radius, radius, heading + 90, heading + 90, 2)[0] for (x, y), heading in headings]
    left = [_arc(x, y, radius, radius, heading - 90, heading - 90, 2)[0] for (x, y), heading in headings]
    (first, out), (last, on) = headings[0], headings[-1]
    tip, tail = _arc(*last, radius, radius, on - 90, on + 90, 9), _arc(*first, radius, radius, out + 90, out + 270, 9)
    return (*left, *tip, *reversed(right), *tail)


def _mirrored(polygon: Polygon, axis: float) -> Polygon:
    return tuple((2 * axis - x, y) for x, y in polygon)


def _pair(polygon: Polygon, axis: float, fill: Rgb | None = None, tone: float = 0.0) -> tuple[Part, Part]:
    """Return a part and its mirror image about the vertical line x = `axis`."""
    return Part(polygon, fill, tone), Part(_mirrored(polygon, axis), fill, tone)


def _scallops(x_min: float, x_max: float, y: float, depth: float, count: int) -> Polygon:
    """Return a row of half ellipses that hang from the line at `y`, from right to left."""
    radius = (x_max - x_min) / count / 2
    centers = [x_max - radius * (2 * step + 1) for step in range(count)]
    return tuple(point for x in centers for point in _arc(x, y, radius, depth, 0, 180, 9))


def _crown(x: float, y: float, x_radius: float, y_radius: float, bumps: int, depth: float) -> Polygon:
    """Return a round shape with a scalloped rim, like the crown of a tree."""
    angles = [math.tau * step / 96 for step in range(96)]
    rim = [(angle, 1 - depth + depth * abs(math.cos(angle * bumps / 2))) for angle in angles]
    return tuple((x + x_radius * r * math.sin(a), y - y_radius * r * math.cos(a)) for a, r in rim)


def _gore(start: float, end: float) -> Polygon:
    """Return a stripe of the beach ball: from its pole to its rim, bent."""

    def side(degrees: float) -> Polygon:
        (x, y) = _arc(50, 50, 50, 50, degrees, degrees, 2)[0]
        return _spline((10, 0), (38, 34), (x, y), (2 * x - 50, 2 * y - 50))

    return (*side(start), *_arc(50, 50, 50, 50, start, end), *reversed(side(end)))


def _petals(x: float, y: float) -> tuple[Part, ...]:
    return tuple(Part(_ellipse(px, py, 19)) for px, py in _arc(x, y, 23, 23, -90, 210, 6))


def _spiral(x: float, y: float, radius: float, turns: float) -> tuple[Point, ...]:
    steps = [step / 16 for step in range(17)]
    return tuple(_arc(x, y, radius * t, radius * t, 360 * turns * t, 360 * turns * t, 2)[0] for t in steps)


def _box(polygons: Sequence[Polygon]) -> Box:
    xs, ys = zip(*(point for polygon in polygons for point in polygon), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _fit(polygon: Polygon, box: Box) -> Polygon:
    x_min, y_min, x_max, y_max = box
    return tuple((round((x - x_min) / (x_max - x_min), 4), round((y - y_min) / (y_max - y_min), 4)) for x, y in polygon)


def _drawing(habitat: Habitat, outline: Polygon, *parts: Part) -> Drawing:
    """Fit the outline and the parts into the unit square, each by its own box: an outline is a little coarser."""
    box = _box([part.polygon for part in parts])
    fitted = tuple(Part(_fit(part.polygon, box), part.fill, part.tone) for part in parts)
    aspect = round((box[2] - box[0]) / (box[3] - box[1]), 3)
    return Drawing(aspect, _fit(outline, _box([outline])), fitted, habitat)


# The bundled checkpoint was trained on these very shapes and colors: after a change it must be trained again.
DRAWINGS: dict[str, Drawing] = {
    "cat": _drawing(
        Habitat.GROUND,
        (
            (16, 0),
            (44, 14),
            (72, 0),
            (76, 42.5),
            (63, 58),
            (75, 90),
            (89, 72),
            (72, 53),
            (81, 47),
            (97, 60),
            (98, 81),
            (85, 98),
            (22, 100),
            (16, 82),
            (25, 57.5),
            (12, 43),
        ),
        Part(_stroke(12, (60, 92), (80, 92), (91, 80), (90, 64), (80, 54))),
        Part(_blob((44, 46), (60, 56), (70, 78), (66, 98), (44, 100), (22, 98), (18, 78), (28, 56))),
        *_pair(((14, 34), (16, 0), (44, 14)), 44),
        *_pair(((20, 26), (21, 9), (36, 17)), 44, _ROSE),
        Part(_ellipse(44, 36, 32, 25)),
        *_pair(_ellipse(31, 33, 7, 8), 44, _WHITE),
        *_pair(_ellipse(32, 34, 4, 6), 44, _DARK),
        Part(((38, 43), (50, 43), (44, 50)), _ROSE),
    ),
    "duck": _drawing(
        Habitat.GROUND,
        (
            (46, 0),
            (62, 15),
            (61, 44),
            (85, 46),
            (117, 31),
            (116, 55),
            (103, 84),
            (73, 92),
            (34, 91),
            (18, 81),
            (9, 66),
            (23, 43),
            (-6, 36),
            (-4, 23),
            (12, 21),
            (25, 2),
        ),
        Part(_blob((20, 26), (2, 22), (-6, 30), (0, 38), (20, 40)), _BEAK),
        Part(
            _blob(
                (14, 28),
                (20, 8),
                (38, 0),
                (56, 8),
                (62, 28),
                (60, 42),
                (80, 46),
                (100, 40),
                (116, 32),
                (114, 60),
                (100, 84),
                (70, 92),
                (34, 90),
                (14, 76),
                (12, 60),
                (22, 46),
            )
        ),
        Part(_blob((46, 60), (70, 54), (98, 54), (92, 72), (70, 78), (52, 74)), None, -0.2),
        Part(_ellipse(31, 22, 8), _WHITE),
        Part(_ellipse(29, 22, 5), _DARK),
    ),
    "fish": _drawing(
        Habitat.ANY,
        (
            (51, -1),
            (72, -1),
            (73, 18),
            (85, 28),
            (116, 7),
            (107, 42),
            (116, 74),
            (112, 75),
            (86, 55),
            (70, 69),
            (38, 73),
            (12, 64),
            (0, 51),
            (0, 36),
            (7, 25),
        ),
        Part(_blob((30, 20), (44, 3), (70, 0), (68, 22)), None, -0.22),
        Part(_blob((78, 42), (96, 20), (116, 10), (108, 42), (116, 76), (96, 64))),
        Part(_ellipse(45, 43, 45, 31)),
        Part((*_arc(45, 43, 44, 30, -62, -38, 7), *_arc(45, 43, 44, 30, 38, 62, 7)), None, 0.4),
        Part(_blob((40, 50), (62, 42), (58, 54), (60, 66)), None, -0.3),
        Part(_ellipse(19, 36, 8), _WHITE),
        Part(_ellipse(18, 36, 5), _DARK),
    ),
    "snail": _drawing(
        Habitat.GROUND,
        (
            (87, 0),
            (108, 14),
            (118, 41),
            (106, 71),
            (127, 86),
            (126, 91),
            (27, 92),
            (10, 86),
            (1, 59),
            (4.5, 44.5),
            (0, 12),
            (12, 12),
            (17, 41),
            (27, 15),
            (39, 19),
            (59, 2),
        ),
        Part(_stroke(13, (14, 56), (9, 34), (6, 17)), _MAUVE),
        Part(_stroke(13, (20, 56), (26, 36), (31, 22)), _MAUVE),
        Part(
            _blob(
                (2, 60),
                (5, 46),
                (18, 40),
                (33, 48),
                (40, 68),
                (80, 72),
                (112, 76),
                (128, 90),
                (100, 92),
                (30, 92),
                (10, 84),
            ),
            _MAUVE,
        ),
        Part(_ellipse(76, 41, 41)),
        Part(_stroke(8, *_spiral(76, 43, 29, 2)), None, -0.35),
        Part(_ellipse(7, 18, 4.5), _DARK),
        Part(_ellipse(30, 23, 4.5), _DARK),
        Part(_stroke(4, (6, 62), (11, 66), (18, 64)), _CLAY),
    ),
    "butterfly": _drawing(
        Habitat.SKY,
        (
            (37, -1),
            (71, -1),
            (61, 29),
            (81, 9),
            (107, 7),
            (108, 37),
            (93, 55),
            (101, 73),
            (83, 97),
            (25, 97),
            (7, 73),
            (15, 55),
            (0, 37),
            (1, 7),
            (27, 9),
            (47, 29),
        ),
        *_pair(_stroke(11, (54, 36), (50, 20), (44, 5)), 54, _DARK),
        *_pair(_blob((54, 52), (46, 30), (26, 11), (3, 10), (1, 36), (18, 55)), 54),
        *_pair(_blob((54, 48), (24, 52), (9, 66), (20, 92), (46, 93)), 54),
        *_pair(_ellipse(21, 31, 11), 54, None, 0.55),
        *_pair(_ellipse(30, 73, 8), 54, _GOLD),
        Part(_ellipse(54, 58, 9, 38), _DARK),
    ),
    "car": _drawing(
        Habitat.GROUND,
        (
            (60, 2),
            (112, 2),
            (150, 47),
            (150, 68),
            (132, 72),
            (123, 85),
            (104, 86),
            (96, 70),
            (58, 70),
            (43, 86),
            (26, 84),
            (18, 70),
            (4, 70),
            (1, 41),
            (35, 34),
        ),
        Part(
            (
                (0, 62),
                (2, 46),
                (10, 38),
                (36, 34),
                (54, 8),
                (62, 2),
                (108, 2),
                (116, 6),
                (136, 34),
                (146, 38),
                (150, 48),
                (150, 66),
                (146, 70),
                (4, 70),
            )
        ),
        Part(((48, 34), (63, 11), (80, 11), (80, 34)), _GLASS),
        Part(((88, 34), (88, 11), (107, 11), (122, 34)), _GLASS),
        Part(_rectangle(0, 54, 150, 61), None, -0.25),
        Part(_ellipse(7, 46, 6), _GOLD),
        *_pair(_ellipse(36, 68, 18), 75, _DARK),
        *_pair(_ellipse(36, 68, 8), 75, _SILVER),
    ),
    "bus": _drawing(
        Habitat.GROUND,
        ((2, 0), (148, 0), (148, 80), (107, 99), (95, 84), (58, 84), (40, 99), (2, 80)),
        Part(_rectangle(0, 0, 150, 84, 9)),
        Part(_rectangle(4, 14, 22, 48, 3), _GLASS),
        *(Part(_rectangle(x, 14, x + 21, 38, 3), _GLASS) for x in (31, 60, 89, 118)),
        Part(_rectangle(28, 50, 149, 58), None, -0.3),
        Part(_ellipse(9, 66, 5), _CREAM),
        *(Part(_ellipse(x, 83, 16), _DARK) for x in (38, 114)),
        *(Part(_ellipse(x, 83, 7), _SILVER) for x in (38, 114)),
    ),
    "boat": _drawing(
        Habitat.GROUND,
        ((40, 0), (49, 0), (74, 28), (97, 67), (108, 70), (90, 100), (21, 100), (0, 77), (40, 14)),
        Part(_rectangle(40, 0, 51, 80), _WOOD),
        Part(((51, 3), (74, 28), (98, 68), (51, 68))),
        Part(((51, 38), (81, 38), (89, 52), (51, 52)), None, 0.45),
        Part(((40, 14), (40, 68), (6, 68)), _WHITE),
        Part(((0, 68), (108, 68), (100, 86), (88, 100), (22, 100), (9, 88))),
        Part(((5, 76), (103, 76), (100, 84), (9, 84)), _WHITE),
    ),
    "plane": _drawing(
        Habitat.SKY,
        (
            (135, 0),
            (151, 0),
            (143, 30),
            (151, 39),
            (128, 55),
            (96, 64),
            (117, 90),
            (97, 94),
            (67, 68),
            (26, 66),
            (1, 58),
            (-1, 44),
            (23, 27),
            (109, 28),
        ),
        Part(((104, 36), (136, 0), (152, 0), (142, 40))),
        Part(
            _blob(
                (0, 50),
                (10, 36),
                (34, 28),
                (80, 28),
                (126, 30),
                (150, 34),
                (146, 44),
                (120, 58),
                (80, 66),
                (34, 66),
                (8, 60),
            )
        ),
        Part(_blob((12, 42), (20, 34), (34, 32), (34, 44)), _GLASS),
        *(Part(_ellipse(x, 41, 5.5), _GLASS) for x in (50, 67, 84, 101)),
        Part(((52, 54), (88, 54), (118, 90), (98, 94))),
    ),
    "rocket": _drawing(
        Habitat.SKY,
        (
            (30, 2),
            (38, 2),
            (54, 24),
            (58, 56),
            (74, 75),
            (74, 104),
            (50, 90),
            (37, 119),
            (31, 119),
            (18, 90),
            (-6, 104),
            (-6, 75),
            (10, 56),
            (14, 24),
        ),
        Part(_blob((20, 92), (34, 84), (48, 92), (44, 106), (34, 122), (24, 106)), _BEAK),
        Part(_blob((27, 92), (34, 86), (41, 92), (34, 110)), _GOLD),
        *_pair(((14, 52), (-6, 76), (-6, 106), (20, 90)), 34, None, -0.3),
        Part(_blob((34, 0), (51, 20), (57, 48), (53, 76), (47, 94), (34, 96), (21, 94), (15, 76), (11, 48), (17, 20))),
        Part(_blob((34, 0), (43, 8), (50, 22), (34, 26), (18, 22), (25, 8)), None, 0.45),
        Part(_ellipse(34, 48, 14), _SILVER),
        Part(_ellipse(34, 48, 10), (90, 180, 230)),
    ),
    "ball": _drawing(
        Habitat.ANY,
        _arc(0, 0, 50, 50, -101.25, 236.25, 16),
        Part(_ellipse(50, 50, 50)),
        Part(_gore(-60, -14), _WHITE),
        Part(_gore(50, 90), _WHITE),
        Part(_gore(160, 215), _WHITE),
        Part(_ellipse(38, 34, 8), None, -0.25),
    ),
    "balloon": _drawing(
        Habitat.SKY,
        (
            (29, 0),
            (51, 0),
            (69, 11),
            (80, 35),
            (80, 53),
            (67, 78),
            (44, 98),
            (56, 116),
            (24, 116),
            (36, 98),
            (13, 78),
            (0, 53),
            (0, 35),
            (11, 11),
        ),
        Part(((40, 92), (24, 116), (56, 116)), None, -0.25),
        Part(_blob((40, 0), (66, 10), (80, 40), (70, 72), (40, 98), (10, 72), (0, 40), (14, 10))),
        Part(_stroke(9, (15, 42), (18, 28), (28, 16)), _WHITE),
    ),
    "kite": _drawing(
        Habitat.SKY,
        (
            (41, 0),
            (82, 36),
            (47, 84),
            (50, 99),
            (62, 92),
            (62, 112),
            (43, 123),
            (35, 109),
            (22, 116),
            (22, 92),
            (40, 102),
            (39, 89),
            (0, 36),
        ),
        Part(_stroke(10, (41, 84), (45, 96), (40, 106), (46, 118)), _GRAY),
        Part(((42, 104), (22, 92), (22, 116)), _GOLD),
        Part(((42, 104), (62, 92), (62, 116)), _GOLD),
        Part(((41, 0), (82, 36), (41, 92), (0, 36))),
        Part(((41, 3), (78, 36), (41, 36)), None, 0.5),
        Part(((41, 36), (41, 88), (4, 36)), None, 0.5),
    ),
    "robot": _drawing(
        Habitat.GROUND,
        (
            (37, -1),
            (51, -1),
            (51, 13),
            (76, 14),
            (76, 50),
            (88, 52),
            (88, 82),
            (65, 97),
            (70, 111),
            (18, 111),
            (23, 97),
            (0, 82),
            (0, 52),
            (12, 50),
            (12, 14),
            (37, 13),
        ),
        Part(_rectangle(38, 6, 50, 20), _GRAY),
        Part(_ellipse(44, 8, 8), _GOLD),
        Part(((26, 90), (62, 90), (70, 112), (18, 112)), _GRAY),
        *_pair(_rectangle(0, 52, 18, 86, 6), 44, None, -0.25),
        Part(_rectangle(15, 46, 73, 96, 5)),
        Part(_rectangle(12, 15, 76, 50, 6)),
        *_pair(_ellipse(30, 32, 10), 44, _WHITE),
        *_pair(_ellipse(31, 32, 5), 44, _DARK),
        Part(_rectangle(30, 62, 58, 80, 3), (250, 120, 90)),
    ),
    "umbrella": _drawing(
        Habitat.ANY,
        (
            (49, 0),
            (77, 14),
            (92, 29.5),
            (98, 50.5),
            (54, 51.5),
            (55, 91),
            (80, 80),
            (72, 99),
            (55, 101),
            (43.5, 90.5),
            (44, 50),
            (34, 54),
            (21, 50),
            (1, 52),
            (3.5, 38.5),
            (15.5, 18),
        ),
        Part(_stroke(11, (50, 5), (50, 50), (50, 86), (58, 95), (68, 94), (74, 86)), _WOOD),
        Part((*_arc(50, 56, 50, 51, 180, 360, 33), *_scallops(0, 100, 56, -6, 3))),
        Part((*_arc(50, 56, 50 / 3, 51, 180, 360, 33), *_scallops(100 / 3, 200 / 3, 56, -6, 1)), None, 0.45),
    ),
    "hat": _drawing(
        Habitat.ANY,
        ((25, 1), (95, 1), (90, 65), (120, 59), (119, 78), (78, 89), (42, 89), (1, 78), (0, 59), (30, 65)),
        Part(_blob((0, 66), (8, 62), (60, 72), (112, 62), (120, 66), (114, 82), (60, 92), (6, 82))),
        Part((*_arc(60, 5, 36, 5, 180, 360, 9), (90, 72), *_arc(60, 72, 30, 6, 0, 180, 9))),
        Part(((28, 48), (92, 48), (90, 70), *_arc(60, 71, 30, 6, 0, 180, 9)), (90, 70, 80)),
        Part(_rectangle(48, 50, 72, 77), _GOLD),
    ),
    "cup": _drawing(
        Habitat.GROUND,
        ((24, 0), (67, 0), (111, 35), (107, 65), (78, 82), (70, 100), (14, 100), (4, 92), (0, 6)),
        Part(_blob((72, 24), (98, 22), (112, 44), (100, 70), (70, 76))),
        Part(_blob((72, 38), (90, 36), (97, 46), (88, 59), (70, 62)), _SILVER),
        Part(((0, 10), (80, 10), *_arc(62, 86, 14, 14, 0, 90, 7), *_arc(18, 86, 14, 14, 90, 180, 7))),
        Part(_ellipse(40, 10, 40, 10), None, 0.35),
        Part(_ellipse(40, 11, 32, 6.5), _WOOD),
        Part(_heart(40, 56, 1.1), _WHITE),
    ),
    "apple": _drawing(
        Habitat.ANY,
        (
            (36, 1),
            (54, 10),
            (71, 1),
            (87, 1),
            (77, 22),
            (95, 31),
            (98, 59),
            (84, 89),
            (66, 100),
            (51, 95),
            (30, 100),
            (11, 82),
            (2, 58),
            (3, 36),
            (21, 20),
            (44, 25),
        ),
        Part(_stroke(11, (50, 34), (48, 18), (42, 6)), _WOOD),
        Part(_blob((50, 18), (62, 4), (84, 0), (80, 16), (66, 24)), _LEAF),
        Part(
            _blob(
                (50, 28),
                (68, 20),
                (90, 28),
                (98, 52),
                (86, 84),
                (66, 100),
                (50, 95),
                (34, 100),
                (14, 84),
                (2, 52),
                (10, 28),
                (32, 20),
            )
        ),
        Part(_stroke(9, (16, 56), (18, 46), (26, 38)), _WHITE),
    ),
    "cake": _drawing(
        Habitat.GROUND,
        (
            (53, -4),
            (67, -4),
            (67, 30),
            (92, 30),
            (92, 62),
            (111, 62),
            (111, 99),
            (119, 111),
            (1, 111),
            (9, 99),
            (9, 62),
            (28, 62),
            (28, 30),
            (53, 30),
        ),
        Part(_rectangle(53, 16, 67, 40), (120, 190, 235)),
        Part(_blob((60, -4), (69, 11), (60, 22), (51, 11)), _GOLD),
        Part(_rectangle(0, 102, 120, 111, 4), _SILVER),
        Part(_rectangle(28, 30, 92, 70, 4)),
        Part(((30, 32), (90, 32), *_scallops(28, 92, 38, 7, 4)), _CREAM),
        Part(_rectangle(8, 62, 112, 104, 4)),
        Part(((10, 64), (110, 64), *_scallops(8, 112, 70, 8, 5)), _CREAM),
        Part(_rectangle(9, 91, 111, 97), None, -0.25),
    ),
    "heart": _drawing(
        Habitat.ANY,
        (
            (-31, -33),
            (-13, -32),
            (0, -19),
            (13, -32),
            (31, -33),
            (46, -19),
            (44, 3),
            (3, 41),
            (0, 49),
            (-3, 41),
            (-44, 3),
            (-46, -19),
        ),
        Part(_heart(0, 0, 3)),
        Part(_heart(0, -1, 2.2), None, 0.2),
        Part(_stroke(8, (-31, -10), (-30, -19), (-22, -25)), _WHITE),
    ),
    "star": _drawing(
        Habitat.ANY,
        _star(0, 0, 50, 25),
        Part(_star(0, 0, 50, 25)),
        Part(_star(0, 0, 40, 20), None, 0.3),
        *_pair(_ellipse(-9, -5, 4, 6), 0, _DARK),
        Part(_stroke(3.5, (-6, 7), (0, 10), (6, 7)), _DARK),
    ),
    "chair": _drawing(
        Habitat.GROUND,
        (
            (11, 0),
            (24, 10),
            (27, 46),
            (79, 46),
            (82, 69),
            (77, 74),
            (80, 112),
            (66, 112),
            (63, 72),
            (18, 72),
            (16, 112),
            (2, 112),
            (4, 71),
            (0, 3),
        ),
        Part(((4, 60), (18, 60), (16, 112), (2, 112))),
        Part(((62, 60), (76, 60), (80, 112), (66, 112))),
        Part(((0, 4), (4, 0), (13, 0), (17, 4), (20, 72), (4, 72))),
        Part(((15, 8), (24, 10), (27, 44), (18, 46)), None, 0.4),
        Part(_rectangle(4, 56, 82, 72, 4)),
        Part(_rectangle(19, 46, 80, 59, 5), None, 0.4),
    ),
    "table": _drawing(
        Habitat.GROUND,
        ((-2, -1), (142, -1), (132, 25), (132, 92), (115, 92), (115, 34), (25, 34), (25, 92), (8, 92), (8, 25)),
        *_pair(_rectangle(10, 14, 26, 90), 70),
        Part(_rectangle(14, 16, 126, 34), None, -0.25),
        Part(_ellipse(70, 26, 5), _GOLD),
        Part(_rectangle(0, 0, 140, 18, 4)),
        Part(_rectangle(5, 4, 135, 9), None, 0.35),
    ),
    "lamp": _drawing(
        Habitat.GROUND,
        (
            (22, 0),
            (58, 0),
            (80, 56),
            (51, 56),
            (53, 83),
            (45, 98),
            (65, 107),
            (69, 118),
            (11, 118),
            (15, 107),
            (35, 98),
            (27, 83),
            (29, 56),
            (0, 56),
        ),
        Part(_rectangle(34, 46, 46, 104), _GRAY),
        Part(_ellipse(40, 80, 13, 15), None, -0.25),
        Part((*_arc(40, 116, 28, 16, 180, 360), (68, 118), (12, 118)), None, -0.25),
        Part(_ellipse(40, 56, 13), _GOLD),
        Part(((22, 0), (58, 0), (80, 56), (0, 56))),
        Part(((34, 0), (46, 0), (53, 56), (27, 56)), None, 0.4),
    ),
    "tree": _drawing(
        Habitat.GROUND,
        (
            (46, -3),
            (50, -3),
            (79, 6),
            (96, 30),
            (90, 58),
            (56, 78),
            (56, 95),
            (64, 109),
            (32, 109),
            (40, 95),
            (40, 78),
            (6, 58),
            (0, 30),
            (17, 6),
        ),
        Part(((40, 60), (56, 60), (56, 96), (64, 110), (32, 110), (40, 96)), _WOOD),
        Part(_crown(48, 38, 48, 40, 9, 0.12)),
        Part(_blob((22, 34), (28, 18), (44, 14), (40, 22), (32, 26)), None, 0.35),
        *(Part(_ellipse(x, y, 6), None, -0.3) for x, y in ((66, 28), (34, 50), (62, 56))),
    ),
    "flower": _drawing(
        Habitat.GROUND,
        (
            (37, 0),
            (47, 0),
            (80, 20),
            (81, 63),
            (48, 83),
            (48, 92),
            (80, 84),
            (63, 109),
            (42, 118),
            (21, 109),
            (4, 84),
            (36, 92),
            (36, 83),
            (3, 63),
            (4, 20),
        ),
        Part(_rectangle(36, 60, 48, 118), _LEAF),
        *_pair(_blob((42, 114), (24, 110), (8, 88), (28, 90), (40, 100)), 42, _LEAF),
        *_petals(42, 42),
        Part(_ellipse(42, 42, 14), _GOLD),
    ),
    "mushroom": _drawing(
        Habitat.GROUND,
        (
            (39, 0),
            (65, 0),
            (87, 13),
            (101, 33),
            (103, 53),
            (94, 59),
            (65, 64),
            (80, 89),
            (63, 97),
            (41, 97),
            (24, 89),
            (39, 64),
            (10, 59),
            (1, 53),
            (3, 33),
            (17, 13),
        ),
        Part(_blob((34, 46), (70, 46), (68, 68), (78, 90), (52, 98), (26, 90), (36, 68)), _CREAM),
        Part((*_arc(52, 52, 52, 52, 180, 360, 33), *_arc(52, 52, 52, 12, 0, 180))),
        Part(_ellipse(52, 18, 11, 9), _WHITE),
        Part(_ellipse(22, 38, 9), _WHITE),
        Part(_ellipse(82, 38, 9), _WHITE),
        Part(_ellipse(52, 46, 9, 8), _WHITE),
    ),
    "cactus": _drawing(
        Habitat.GROUND,
        (
            (36, 1),
            (57, 5),
            (57.5, 46.5),
            (66, 45),
            (67.5, 18),
            (86, 22),
            (85, 57),
            (57, 69),
            (62.5, 110),
            (21.5, 110),
            (22, 78),
            (0, 66),
            (-1, 34),
            (15, 30),
            (25.5, 64.5),
            (26, 11),
        ),
        Part(_stroke(20, (42, 66), (24, 66), (12, 61), (9, 50), (9, 40))),
        Part(_stroke(20, (42, 56), (60, 56), (74, 51), (77, 40), (77, 28))),
        Part(_stroke(32, (42, 16), (42, 50), (42, 90))),
        Part(_stroke(6, (36, 14), (36, 76)), None, 0.4),
        Part(_stroke(6, (48, 14), (48, 76)), None, 0.4),
        Part(((22, 84), (62, 84), (62, 110), (22, 110)), _CLAY),
        Part(((22, 84), (62, 84), (62, 92), (22, 92)), (165, 80, 48)),
    ),
    "house": _drawing(
        Habitat.GROUND,
        ((52, 0), (69, 16), (69, 6), (86, 6), (86, 33), (104, 50), (96, 50), (96, 100), (8, 100), (8, 50), (0, 50)),
        Part(_rectangle(69, 6, 86, 44), _CLAY),
        Part(_rectangle(8, 40, 96, 100)),
        Part(((52, 0), (104, 50), (0, 50)), None, -0.35),
        Part(_rectangle(18, 60, 44, 100), _WOOD),
        Part(_rectangle(22, 64, 40, 100), _CREAM),
        Part(_ellipse(36, 83, 2.5), _WOOD),
        Part(_rectangle(55, 60, 85, 84), _WHITE),
        Part(_rectangle(59, 64, 81, 80), _GLASS),
    ),
    "castle": _drawing(
        Habitat.GROUND,
        (
            (18, 0),
            (36, 38),
            (36, 56),
            (56, 44),
            (56, 54),
            (72, 54),
            (72, 44),
            (92, 56),
            (92, 38),
            (110, 0),
            (128, 38),
            (124, 38),
            (124, 104),
            (4, 104),
            (4, 38),
            (0, 38),
        ),
        Part(
            (
                (26, 56),
                (26, 46),
                (36, 46),
                (36, 54),
                (46, 54),
                (46, 46),
                (56, 46),
                (56, 54),
                (72, 54),
                (72, 46),
                (82, 46),
                (82, 54),
                (92, 54),
                (92, 46),
                (102, 46),
                (102, 104),
                (26, 104),
            )
        ),
        *_pair(_rectangle(4, 34, 32, 104), 64),
        *_pair(((18, 0), (36, 38), (0, 38)), 64, None, -0.35),
        *_pair(_rectangle(12, 50, 24, 68), 64, _GOLD),
        Part((*_arc(64, 82, 16, 16, 180, 360), (80, 104), (48, 104)), _MAUVE),
        Part((*_arc(64, 82, 12, 12, 180, 360), (76, 104), (52, 104)), (80, 52, 40)),
    ),
    "tent": _drawing(
        Habitat.GROUND,
        ((44, 0), (108, 6), (140, 84), (88, 90), (0, 90)),
        Part(((44, 0), (108, 6), (140, 84), (88, 90)), None, -0.25),
        Part(((44, 0), (88, 90), (0, 90))),
        Part(((44, 28), (64, 90), (24, 90)), _DARK),
        Part(((44, 28), (60, 56), (64, 90), (54, 90)), None, 0.4),
    ),
    "sign": _drawing(
        Habitat.GROUND,
        _rectangle(0, 0, 160, 100),
        Part(_rectangle(0, 0, 160, 100)),
        Part(_rectangle(7, 7, 153, 93), None, 0.15),
    ),
}
# What stands in scenes only where somebody wants it there. The bundled checkpoint has never seen it, so that it can be
# taught it.
GUESTS: dict[str, Drawing] = {
    "owl": _drawing(
        Habitat.GROUND,
        (
            (8, 0),
            (30, 12),
            (70, 12),
            (92, 0),
            (94, 41),
            (100, 70),
            (93, 88),
            (76, 105),
            (72, 112.5),
            (55, 113.5),
            (45, 113.5),
            (28, 112.5),
            (24, 105),
            (7, 88),
            (0, 70),
            (6, 41),
        ),
        *_pair(_ellipse(38, 113, 12, 7), 52, _BEAK),
        Part(
            _blob(
                (8, 2),
                (30, 14),
                (52, 12),
                (74, 14),
                (96, 2),
                (98, 40),
                (100, 78),
                (80, 110),
                (52, 114),
                (24, 110),
                (4, 78),
                (6, 40),
            )
        ),
        Part(_ellipse(52, 82, 28, 26), None, 0.45),
        *_pair(_blob((4, 52), (16, 60), (22, 84), (12, 98), (0, 78)), 52, None, -0.25),
        *_pair(_ellipse(32, 38, 20), 52, _WHITE),
        *_pair(_ellipse(34, 39, 10), 52, _DARK),
        Part(((44, 50), (60, 50), (52, 66)), _BEAK),
    ),
}
KINDS: tuple[str, ...] = tuple(DRAWINGS)


def drawing_of(kind: str) -> Drawing:
    """Return how a kind looks, one of KINDS or of the guests."""
    return DRAWINGS.get(kind) or GUESTS[kind]
