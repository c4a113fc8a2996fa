"""Batch changes that can be taken back: what stood before each, and the weights at the newest one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bsmon.core.errors import NotApplicable
from bsmon.engine.budget import host_available
from bsmon.engine.controls import BatchChange, Controls
from bsmon.engine.plain_state import snapshot_state
from bsmon.engine.plan import BatchPlan

_MOST_CHANGES = 50
# The copy for undoing a change with its weights lies in main memory; it must not push the machine into swapping.
_SHARE_OF_FREE_MEMORY = 0.25


@dataclass(frozen=True, slots=True)
class Undoable:
    """What stood before a change; `state` is the whole training at that moment, None where it was not kept."""

    step: int
    plan: BatchPlan
    base_learning_rate: float
    state: Mapping[str, Any] | None


class ChangeLog:
    """The batch changes of a run, newest last. `capture()` gives the live state of the training."""

    def __init__(self, controls: Controls, capture: Callable[[], Mapping[str, object]]) -> None:
        self._controls = controls
        self._capture = capture
        self._changes: list[Undoable] = []

    def make(self, step: int, change: Callable[[], BatchChange]) -> BatchChange:
        """Make a change and remember what stood before. Raises what `change` raises; nothing is remembered then."""
        controls = self._controls.state()
        plan, rate = self._controls.plan, self._controls.base_learning_rate
        made = change()
        state = dict(self._capture()) | {"controls": controls}
        kept = snapshot_state(state) if _fits(state) else None
        # Only the newest change can be undone with its weights: each copy is as large as the model.
        self._changes = [replace(old, state=None) for old in self._changes[-_MOST_CHANGES:]]
        self._changes.append(Undoable(step, plan, rate, kept if isinstance(kept, dict) else None))
        return made

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._changes)

    @property
    def keeps_weights(self) -> bool:
        """Whether the newest change can be undone with its weights."""
        return bool(self._changes) and self._changes[-1].state is not None

    def take(self, *, weights: bool) -> Undoable:
        """Remove and return the newest change. Raises NotApplicable with a sentence when there is none to undo."""
        if not self._changes:
            raise NotApplicable("There is no batch change to undo.")
        if weights and self._changes[-1].state is None:
            raise NotApplicable(
                "The weights at that change were not kept: the copy would have taken more than a quarter of the free "
                "memory. Undo without weights works."
            )
        return self._changes.pop()


def _fits(state: object) -> bool:
    return _bytes(state) <= _SHARE_OF_FREE_MEMORY * host_available()


def _bytes(value: object) -> int:
    if isinstance(value, Mapping):
        return sum(_bytes(item) for item in value.values())
    return int(getattr(value, "nbytes", 0))
