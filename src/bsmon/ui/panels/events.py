"""The events, newest at the bottom as in any log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bsmon.core.records import Event, EventKind, Level
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import heading, paragraph
from bsmon.ui.view import View

LEVEL_ROLES = {Level.INFO: Role.INK, Level.GOOD: Role.GOOD, Level.WARNING: Role.WARNING, Level.ERROR: Role.BAD}
_TIME = 9
_STEP, _STEP_ALONE = 11, 15
_CLOCK = 10


class Events(Panel):
    """When, at which step, what."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading and as many of the newest events as there is room for; all kinds of them where it stands alone."""
        is_alone = view.maximised == "events"
        events = list(view.snapshot.events) if is_alone else without_runs(view.snapshot.events)
        if height == 1:
            return event_rows(events[-1], width, 1) if events else []
        rows: list[Row] = []
        for event in reversed(events):
            room = height - 1 - len(rows)
            if room <= 0:
                break
            rows = event_rows(event, width, min(2, room), clock=is_alone) + rows
        return [heading(5, "Events", [], width), *(rows or [(("nothing yet", Role.DIM),)])]


def without_runs(events: Sequence[Event]) -> list[Event]:
    """Of evaluations that follow one another only the newest, so that they do not drive out all else."""
    kept: list[Event] = []
    for event in events:
        if kept and event.kind is EventKind.EVALUATION and kept[-1].kind is EventKind.EVALUATION:
            kept[-1] = event
        else:
            kept.append(event)
    return kept


def event_rows(event: Event, width: int, lines: int, *, clock: bool = False) -> list[Row]:
    """One event: time since the start, step, text, at most `lines` rows.

    `clock`: the time of the day before it, and more room for the step.
    """
    room = _STEP_ALONE if clock else _STEP
    margin = f"{numbers.duration(event.time_s):>{_TIME - 2}}  {_step(event.step, room):<{room}}"
    if clock:
        margin = time.strftime("%H:%M:%S  ", time.localtime(event.clock)) + margin
    cells = _TIME + room + (_CLOCK if clock else 0)
    text = paragraph(clean(event.text), max(8, width - cells), LEVEL_ROLES[event.level], lines=lines)
    return [((margin if not index else " " * cells, Role.DIM), *row) for index, row in enumerate(text)]


def _step(step: int, room: int) -> str:
    """The step in full where that leaves a gap before the text."""
    if not step:
        return ""
    full = f"step {numbers.count(step)}"
    return full if len(full) < room else f"step {numbers.compact(step)}"
