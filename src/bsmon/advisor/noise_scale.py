"""The gradient noise scale tr(Sigma) / |G|^2 from a stream of measured pairs, with an honest interval.

McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A: each probe gives an unbiased S for
tr(Sigma) and an unbiased G2 for |G|^2; the estimate is the ratio of their means, never a mean of ratios.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from bsmon.core.advice import NoiseScale
from bsmon.core.gradients import LEAST_NOISE_SAMPLES

LONGEST_WINDOW = 128
SHORTEST_WINDOW = LEAST_NOISE_SAMPLES  # fewer probes: not known yet
DRIFT_STANDARD_ERRORS = 2.0
Z_90_PERCENT = 1.645  # two-sided


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two means with its interval; `value` and `high` None where the denominator is not resolved from 0."""

    value: float | None
    low: float
    high: float | None


def split_pair(first: float, second: float, product: float, rows: tuple[int, int]) -> tuple[float, float]:
    """(S, G2) from the mean gradients g1, g2 of two disjoint parts of a batch of `rows` examples each.

    `first` = |g1|^2, `second` = |g2|^2, `product` = g1.g2. S = |g1 - g2|^2 / (1/n1 + 1/n2), G2 = g1.g2.
    """
    n1, n2 = rows
    return (first + second - 2 * product) / (1 / n1 + 1 / n2), product


def micro_batch_pair(mean_square: float, square: float, micro_batch_size: int, steps: int) -> tuple[float, float]:
    """(S, G2) from `steps` micro batches of one accumulated update.

    `mean_square` = mean |g_i|^2 of their gradients, `square` = |g|^2 of the accumulated one. McCandlish et al. 2018,
    appendix A.1, with B_small = micro_batch_size and B_big = micro_batch_size x steps.
    """
    small, big = micro_batch_size, micro_batch_size * steps
    if steps < 2:
        raise ValueError("two micro batches are needed to tell noise from signal")
    return (mean_square - square) / (1 / small - 1 / big), (big * square - small * mean_square) / (big - small)


def signal_to_noise(noise_scale: float, batch_size: int) -> float:
    """|G| over the standard deviation of the batch gradient, sqrt(B / B_noise): C, part 5, Var = sigma^2 / B."""
    return math.inf if noise_scale <= 0 else math.sqrt(batch_size / noise_scale)


def fieller(numerators: Sequence[float], denominators: Sequence[float], z: float = Z_90_PERCENT) -> Ratio:
    """The ratio of two means and its interval by Fieller's theorem (Fieller 1954), for paired measurements.

    Where the mean of the denominators is not resolved from 0 the interval has no upper end and no value is given.
    Raises ValueError below two pairs.
    """
    count = len(numerators)
    if count < 2:
        raise ValueError("an interval needs two pairs or more")
    top, bottom = math.fsum(numerators) / count, math.fsum(denominators) / count
    scale = count * (count - 1)
    top_variance = math.fsum((s - top) ** 2 for s in numerators) / scale
    bottom_variance = math.fsum((g - bottom) ** 2 for g in denominators) / scale
    covariance = math.fsum((s - top) * (g - bottom) for s, g in zip(numerators, denominators, strict=True)) / scale
    # |G|^2 is never negative: a mean below 0 by chance says no more than 0 does.
    bottom = max(0.0, bottom)
    # The interval is where (top - x bottom)^2 <= z^2 Var(top - x bottom), that is a x^2 - 2 b x + c <= 0.
    a = bottom**2 - z * z * bottom_variance
    b = top * bottom - z * z * covariance
    c = top**2 - z * z * top_variance
    roots = _roots(a, b, c)
    if a > 0 and bottom > 0 and roots:
        return Ratio(max(0.0, top / bottom), max(0.0, roots[0]), max(0.0, roots[1]))
    return Ratio(None, min((root for root in roots if root > 0), default=0.0), None)


def _roots(a: float, b: float, c: float) -> tuple[float, ...]:
    """The real roots of a x^2 - 2 b x + c, smaller first; none where there are none or a is 0."""
    square = b * b - a * c
    if a == 0 or square < 0:
        return ()
    root = math.sqrt(square)
    first, second = (b - root) / a, (b + root) / a
    return (first, second) if first <= second else (second, first)


class NoiseScaleEstimator:
    """A ring of the last probes; the estimate uses the longest trailing window that shows no drift.

    The noise scale changes 6 to 29-fold within a run, so that a long average would answer for another time. The
    window is halved while the means of its halves differ by more than two standard errors.
    """

    def __init__(self) -> None:
        self._s: deque[float] = deque(maxlen=LONGEST_WINDOW)
        self._g2: deque[float] = deque(maxlen=LONGEST_WINDOW)
        self._estimate: Ratio | None = None
        self._window = 0

    def add(self, s: float, g2: float) -> None:
        """Take a probe's S and G2 in (squared gradient units); a non-finite pair is left out."""
        if math.isfinite(s) and math.isfinite(g2):
            self._s.append(s)
            self._g2.append(g2)
            self._estimate = None

    def __len__(self) -> int:
        return len(self._s)

    @property
    def window(self) -> int:
        """How many of the last probes the estimate rests on; 0 before there is one."""
        return self._window

    def estimate(self, estimator: str = "") -> NoiseScale:
        """The noise scale in samples with its 90 % interval; what is not resolved is None, and `reason` says why."""
        probes = len(self._s)
        if probes < SHORTEST_WINDOW:
            return NoiseScale(
                probes=probes, estimator=estimator, reason=f"{probes} of {SHORTEST_WINDOW} probes taken so far"
            )
        if self._estimate is None:
            s, g2 = list(self._s), list(self._g2)
            self._window = _steady_window(s, g2)
            self._estimate = fieller(s[-self._window :], g2[-self._window :])
        found = self._estimate
        if found.value is None and found.low <= 0:
            return NoiseScale(
                probes=self._window, estimator=estimator, reason="the gradients are nothing but noise so far"
            )
        reason = "" if found.value is not None else "the mean gradient is lost in the noise"
        return NoiseScale(found.value, found.low, found.high, self._window, estimator, reason)


def _steady_window(s: Sequence[float], g2: Sequence[float]) -> int:
    """The longest trailing window, halved from the whole, without drift in either series."""
    width = len(s)
    while width > SHORTEST_WINDOW:
        half = width // 2
        if not any(_drifts(values[-width:-half], values[-half:]) for values in (g2, s)):
            break
        width = max(SHORTEST_WINDOW, half)
    return width


def _drifts(early: Sequence[float], late: Sequence[float]) -> bool:
    (early_mean, early_square), (late_mean, late_square) = _mean_and_error(early), _mean_and_error(late)
    return abs(early_mean - late_mean) > DRIFT_STANDARD_ERRORS * math.sqrt(early_square + late_square)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the square of its standard error."""
    count = len(values)
    mean = math.fsum(values) / count
    return mean, math.fsum((value - mean) ** 2 for value in values) / (count * (count - 1))
