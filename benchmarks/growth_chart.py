"""A line chart as SVG: one panel a series, the same labels below all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _PANEL, _LEFT, _TOP = 760, 150, 90, 30


def draw(labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """The whole file. Each panel's scale begins at 0."""
    height = _PANEL * len(series) + 40
    panels = (_panel(index, name, values) for index, (name, values) in enumerate(series.items()))
    ticks = (
        f'<text x="{_x(index, len(labels)):.0f}" y="{height - 12}" text-anchor="middle">'
        f"{escape(label)}</text>"
        for index, label in enumerate(labels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(panels)}{''.join(ticks)}</svg>\n"
    )


def _panel(index: int, name: str, values: Sequence[float]) -> str:
    top = index * _PANEL
    base, room = top + _PANEL - 10, _PANEL - _TOP - 20
    most = max(values) or 1
    points = [(_x(i, len(values)), base - value / most * room) for i, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f6feb"/>'
        f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:,.0f}</text>'
        for (x, y), value in zip(points, values, strict=True)
    )
    return (
        f'<text x="10" y="{top + 18}" font-weight="bold">{escape(name)}</text>'
        f'<line x1="{_LEFT - 30}" y1="{base}" x2="{_WIDTH - 20}" y2="{base}" stroke="#999"/>'
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>{dots}'
    )


def _x(index: int, count: int) -> float:
    return _LEFT + index * (_WIDTH - _LEFT - 60) / max(count - 1, 1)
