"""Obeys commands at step boundaries and says what came of each, with the step at which it took effect."""

from __future__ import annotations

from collections.abc import Callable

from bsmon.core.commands import (
    Command,
    Evaluate,
    Forecast,
    LearningRateRule,
    Pause,
    Release,
    Resume,
    Save,
    ScaleBatchSize,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
    Stop,
    Undo,
)
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Mailbox, Observer
from bsmon.core.records import EventKind, Level
from bsmon.engine.changes import ChangeLog, Undoable
from bsmon.engine.controls import BatchChange
from bsmon.engine.memory_guard import MemoryGuard
from bsmon.engine.plan import batchnorm_note
from bsmon.engine.probation import PROBATION_STEPS, Probation, Verdict
from bsmon.engine.saver import Saver
from bsmon.engine.training import Training

# A paused run looks this often whether somebody wants something; a command wakes it at once anyway.
_PAUSE_LOOK_S = 5.0


class Commander:
    """Carries out what a person, or the advisor, asks of a training."""

    def __init__(
        self,
        training: Training,
        changes: ChangeLog,
        probation: Probation,
        mailbox: Mailbox,
        observer: Observer,
        saver: Saver,
        memory: MemoryGuard,
    ) -> None:
        self._training = training
        self._changes = changes
        self._probation = probation
        self._mailbox = mailbox
        self._observer = observer
        self._saver = saver
        self._memory = memory
        self._evaluation_wanted = False
        self.before_rewind: Callable[[], None] = lambda: None  # reports the steps that were made, if any are held back
        self.stop: Stop | None = None
        self.is_paused = False

    @property
    def should_stop(self) -> bool:
        """Whether the run ends at this step boundary."""
        return self.stop is not None and not self.stop.after_epoch

    def obey(self) -> None:
        """Carry out every waiting command."""
        while (command := self._mailbox.take()) is not None:
            try:
                self._dispatch(command)
            except NotApplicable as refusal:
                self._event(EventKind.REFUSED, Level.WARNING, str(refusal))

    def wait_while_paused(self) -> bool:
        """Return True when an evaluation is asked for, False when somebody asks to go on, or to stop.

        Commands are obeyed meanwhile.
        """
        while self.is_paused:
            if self.take_evaluation():
                return True
            self._mailbox.wait(_PAUSE_LOOK_S)
            self.obey()
            while self._memory.forecast_next():
                pass  # nothing is held up by it now
        return False

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
        if self.stop is not None:
            self.stop = Stop(save=self.stop.save)

    def announce_plan(self) -> None:
        """Tell the observer which plan and learning rate are in force."""
        self._saver.state_changed()
        self._observer.batch(self._training.batch_state(can_undo=self._changes.can_undo))

    def judged(self, verdict: Verdict) -> None:
        """A change's probation has ended: say so, and take the change back if it did harm."""
        if verdict.keep:
            size = self._training.plan.batch_size
            self._event(EventKind.BATCH, Level.INFO, f"batch size {size:,} kept after probation: {verdict.reason}")
            return
        weights = verdict.weights and self._changes.keeps_weights
        self._go_back(self._changes.take(weights=weights), weights=weights, why=f"reverted: {verdict.reason}")

    def _dispatch(self, command: Command) -> None:
        match command:
            case SetBatchSize() | ScaleBatchSize():
                self._set_batch_size(command)
            case SetMicroBatchSize():
                change = self._training.controls.set_micro_batch_size(command)
                self._announce(change, command.source, "")
            case SetLearningRate():
                self._set_learning_rate(command)
            case Undo():
                self._go_back(self._changes.take(weights=command.weights), weights=command.weights, why="undone")
            case Release():
                self._release()
            case _:
                self._dispatch_flow(command)

    def _dispatch_flow(self, command: Command) -> None:
        """Commands that change when things happen, not how training is done."""
        match command:
            case Pause():
                self._pause(paused=True)
            case Resume():
                self._pause(paused=False)
            case Evaluate():
                self._evaluation_wanted = True
            case Forecast():
                self._memory.want(command.batch_sizes)
            case Save():
                self._saver.save_now(self._training.step)
            case Stop():
                self.stop = command
                self.is_paused = False  # the epoch's rest is trained first, where the stop comes after it
                when = "at the end of this epoch" if command.after_epoch else "now"
                self._event(EventKind.RUN, Level.INFO, f"stopping {when}")
            case _:
                raise NotApplicable(f"{type(command).__name__} is not something that this run can do.")

    def _set_batch_size(self, command: SetBatchSize | ScaleBatchSize) -> None:
        training = self._training
        change = self._changes.make(training.step, lambda: training.controls.set_batch_size(command, training.factor()))
        if isinstance(command, SetBatchSize) and command.repeated:
            self._probation.cancel()
            self._announce(change, command.source, "; as in the recorded run")
            return
        self._probation.begin(training.step, grows=change.new.batch_size > change.old.batch_size)
        self._announce(change, command.source, f"; on probation for {PROBATION_STEPS} steps")

    def _announce(self, change: BatchChange, source: Source, note: str) -> None:
        self.announce_plan()
        self._memory.forecast_around()
        self._event(
            EventKind.BATCH,
            Level.GOOD,
            f"{in_words(change)}{note}{batchnorm_note(change.new, self._training.parts.info.has_batchnorm)}",
            old=change.old.batch_size,
            new=change.new.batch_size,
            micro_batch_size=change.new.micro_batch_size,
            old_learning_rate=change.old_learning_rate,
            learning_rate=change.learning_rate,
            base_learning_rate=self._training.controls.base_learning_rate,
            rule=change.rule.value,
            source=source.value,
        )

    def _go_back(self, before: Undoable, *, weights: bool, why: str) -> None:
        training = self._training
        asked_at, old, old_rate = training.step, training.plan, training.learning_rate()
        if weights and before.state is not None:
            self.before_rewind()
            training.restore(before.state)
            self._saver.state_changed()
            self._observer.rewound(training.step)
            why = f"{why}; weights, optimizer and samples are back at step {training.step:,}"
        self._probation.cancel()
        training.controls.go_back(before.plan, before.base_learning_rate)
        change = BatchChange(old, training.plan, old_rate, training.learning_rate(), LearningRateRule.UNCHANGED)
        self.announce_plan()
        self._event(
            EventKind.BATCH,
            Level.WARNING,
            f"{in_words(change)} ({why})",
            old=change.old.batch_size,
            new=change.new.batch_size,
            learning_rate=training.learning_rate(),
            source=Source.ENGINE.value,
            cause="undo" if why.startswith("undone") else "probation",
            weights=int(weights),
            asked_at=asked_at,
        )

    def _set_learning_rate(self, command: SetLearningRate) -> None:
        training = self._training
        before, after = training.controls.set_learning_rate(command, training.factor())
        self.announce_plan()
        text = f"learning rate {before:.3g} -> {after:.3g}"
        source = command.source.value
        self._event(EventKind.LEARNING_RATE, Level.GOOD, text, old=before, new=after, source=source)

    def _release(self) -> None:
        self._training.controls.release()
        self.announce_plan()
        text = "released: the advisor may change batch size and learning rate"
        self._event(EventKind.RUN, Level.INFO, text, cause="release")

    def _pause(self, *, paused: bool) -> None:
        if paused == self.is_paused:
            raise NotApplicable("The run is paused already." if paused else "The run is not paused.")
        self.is_paused = paused
        self._event(EventKind.RUN, Level.INFO, "paused" if paused else "resumed")

    def _event(self, kind: EventKind, level: Level, text: str, **data: float | int | str | None) -> None:
        self._observer.event(kind, level, text, self._training.step, **data)


def in_words(change: BatchChange) -> str:
    """A change in one line, for the event."""
    old, new = change.old, change.new
    micro = f"micro batch {new.passes_in_words()}"
    if old.batch_size == new.batch_size:
        parts = [f"{micro} (batch size {new.batch_size:,})"]
    else:
        parts = [f"batch size {old.batch_size:,} -> {new.batch_size:,}"]
        parts += [micro] if new.gradient_accumulation_steps > 1 else []
    if change.learning_rate != change.old_learning_rate:
        rate = f"learning rate {change.old_learning_rate:.3g} -> {change.learning_rate:.3g}"
        parts.append(rate if change.rule.value == "unchanged" else f"{rate} ({change.rule.value})")
    return ", ".join(parts)
