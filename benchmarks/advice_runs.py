"""One training to its target loss, on a clock of its own; with the real advisor watching, and obeyed if asked."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bsmon.advisor.advisor import Advisor
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.goodput import ThroughputPoint
from bsmon.advisor.loss_health import LossHealth
from bsmon.advisor.noise_scale import NoiseScaleEstimator
from bsmon.advisor.scaling import learning_rate_factor, optimizer_family
from bsmon.core.advice import Action, Advice, NoiseScale
from bsmon.core.commands import LearningRateRule
from bsmon.core.gradients import NoiseSample
from bsmon.engine.evaluate import evaluate
from bsmon.engine.trial import Trial
from bsmon.engine.watch import NoWatch
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.noise_split import SplitProbe

LARGEST = 512
SIZES = tuple(1 << power for power in range(10))
PROBED = (8, 32, 128)  # the sizes whose step times the advisor is told: the present one, a quarter and four times it
PROBE_EVERY = 20  # steps; about what the telemetry's budget of 2 % comes to
WINDOW = 50  # steps between two looks of the advisor
LOOK_EVERY = 20  # steps between two looks at the loss's health
EVALUATED = 256  # training samples that the target loss is taken over
EVALUATE_EVERY = 1.05  # steps, as a factor
ROUNDS, WARM_UP, TIMED_STEPS = 6, 3, 8  # of measuring step times


class StepTimes:
    """Seconds of CPU per update by batch size, measured once; between two measured sizes a straight line."""

    def __init__(self, seconds: Mapping[int, Sequence[float]]) -> None:
        self._sizes = sorted(seconds)
        # The lower quartile: whatever else runs on the machine only ever makes a step slower.
        self._seconds = [statistics.quantiles(seconds[size], n=4)[0] for size in self._sizes]
        self._all = seconds

    def at(self, rows: int) -> float:
        """Seconds of an update with so many rows."""
        right = min(max(bisect_left(self._sizes, rows), 1), len(self._sizes) - 1)
        (low, high), (quick, slow) = self._sizes[right - 1 : right + 1], self._seconds[right - 1 : right + 1]
        return quick + (slow - quick) * (rows - low) / (high - low)

    def points(self) -> tuple[ThroughputPoint, ...]:
        """What the advisor is told."""
        return tuple(
            ThroughputPoint(size, len(times), self.at(size), statistics.stdev(times) / len(times) ** 0.5)
            for size, times in ((size, self._all[size]) for size in PROBED)
        )


def measure_step_times(trial: Trial) -> StepTimes:
    """CPU time and not the clock on the wall, in rounds over all sizes: others may be at work on the machine."""
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(ROUNDS):
        for size, times in seconds.items():
            times.extend(_step_seconds(trial, size))
    return StepTimes(seconds)


def _step_seconds(trial: Trial, size: int) -> list[float]:
    trial.begin(size)
    seconds: list[float] = []
    while len(seconds) < TIMED_STEPS:
        consumed = trial.parts.cursor.consumed
        began = time.process_time()
        trial.update(0.0).item()
        took = time.process_time() - began
        if trial.step > WARM_UP and trial.parts.cursor.consumed - consumed == size:  # an epoch's last may be short
            seconds.append(took)
    return seconds


class NoiseWatch(NoWatch):
    """The telemetry's own split probe on every so many steps, read at once."""

    def __init__(self) -> None:
        self._probe: SplitProbe | None = None
        self._armed = 0
        self.samples: list[NoiseSample] = []

    def attach(self, model: torch.nn.Module) -> None:
        """Watch this model from now on."""
        self._probe = SplitProbe(model, tuple(model.parameters()), CostMeter(torch.device("cpu")))

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """See engine.watch.Watch."""
        self._armed = 0
        if self._probe is not None and step % PROBE_EVERY == 0 and len(micro_sizes) == 1 and micro_sizes[0] > 1:
            self._armed = step
            self._probe.arm(micro_sizes[0])

    def gradients_ready(self, norm: Tensor | None) -> None:
        """See engine.watch.Watch."""
        del norm
        if self._armed and self._probe is not None:
            part = self._probe.finish(self._armed, torch.ones(1))
            found = None if part is None else part.decode(part.values.tolist())
            if isinstance(found, NoiseSample):
                self.samples.append(found)


