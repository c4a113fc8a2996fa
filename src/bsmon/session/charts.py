"""The series that the screen may draw, by name, fed from records."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

from bsmon.core.gradients import ProbedWeight
from bsmon.core.records import Evaluation, GradientStats, HardwareSample, Step
from bsmon.core.snapshot import Series
from bsmon.core.step_columns import in_columns
from bsmon.store.history import BinnedSeries

# Weight of the newest loss in the smoothed one: a memory of about 20 steps.
_SMOOTHING = 0.05
_WHOLE = 1 - 1e-12  # of the weights: what is missing is below the precision of their sum

_OVER_STEPS = (
    "loss",
    "loss_smoothed",
    "validation_loss",
    "grad_norm",
    "weight_norm",
    "update_ratio",
    "noise_scale",
    "probed_weight",
    "learning_rate",
    "batch_size",
    "samples_per_second",
)
_UNITS = {
    "noise_scale": "samples",
    "samples_per_second": "samples/s",
    "cpu_percent": "%",
    "gpu_utilisation_percent": "%",
    "rss_bytes": "bytes",
    "gpu_memory_bytes": "bytes",
}


class ChartSeries:
    """Bounded series over steps (loss, gradients, batch) and over seconds (hardware)."""

    def __init__(self) -> None:
        self._series: dict[str, BinnedSeries] = {}
        self._smoothed: float | None = None
        self._smoothed_weight = 0.0

    @property
    def smoothed_loss(self) -> float | None:
        """The exponentially smoothed loss; None before the first finite one."""
        return self._smoothed / self._smoothed_weight if self._smoothed is not None else None

    def steps(self, records: Sequence[Step], samples_per_second: float | None) -> None:
        """Losses of each step; what changes slowly once a call."""
        last, made = records[-1], in_columns(records)
        self._get("loss").extend_columns(made.step, made.loss)
        self._get("loss_smoothed").extend_columns(made.step, self._smooth(made.loss))
        self._get("learning_rate").append(last.step, last.learning_rate)
        self._get("batch_size").append(last.step, last.batch_size)
        self._get("samples_per_second").append(last.step, samples_per_second)

    def gradients(self, stats: GradientStats) -> None:
        """The norm of a measured gradient, that of the weights, and how far the update moved them."""
        self._get("grad_norm").append(stats.step, stats.norm)
        self._get("weight_norm").append(stats.step, stats.weight_norm)
        self._get("update_ratio").append(stats.step, stats.update_ratio)

    def noise_scale(self, step: int, value: float | None) -> None:
        """The gradient noise scale; nothing where it is not known, or only its lower bound."""
        if value is not None:
            self._get("noise_scale").append(step, value)

    def weight(self, probed: ProbedWeight) -> None:
        """The value of the weight that the person follows."""
        self._get("probed_weight").append(probed.step, probed.value)

    def evaluation(self, result: Evaluation) -> None:
        """A validation loss."""
        self._get("validation_loss").append(result.step, result.loss)

    def hardware(self, sample: HardwareSample) -> None:
        """Host and the run's own GPU, rank 0's, over seconds."""
        self._get("cpu_percent").append(sample.time_s, sample.host.cpu_percent)
        self._get("rss_bytes").append(sample.time_s, sample.host.rss_bytes)
        gpu = next((gpu for gpu in sample.gpus if gpu.is_mine), None)
        if gpu is not None:
            self._get("gpu_utilisation_percent").append(sample.time_s, gpu.utilisation_percent)
            self._get("gpu_memory_bytes").append(sample.time_s, gpu.memory_used_bytes)

    def rewind(self, step: int) -> None:
        """Forget what came after `step`."""
        for name in _OVER_STEPS:
            if name in self._series:
                self._series[name].truncate(step + 1)

    def copy(self) -> ChartSeries:
        """Other charts of the same content."""
        other = copy.copy(self)
        other._series = {name: series.copy() for name, series in self._series.items()}
        return other

    def freeze(self) -> Mapping[str, Series]:
        """All series, immutable."""
        return {name: series.freeze() for name, series in self._series.items()}

    def _get(self, name: str) -> BinnedSeries:
        if name not in self._series:
            self._series[name] = BinnedSeries(unit=_UNITS.get(name, ""))
        return self._series[name]

    def _smooth(self, losses: Sequence[float | None]) -> Sequence[float | None]:
        """The mean of the losses so far with weights that fade; unbiased from the first step on.

        Where a loss is NaN so is its mean, or a run of NaNs would show the last good one for ever; the next good loss
        goes on from the good ones before.
        """
        fading, total, weight = 1 - _SMOOTHING, self._smoothed or 0.0, self._smoothed_weight
        if weight == 1.0 and None not in losses and math.isfinite(sum(losses)):  # type: ignore[arg-type]  # no None
            known: Sequence[float] = losses  # type: ignore[assignment]  # as above
            means = [total := total * fading + loss * _SMOOTHING for loss in known]
            self._smoothed = total
            return means
        smoothed: list[float | None] = []
        for loss in losses:
            if loss is not None and not math.isfinite(loss):
                smoothed.append(loss)
                continue
            if loss is not None:
                total = total * fading + loss * _SMOOTHING
                weight = weight * fading + _SMOOTHING
                weight = weight if weight < _WHOLE else 1.0
            smoothed.append(total / weight if weight else None)
        if weight:
            self._smoothed, self._smoothed_weight = total, weight
        return smoothed
