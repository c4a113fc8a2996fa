"""The guidelines' checklist as rows: a line for each box, and what to change where there is something."""

from __future__ import annotations

from bsmon.core.advice import Box
from bsmon.core.text import clean
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import paragraph, rule, shorten, spread

_ROLES = {"ok": Role.GOOD, "warning": Role.WARNING, "problem": Role.BAD, "unknown": Role.DIM}
_NEEDS_CHANGE = ("warning", "problem")
_GAP = 9  # columns of the outcome


def checklist_rows(boxes: tuple[Box, ...], width: int) -> list[Row]:
    """Nothing while the advisor has not looked."""
    if not boxes:
        return []
    rows: list[Row] = [rule("Training issues? Check:", "C part 11", width)]
    for box in boxes:
        outcome: Row = ((box.outcome, _ROLES.get(box.outcome, Role.INK)),)
        rows.append(spread(((shorten(clean(box.title), width - _GAP), Role.INK),), outcome, width))
        if box.outcome in _NEEDS_CHANGE:
            rows += paragraph(f"{clean(box.found)}. {clean(box.change)}", width, Role.DIM, indent=2)
    return rows
