"""Gradient variance by batch size: what was measured at each size that the run has trained with."""

from __future__ import annotations

import math
import statistics
from collections import deque

_RECENT = 50
_LEAST = 8  # fewer say nothing of a variance


class VarianceBySize:
    """Keeps the recent squared norms of batch gradients, and the noise samples, of every batch size."""

    def __init__(self) -> None:
        self._squared_norms: dict[int, deque[float]] = {}
        self._noise: dict[int, deque[tuple[float, float]]] = {}

    def norm(self, batch_size: int, norm: float) -> None:
        """The norm of the gradient of a batch of this size."""
        if math.isfinite(norm):
            self._squared_norms.setdefault(batch_size, deque(maxlen=_RECENT)).append(norm * norm)

    def noise(self, batch_size: int, variance: float, squared_norm: float) -> None:
        """Unbiased estimates of tr(Sigma) and |G|^2 from a batch of this size."""
        if math.isfinite(variance) and math.isfinite(squared_norm):
            self._noise.setdefault(batch_size, deque(maxlen=_RECENT)).append((variance, squared_norm))

    def sizes(self) -> set[int]:
        """Sizes with any measurement."""
        return self._squared_norms.keys() | self._noise.keys()

    def sample_variance(self, batch_size: int) -> float | None:
        """tr(Sigma) as measured at this size; None while there are few samples."""
        found = self._noise.get(batch_size, ())
        if len(found) < _LEAST:
            return None
        mean = statistics.fmean(variance for variance, _ in found)
        return mean if mean > 0 else None

    def gradient_variance(self, batch_size: int) -> float | None:
        """E|g|^2 - |G|^2 at this size; None while there are few samples, or where chance has it below 0."""
        norms, noise = self._squared_norms.get(batch_size, ()), self._noise.get(batch_size, ())
        if len(norms) < _LEAST or len(noise) < _LEAST:
            return None
        variance = statistics.fmean(norms) - statistics.fmean(squared for _, squared in noise)
        return variance if variance > 0 else None
