"""What is concluded from the stream of steps: loss health, the gradient noise scale, step times by batch size."""

from __future__ import annotations

from collections.abc import Sequence

from bsmon.advisor.loss_health import LossHealth
from bsmon.advisor.noise_scale import NoiseScaleEstimator
from bsmon.core.advice import NoiseScale
from bsmon.core.gradients import NoiseSample
from bsmon.core.records import Evaluation, Step
from bsmon.session.throughput import StepTimes


class Findings:
    """Streaming estimators of one run, fed in order."""

    def __init__(self) -> None:
        self.loss_health = LossHealth()
        self.step_times = StepTimes()
        self._noise = NoiseScaleEstimator()
        self._estimator = ""

    def steps(self, records: Sequence[Step]) -> None:
        """Updates were made."""
        self.step_times.add(records)
        for step in records:
            self.loss_health.step(step.loss, step.batch_size)

    def evaluation(self, result: Evaluation) -> None:
        """The validation set was run."""
        self.loss_health.evaluation(result.loss)

    def batch_size(self, batch_size: int) -> None:
        """The run trains with this batch size from now on."""
        self.step_times.changed(batch_size)

    def noise_sample(self, sample: NoiseSample) -> None:
        """One measurement towards the noise scale. Samples of different estimators are not mixed."""
        if sample.estimator != self._estimator:
            self._estimator, self._noise = sample.estimator, NoiseScaleEstimator()
        self._noise.add(sample.variance, sample.squared_norm)

    def noise_scale(self) -> NoiseScale:
        """The noise scale as far as it is known."""
        return self._noise.estimate(self._estimator)
