"""A journal played into a record, to any place and back: quick, because it can start again from places in between."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bsmon.core.happenings import Moment, StepsMade
from bsmon.core.records import Step
from bsmon.core.snapshot import RunInfo
from bsmon.session.findings import Findings
from bsmon.session.journaling import tell
from bsmon.session.record import RunRecord
from bsmon.session.run_clock import RunClock
from bsmon.store.journal_reader import Entry, JournalReader

_MOST_PLACES = 64  # each costs about 0.3 MB once the charts are full
_FIRST_SPACING = 1 << 16  # bytes


class _Unasked(Findings):
    """Findings that nobody asks for: what the advisor said then is in the journal itself."""

    def steps(self, records: Sequence[Step]) -> None:
        """Nothing is concluded."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The playback as it was after some entry."""

    updates: int
    moment: Moment
    record: RunRecord
    reader: JournalReader


class Playback:
    """One journal, and the record of its run up to a place in it. Places are told by the updates made until there.

    Updates are counted as they were made: where training went back and made a step again, both count. Every method
    raises BadInput where the journal cannot be read.
    """

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.clock = RunClock()
        self.moment = self.clock.hold(Moment(0.0, 0.0))
        self.record = RunRecord(info, self.clock)
        self.record.findings = _Unasked()
        self.updates = 0  # made up to the present place
        self.total = 0  # updates that the journal has, as far as it was played
        self._reader = JournalReader(path)
        self._rest: Sequence[Step] = ()  # of the entry that the present place lies within
        self._spacing = _FIRST_SPACING
        self._places = [self._place()]
        self._placed_at = 0

    @property
    def damaged(self) -> int:
        """Lines up to here that could not be read."""
        return self._reader.damaged

    def play(self) -> bool:
        """Apply all that the journal has after the present place; whether there was anything."""
        before = self._reader.offset, self.updates
        self._take_rest(len(self._rest))
        for entry in self._reader.read():
            self._apply(entry)
            if self._reader.offset - self._placed_at >= self._spacing:
                self._keep_place()
        self.total = max(self.total, self.updates)
        return (self._reader.offset, self.updates) != before

    def seek(self, updates: int) -> None:
        """Go to the moment before the next update after so many; from `total` on, to the very end."""
        if updates >= self.total:
            self.play()
            return
        updates = max(0, updates)
        place = self._places[bisect.bisect_right(self._places, updates, key=lambda place: place.updates) - 1]
        if updates < self.updates or place.updates > self.updates:
            self._return_to(place)
        self._take_rest(updates - self.updates)
        if not self._rest:
            self._play_until(updates)

    def _play_until(self, updates: int) -> None:
        """Apply everything before the update after these."""
        for entry in self._reader.read():
            wanted = updates - self.updates
            happening = entry.happening
            if isinstance(happening, StepsMade) and len(happening.records) > wanted:
                if wanted:
                    self.moment = self.clock.hold(entry.moment)
                self._rest = happening.records
                self._take_rest(wanted)
                return
            self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        self.moment = self.clock.hold(entry.moment)
        tell(self.record, self._reader, entry.happening)
        if isinstance(entry.happening, StepsMade):
            self.updates += len(entry.happening.records)

    def _take_rest(self, count: int) -> None:
        taken, self._rest = self._rest[:count], self._rest[count:]
        if taken:
            tell(self.record, self._reader, StepsMade(taken))
            self.updates += len(taken)

    # --- places

    def _place(self) -> _Place:
        return _Place(self.updates, self.moment, self.record.copy(), self._reader.copy())

    def _keep_place(self) -> None:
        self._placed_at = self._reader.offset
        self._places.append(self._place())
        if len(self._places) > _MOST_PLACES:
            self._places = self._places[::2]
            self._spacing *= 2

    def _return_to(self, place: _Place) -> None:
        self.record, self._reader = place.record.copy(), place.reader.copy()
        self.updates, self.moment, self._rest = place.updates, self.clock.hold(place.moment), ()
