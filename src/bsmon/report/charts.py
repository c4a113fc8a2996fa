"""Charts as SVG text: no script, no style of their own beyond the page's classes, nothing from elsewhere."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from bsmon.core.snapshot import Mark, Series
from bsmon.core.text import clean
from bsmon.report.axes import Scale, number, ticks

WIDTH, HEIGHT = 760, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 26, 34
_MOST_MARKS = 40
_OUTLIERS = 0.02  # of the bins' extremes may lie outside, so that one spike does not flatten the rest

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve. `band`: (x, low, high) drawn pale behind it. `role` is a class of the page's style."""

    label: str
    points: Sequence[Point]
    band: Sequence[tuple[float, float, float]] = ()
    role: str = "first"
    dots: bool = False


def line_of(series: Series, label: str, role: str = "first", *, band: bool = True) -> Line:
    """The curve of a series: its mean, and its extremes as the band."""
    points: list[Point] = []
    extremes: list[tuple[float, float, float]] = []
    for index, (low, mean, high) in enumerate(zip(series.low, series.mean, series.high, strict=True)):
        x = (index + 0.5) * series.width if series.width > 1 else index * series.width
        if mean is not None and low is not None and high is not None:
            points.append((x, mean))
            extremes.append((x, low, high))
    return Line(label, points, extremes if band else (), role)


def chart(
    lines: Sequence[Line], *, x_label: str, unit: str = "", marks: Sequence[Mark] = (), log_x: bool = False
) -> str:
    """One chart with its legend; a sentence where there is nothing to draw."""
    lines = [line for line in lines if line.points]
    if not lines:
        return '<p class="none">Nothing was measured.</p>'
    x_scale, y_scale = _x_scale(lines, log_x=log_x), _y_scale(lines)
    parts = [
        *_grid(x_scale, y_scale, unit, _x_ticks(lines, x_scale)),
        *_marks(marks, x_scale),
        *(_band(line, x_scale, y_scale) for line in lines if line.band),
        *(_curve(line, x_scale, y_scale) for line in lines),
        *_legend(lines),
        f'<text class="axis" x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{_safe(x_label)}</text>',
    ]
    title = f"{', '.join(line.label for line in lines)} over {x_label}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_safe(title)}">\n' + "\n".join(parts) + "\n</svg>"
    )


def _x_scale(lines: Sequence[Line], *, log_x: bool) -> Scale:
    xs = [x for line in lines for x, _ in line.points]
    low, high = min(xs), max(xs)
    if log_x:
        return Scale(low / 1.3, high * 1.3, _LEFT, WIDTH - _RIGHT, log=True)
    return Scale(min(0.0, low), max(high, low + 1), _LEFT, WIDTH - _RIGHT)


def _y_scale(lines: Sequence[Line]) -> Scale:
    """From 0 (or below) to the highest value, leaving out a few extremes."""
    means = [y for line in lines for _, y in line.points]
    extremes = sorted(high for line in lines for _, _, high in line.band)
    high = max(means)
    if extremes:
        high = max(high, extremes[math.ceil((1 - _OUTLIERS) * len(extremes)) - 1])
    low = min(0.0, *means)
    return Scale(low, high if high > low else low + 1, HEIGHT - _BOTTOM, _TOP)


def _x_ticks(lines: Sequence[Line], scale: Scale) -> list[float]:
    if scale.log:
        return sorted({x for line in lines for x, _ in line.points})
    return ticks(scale.low, scale.high, 8)


def _grid(x_scale: Scale, y_scale: Scale, unit: str, x_ticks: Sequence[float]) -> list[str]:
    parts = []
    for value in ticks(y_scale.low, y_scale.high):
        y = y_scale.at(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = _safe(number(value, unit))
        parts.append(f'<text class="axis" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value in x_ticks:
        x = x_scale.at(value)
        text = _safe(number(value))
        parts.append(f'<text class="axis" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>')
    return parts


def _marks(marks: Sequence[Mark], x_scale: Scale) -> list[str]:
    """Batch changes, as upright lines; the labels step down so that neighbours do not cover each other."""
    parts = []
    for index, mark in enumerate(marks[:_MOST_MARKS]):
        x = x_scale.at(mark.step)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        label = f"{mark.old_batch_size}→{mark.new_batch_size}"
        y = _TOP + 10 + 12 * (index % 4)
        parts.append(f'<text class="marktext" x="{x + 3:.1f}" y="{y}">{_safe(label)}</text>')
    return parts


def _band(line: Line, x_scale: Scale, y_scale: Scale) -> str:
    above = [f"{x_scale.at(x):.1f},{y_scale.at(high):.1f}" for x, _, high in line.band]
    below = [f"{x_scale.at(x):.1f},{y_scale.at(low):.1f}" for x, low, _ in reversed(line.band)]
    return f'<polygon class="band {line.role}" points="{" ".join([*above, *below])}"/>'


def _curve(line: Line, x_scale: Scale, y_scale: Scale) -> str:
    places = [(x_scale.at(x), y_scale.at(y)) for x, y in line.points]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    curve = f'<polyline class="curve {line.role}" points="{text}"/>'
    if line.dots or len(places) == 1:
        curve += "".join(f'<circle class="dot {line.role}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places)
    return curve


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, x = [], float(_LEFT)
    for line in lines:
        parts.append(f'<line class="curve {line.role}" x1="{x}" x2="{x + 18}" y1="11" y2="11"/>')
        parts.append(f'<text class="axis" x="{x + 23}" y="15">{_safe(line.label)}</text>')
        x += 44 + 7 * len(line.label)
    return parts


def _safe(text: str) -> str:
    return html.escape(clean(text))
