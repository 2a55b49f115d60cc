"""The course of a teaching as a picture: the loss of lessons and of held-out ones, and how good the answers are."""

from collections.abc import Callable, Sequence
from html import escape

from playground.finetune.teaching import MeasuredPoint

_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _GAP = 560, 240, 44, 40, 216, 52
_BASE = _HEIGHT - 36
_GRAY = "#6b7280"  # readable on white and on black
_COLORS = ("#1d4ed8", "#c2410c", "#15803d")


def draw_teaching(points: Sequence[MeasuredPoint], quality_name: str = "") -> str:
    """Return an SVG: at the left both losses over the steps, at the right the quality."""
    last = max((point.step for point in points), default=0) or 1
    losses = [value for point in points for value in (point.loss, point.held_out_loss) if value is not None]
    top = max(losses, default=1.0) * 1.05
    title = "Loss of the lessons and of held-out ones, and how good the answers are, over the steps"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{_GRAY}">',
        f"<title>{title}</title>",
        *_axes(0, f"{top:.2f}", last),
        *_curve(0, _COLORS[0], "lessons", points, last, top, lambda point: point.loss),
        *_curve(0, _COLORS[1], "held out", points, last, top, lambda point: point.held_out_loss),
    ]
    if quality_name:
        parts += _axes(1, "1.00", last)
        parts += _curve(1, _COLORS[2], quality_name, points, last, 1.0, lambda point: point.quality)
    return "\n".join([*parts, "</svg>\n"])


def _axes(panel: int, top: str, last: int) -> list[str]:
    x = _LEFT + panel * (_PANEL + _GAP)
    return [
        f'<path d="M{x} {_TOP}V{_BASE}H{x + _PANEL}" fill="none" stroke="{_GRAY}" stroke-opacity=".5"/>',
        f'<text x="{x - 6}" y="{_TOP + 4}" text-anchor="end">{top}</text>',
        f'<text x="{x - 6}" y="{_BASE}" text-anchor="end">0</text>',
        f'<text x="{x + _PANEL}" y="{_BASE + 18}" text-anchor="end">step {last}</text>',
    ]


def _curve(
    panel: int,
    color: str,
    name: str,
    points: Sequence[MeasuredPoint],
    last: int,
    top: float,
    value_of: Callable[[MeasuredPoint], float | None],
) -> list[str]:
    x = _LEFT + panel * (_PANEL + _GAP)
    known = [(point.step, value) for point in points if (value := value_of(point)) is not None and value == value]
    if not known:
        return []
    places = [(x + step / last * _PANEL, _BASE - min(value / top, 1) * (_BASE - _TOP)) for step, value in known]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
    name_y = 16 if color != _COLORS[1] else 30
    return [
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>',
        *(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.5" fill="{color}"/>' for px, py in places),
        f'<text x="{x + _PANEL}" y="{name_y}" text-anchor="end" fill="{color}">'
        f"{escape(name)} {known[-1][1]:.3f}</text>",
    ]
