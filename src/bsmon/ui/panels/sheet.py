"""A widget that draws rows, and paints only what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import fit

# With a style, if an empty one: textual's filter for NO_COLOR fails on a segment without.
_PLAIN = Style.null()


@dataclass(frozen=True, slots=True)
class Palettes:
    """Every role's style, on the page and on the raised surface of a dialog."""

    page: Mapping[str, Style]
    raised: Mapping[str, Style]


def rich_styles(styles: Mapping[Role, str], background: str) -> dict[str, Style]:
    """A theme's styles on a background (#rrggbb, or "" for the terminal's own), parsed once."""
    base = Style(bgcolor=background or None)
    return {role.value: base + Style.parse(text) for role, text in styles.items()}


def changed_rows(old: Sequence[Row], new: Sequence[Row]) -> list[tuple[int, int]]:
    """(row, cells from the left) that differ. Textual repaints from a widget's left edge to the last change."""
    pairs = enumerate(zip_longest(old, new, fillvalue=BLANK))
    return [(y, _last_change(before, after)) for y, (before, after) in pairs if before != after]


def _last_change(before: Row, after: Row) -> int:
    """Cells up to the end of the last run that differs; rows of equal width end in equal runs."""
    shared = 0
    for old, new in zip(reversed(before), reversed(after), strict=False):
        if old != new:
            break
        shared += 1
    kept = after[: len(after) - shared]
    # Two cells a character is the most that there can be; the region is clipped to the widget anyway.
    return sum(len(text) if text.isascii() else 2 * len(text) for text, _ in kept) or 1


def _segments(row: Row, palette: Mapping[str, Style]) -> list[Segment]:
    """The row's runs, as few as will do: every one costs some forty bytes of colour codes on the line."""
    merged: list[tuple[str, Style]] = []
    for text, role in row:
        if not text:
            continue
        style = palette[role]
        if merged and (merged[-1][1] is style or (text.isspace() and _same_blank(merged[-1][1], style))):
            merged[-1] = (merged[-1][0] + text, merged[-1][1])
        else:
            merged.append((text, style))
    return [Segment(text, style) for text, style in merged]


def _same_blank(one: Style, other: Style) -> bool:
    """Whether a space looks alike in both."""
    return one.bgcolor == other.bgcolor and not (one.reverse or one.underline or other.reverse or other.underline)


class Sheet(Widget, can_focus=False):
    """Rows in, strips out, through textual's line API: no markup is parsed."""

    ALLOW_SELECT = False

    def __init__(self, styles: Mapping[str, Style], *, id: str) -> None:  # noqa: A002 - textual's own name
        super().__init__(id=id)
        self._palette = styles
        self._rows: list[Row] = []
        self._strips: list[Strip] = []
        self._content: list[Row] = []

    def put(self, rows: list[Row]) -> None:
        """Show these rows; what is beyond the widget's size is cut."""
        before, self._content = self._content, rows
        width, height = self.size
        if not width or not height or (rows is before and self._rows):
            return
        if len(self._rows) != height:
            before, self._rows, self._strips = [], [BLANK] * height, [Strip.blank(width, _PLAIN)] * height
        fitted = []
        for y in range(height):
            row = rows[y] if y < len(rows) else BLANK
            # Most rows are as they were, and measuring text is dear.
            fitted.append(self._rows[y] if y < len(before) and before[y] == row else fit(row, width))
        changes = changed_rows(self._rows, fitted)
        for y, _ in changes:
            self._strips[y] = Strip(_segments(fitted[y], self._palette), width)
        self._rows = fitted
        if changes:
            self.refresh(*(Region(0, y, min(cells, width), 1) for y, cells in changes))

    def on_resize(self) -> None:
        """The same content at the new size."""
        self._rows = []
        self.put(self._content)

    def render_line(self, y: int) -> Strip:
        """The line API's question; textual may ask for a new size before it has told of it."""
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, _PLAIN)
