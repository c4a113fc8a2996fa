"""Line charts in braille: numbers in, rows of styled runs out. Two dots across and four down to a cell.

Old columns never move: each column of dots covers a power of two of the series' bins, so that a growing run first
fills the chart from the left and then halves it. Each column is joined to the one before it only from its own side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bsmon.core.snapshot import Mark, Series
from bsmon.ui.numbers import compact
from bsmon.ui.roles import Role, Row, Run
from bsmon.ui.scales import Scale, round_step, settle

_EMPTY = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # left and right column of a cell, from the top
# _MASKS[side][first][last]: the dots from `first` to `last`, counted from the top of a cell.
_MASKS = tuple(tuple(tuple(sum(dots[first : last + 1]) for last in range(4)) for first in range(4)) for dots in _DOTS)
_FEWEST_COLUMNS = 32  # a run's first steps are not stretched further than to this many columns
_MARK = "┊"

Column = tuple[float, float, float]
"""Low, high and mean of what one column of dots covers."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series to draw. `band`: from the least to the greatest value of each column, so that spikes survive.

    `bridge`: join over columns without a value, for what is measured only now and then; else they are gaps.
    """

    series: Series
    role: str
    band: bool = False
    bridge: bool = False


def extent(lines: Sequence[Line], *, positive: bool = False) -> tuple[float, float] | None:
    """Least and greatest value drawn, above 0 only if `positive`; None where there is nothing."""
    values = [
        value
        for line in lines
        for part in ((line.series.low, line.series.high) if line.band else (line.series.mean,))
        for value in part
        if value is not None and (not positive or value > 0)
    ]
    return (min(values), max(values)) if values else None


def choose_scale(lines: Sequence[Line], previous: Scale | None, *, log: bool = False) -> Scale | None:
    """The y axis for these lines; linear where a log axis has nothing above 0. None where there is no value."""
    if log and (found := extent(lines, positive=True)):
        return settle(previous, *found, log=True)
    found = extent(lines)
    return settle(previous, *found) if found else None


def column_width(lines: Sequence[Line], columns: int) -> float:
    """x that one column of dots covers: the widest bin, doubled until all fits, halved while little is there yet."""
    width = max((line.series.width for line in lines), default=1.0)
    end = max((line.series.end for line in lines), default=0.0)
    while end > width * columns:
        width *= 2
    while 0 < end <= width * _FEWEST_COLUMNS / 2 and end * 2 <= width * columns:
        width /= 2
    return width


def columns_of(series: Series, width: float, columns: int) -> dict[int, Column]:
    """What each column of dots covers: column -> low, high, mean of the means. Columns without a value are absent."""
    ratio = series.width / width
    found: dict[int, Column] = {}
    counts: dict[int, int] = {}
    for index, mean in enumerate(series.mean):
        low, high = series.low[index], series.high[index]
        if mean is None or low is None or high is None:
            continue
        column = min(int((index + 0.5) * ratio), columns - 1)
        seen = found.get(column)
        if seen is None:
            found[column], counts[column] = (low, high, mean), 1
        else:
            n = counts[column] = counts[column] + 1
            found[column] = (
                low if low < seen[0] else seen[0],
                high if high > seen[1] else seen[1],
                seen[2] + (mean - seen[2]) / n,
            )
    return found


class Canvas:
    """Dots on a grid of braille cells; where two lines meet in a cell, the later one takes it."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.bits = [[0] * width for _ in range(height)]
        self.roles: list[list[str]] = [[""] * width for _ in range(height)]

    def vertical(self, column: int, top: int, bottom: int, role: str) -> None:
        """Dots in one column of dots, from row of dots `top` to `bottom`, both included."""
        cell, masks = column // 2, _MASKS[column % 2]
        first, last = top // 4, bottom // 4
        for row in range(first, last + 1):
            bits = masks[top % 4 if row == first else 0][bottom % 4 if row == last else 3]
            if self.roles[row][cell] == role:
                bits |= self.bits[row][cell]
            self.bits[row][cell], self.roles[row][cell] = bits, role

    def characters(self) -> list[list[tuple[str, str]]]:
        """Every cell's character and role; blank cells are spaces (a blank braille cell is three bytes)."""
        return [
            [(chr(_EMPTY + bits) if bits else " ", role) for bits, role in zip(bits_row, roles_row, strict=True)]
            for bits_row, roles_row in zip(self.bits, self.roles, strict=True)
        ]


def draw_line(canvas: Canvas, line: Line, scale: Scale, width: float) -> None:
    """Draw one series; `width` is the x that a column of dots covers."""
    columns = columns_of(line.series, width, canvas.width * 2)
    reach = max(1, round(line.series.width / width))  # columns from one bin to the next
    last_row = canvas.height * 4 - 1
    place = scale.placer(last_row)
    previous: tuple[int, int] | None = None
    for column, (low, high, mean) in sorted(columns.items()):
        here = place(mean)
        top, bottom = (place(high), place(low)) if line.band else (here, here)
        if previous is not None and (line.bridge or column - previous[0] <= reach):
            _join(canvas, previous, (column, here), line.role)
            # The last bit of the way stands in this very column.
            beside = here if column - previous[0] > 1 else _towards(previous[1], here)
            top, bottom = min(top, beside), max(bottom, beside)
        canvas.vertical(column, top, bottom, line.role)
        previous = (column, here)


