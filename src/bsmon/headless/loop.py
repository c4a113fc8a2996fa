"""Follow a run to its end, on this front end's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TextIO

from bsmon.core.ports import Session
from bsmon.core.records import Event
from bsmon.core.snapshot import RunState, Snapshot
from bsmon.headless.json_lines import JsonLines
from bsmon.headless.output import LineOutput
from bsmon.headless.plain import PlainLines

POLL_S = 0.2
"""How soon an event is printed after it happened."""

LAST_WORDS_S = 1.0
"""How long to wait for what is said after a run's last state, where `stop` does not say that all was said."""


class StopSignal(Protocol):
    """The part of threading.Event that is needed here."""

    def wait(self, timeout: float | None = None, /) -> bool:
        """Return True as soon as it is set, False after the time (seconds)."""
        ...


class Lines(Protocol):
    """A way to say each thing in one line, or in a few at the end."""

    def run(self, snapshot: Snapshot) -> str:
        """What is being trained, once it is known."""
        ...

    def progress(self, snapshot: Snapshot) -> str:
        """Where the run stands."""
        ...

    def event(self, event: Event) -> str:
        """Something rare that happened."""
        ...

    def missed(self, count: int) -> str:
        """So many events had left the snapshot before they were read."""
        ...

    def summary(self, snapshot: Snapshot) -> str:
        """How the run ended."""
        ...


def run(
    session: Session,
    *,
    out: TextIO,
    interval_s: float,
    as_json: bool,
    stop: StopSignal,
    earlier_events: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Write a line to `out` every `interval_s` seconds and for every event until the run ends or `stop` is set.

    The first line comes at once and says what the run waits for; the last ones are a summary. Stopping the training
    and printing a failure's traceback are the caller's. When nobody reads `out` any more, nothing is written and the
    run is still followed to its end.

    Args:
        session: the run.
        as_json: JSON lines (see `bsmon.headless.json_lines`) instead of sentences.
        stop: ends this at once; best the event that is set when the session's last snapshot is there.
        earlier_events: so many of the run's events are of a part before a resume, and are not repeated.
        clock: seconds; replaced by tests.
    """
    report = _Report(JsonLines() if as_json else PlainLines(), LineOutput(out), interval_s, earlier_events)
    while True:
        snapshot = session.snapshot()
        report.news(snapshot)
        if snapshot.state.ended:
            stop.wait(LAST_WORDS_S)
            break
        report.progress(snapshot, clock())
        if stop.wait(min(POLL_S, interval_s)):
            break
    last = session.snapshot()
    report.news(last)
    report.summary(last)


class _Report:
    """Remembers what was said."""

    def __init__(self, lines: Lines, out: LineOutput, interval_s: float, earlier_events: int) -> None:
        self._lines = lines
        self._out = out
        self._interval_s = interval_s
        self._last_event = earlier_events
        self._run_known = False
        self._waiting_for = ""
        self._due = float("-inf")

    def news(self, snapshot: Snapshot) -> None:
        """Say what the run is, when that is new, and every event that was not said yet, each once."""
        if snapshot.run.device and not self._run_known:
            self._run_known = True
            self._out.line(self._lines.run(snapshot))
        refused = snapshot.failure is not None and snapshot.failure.bad_input
        for event in () if refused else snapshot.events:
            if event.number > self._last_event:
                if missed := event.number - self._last_event - 1:
                    self._out.line(self._lines.missed(missed))
                self._last_event = event.number
                self._out.line(self._lines.event(event))

    def progress(self, snapshot: Snapshot, now: float) -> None:
        """Say where the run stands when the interval is over, or when the start waits for something else."""
        starting = snapshot.state is RunState.STARTING and snapshot.waiting_for != self._waiting_for
        if now >= self._due or starting:
            self._due = now + self._interval_s
            self._waiting_for = snapshot.waiting_for
            self._out.line(self._lines.progress(snapshot))

    def summary(self, snapshot: Snapshot) -> None:
        """Say how it ended. A run that bad input ended never began: the caller's message says all there is to say."""
        if snapshot.failure is not None and snapshot.failure.bad_input:
            return
        self._out.line(self._lines.summary(snapshot))
