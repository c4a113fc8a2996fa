"""The events, newest at the bottom as in any log."""

from __future__ import annotations

from bsmon.core.records import Event, Level
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import heading, paragraph
from bsmon.ui.view import View

LEVEL_ROLES = {Level.INFO: Role.INK, Level.GOOD: Role.GOOD, Level.WARNING: Role.WARNING, Level.ERROR: Role.BAD}
_MARGIN = 19


class Events(Panel):
    """When, at which step, what."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading and as many of the newest events as there is room for."""
        events = view.snapshot.events
        if height == 1:
            return event_rows(events[-1], width, 1) if events else []
        rows: list[Row] = []
        for event in reversed(events):
            room = height - 1 - len(rows)
            if room <= 0:
                break
            rows = event_rows(event, width, min(2, room)) + rows
        return [heading(5, "Events", [], width), *(rows or [(("nothing yet", Role.DIM),)])]


def event_rows(event: Event, width: int, lines: int) -> list[Row]:
    """One event: time since the start, step, text; at most `lines` rows."""
    margin = f"{numbers.duration(event.time_s):>7}  {'step ' + numbers.compact(event.step) if event.step else '':<10}"
    text = paragraph(clean(event.text), max(8, width - _MARGIN), LEVEL_ROLES[event.level], lines=lines)
    blank = " " * _MARGIN
    return [((margin if not index else blank, Role.DIM), *row) for index, row in enumerate(text)]