def _join(canvas: Canvas, start: tuple[int, int], end: tuple[int, int], role: str) -> None:
    """The line between two dots, without either; nothing left of the first one changes."""
    (x0, y0), (x1, y1) = start, end
    before = y0
    for x in range(x0 + 1, x1):
        y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        beside = _towards(before, y)
        canvas.vertical(x, min(y, beside), max(y, beside), role)
        before = y


def _towards(start: int, end: int) -> int:
    """The row next to `start` on the way to `end`."""
    return start + (end > start) - (end < start)


def draw_marks(cells: list[list[tuple[str, str]]], marks: Sequence[Mark], width: float) -> None:
    """Upright lines at batch changes, behind the data, with the new size at the top where there is room for it."""
    columns = len(cells[0]) if cells else 0
    free_from = 0
    for mark in marks:
        column = int(mark.step / width) // 2
        if not 0 <= column < columns:
            continue
        for row in cells:
            if row[column][0] == " ":
                row[column] = (_MARK, Role.MARK)
        label = compact(mark.new_batch_size)
        end = column + 1 + len(label)
        if column >= free_from and end <= columns and all(cell[0] == " " for cell in cells[0][column + 1 : end]):
            cells[0][column + 1 : end] = [(character, Role.MARK) for character in label]
            free_from = end + 1


def to_row(cells: Sequence[tuple[str, str]]) -> Row:
    """Neighbouring cells of one role become one run; spaces go along with the run before them."""
    runs: list[Run] = []
    text, role = "", ""
    for character, cell_role in cells:
        if character != " " and cell_role != role:
            if text:
                runs.append((text, role or Role.INK))
            text, role = character, cell_role
        else:
            text += character
    if text:
        runs.append((text, role or Role.INK))
    return tuple(runs)


def y_labels(scale: Scale, height: int) -> list[str]:
    """A label or "" for each row: every tick, or every second, third, ... where they would crowd."""
    rows = [min(height - 1, round((1 - scale.position(tick)) * (height * 4 - 1)) // 4) for tick in scale.ticks]
    apart = 2 if height > 4 else 1
    fits = (n for n in range(1, len(rows)) if all(a - b >= apart for a, b in pairwise(rows[::n])))
    stride = next(fits, max(1, len(rows)))
    first = scale.ticks.index(0.0) % stride if 0.0 in scale.ticks else 0
    labels = [""] * height
    ticks = scale.ticks[first::stride]
    for row, text in zip(rows[first::stride], tick_labels(ticks, log=scale.log), strict=True):
        labels[row] = text
    return labels


def tick_labels(ticks: Sequence[float], *, log: bool) -> list[str]:
    """The ticks as text: with equally many digits, as few as tell them apart; each with its own on a log axis."""
    span = max(map(abs, ticks), default=0.0)
    if log:
        return [_tick(value, [value]) for value in ticks]
    if 0 < span < 1e-3:
        return [f"{value:.1e}".replace("e-0", "e-") if value else "0" for value in ticks]
    return [_tick(value, ticks) for value in ticks]


def _tick(value: float, beside: Sequence[float]) -> str:
    if abs(value) >= 10_000 or value == 0:
        return compact(value)
    if abs(value) < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-")
    precision = 1e-6 * max(map(abs, beside))
    digits = next((d for d in range(6) if all(abs(round(tick, d) - tick) <= precision for tick in beside)), 6)
    return f"{value:.{digits}f}"


def x_labels(width: float, columns: int, unit: str) -> str:
    """A line of labels under `columns` cells, each starting under its x; the last says the unit."""
    step = round_step(width * 2 * columns, max(1, columns // 12))
    text = ""
    index = 0
    while True:
        place = int(step * index / (width * 2))
        label = compact(step * index)
        if place + len(label) > columns - len(unit) - 1:
            return text.ljust(columns - len(unit)) + unit
        text = text.ljust(place) + label
        index += 1


def chart(
    lines: Sequence[Line], scale: Scale | None, width: int, height: int, *, marks: Sequence[Mark] = (), unit: str = ""
) -> list[Row]:
    """Draw the lines, later ones over earlier ones, in `width` x `height` cells with both axes.

    The x axis' labels take the last row where `unit` is given and there is room. Nothing to draw: blank rows.
    """
    axis = 1 if unit and height >= 5 else 0
    plot_height = height - axis
    if scale is None or plot_height < 1:
        return [()] * height
    labels = y_labels(scale, plot_height)
    margin = max(len(label) for label in labels)
    if margin > width // 2:  # numbers so long that they would leave no room for the chart
        labels, margin = [""] * plot_height, 0
    canvas = Canvas(max(1, width - margin - 1), plot_height)
    x_width = column_width(lines, canvas.width * 2)
    for line in lines:
        draw_line(canvas, line, scale, x_width)
    cells = canvas.characters()
    draw_marks(cells, marks, x_width)
    rows: list[Row] = [
        ((label.rjust(margin), Role.DIM), ("┤" if label else "│", Role.RULE), *to_row(row))
        for label, row in zip(labels, cells, strict=True)
    ]
    if axis:
        rows.append(((" " * (margin + 1) + x_labels(x_width, canvas.width, unit), Role.DIM),))
    return rows


def trace(series: Series, role: str, cells: int, low: float, high: float) -> Row:
    """The means as a line one cell high, without axes, from `low` to `high`: a small history beside a number."""
    canvas = Canvas(cells, 1)
    line = Line(series, role, bridge=True)
    draw_line(canvas, line, Scale(low, high if high > low else low + 1.0, ()), column_width([line], cells * 2))
    return to_row(canvas.characters()[0])
