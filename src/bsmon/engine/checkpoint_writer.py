"""Writes checkpoints beside the training: the loop hands over a copy and goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from bsmon.engine.checkpoint import CheckpointFailed, CheckpointStore, Saved

Outcome = Saved | CheckpointFailed


class CheckpointWriter:
    """A thread with at most one save in flight and one waiting; a newer state replaces the one that waits.

    Close it before the program ends: a process that exits while torch works in a thread aborts.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._waiting: tuple[Mapping[str, object], int] | None = None
        self._saving = False
        self._closing = False
        self._outcomes: list[Outcome] = []
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def submit(self, state: Mapping[str, object], step: int) -> None:
        """Save `state` soon; returns at once. The state must be a copy of its own (`snapshot_state`)."""
        with self._changed:
            self._waiting = (state, step)
            self._changed.notify_all()

    @property
    def busy(self) -> bool:
        """Whether a save is under way or waiting; taking another copy then would only cost memory."""
        return self._saving or self._waiting is not None

    def outcomes(self) -> tuple[Outcome, ...]:
        """What was finished since the last call, oldest first; returns at once."""
        if not self._outcomes:  # asked after every step: the lock would cost more than the answer
            return ()
        with self._changed:
            finished, self._outcomes = tuple(self._outcomes), []
        return finished

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything submitted is saved or has failed; False when the time ran out before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.busy, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Save what waits, then end the thread; False when it was not done in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            outcome = self._save(*job)
            del job  # the copy is as large as the model; do not hold it while waiting for the next one
            with self._changed:
                self._outcomes.append(outcome)
                self._saving = False
                self._changed.notify_all()

    def _next(self) -> tuple[Mapping[str, object], int] | None:
        """Wait for a state; None when closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closing)
            job, self._waiting = self._waiting, None
            self._saving = job is not None
            return job

    def _save(self, state: Mapping[str, object], step: int) -> Outcome:
        try:
            return self._store.save(state, step)
        except CheckpointFailed as error:
            return error
        except Exception as error:  # noqa: BLE001 - the last place that can report it: nobody waits for this thread
            return CheckpointFailed(f"The checkpoint of step {step} was not written: {type(error).__name__}: {error}")
