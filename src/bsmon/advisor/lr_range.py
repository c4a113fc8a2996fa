"""Reading a learning rate range test: C, part 10, "The Learning Rate Range Test" (Smith 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bsmon.advisor.moments import Moments, z_score

EXPLODED = 10.0  # C part 10: stop where the loss exceeds ten times the first
STRETCHES_A_DECADE = 4
LEAST_LOSSES = 5  # in a stretch: single losses are noise
FALL_Z = 3.0  # that the loss fell at all


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring learning rates, from `first` to `last`, and the mean and spread of their losses."""

    first: float
    last: float
    losses: Moments


def exploded(first: float, loss: float) -> bool:
    """Whether the test should stop here."""
    return not math.isfinite(loss) or loss > EXPLODED * first


def stretches(learning_rates: Sequence[float], losses: Sequence[float]) -> list[Stretch]:
    """The test in stretches of a quarter of a decade, or of five losses where that is more.

    Up to the explosion. `learning_rates` rise by one factor from each to the next.
    """
    usable = 0
    while usable < len(losses) and not exploded(losses[0], losses[usable]):
        usable += 1
    if usable < 2:
        return []
    steps_a_decade = 1 / math.log10(learning_rates[1] / learning_rates[0])
    width = max(LEAST_LOSSES, round(steps_a_decade / STRETCHES_A_DECADE))
    return [_stretch(learning_rates, losses, start, start + width) for start in range(0, usable - width + 1, width)]


def _stretch(learning_rates: Sequence[float], losses: Sequence[float], start: int, end: int) -> Stretch:
    moments = Moments()
    for loss in losses[start:end]:
        moments.add(loss)
    return Stretch(learning_rates[start], learning_rates[end - 1], moments)


def steepest(learning_rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The learning rate where the loss falls fastest per factor of the learning rate.

    C, part 10: "optimal LR is usually where loss decreases fastest". Only what is below everything before counts as a
    fall: coming back from a spike is steep, too. None where the loss never falls beyond its noise, or with fewer than
    two stretches before the explosion.
    """
    parts = stretches(learning_rates, losses)
    if len(parts) < 2 or all(z_score(parts[0].losses, part.losses) < FALL_Z for part in parts[1:]):
        return None
    lowest = list(accumulate((part.losses.mean for part in parts), min))
    falls = [before - after for before, after in pairwise(lowest)]
    best = max(range(len(falls)), key=falls.__getitem__)
    return math.sqrt(parts[best].last * parts[best + 1].first)
