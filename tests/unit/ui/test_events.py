"""Rows of events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.core.records import Event, EventKind, Level
from bsmon.ui.panels.events import event_rows

EVENT = Event(1, EventKind.RUN, Level.INFO, "text", 0, 83.0, 0.0)


@pytest.mark.parametrize(
    ("step", "shown"),
    [(0, "   1:23             text"), (9_999, "   1:23  step 9,999 text"), (45_398, "   1:23  step 45.4k text")],
)
def test_the_step_is_in_full_where_there_is_room(step: int, shown: str) -> None:
    (row,) = event_rows(replace(EVENT, step=step), 40, 1)
    assert "".join(part for part, _ in row) == shown


def test_alone_every_step_is_in_full() -> None:
    (row,) = event_rows(replace(EVENT, step=1_234_567), 60, 1, clock=True)
    assert "".join(part for part, _ in row)[10:] == "   1:23  step 1,234,567 text"
