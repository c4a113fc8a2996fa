"""A run seen through its files alone: a finished one with a cursor over its whole length, a live one as it grows."""

from __future__ import annotations

import dataclasses
import threading

from bsmon.core.commands import Command
from bsmon.core.errors import BadInput
from bsmon.core.records import Event, EventKind, Level
from bsmon.core.snapshot import Failure, RunInfo, RunState, Snapshot
from bsmon.session.playback import Playback
from bsmon.store.run_dir import RunDir
from bsmon.store.runs import Standing, standing

LOST = (
    "the process ended without a word: it was killed, or the machine went down; --resume goes on from its last "
    "checkpoint"
)

_RECORDED = "This is a recording: nothing of the run can be changed."
_VIEW_ONLY = "View only: the run is seen through its files; it can be changed on the machine where it trains."
_LOOK_EVERY_S = 1.0


class ReplaySession:
    """Implements `core.ports.Session` over a journal, at a cursor that counts the updates made.

    It opens at the end. Raises BadInput where the journal cannot be read.
    """

    def __init__(self, run: RunDir) -> None:
        self._playback = Playback(run.journal_path, run_info(run))
        self._playback.play()
        self._lost = standing(run) is Standing.LOST
        self._said: tuple[str, ...] = ()
        self._version = 0
        self._frozen = self._freeze()

    @property
    def damaged(self) -> int:
        """Lines of the journal, up to the cursor, that could not be read."""
        return self._playback.damaged

    @property
    def total(self) -> int:
        """Updates that the journal holds."""
        return self._playback.total

    @property
    def cursor(self) -> int:
        """Updates made up to the place that is shown."""
        return self._playback.updates

    @property
    def elapsed_s(self) -> float:
        """Seconds from the run's beginning to the place that is shown."""
        return self._playback.moment.time_s

    def seek(self, updates: int) -> None:
        """Show the run as it was after so many updates; 0 is the beginning, `total` or more the very end."""
        self._playback.seek(updates)
        self._said = ()
        self._frozen = self._freeze()

    def snapshot(self) -> Snapshot:
        """The run at the cursor."""
        return self._frozen

    def submit(self, command: Command) -> None:  # noqa: ARG002  nothing can be asked of the past
        """Refuses, with an event."""
        self._said = (*self._said, _RECORDED)
        self._frozen = self._freeze()

    def _freeze(self) -> Snapshot:
        self._version += 1
        frozen = self._playback.record.freeze()
        if self._lost and self._playback.updates >= self.total and not frozen.state.ended:
            frozen = dataclasses.replace(frozen, state=RunState.FAILED, failure=Failure(LOST, ""))
        return dataclasses.replace(frozen, version=self._version, events=with_refusals(frozen, self._said))


class FollowSession:
    """Implements `core.ports.Session` over the files of a run that may be going on, on another machine too.

    Raises BadInput where the journal cannot be read at first. Later trouble is told by an event.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._playback = Playback(run.journal_path, run_info(run))
        self._playback.play()
        self._said: tuple[str, ...] = (_VIEW_ONLY,)
        self._version = 0
        self._lock = threading.Lock()  # guards what is shown; never held while files are read
        self._base = self._frozen = self._playback.record.freeze()
        self._show(self._base)
        self._closing = threading.Event()
        # On a thread of its own: a file server that hangs must not hold up the screen.
        self._reader = threading.Thread(target=self._follow, name="bsmon-follow", daemon=True)
        self._reader.start()

    def snapshot(self) -> Snapshot:
        """What the files said last."""
        return self._frozen

    def submit(self, command: Command) -> None:  # noqa: ARG002  files cannot be asked
        """Refuses, with an event."""
        self._show(self._base, _VIEW_ONLY)

    def close(self) -> None:
        """Look no more."""
        self._closing.set()

    def _follow(self) -> None:
        while not self._closing.wait(_LOOK_EVERY_S):
            try:
                grown = self._playback.play()
                lost = not grown and not self._base.state.ended and standing(self._run) is Standing.LOST
            except BadInput as error:  # the folder is gone, say
                self._show(self._base, str(error))
                return
            base = self._playback.record.freeze()
            if lost:
                self._show(dataclasses.replace(base, state=RunState.FAILED, failure=Failure(LOST, "")))
                return
            self._show(base)

    def _show(self, base: Snapshot, *said: str) -> None:
        with self._lock:
            self._version += 1
            self._base, self._said = base, (*self._said, *said)
            self._frozen = dataclasses.replace(base, version=self._version, events=with_refusals(base, self._said))


def run_info(run: RunDir) -> RunInfo:
    """What run.json says, until the journal says more."""
    return RunInfo(name=str(run.record.get("name", "")), config_path=str(run.config_path), run_dir=str(run.path))


def with_refusals(frozen: Snapshot, said: tuple[str, ...]) -> tuple[Event, ...]:
    """The run's events and after them what this session itself has to say."""
    events = frozen.events
    if not said:
        return events
    number = events[-1].number if events else 0
    at, clock = frozen.progress.elapsed_s, events[-1].clock if events else 0.0
    own = (
        Event(number + count, EventKind.REFUSED, Level.WARNING, text, frozen.progress.step, at, clock)
        for count, text in enumerate(said, start=1)
    )
    return (*events, *own)
