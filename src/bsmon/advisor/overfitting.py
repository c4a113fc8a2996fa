"""Does the validation loss rise while the training loss falls? C, part 10: test much worse than train."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median

KEPT = 64  # evaluations; Mann-Kendall compares every pair of them
LEAST_SINCE_BEST = 5
NOISE_FACTOR, LEAST_SHARE = 3.0, 0.05
MANN_KENDALL_Z = 2.33  # one-sided 1 %: it is asked at every evaluation, and neighbouring ones are alike
TRAIN_FALLS = 0.10
"""Weights that wander at a high learning rate move both losses up and down; learning by heart takes them apart.

Without this and at 5 %, benchmarks/loss_health.py had 11 false alarms in 90 runs that saw every sample once."""
MAD_TO_DEVIATION = 1.4826


def mann_kendall_z(values: Sequence[float]) -> float:
    """The z-score of the Mann-Kendall test for a rising trend (Mann 1945), without ties' correction."""
    count = len(values)
    if count < 3:
        return 0.0
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    variance = count * (count - 1) * (2 * count + 5) / 18
    return (score - math.copysign(1, score)) / math.sqrt(variance) if score else 0.0


class Overfitting:
    """Validation losses, smoothed by a median of three, held against their best."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=KEPT)
        self._since_best: deque[float] = deque(maxlen=KEPT)
        self._count_since_best = 0
        self._best: float | None = None
        self._train_at_best: float | None = None
        self._train: float | None = None

    def add(self, validation: float, train: float | None) -> None:
        """Take one evaluation in; `train` is the recent training loss, None where it is not known."""
        if not math.isfinite(validation):
            return
        self._values.append(validation)
        self._since_best.append(validation)
        self._count_since_best += 1
        self._train = train
        smoothed = self._smoothed()
        if smoothed is not None and (self._best is None or smoothed < self._best):
            self._best, self._train_at_best = smoothed, train
            self._since_best.clear()
            self._count_since_best = 0

    def verdict(self) -> tuple[bool | None, float | None]:
        """(overfitting, smoothed validation loss over its best minus 1); None before there are five since the best."""
        smoothed, best = self._smoothed(), self._best
        if smoothed is None or best is None:
            return None, None
        rise = (smoothed - best) / abs(best) if best else None
        if self._count_since_best < LEAST_SINCE_BEST:
            # A new best is an answer; too few evaluations in all is not.
            return (False if len(self._values) > LEAST_SINCE_BEST else None), rise
        margin = max(NOISE_FACTOR * self._noise() / math.sqrt(2), LEAST_SHARE * abs(best))
        rising = smoothed > best + margin and mann_kendall_z(self._since_best) > MANN_KENDALL_Z
        return rising and self._train_falls(), rise

    def _train_falls(self) -> bool:
        """Whether the training loss is well below what it was at the best; yes where it is not known."""
        if self._train is None or self._train_at_best is None:
            return True
        return self._train <= self._train_at_best - TRAIN_FALLS * abs(self._train_at_best)

    def _smoothed(self) -> float | None:
        return median(list(self._values)[-3:]) if len(self._values) >= 3 else None

    def _noise(self) -> float:
        """The standard deviation of one evaluation, from the differences of neighbours."""
        differences = [later - earlier for earlier, later in pairwise(self._values)]
        middle = median(differences)
        return MAD_TO_DEVIATION * median(abs(difference - middle) for difference in differences) / math.sqrt(2)
