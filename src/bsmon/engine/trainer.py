"""The training loop. It reads like its own description: obey, take samples, update, report, evaluate, save."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence

from bsmon.core.errors import BadInput
from bsmon.core.ports import Observer
from bsmon.core.records import EventKind, Level, Step
from bsmon.core.snapshot import RunState
from bsmon.engine.batches import Batch
from bsmon.engine.class_mix import ClassMixProbe
from bsmon.engine.commander import Commander
from bsmon.engine.evaluator import Evaluator
from bsmon.engine.feed import Feed
from bsmon.engine.memory_guard import MemoryGuard
from bsmon.engine.mishaps import HOW_TO_GO_ON, NonFiniteLossError, RankLostError, batch_note, lost_rank_note
from bsmon.engine.peaks import Peaks
from bsmon.engine.plan import BatchPlan
from bsmon.engine.probation import Probation
from bsmon.engine.recovery import OutOfMemoryForGoodError, Recovery, TornWeightsError
from bsmon.engine.report import StepReporter
from bsmon.engine.saver import Saver
from bsmon.engine.speed_probe import SpeedProbe
from bsmon.engine.training import Training
from bsmon.engine.watch import Timer, Watch

_WORTH_SAYING_S = 0.3


class Trainer:
    """Runs one training to its end on the thread that calls `run`."""

    def __init__(
        self,
        training: Training,
        recovery: Recovery,
        feed: Feed,
        commander: Commander,
        probation: Probation,
        memory: MemoryGuard,
        peaks: Peaks,
        saver: Saver,
        speed: SpeedProbe | None,
        watch: Watch,
        timer: Timer,
        observer: Observer,
        elapsed_s: float = 0.0,
    ) -> None:
        self._training = training
        self._config = training.parts.config
        self._cursor = training.parts.cursor
        self._recovery = recovery
        self._feed = feed
        self._commander = commander
        self._probation = probation
        self._memory = memory
        self._peaks = peaks
        self._saver = saver
        self._speed = speed
        self._watch = watch
        self._timer = timer
        self._watched_size = training.plan.batch_size
        self._observer = observer
        self._reporter = StepReporter(self._on_steps)
        commander.before_rewind = self._reporter.finish
        self._loss_was_finite = True
        self._learning_rate = 0.0
        self._step_began = time.perf_counter()
        self._began = self._step_began - elapsed_s
        self._evaluator = Evaluator(training.parts)
        self._class_mix = ClassMixProbe(training.parts.data.labels)

    def run(self) -> RunState:
        """Train until the end, or until somebody asks to stop; returns which of the two it was."""
        self._observer.state(RunState.STARTING, "forecasting memory")
        self._memory.start()
        self._commander.announce_plan()
        if self._recovery.needs_checkpoint:
            self._saver.save_now(self._training.step)
        self._train_on()
        try:
            while not self._training.is_done:
                self._obey()
                if self._commander.should_stop:
                    break
                self._timer.mark("data_wait")
                asked = time.perf_counter()
                micro_batches = self._feed.take(self._cursor, self._training.plan)
                if not micro_batches:
                    self._timer.end_step()  # what comes now is no wait for data
                    self._end_epoch()
                    continue
                self._update(micro_batches, time.perf_counter() - asked)
                self._evaluate_if_due()
                self._saver.save_if_due(self._training.step)
            return self._end()
        except RankLostError as error:
            raise self._end_without(error) from error
        except BaseException:
            # The steps before, as far as they can still be read: after an error of the GPU nothing can.
            with contextlib.suppress(RuntimeError):
                self._reporter.finish()
            raise
        finally:
            self._feed.close()
            self._saver.close(self._training.step)

    def _obey(self) -> None:
        # First the verdict on the last change, then commands: a new change must not be judged by the old one's steps.
        verdict = self._probation.take_verdict()
        if verdict is not None:
            self._commander.judged(verdict)
        self._commander.obey()
        self._memory.forecast_next()
        if self._commander.is_paused:
            self._pause()
        if self._commander.take_evaluation():
            self._evaluate()
        if self._speed is not None and self._speed.is_due():
            self._watch.paused()
            for speed in self._speed.look():
                self._observer.measured(speed)
            self._step_began = time.perf_counter()

    def _pause(self) -> None:
        self._rest(RunState.PAUSED)
        while self._commander.wait_while_paused():
            self._evaluate()
            self._observer.state(RunState.PAUSED)
        self._train_on()

    def _rest(self, state: RunState, waiting_for: str = "") -> None:
        """Something that is no training begins: a pause, an evaluation."""
        self._watch.paused()
        self._reporter.finish()
        self._observer.state(state, waiting_for)

    def _train_on(self) -> None:
        """The rest is over; it was no part of the next step."""
        self._observer.state(RunState.TRAINING)
        self._step_began = time.perf_counter()

    def _update(self, micro_batches: list[Batch], data_wait_s: float) -> None:
        training, plan = self._training, self._training.plan
        if plan.batch_size != self._watched_size:
            self._watched_size = plan.batch_size
            self._watch.batch_size_changed()
        count = self._cursor.next_size(plan.batch_size)
        if self._class_mix.is_due(training.step + 1):
            self._observer.measured(self._class_mix.look(training.step + 1, self._cursor.peek(count)))
        self._set_learning_rate()
        sizes = plan.micro_sizes(count)
        try:
            loss = self._recovery.update(training.step + 1, micro_batches, sizes, self._learning_rate)
        except TornWeightsError as error:
            self._reload(str(error))
            return
        except OutOfMemoryForGoodError as error:
            raise self._give_up(error) from error
        except Exception as error:
            if note := batch_note(error, count, plan.batch_size):
                error.add_note(note)
            raise
        training.step += 1
        self._cursor.advance(count)
        now = time.perf_counter()
        step = Step(
            training.step,
            self._cursor.epoch,
            self._cursor.consumed,
            count,
            training.plan.micro_batch_size,
            self._learning_rate,
            None,
            now - self._began,
            now - self._step_began,
            data_wait_s,
        )
        self._step_began = now
        self._reporter.add(step, loss)
        self._look_around(sizes, plan)

    def _look_around(self, sizes: list[int], plan: BatchPlan) -> None:
        """What is measured after an update, besides its loss."""
        training = self._training
        peak = self._peaks.take_new(sizes) if training.plan == plan else None
        if peak is not None:
            self._memory.measured(peak)
        if self._memory.grow_back_if_room(training.step):
            self._commander.announce_plan()
        compiles = training.parts.compiles
        if compiles is not None and (new := compiles.take_new()):
            text = f"torch.compile compiled {new} graph(s) for batches of {sum(sizes):,}, which took its time"
            self._observer.event(EventKind.RUN, Level.INFO, text, training.step)

    def _set_learning_rate(self) -> None:
        self._learning_rate = rate = self._training.learning_rate()
        groups = self._training.parts.optimizer.param_groups
        if groups[0]["lr"] != rate:
            for group in groups:
                group["lr"] = rate

    def _reload(self, reason: str) -> None:
        """Some weights have changed and some have not: only a checkpoint has whole ones."""
        self._reporter.finish()
        try:
            loaded = self._saver.load()
        except BadInput as error:
            raise OutOfMemoryForGoodError(f"memory ran out within the optimizer's step, and {error}") from error
        self._training.restore(loaded.state)
        self._saver.state_changed()
        self._observer.rewound(self._training.step)
        self._commander.announce_plan()
        text = (
            f"out of memory within the optimizer's step, which left torn weights: back to the checkpoint of step "
            f"{loaded.step:,} ({reason})"
        )
        self._observer.event(EventKind.MEMORY, Level.WARNING, text, self._training.step)

    def _give_up(self, error: OutOfMemoryForGoodError) -> OutOfMemoryForGoodError:
        """Not even one sample fits: save what is there, and say what can be done."""
        self._reporter.finish()
        self._saver.save_now(self._training.step)
        return OutOfMemoryForGoodError(f"{self._memory.no_room(str(error))} {HOW_TO_GO_ON}")

    def _end_without(self, error: RankLostError) -> RankLostError:
        """Another rank is gone: save what is there, if it is whole."""
        if error.weights_are_whole:
            self._recovery.take_back()
            self._reporter.finish()
            self._saver.save_now(self._training.step)
        return RankLostError(lost_rank_note(error, self._training.step))

    def _on_steps(self, steps: Sequence[Step]) -> None:
        """Finished steps, their losses read: report them, and judge a change that is on probation."""
        self._observer.steps(steps)
        self._probation.watch(steps)
        for step in steps:
            finite = step.loss is None or math.isfinite(step.loss)
            if not finite and self._loss_was_finite:
                self._lost(step)
            self._loss_was_finite = finite

    def _lost(self, step: Step) -> None:
        text = f"the loss is {step.loss}: a lower learning rate or gradient clipping may help"
        self._observer.event(EventKind.HEALTH, Level.ERROR, text, step.step)
        if self._config.train.stop_on_nan:
            raise NonFiniteLossError(f"the loss is {step.loss} at step {step.step:,}, and train.stop_on_nan is true")

    def _end_epoch(self) -> None:
        if self._config.train.eval_every == "epoch":
            self._evaluate()
        self._cursor.next_epoch()
        self._commander.epoch_ended()

    def _evaluate_if_due(self) -> None:
        every = self._config.train.eval_every
        if isinstance(every, int) and self._training.step % every == 0:
            self._evaluate()

    def _end(self) -> RunState:
        done = self._training.is_done
        if done and self._config.train.eval_every != "never":
            self._evaluate()
        self._reporter.finish()
        stop = self._commander.stop
        if done or (stop is not None and stop.save):
            self._saver.save_now(self._training.step)
        return RunState.FINISHED if done else RunState.STOPPED

    def _evaluate(self) -> None:
        """Run the validation set, unless these very weights were evaluated already."""
        step = self._training.step
        if not self._evaluator.is_needed(step):
            return
        self._watch.paused()
        self._reporter.finish()
        say_at = time.perf_counter() + _WORTH_SAYING_S

        def interrupted() -> bool:
            # A run of a few milliseconds is not worth a word: the screen would flicker between two states.
            nonlocal say_at
            if time.perf_counter() > say_at:
                say_at = math.inf
                self._observer.state(RunState.EVALUATING, "running the validation set")
            return self._commander.is_stop_waiting()

        epoch = min(self._cursor.epoch, self._config.run.epochs or self._cursor.epoch)
        result = self._evaluator.run(step, epoch, interrupted)
        if say_at == math.inf:
            self._observer.state(RunState.TRAINING)
        self._step_began = time.perf_counter()
        if result is not None:
            self._observer.evaluation(result)
