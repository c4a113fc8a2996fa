"""Gradient variance by batch size: what was measured at each size that the run has trained with."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import fmean

_RECENT = 50
_LEAST = 8  # fewer say nothing of a variance


@dataclass(frozen=True, slots=True)
class _Moment:
    """Means over a short piece of training: |g|^2 of the batch gradient, tr(Sigma) and |G|^2."""

    squared_norm: float
    variance: float
    true_squared_norm: float


@dataclass(slots=True)
class _Size:
    """Norms and noise samples come at rates of their own, and all of them fall while a model learns.

    So the last fifty of each would be of different pieces of training, and their difference would be mostly that.
    Here a moment ends as soon as it has some of both.
    """

    moments: deque[_Moment] = field(default_factory=lambda: deque(maxlen=_RECENT))
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    noise: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    variances: deque[float] = field(
        default_factory=lambda: deque(maxlen=_RECENT)
    )  # of the noise samples, by themselves

    def end_moment(self) -> None:
        if not self.norms or not self.noise:
            return
        variance, true_squared_norm = (fmean(column) for column in zip(*self.noise, strict=True))
        self.moments.append(_Moment(fmean(self.norms), variance, true_squared_norm))
        self.norms.clear()
        self.noise.clear()


class VarianceBySize:
    """Keeps the recent squared norms of batch gradients, and the noise samples, of every batch size."""

    def __init__(self) -> None:
        self._sizes: dict[int, _Size] = {}

    def norm(self, batch_size: int, norm: float) -> None:
        """The norm of the gradient of a batch of this size."""
        if math.isfinite(norm):
            size = self._sizes.setdefault(batch_size, _Size())
            size.norms.append(norm * norm)
            size.end_moment()

    def noise(self, batch_size: int, variance: float, squared_norm: float) -> None:
        """Unbiased estimates of tr(Sigma) and |G|^2 from a batch of this size."""
        if math.isfinite(variance) and math.isfinite(squared_norm):
            size = self._sizes.setdefault(batch_size, _Size())
            size.noise.append((variance, squared_norm))
            size.variances.append(variance)
            size.end_moment()

    def sizes(self) -> set[int]:
        """Sizes with any measurement."""
        return set(self._sizes)

    def sample_variance(self, batch_size: int) -> float | None:
        """tr(Sigma) as measured at this size, of the moments of `gradient_variance` where there are enough of them.

        None while there are few samples.
        """
        moments = self._moments(batch_size)
        if len(moments) >= _LEAST:
            return _mean([moment.variance for moment in moments])
        size = self._sizes.get(batch_size)
        return None if size is None else _mean(list(size.variances))

    def gradient_variance(self, batch_size: int) -> float | None:
        """E|g|^2 - |G|^2 at this size; None while there are few samples, or where chance has it below 0."""
        return _mean([moment.squared_norm - moment.true_squared_norm for moment in self._moments(batch_size)])

    def _moments(self, batch_size: int) -> deque[_Moment]:
        size = self._sizes.get(batch_size)
        return deque() if size is None else size.moments


def _mean(values: list[float]) -> float | None:
    if len(values) < _LEAST:
        return None
    mean = fmean(values)
    return mean if mean > 0 else None
