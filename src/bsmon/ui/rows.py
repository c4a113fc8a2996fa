"""Making rows: fitting, spreading, wrapping, measured in terminal cells."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from bsmon.ui.roles import Role, Row, Run

ELLIPSIS = "…"


def row_width(row: Row) -> int:
    """Cells that the row takes."""
    return sum(cell_len(text) for text, _ in row)


def shorten(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, with an ellipsis where something was cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + ELLIPSIS if width > 0 else ""


def shorten_path(text: str, width: int) -> str:
    """Like `shorten`, but the end stays: the last part of a path says most."""
    if cell_len(text) <= width or width < 2:
        return shorten(text, width)
    kept = text
    while cell_len(kept) > width - 1:
        kept = kept[1:]
    return ELLIPSIS + kept


def fit(row: Row, width: int) -> Row:
    """Cut or pad the row to exactly `width` cells."""
    runs: list[Run] = []
    left = width
    for text, role in row:
        cells = cell_len(text)
        if cells > left:
            runs.append((shorten(text, left), role))
            return tuple(runs)
        runs.append((text, role))
        left -= cells
    if left:
        runs.append((" " * left, Role.INK))
    return tuple(runs)


def spread(left: Row, right: Row, width: int) -> Row:
    """`left` at the left edge and `right` at the right one; where both do not fit, `right` gives way."""
    gap = width - row_width(left) - row_width(right)
    return fit((*left, (" " * gap, Role.INK), *right), width) if gap > 0 else fit(left, width)


def centred(row: Row, width: int) -> Row:
    """The row in the middle."""
    return ((" " * max(0, (width - row_width(row)) // 2), Role.INK), *row)


def heading(key: int | str, title: str, facts: list[Row], width: int) -> Row:
    """A panel's top line: its key, its title, a rule, and facts at the right, the last dropped first."""
    left: Row = ((f"{key} ", Role.KEY), (title + " ", Role.TITLE))
    space = width - row_width(left) - 3
    shown = joined(facts, space)
    line = width - row_width(left) - row_width(shown) - (1 if shown else 0)
    return fit((*left, ("─" * line, Role.RULE), *(((" ", Role.INK),) if shown else ()), *shown), width)


def rule(title: str, right: str, width: int) -> Row:
    """A heading inside a panel: title, rule, and a word at the right."""
    shown = f" {right}" if right else ""
    return (
        ("── ", Role.RULE),
        (title, Role.TITLE),
        (" " + "─" * max(0, width - len(title) - len(shown) - 4), Role.RULE),
        (shown, Role.DIM),
    )


def joined(parts: list[Row], width: int, gap: str = "   ") -> Row:
    """As many of the parts, in order, as fit into `width`."""
    runs: list[Run] = []
    used = 0
    for part in parts:
        needed = row_width(part) + (len(gap) if runs else 0)
        if not part or used + needed > width:
            continue
        if runs:
            runs.append((gap, Role.INK))
        runs.extend(part)
        used += needed
    return tuple(runs)


def wrap(text: str, width: int) -> list[str]:
    """Break text at spaces into lines of at most `width` cells; a longer word is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined_up = f"{line} {word}" if line else word
        if cell_len(joined_up) <= width:
            line = joined_up
            continue
        if line:
            lines.append(line)
        line = shorten(word, width)
    if line:
        lines.append(line)
    return lines


def paragraph(text: str, width: int, role: Role = Role.INK, *, lines: int | None = None, indent: int = 0) -> list[Row]:
    """Wrapped text as rows, at most `lines` of them; the last one shows what was cut."""
    wrapped = wrap(text, max(1, width - indent))
    if lines is not None and len(wrapped) > lines:
        wrapped = wrapped[:lines]
        if wrapped:
            wrapped[-1] = shorten(wrapped[-1] + " " + ELLIPSIS, max(1, width - indent))
    return [((" " * indent + line, role),) for line in wrapped]
