"""Where a training stands: its parts, its controls and the number of updates made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bsmon.core.snapshot import BatchState
from bsmon.engine import state
from bsmon.engine.build import Parts
from bsmon.engine.controls import Controls
from bsmon.engine.plan import BatchPlan


@dataclass(slots=True)
class Training:
    """The state that updates and commands change. Only the training thread touches it."""

    parts: Parts
    controls: Controls
    step: int = 0
    on_restored: Callable[[], None] = lambda: None  # the state is another one now, and not by an update

    @property
    def plan(self) -> BatchPlan:
        """The batch plan in force."""
        return self.controls.plan

    def factor(self) -> float:
        """The schedule's factor for the next update."""
        return self.parts.schedule.factor(self.parts.cursor.consumed)

    def learning_rate(self) -> float:
        """The learning rate of the next update."""
        return self.controls.base_learning_rate * self.factor()

    @property
    def is_done(self) -> bool:
        """Whether all epochs, or all steps, have been made."""
        run = self.parts.config.run
        if run.max_steps is not None:
            return self.step >= run.max_steps
        return self.parts.cursor.epoch > (run.epochs or 1)

    def capture(self) -> dict[str, object]:
        """The whole state; its tensors are the live ones."""
        return state.capture(self.parts, self.controls, self.step)

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go back to a captured state. Raises BadInput when it is another model's."""
        self.on_restored()
        self.step = state.restore(self.parts, self.controls, saved)

    def batch_state(self, *, can_undo: bool) -> BatchState:
        """What a front end is told of the batch."""
        plan, controls = self.plan, self.controls
        return BatchState(
            batch_size=plan.batch_size,
            micro_batch_size=plan.micro_batch_size,
            gradient_accumulation_steps=plan.gradient_accumulation_steps,
            learning_rate=self.learning_rate(),
            minimum=controls.bounds.minimum,
            maximum=controls.bounds.largest,
            learning_rate_rule=controls.rule.value,
            by_hand=frozenset(controls.by_hand),
            can_undo=can_undo,
            micro_batch_by_hand=controls.wanted_micro_batch is not None,
            world_size=plan.world_size,
        )
