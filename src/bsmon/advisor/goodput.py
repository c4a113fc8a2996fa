"""How far to go: throughput times statistical efficiency, and the batch size where their product is largest.

Goodput is progress per second: samples per second times the worth of a sample (Qiao et al. 2021, "Pollux"). With a
step time t(B) = a + b B and a gradient noise scale B_noise a sample is worth B_noise / (B_noise + B) (McCandlish et
al. 2018), and goodput is largest at B* = sqrt((a / b) B_noise).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# A factor of two off the best size costs at most 11 % of the goodput, a factor of four at most 36 %, mostly far
# less: below a factor of two the advisor stays silent.
LEAST_MOVE = 2.0
LARGEST_MOVE = 4.0
LEAST_GAIN = 0.05  # of the time to the same progress; less is not worth a change
KNEE_SHARE = 0.9  # of the best goodput


@dataclass(frozen=True, slots=True)
class ThroughputPoint:
    """Step times of one batch size: how many steps, their mean in seconds, and the mean's standard error."""

    batch_size: int
    steps: int
    step_s: float
    standard_error_s: float | None = None


@dataclass(frozen=True, slots=True)
class StepTime:
    """t(B) = fixed_s + per_sample_s x B, in seconds, with the standard error of the fixed part.

    `sizes` is how many batch sizes it rests on. Below 0 the parts are cut off: no step takes negative time.
    """

    fixed_s: float
    per_sample_s: float
    fixed_error_s: float
    sizes: int

    def at(self, batch_size: float) -> float:
        """Seconds of one step at this batch size."""
        return self.fixed_s + self.per_sample_s * batch_size

    def samples_per_second(self, batch_size: float) -> float:
        """Throughput at this batch size."""
        return batch_size / self.at(batch_size)

    def fixed_share(self, batch_size: float) -> float:
        """The share, 0..1, of a step's time that does not depend on the batch size: what a larger batch saves."""
        return self.fixed_s / self.at(batch_size)

    def ratio(self, standard_errors: float = 0.0) -> float:
        """a / b in samples with the fixed part moved by so many standard errors; infinite where b is 0."""
        fixed = max(0.0, self.fixed_s + standard_errors * self.fixed_error_s)
        if self.per_sample_s <= 0:
            return math.inf if fixed > 0 else 0.0
        return fixed / self.per_sample_s


def fit_step_time(points: Sequence[ThroughputPoint]) -> StepTime | None:
    """The line through the measured step times, weighted by 1 / t; None below two batch sizes.

    The weights make the fit about relative errors: a straight fit would follow the largest size alone.
    """
    usable = [point for point in points if point.step_s > 0 and point.steps > 0]
    if len({point.batch_size for point in usable}) < 2:
        return None
    weights = [1 / point.step_s for point in usable]
    total = math.fsum(weights)
    mean_size = math.fsum(w * p.batch_size for w, p in zip(weights, usable, strict=True)) / total
    mean_time = math.fsum(w * p.step_s for w, p in zip(weights, usable, strict=True)) / total
    spread = math.fsum(w * (p.batch_size - mean_size) ** 2 for w, p in zip(weights, usable, strict=True))
    slope = math.fsum(
        w * (p.batch_size - mean_size) * (p.step_s - mean_time) for w, p in zip(weights, usable, strict=True)
    )
    per_sample = slope / spread
    # The fixed part is a weighted sum of the step times; its error follows from theirs.
    shares = [
        w / total - mean_size * w * (p.batch_size - mean_size) / spread for w, p in zip(weights, usable, strict=True)
    ]
    error = math.sqrt(
        math.fsum((share * (p.standard_error_s or 0.0)) ** 2 for share, p in zip(shares, usable, strict=True))
    )
    if per_sample <= 0:
        return StepTime(mean_time, 0.0, error, len(usable))
    fixed = mean_time - per_sample * mean_size
    if fixed < 0:
        fixed, per_sample = 0.0, mean_time / mean_size
    return StepTime(fixed, per_sample, error, len(usable))


def statistical_efficiency(batch_size: float, noise_scale: float) -> float:
    """Progress per sample against a tiny batch, 0..1: B_noise / (B_noise + B) (McCandlish et al. 2018)."""
    return noise_scale / (noise_scale + batch_size) if noise_scale > 0 else 0.0


def goodput(step_time: StepTime, noise_scale: float, batch_size: float) -> float:
    """Progress per second, in samples of a tiny batch."""
    return step_time.samples_per_second(batch_size) * statistical_efficiency(batch_size, noise_scale)


def best_batch_size(step_time: StepTime, noise_scale: float, standard_errors: float = 0.0) -> float:
    """B* = sqrt((a / b) B_noise) in samples, not rounded; infinite where a sample costs no time."""
    ratio = step_time.ratio(standard_errors)
    return 0.0 if ratio == 0 or noise_scale <= 0 else math.sqrt(ratio) * math.sqrt(noise_scale)


def relative_time(step_time: StepTime, noise_scale: float, old: int, new: int) -> float | None:
    """Time to the same progress at `new` over that at `old`; None where there is no progress to speak of."""
    after = goodput(step_time, noise_scale, new)
    return goodput(step_time, noise_scale, old) / after if after > 0 else None


def powers_of_two(low: int, high: int) -> list[int]:
    """The powers of two in [low, high]."""
    first = max(0, (max(1, low) - 1).bit_length())
    return [1 << power for power in range(first, max(0, high).bit_length()) if low <= 1 << power <= high]


def rounded(batch_size: float, low: int, high: int) -> int | None:
    """The power of two in [low, high] nearest to `batch_size` by ratio; None where there is none."""
    candidates = powers_of_two(low, high)
    if not candidates:
        return None
    if batch_size <= candidates[0]:
        return candidates[0]
    if batch_size >= candidates[-1]:
        return candidates[-1]
    return min(candidates, key=lambda size: abs(math.log(size / batch_size)))


def knee(step_time: StepTime, noise_scale: float, sizes: Sequence[int]) -> int | None:
    """The smallest of `sizes` whose goodput is within a tenth of the best among them."""
    if not sizes:
        return None
    values = {size: goodput(step_time, noise_scale, size) for size in sizes}
    enough = KNEE_SHARE * max(values.values())
    return min(size for size, value in values.items() if value >= enough)
