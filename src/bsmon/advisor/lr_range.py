"""Reading a learning rate range test: C, part 10, "The Learning Rate Range Test" (Smith 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence

EXPLODED = 10.0  # C part 10: stop where the loss exceeds ten times the first
SMOOTHING = 0.9  # exponential, as in common implementations: single losses are noise
LEAST_POINTS = 10


def smoothed(losses: Sequence[float]) -> list[float]:
    """Exponentially smoothed losses, without the usual bias towards 0 at the start."""
    result: list[float] = []
    mean = 0.0
    for count, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        result.append(mean / (1 - SMOOTHING**count))
    return result


def exploded(first: float, loss: float) -> bool:
    """Whether the test should stop here."""
    return not math.isfinite(loss) or loss > EXPLODED * first


def steepest(learning_rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The learning rate where the smoothed loss falls fastest per factor of the learning rate.

    C, part 10: "optimal LR is usually where loss decreases fastest". None where it never falls, or with fewer than
    ten finite losses before the explosion.
    """
    usable = 0
    while usable < len(losses) and not exploded(losses[0], losses[usable]):
        usable += 1
    if usable < LEAST_POINTS:
        return None
    curve = smoothed(losses[:usable])
    slopes = [
        (curve[i + 1] - curve[i - 1]) / math.log(learning_rates[i + 1] / learning_rates[i - 1])
        for i in range(1, usable - 1)
    ]
    best = min(range(len(slopes)), key=slopes.__getitem__)
    return learning_rates[best + 1] if slopes[best] < 0 else None
