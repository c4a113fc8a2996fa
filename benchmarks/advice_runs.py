"""One training to its target loss, on a clock of its own; with the real advisor watching, and obeyed if asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from benchmarks.advice_noise import NoiseWatch
from benchmarks.advice_times import Times
from bsmon.advisor.advisor import Advisor
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.loss_health import LossHealth
from bsmon.advisor.noise_scale import NoiseScaleEstimator
from bsmon.advisor.scaling import learning_rate_factor, optimizer_family
from bsmon.core.advice import Action, Advice, NoiseScale
from bsmon.core.commands import LearningRateRule
from bsmon.core.records import Evaluation
from bsmon.engine.evaluate import evaluate
from bsmon.engine.evaluator import Evaluator
from bsmon.engine.trial import Trial

LARGEST = 512
WINDOW = 50  # steps between two looks of the advisor
LOOK_EVERY = 20  # steps between two looks at the loss's health
EVALUATED = 256  # training samples that the target loss is taken over
EVALUATE_EVERY = 1.05  # steps, as a factor


@dataclass(slots=True)
class Run:
    """What became of one training. `seconds` is None where the target was not reached within the time given."""

    seconds: float | None = None
    steps: int = 0
    unstable: bool = False  # called so at any look
    barely_moving: bool = False
    changes: list[tuple[int, str]] = field(default_factory=list)  # step, what the advisor's change was
    evidence: list[Evidence] = field(default_factory=list)  # one a window, where the advisor looked on


@dataclass(frozen=True, slots=True)
class Looking:
    """The advisor looks on. `planned`: updates at the first size; `obey`: what it says is done at once."""

    planned: float
    budget: float = 0.02
    obey: bool = False


class Bench:
    """One task with one seed: its trial, its clock, its target."""

    def __init__(self, trial: Trial, noise: NoiseWatch, times: Times, target: float) -> None:
        self.trial, self.noise, self.times, self.target = trial, noise, times, target
        config = trial.parts.config
        self.learning_rate = config.optimizer.lr
        self.family = optimizer_family(config.optimizer.name)
        self.evaluator = Evaluator(trial.parts)

    def factor(self, old: int, new: int, scale: NoiseScale) -> float:
        """Of the learning rate, by the rule that is bsmon's default."""
        return learning_rate_factor(
            LearningRateRule.AUTO, old, new, optimizer_family=self.family, noise_scale=scale.value
        )

    def loss(self) -> float:
        """Of a fixed part of the training set, in eval mode."""
        parts = self.trial.parts
        indices = torch.arange(min(EVALUATED, self.trial.samples))
        found = evaluate(
            parts.model,
            parts.objective,
            parts.data.train,
            indices,
            batch_size=EVALUATED,
            device=parts.device,
            precision="fp32",
            interrupted=lambda: False,
        )
        assert found is not None, "never interrupted"
        return found[0]

    def run(self, size: int, rate: float, most_s: float, looking: Looking | None = None) -> Run:
        """Train at `size` until the target, or for `most_s` seconds of the task's own clock.

        The clock counts probes where the advisor is obeyed.
        """
        training = _Training(self, size, rate, looking)
        while training.clock < most_s and not training.step():
            pass
        return training.run


