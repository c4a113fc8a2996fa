"""The training loop. It reads like its own description: obey, take samples, update, report, evaluate."""

from __future__ import annotations

import time

from bsmon.core.ports import Observer
from bsmon.core.records import Evaluation, Step
from bsmon.core.snapshot import RunState
from bsmon.engine.batches import Batch
from bsmon.engine.build import Parts
from bsmon.engine.commander import Commander
from bsmon.engine.evaluate import evaluate
from bsmon.engine.feed import Feed
from bsmon.engine.report import StepReporter
from bsmon.engine.update import Updater


class Trainer:
    """Runs one training to its end on the thread that calls `run`."""

    def __init__(self, parts: Parts, updater: Updater, feed: Feed, commander: Commander, observer: Observer) -> None:
        self._parts = parts
        self._updater = updater
        self._feed = feed
        self._commander = commander
        self._observer = observer
        self._reporter = StepReporter(observer)
        self._cursor = parts.cursor
        self._learning_rate = 0.0
        self._began = self._step_began = time.perf_counter()
        self._evaluated_at = 0

    def run(self) -> RunState:
        """Train until the end, or until somebody asks to stop; returns which of the two it was."""
        self._commander.announce_plan()
        self._observer.state(RunState.TRAINING)
        while not self._is_done():
            self._obey()
            if self._commander.should_stop:
                break
            micro_batches = self._feed.take(self._cursor, self._commander.plan)
            if not micro_batches:
                self._end_epoch()
                continue
            self._update(micro_batches)
            self._evaluate_if_due()
        return self._end()

    def _is_done(self) -> bool:
        run = self._parts.config.run
        if run.max_steps is not None:
            return self._step >= run.max_steps
        return self._cursor.epoch > (run.epochs or 1)

    @property
    def _step(self) -> int:
        return self._commander.step

    def _obey(self) -> None:
        self._commander.obey()
        if self._commander.is_paused:
            self._reporter.finish()
            self._observer.state(RunState.PAUSED)
            self._commander.wait_while_paused()
            self._observer.state(RunState.TRAINING)
            self._step_began = time.perf_counter()
        if self._commander.take_evaluation():
            self._evaluate()

    def _update(self, micro_batches: list[Batch]) -> None:
        plan = self._commander.plan
        count = self._cursor.next_size(plan.batch_size)
        loaded = time.perf_counter()
        self._set_learning_rate()
        loss = self._updater.update(self._step + 1, micro_batches, plan.micro_sizes(count), self._learning_rate)
        self._commander.step += 1
        self._cursor.advance(count)
        now = time.perf_counter()
        step = Step(
            self._step,
            self._cursor.epoch,
            self._cursor.consumed,
            count,
            plan.micro_batch_size,
            self._learning_rate,
            None,
            now - self._began,
            now - self._step_began,
            loaded - self._step_began,
        )
        self._step_began = now
        self._reporter.add(step, loss)

    def _set_learning_rate(self) -> None:
        rate = self._commander.learning_rate()
        if rate == self._learning_rate:
            return
        self._learning_rate = rate
        for group in self._parts.optimizer.param_groups:
            group["lr"] = rate

    def _end_epoch(self) -> None:
        if self._parts.config.train.eval_every == "epoch":
            self._evaluate()
        self._cursor.next_epoch()
        self._commander.epoch_ended()

    def _evaluate_if_due(self) -> None:
        every = self._parts.config.train.eval_every
        if isinstance(every, int) and self._step % every == 0:
            self._evaluate()

    def _end(self) -> RunState:
        done = self._is_done()
        if done and self._parts.config.train.eval_every != "never":
            self._evaluate()
        self._reporter.finish()
        self._feed.close()
        return RunState.FINISHED if done else RunState.STOPPED

    def _evaluate(self) -> None:
        """Run the validation set, unless these very weights were evaluated already."""
        validation = self._parts.data.validation
        if validation is None or self._evaluated_at == self._step:
            return
        self._reporter.finish()
        self._observer.state(RunState.EVALUATING, "running the validation set")
        result = evaluate(
            self._parts.model,
            self._parts.objective,
            validation,
            batch_size=self._parts.config.train.eval_batch_size,
            device=self._parts.device,
            precision=self._parts.config.run.precision,
            interrupted=self._commander.is_stop_waiting,
        )
        self._observer.state(RunState.TRAINING)
        self._step_began = time.perf_counter()
        if result is not None:
            self._evaluated_at = self._step
            epoch = min(self._cursor.epoch, self._parts.config.run.epochs or self._cursor.epoch)
            self._observer.evaluation(Evaluation(self._step, epoch, *result))
