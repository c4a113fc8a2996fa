"""Obeys commands at step boundaries and says what came of each, with the step at which it took effect."""

from __future__ import annotations

from collections.abc import Callable

from bsmon.core.commands import (
    Command,
    Evaluate,
    Pause,
    Resume,
    ScaleBatchSize,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
    Stop,
)
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Mailbox, Observer
from bsmon.core.records import EventKind, Level
from bsmon.engine.controls import BatchChange, Controls
from bsmon.engine.plan import BatchPlan

# A paused run looks this often whether somebody wants something; a command wakes it at once anyway.
_PAUSE_LOOK_S = 5.0


class Commander:
    """Where training stands as far as commands change it: plan, learning rate, pause, stop.

    `factor` gives the schedule's present factor. `step` is the number of updates made; the trainer counts it up.
    """

    def __init__(self, controls: Controls, mailbox: Mailbox, observer: Observer, factor: Callable[[], float]) -> None:
        self._controls = controls
        self._mailbox = mailbox
        self._observer = observer
        self._factor = factor
        self._stop: Stop | None = None
        self._evaluation_wanted = False
        self.step = 0
        self.is_paused = False

    @property
    def plan(self) -> BatchPlan:
        """The batch plan in force."""
        return self._controls.plan

    @property
    def should_stop(self) -> bool:
        """Whether the run ends at this step boundary."""
        return self._stop is not None and not self._stop.after_epoch

    def learning_rate(self) -> float:
        """The learning rate of the next update."""
        return self._controls.base_learning_rate * self._factor()

    def obey(self) -> None:
        """Carry out every waiting command."""
        while (command := self._mailbox.take()) is not None:
            try:
                self._dispatch(command)
            except NotApplicable as refusal:
                self._event(EventKind.REFUSED, Level.WARNING, str(refusal))

    def wait_while_paused(self) -> None:
        """Return when somebody asks to go on, or to stop. Commands are obeyed meanwhile."""
        while self.is_paused and self._stop is None:
            self._mailbox.wait(_PAUSE_LOOK_S)
            self.obey()

    def take_evaluation(self) -> bool:
        """Whether an evaluation was asked for since the last time."""
        wanted, self._evaluation_wanted = self._evaluation_wanted, False
        return wanted

    def is_stop_waiting(self) -> bool:
        """Whether something long, an evaluation say, should be left for a stop at once."""
        waiting = self._mailbox.find(Stop)
        return isinstance(waiting, Stop) and not waiting.after_epoch

    def epoch_ended(self) -> None:
        """A stop that was to come after the epoch is due."""
        if self._stop is not None:
            self._stop = Stop(save=self._stop.save)

    def announce_plan(self) -> None:
        """Tell the observer which plan and learning rate are in force."""
        plan, bounds = self.plan, self._controls.bounds
        self._observer.batch(
            plan.batch_size, plan.micro_batch_size, self.learning_rate(), (bounds.minimum, bounds.largest)
        )

    def _dispatch(self, command: Command) -> None:
        match command:
            case SetBatchSize() | ScaleBatchSize():
                self._announce(self._controls.set_batch_size(command, self._factor()), command.source)
            case SetMicroBatchSize():
                self._announce(self._controls.set_micro_batch_size(command), command.source)
            case SetLearningRate():
                self._set_learning_rate(command)
            case Pause():
                self._pause(paused=True)
            case Resume():
                self._pause(paused=False)
            case Evaluate():
                self._evaluation_wanted = True
            case Stop():
                self._stop = command
                when = "at the end of this epoch" if command.after_epoch else "now"
                self._event(EventKind.RUN, Level.INFO, f"stopping {when}")
            case _:
                raise NotApplicable(f"{type(command).__name__} is not something that this run can do.")

    def _announce(self, change: BatchChange, source: Source) -> None:
        self.announce_plan()
        old, new = change.old, change.new
        parts = [f"batch size {old.batch_size:,} -> {new.batch_size:,}"]
        if new.gradient_accumulation_steps > 1 or old.batch_size == new.batch_size:
            parts.append(f"micro batch {new.micro_batch_size:,} x {new.gradient_accumulation_steps}")
        if change.learning_rate != change.old_learning_rate:
            parts.append(
                f"learning rate {change.old_learning_rate:.3g} -> {change.learning_rate:.3g} ({change.rule.value})"
            )
        self._event(
            EventKind.BATCH,
            Level.GOOD,
            ", ".join(parts),
            old=old.batch_size,
            new=new.batch_size,
            micro_batch_size=new.micro_batch_size,
            old_learning_rate=change.old_learning_rate,
            learning_rate=change.learning_rate,
            rule=change.rule.value,
            source=source.value,
        )

    def _set_learning_rate(self, command: SetLearningRate) -> None:
        before, after = self._controls.set_learning_rate(command, self._factor())
        self.announce_plan()
        self._event(
            EventKind.LEARNING_RATE,
            Level.GOOD,
            f"learning rate {before:.3g} -> {after:.3g}",
            old=before,
            new=after,
            source=command.source.value,
        )

    def _pause(self, *, paused: bool) -> None:
        if paused == self.is_paused:
            raise NotApplicable("The run is paused already." if paused else "The run is not paused.")
        self.is_paused = paused
        self._event(EventKind.RUN, Level.INFO, "paused" if paused else "resumed")

    def _event(self, kind: EventKind, level: Level, text: str, **data: float | int | str | None) -> None:
        self._observer.event(kind, level, text, self.step, **data)