@dataclass(slots=True)
class Run:
    """What became of one training. `seconds` is None where the target was not reached within the time given."""

    seconds: float | None = None
    steps: int = 0
    unstable: bool = False  # called so at any look
    barely_moving: bool = False
    changes: list[tuple[int, str]] = field(default_factory=list)  # step, what the advisor's change was
    evidence: list[Evidence] = field(default_factory=list)  # one a window, where the advisor looked on


class Bench:
    """One task with one seed: its trial, its clock, its target."""

    def __init__(self, trial: Trial, noise: NoiseWatch, times: StepTimes, target: float) -> None:
        self.trial, self.noise, self.times, self.target = trial, noise, times, target
        config = trial.parts.config
        self.learning_rate = config.optimizer.lr
        self.family = optimizer_family(config.optimizer.name)

    def factor(self, old: int, new: int, scale: NoiseScale) -> float:
        """Of the learning rate, by the rule that is bsmon's default."""
        return learning_rate_factor(
            LearningRateRule.AUTO, old, new, optimizer_family=self.family, noise_scale=scale.value
        )

    def run(self, size: int, rate: float, most_s: float, *, look: bool = False, obey: bool = False) -> Run:
        """Train at `size` until the target, or for `most_s` seconds of the task's own clock.

        `look`: collect the advisor's evidence. `obey`: also do at once what it recommends.
        """
        self.trial.begin(size)
        run, clock, health, advisor = Run(), 0.0, LossHealth(), Advisor()
        self.noise.samples.clear()
        progress = _Progress(self.target)
        while clock < most_s:
            consumed = self.trial.parts.cursor.consumed
            loss = float(self.trial.update(rate))
            rows = self.trial.parts.cursor.consumed - consumed
            clock += self.times.at(rows)
            run.steps += 1
            health.step(loss, rows)
            if run.steps % LOOK_EVERY == 0:
                found = health.health()
                run.unstable |= bool(found.unstable)
                run.barely_moving |= bool(found.barely_moving)
            if progress.is_due(run.steps):
                run.seconds = progress.add(clock, self._loss())
                if run.seconds is not None:
                    return run
            if (look or obey) and run.steps % WINDOW == 0:
                evidence = self._evidence(size, rate, run.steps, health)
                run.evidence.append(evidence)
                advice = advisor.look(evidence, Limits(1, LARGEST)).advice
                if obey and advice is not None and advice.action in (Action.BATCH, Action.LEARNING_RATE):
                    size, rate = self._apply(advice, run, advisor, health)
        return run

    def _apply(self, advice: Advice, run: Run, advisor: Advisor, health: LossHealth) -> tuple[int, float]:
        """As the session does it."""
        advisor.applied(advice, run.steps)
        if advice.node in ("stability", "barely_moving"):
            health.restart()
        self.trial.resize(advice.new_batch_size)
        run.changes.append((run.steps, f"{advice.new_batch_size} at {advice.new_learning_rate:.2g} ({advice.node})"))
        return advice.new_batch_size, advice.new_learning_rate

    def _loss(self) -> float:
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

    def _evidence(self, size: int, rate: float, step: int, health: LossHealth) -> Evidence:
        estimator = NoiseScaleEstimator()
        for sample in self.noise.samples:
            estimator.add(sample.variance, sample.squared_norm)
        return Evidence(
            batch_size=size,
            micro_batch_size=size,
            learning_rate=rate,
            optimizer_family=self.family,
            dataset_size=self.trial.samples,
            has_batchnorm=self.trial.parts.info.has_batchnorm,
            step=step,
            health=health.health(),
            noise_scale=estimator.estimate("split"),
            throughput=self.times.points(),
            on_cpu=True,
        )


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
