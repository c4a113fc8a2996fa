"""Line charts in braille: numbers in, rows of styled runs out. Two dots across and four down to a cell.

Old columns never move: each column of dots covers a power of two of the series' bins, so that a growing run first
fills the chart from the left and then halves it. Each column is joined to the one before it only from its own side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bsmon.core.snapshot import Mark, Series
from bsmon.ui.numbers import compact
from bsmon.ui.roles import Role, Row, Run
from bsmon.ui.scales import Scale, round_step, settle

_EMPTY = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # left and right column of a cell, from the top
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
    found: dict[int, list[float]] = {}
    for index, mean in enumerate(series.mean):
        low, high = series.low[index], series.high[index]
        if mean is None or low is None or high is None:
            continue
        column = min(int((index + 0.5) * series.width / width), columns - 1)
        seen = found.get(column)
        if seen is None:
            found[column] = [low, high, mean, 1]
            continue
        seen[0], seen[1] = min(seen[0], low), max(seen[1], high)
        seen[2] += mean
        seen[3] += 1
    return {column: (low, high, total / n) for column, (low, high, total, n) in found.items()}


class Canvas:
    """Dots on a grid of braille cells; where two lines meet in a cell, the later one takes it."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.bits = [[0] * width for _ in range(height)]
        self.roles: list[list[str]] = [[""] * width for _ in range(height)]

    def vertical(self, column: int, top: int, bottom: int, role: str) -> None:
        """Dots in one column of dots, from row of dots `top` to `bottom`, both included."""
        cell, dots = column // 2, _DOTS[column % 2]
        for row in range(top // 4, bottom // 4 + 1):
            bits = sum(dots[dot] for dot in range(max(0, top - 4 * row), min(3, bottom - 4 * row) + 1))
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
    last = canvas.height * 4 - 1

    def row(value: float) -> int:
        place = 0.0 if scale.log and value <= 0 else scale.position(value)
        return round((1 - min(1.0, max(0.0, place))) * last)

    before: tuple[int, int] | None = None
    for column, (low, high, mean) in sorted(columns.items()):
        here = row(mean)
        if before is not None and (line.bridge or column - before[0] <= reach):
            _join(canvas, before, (column, here), line.role)
        top, bottom = (row(high), row(low)) if line.band else (here, here)
        canvas.vertical(column, top, bottom, line.role)
        before = (column, here)


def _join(canvas: Canvas, start: tuple[int, int], end: tuple[int, int], role: str) -> None:
    """A line from one dot to another, drawn only right of the first one."""
    (x0, y0), (x1, y1) = start, end
    before = y0
    for x in range(x0 + 1, x1 + 1):
        y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        towards = before if y == before else before + (1 if y > before else -1)
        canvas.vertical(x, min(y, towards), max(y, towards), role)
        before = y


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
    """A label or "" for each row. Where two would share a row, or touch, the one nearer the bottom goes."""
    labels = [""] * height
    for value in sorted(scale.ticks, reverse=True):
        row = min(height - 1, round((1 - scale.position(value)) * (height * 4 - 1)) // 4)
        crowded = height > 4 and row > 0 and labels[row - 1]
        if not labels[row] and not crowded:
            labels[row] = tick_label(value, scale)
    return labels


def tick_label(value: float, scale: Scale) -> str:
    """A tick's value with no more digits than the ticks' distance needs."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return compact(value)
    gap = abs(value) if scale.log or len(scale.ticks) < 2 else scale.ticks[1] - scale.ticks[0]
    if max(abs(scale.low), abs(scale.high)) < 1e-3 or gap < 1e-5:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    digits = next((d for d in range(6) if abs(round(gap, d) - gap) <= 1e-6 * gap), 6)
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


_BLOCKS = " ▁▂▃▄▅▆▇█"


def sparkline(series: Series, cells: int, low: float, high: float) -> str:
    """The means as blocks, one cell a column, from the left; columns without a value are blank."""
    width = column_width([Line(series, "")], cells)
    columns = columns_of(series, width, cells)
    span = (high - low) or 1.0

    def block(column: int) -> str:
        if column not in columns:
            return " "
        place = min(1.0, max(0.0, (columns[column][2] - low) / span))
        return _BLOCKS[1 + round(place * 7)]

    return "".join(block(column) for column in range(max(columns, default=-1) + 1))
