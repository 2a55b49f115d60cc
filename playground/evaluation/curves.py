"""Two curves over a bound from 0 to 1 as an SVG picture. Knows nothing of what is measured."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _TOP, _SIDE = 520, 340, 56, 44, 240
_PLOT_WIDTH = _WIDTH - _LEFT - 24
_COLORS = ("#1d4ed8", "#c2410c")
_GRAY = "#6b7280"  # readable on white and on black


def shares_below(values: Sequence[float], bounds: Sequence[float]) -> list[float]:
    """Return for each bound the share of the values that lie below it."""
    return [float(np.mean(np.asarray(values) < bound)) for bound in bounds]


def draw_curves(title: str, axis: str, curves: Mapping[str, Sequence[float]], *, bound: float) -> str:
    """Return an SVG of the share of each curve's values below a bound, with a line at the bound that is used."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{_GRAY}">',
        f"<title>{escape(title)}</title>",
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for tenth in range(0, 11, 2):
        share = tenth / 10
        x, y = _place(share, share)
        parts += [
            f'<path d="M{_LEFT} {y:.1f}H{_LEFT + _PLOT_WIDTH}" stroke="{_GRAY}" stroke-opacity=".3"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tenth * 10} %</text>',
            f'<text x="{x:.1f}" y="{_TOP + _SIDE + 18}" text-anchor="middle">{share:.1f}</text>',
        ]
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 16}">{escape(axis)}</text>')
    x, _ = _place(bound, 0)
    parts.append(f'<path d="M{x:.1f} {_TOP}V{_TOP + _SIDE}" stroke="{_GRAY}" stroke-dasharray="4 4"/>')
    for index, (name, values) in enumerate(curves.items()):
        parts += _curve(name, values, _COLORS[index], _TOP + 96 + 18 * index)
    return "\n".join([*parts, "</svg>\n"])


def _curve(name: str, values: Sequence[float], color: str, name_y: int) -> list[str]:
    bounds = np.linspace(0, 1, 101).tolist()
    points = [_place(x, y) for x, y in zip(bounds, shares_below(values, bounds), strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>',
        f'<text x="{_LEFT + 140}" y="{name_y}" fill="{color}">{escape(name)}</text>',
    ]


def _place(x: float, y: float) -> tuple[float, float]:
    return _LEFT + x * _PLOT_WIDTH, _TOP + (1 - y) * _SIDE