class _Training:
    """A run while it is made."""

    def __init__(self, bench: Bench, size: int, rate: float, looking: Looking | None) -> None:
        self._bench, self._looking, self._rate = bench, looking, rate
        self._sizes = [size]  # all so far, the present one last
        self._planned = 1.0 if looking is None else looking.planned * size  # samples
        self._health, self._advisor = LossHealth(), Advisor()
        self._evaluation: Evaluation | None = None
        self._progress = _Progress(bench.target)
        self.run, self.clock = Run(), 0.0
        bench.trial.begin(size)
        bench.noise.start(None if looking is None else looking.budget)

    def step(self) -> bool:
        """One update, and all that follows from it; whether the target is reached."""
        bench, run = self._bench, self.run
        epoch = bench.trial.parts.cursor.epoch
        self._update()
        run.steps += 1
        if run.steps % LOOK_EVERY == 0:
            found = self._health.health()
            run.unstable |= bool(found.unstable)
            run.barely_moving |= bool(found.barely_moving)
        if self._progress.is_due(run.steps):
            paid = bench.noise.spent_s if self._looking is not None and self._looking.obey else 0.0
            run.seconds = self._progress.add(self.clock + paid, bench.loss())
        if self._looking is not None and run.seconds is None:
            self._look(self._looking, is_new_epoch=bench.trial.parts.cursor.epoch > epoch)
        return run.seconds is not None

    def _update(self) -> None:
        bench, cursor = self._bench, self._bench.trial.parts.cursor
        bench.noise.clock_s, bench.noise.cost_s = self.clock, bench.times.probe * bench.times.at(self._sizes[-1])
        bench.noise.left = max(0.0, 1 - cursor.consumed / self._planned)
        consumed = cursor.consumed
        loss = float(bench.trial.update(self._rate))
        rows = cursor.consumed - consumed
        self.clock += bench.times.at(rows)
        self._health.step(loss, rows)

    def _look(self, looking: Looking, *, is_new_epoch: bool) -> None:
        if is_new_epoch:
            cursor = self._bench.trial.parts.cursor
            self._evaluation = self._bench.evaluator.run(self.run.steps, cursor.epoch - 1, lambda: False)
            if self._evaluation is not None:
                self._health.evaluation(self._evaluation.loss)
        if self.run.steps % WINDOW:
            return
        evidence = self._evidence()
        self.run.evidence.append(evidence)
        advice = self._advisor.look(speed_alone(evidence), Limits(1, LARGEST)).advice
        if looking.obey and advice is not None and advice.action in (Action.BATCH, Action.LEARNING_RATE):
            self._apply(advice)

    def _apply(self, advice: Advice) -> None:
        """As the session does it."""
        self._advisor.applied(advice, self.run.steps)
        if advice.node in ("stability", "barely_moving"):
            self._health.restart()
        size, self._rate = advice.new_batch_size, advice.new_learning_rate
        self._sizes = [*(other for other in self._sizes if other != size), size]
        self._bench.trial.resize(size)
        self._bench.noise.resized()
        self.run.changes.append((self.run.steps, f"{size} at {self._rate:.2g} ({advice.node})"))

    def _evidence(self) -> Evidence:
        bench, evaluation, size = self._bench, self._evaluation, self._sizes[-1]
        estimator = NoiseScaleEstimator()
        for sample in bench.noise.samples:
            estimator.add(sample.variance, sample.squared_norm)
        return Evidence(
            batch_size=size,
            micro_batch_size=size,
            learning_rate=self._rate,
            optimizer_family=bench.family,
            dataset_size=bench.trial.samples,
            has_batchnorm=bench.trial.parts.info.has_batchnorm,
            step=self.run.steps,
            health=self._health.health(),
            train_accuracy=evaluation.train_accuracy if evaluation else None,
            validation_accuracy=evaluation.accuracy if evaluation else None,
            class_probabilities=bench.trial.parts.info.class_probabilities,
            noise_scale=estimator.estimate("split"),
            throughput=bench.times.points(self._sizes),
            on_cpu=True,
        )


def speed_alone(evidence: Evidence) -> Evidence:
    """The same as if validation kept up with training: the benchmark asks for time to a training loss."""
    health = replace(evidence.health, overfitting=False, validation_rise=None)
    return replace(evidence, validation_accuracy=evidence.train_accuracy, health=health)


class _Progress:
    """When the target is reached: the first of two evaluations in a row below it, between the two around it."""

    def __init__(self, target: float) -> None:
        self._target = target
        self._next = 1.0
        self._before: tuple[float, float] | None = None
        self._reached: float | None = None

    def is_due(self, step: int) -> bool:
        if step < self._next:
            return False
        self._next = max(step + 1, step * EVALUATE_EVERY)
        return True

    def add(self, clock: float, loss: float) -> float | None:
        """The time at which the target was reached, once a second evaluation says so, too."""
        if not loss <= self._target:
            self._before, self._reached = (clock, loss), None
            return None
        if self._reached is not None or self._before is None:
            return self._reached if self._reached is not None else clock
        earlier, higher = self._before
        self._reached = earlier + (clock - earlier) * (higher - self._target) / max(higher - loss, 1e-12)
        return None
