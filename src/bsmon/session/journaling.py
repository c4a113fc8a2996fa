"""Between a live session and its journal: what is written, how often, and what an earlier part of the run left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bsmon.core.advice import AdvisorView
from bsmon.core.happenings import Accounted, Advised, Happening, Measured, Moment, StepsMade
from bsmon.core.records import Step
from bsmon.core.snapshot import RunState
from bsmon.session.accounts import AccountNews
from bsmon.session.apply import apply
from bsmon.session.inbox import Fitted
from bsmon.session.record import RunRecord
from bsmon.session.run_clock import RunClock
from bsmon.store.journal_reader import JournalReader
from bsmon.store.journal_writer import JournalWriter

STEPS_EVERY_S = 1.0
"""A killed process loses at most this much of its steps, and what was not folded yet."""

_MOST_STEPS = 2000  # of one line
_VIEW_EVERY_S = 10.0  # an advisor's view whose numbers alone have changed


class JournalSink:
    """Writes one run's journal. Called by the session's folding thread only; nothing here raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: JournalWriter | None = None
        self._offset_s = 0.0
        self._steps: list[Step] = []
        self._steps_since = 0.0
        self._view = AdvisorView()  # the last one written
        self._view_at = 0.0
        self._accounts = AccountNews()

    def begin(self, record: RunRecord, clock: RunClock) -> None:
        """Put what an earlier process wrote of this run into `record`, and make ready to go on after it.

        Raises BadInput for a journal that cannot be read.
        """
        reader, info = JournalReader(self._path), record.info
        for entry in reader.read():
            clock.hold(entry.moment)
            tell(record, reader, entry.happening)
        if reader.offset:
            record.state(RunState.STARTING, "")
            record.info = info  # length, device and model may be others now; the engine will tell
            clock.go_on()
        self._offset_s = clock.offset_s
        self._writer = JournalWriter(self._path, clock(), record.info.name)

    def write(self, moment: Moment, happenings: Sequence[Happening | Fitted]) -> list[str]:
        """Append what was folded. Returns sentences that a person should be told."""
        if self._writer is None:
            return []
        now = moment.time_s
        ready: list[Happening] = []
        for happening in happenings:
            if isinstance(happening, StepsMade):
                self._add(happening.records, now)
            elif isinstance(happening, Measured):
                ready.append(happening)  # belongs to a step by its number, not by its place
            elif isinstance(happening, Advised):
                ready += self._advised(happening, now)
            elif isinstance(happening, Accounted):
                news = self._accounts.of(happening)
                ready += [news] if news is not None else []
            elif not isinstance(happening, Fitted):
                ready += [*self._take_steps(), happening]
        if now - self._steps_since >= STEPS_EVERY_S or len(self._steps) >= _MOST_STEPS:
            ready += self._take_steps()
        if ready:
            self._writer.write(now, ready)
        return self._writer.news()

    def close(self, moment: Moment) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.write(moment.time_s, self._take_steps())
            self._writer.close()

    def _add(self, records: Sequence[Step], now: float) -> None:
        if not self._steps:
            self._steps_since = now
        if self._offset_s:
            # The engine counts from its own start; the journal from the run's.
            records = [step._replace(time_s=step.time_s + self._offset_s) for step in records]
        self._steps += records

    def _take_steps(self) -> list[Happening]:
        taken, self._steps = self._steps, []
        return [StepsMade(taken)] if taken else []

    def _advised(self, advised: Advised, now: float) -> list[Happening]:
        if advised.view == self._view:
            return []
        if _gist(advised.view) == _gist(self._view) and now - self._view_at < _VIEW_EVERY_S:
            return []
        self._view, self._view_at = advised.view, now
        return [advised]


def tell(record: RunRecord, reader: JournalReader, happening: Happening) -> None:
    """Apply what a journal says. An entry that is well formed and makes no sense is counted as damaged."""
    try:
        apply(record, happening)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        reader.damaged += 1


def _gist(view: AdvisorView) -> object:
    """What of a view is worth a line at once: the answers and the recommendation, not every number."""
    advice = view.advice
    said = (advice.node, advice.action, advice.new_batch_size, advice.new_micro_batch_size) if advice else None
    return [(node.id, node.answer, node.lit) for node in view.tree], said, view.score.applied, view.dismissed_until
