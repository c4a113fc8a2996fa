"""When checkpoints are written, and what is said of them. The writing itself happens beside the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from bsmon.config.schema import Checkpoint
from bsmon.core.ports import Observer
from bsmon.core.records import EventKind, Level
from bsmon.engine.checkpoint import CheckpointFailed, CheckpointStore, Loaded
from bsmon.engine.checkpoint_writer import CheckpointWriter
from bsmon.engine.plain_state import snapshot_state

_FINAL_WAIT_S = 120.0
_FIRST_S = 30.0
"""The first checkpoint comes no later: until it is there, a run that is killed has nothing to go on from."""


class Saver:
    """The checkpoints of one run. `capture()` gives the live state; it is copied before training goes on."""

    def __init__(
        self,
        store: CheckpointStore,
        settings: Checkpoint,
        observer: Observer,
        capture: Callable[[], Mapping[str, object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._writer = CheckpointWriter(store)
        self._settings = settings
        self._observer = observer
        self._capture = capture
        self._clock = clock
        self._saved_at = clock()
        self._every_s = min(_FIRST_S, settings.every_s)
        self._saved_step = -1
        self._asked = False

    def save_if_due(self, step: int) -> None:
        """At a step boundary: save when the interval is over, and say what became of earlier saves."""
        every = self._settings.every_steps
        late = self._clock() - self._saved_at >= self._every_s
        if (late or (every is not None and step % every == 0 and step > 0)) and not self._writer.busy:
            self._submit(step)
        self._report(step)

    def save_now(self, step: int) -> None:
        """Save because somebody asked; the event comes when it is on the disk."""
        self._asked = True
        self._submit(step)

    def close(self, step: int) -> None:
        """End the writer's thread, after what was handed to it is on the disk."""
        if not self._writer.close(_FINAL_WAIT_S):
            text = f"the last checkpoint was not written within {_FINAL_WAIT_S:.0f} s"
            self._observer.event(EventKind.CHECKPOINT, Level.ERROR, text, step)
        self._report(step)

    def load(self) -> Loaded:
        """The newest good checkpoint, with what is being written now. Raises as `CheckpointStore.load`."""
        self._writer.flush(_FINAL_WAIT_S)
        return self._store.load()

    def state_changed(self) -> None:
        """Something other than an update changed the state (a batch change, going back): the same step is new."""
        self._saved_step = -1

    def _submit(self, step: int) -> None:
        if step == self._saved_step:
            self._report(step)
            return
        self._saved_at, self._saved_step = self._clock(), step
        self._every_s = self._settings.every_s
        state = snapshot_state(self._capture())
        assert isinstance(state, dict)
        self._writer.submit(state, step)

    def _report(self, step: int) -> None:
        for outcome in self._writer.outcomes():
            if isinstance(outcome, CheckpointFailed):
                self._saved_step = -1
                self._observer.event(EventKind.CHECKPOINT, Level.ERROR, f"{outcome} Training goes on.", step)
            else:
                level = Level.GOOD if self._asked else Level.INFO
                self._asked = False
                megabytes = outcome.size_bytes / 1e6
                text = f"checkpoint of step {outcome.step:,} saved ({megabytes:,.1f} MB in {outcome.seconds:.2f} s)"
                self._observer.event(
                    EventKind.CHECKPOINT, level, text, step, saved_step=outcome.step, path=str(outcome.path)
                )
