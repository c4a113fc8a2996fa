"""What is concluded from the stream of steps: loss health, the gradient noise scale, step times by batch size."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence

from bsmon.advisor.loss_health import LossHealth
from bsmon.advisor.noise_scale import NoiseScaleEstimator
from bsmon.advisor.spikes import Spike
from bsmon.core.advice import NoiseScale
from bsmon.core.gradients import NoiseSample
from bsmon.core.records import ClassMix, Evaluation, GradientStats, Step
from bsmon.core.snapshot import MeasuredSize
from bsmon.session.by_size import VarianceBySize
from bsmon.session.throughput import StepTimes

_RECENT = 50
_LEAST = 5
_WAITING = 64  # spikes that nobody has asked for yet, gradients whose step is not yet reported


class Findings:
    """Streaming estimators of one run, fed in order."""

    def __init__(self) -> None:
        self.loss_health = LossHealth()
        self.step_times = StepTimes()
        self._variances = VarianceBySize()
        self._batch_size = 1
        self._plans: set[int] = set()  # batch sizes that were in force
        self.sizes: tuple[MeasuredSize, ...] = ()  # what was measured at every batch size, as of `sum_up_sizes`
        self._noise = NoiseScaleEstimator()
        self._estimator = ""
        self.nonfinite_updates = 0
        """Measured updates so far whose gradient held NaN or infinities."""
        self.last_nonfinite: GradientStats | None = None
        self.loss_is_scaled = False
        """Half precision with a GradScaler: an overflow skips the update and lowers the scale, as it is meant to."""
        self._spikes: deque[tuple[int, Spike]] = deque(maxlen=_WAITING)
        self._unsized: deque[GradientStats] = deque(maxlen=_WAITING)
        self._norms: deque[float] = deque(maxlen=_RECENT)
        self._distinct: deque[ClassMix] = deque(maxlen=_RECENT)

    def steps(self, records: Sequence[Step]) -> None:
        """Updates were made."""
        self.step_times.add(records)
        for step in records:
            if self.loss_health.step(step.loss, step.batch_size) and self.loss_health.last_spike is not None:
                self._spikes.append((step.step, self.loss_health.last_spike))
            while self._unsized and self._unsized[0].step <= step.step:
                stats = self._unsized.popleft()
                if stats.step == step.step:
                    self._variances.norm(step.batch_size, stats.norm)

    def take_spikes(self) -> list[tuple[int, Spike]]:
        """The spikes since the last call, each with its step."""
        taken = list(self._spikes)
        self._spikes.clear()
        return taken

    def evaluation(self, result: Evaluation) -> None:
        """The validation set was run."""
        self.loss_health.evaluation(result.loss)

    def gradients(self, stats: GradientStats) -> None:
        """Gradient statistics of a measured step."""
        if stats.nonfinite:
            self.nonfinite_updates += 1
            self.last_nonfinite = stats
            if not self.loss_is_scaled:
                self.loss_health.step(None, self._batch_size, gradient_finite=False)
        if math.isfinite(stats.norm):
            self._norms.append(stats.norm)
            # How many samples it was made of is known with its step: an epoch's last update may be short.
            self._unsized.append(stats)

    def class_mix(self, mix: ClassMix) -> None:
        """The classes of one update."""
        self._distinct.append(mix)

    @property
    def grad_norm_median(self) -> float | None:
        """Median gradient norm of the recent measured steps; None while there are few."""
        return statistics.median(self._norms) if len(self._norms) >= _LEAST else None

    def distinct_classes(self, batch_size: int) -> float | None:
        """Mean number of distinct classes in recent updates of this batch size; None before the first."""
        counts = [mix.distinct for mix in self._distinct if mix.batch_size == batch_size]
        return statistics.fmean(counts) if counts else None

    def batch_size(self, batch_size: int) -> None:
        """The run trains with this batch size from now on."""
        self._batch_size = batch_size
        self._plans.add(batch_size)
        self.step_times.changed(batch_size)

    @property
    def sizes_run(self) -> int:
        """How many batch sizes the run has trained with."""
        return len(self._plans)

    def noise_sample(self, sample: NoiseSample) -> None:
        """One measurement towards the noise scale. Samples of different estimators are not mixed."""
        if sample.estimator != self._estimator:
            self._estimator, self._noise = sample.estimator, NoiseScaleEstimator()
        self._noise.add(sample.variance, sample.squared_norm)
        self._variances.noise(sample.batch_size, sample.variance, sample.squared_norm)

    def sum_up_sizes(self) -> None:
        """Bring `sizes` up to date: too dear for every snapshot."""
        times = {point.batch_size: point.step_s for point in self.step_times.points()}
        self.sizes = tuple(
            MeasuredSize(
                batch_size=size,
                step_s=times.get(size),
                gradient_variance=self._variances.gradient_variance(size),
                sample_variance=self._variances.sample_variance(size),
            )
            for size in sorted(times.keys() | (self._variances.sizes() & self._plans))
        )

    def noise_scale(self) -> NoiseScale:
        """The noise scale as far as it is known."""
        return self._noise.estimate(self._estimator)
