"""The sizes that advice may name: the person's bounds, BatchNorm, memory and updates per epoch, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.goodput import LARGEST_MOVE, powers_of_two
from bsmon.advisor.updates_per_epoch import OK, largest_batch_size
from bsmon.core.snapshot import MemoryForecast

# C, part 9: "If using Batch Norm, use batch size >= 16, preferably >= 32". It is the micro batch that counts:
# BatchNorm sees one forward pass at a time, and accumulation does not help it.
BATCHNORM_FLOOR = 16
BATCHNORM_PREFERRED = 32

# Growing memory in proportion to the micro batch overstates it, since the weights do not grow; the margin is for the
# allocator's rounding and for steps that need more than those seen.
MEMORY_MARGIN = 0.85


@dataclass(frozen=True, slots=True)
class Bounds:
    """The batch sizes that may be advised, low <= high, and the largest micro batch that fits (None = unknown)."""

    low: int
    high: int
    largest_micro: int | None

    def sizes(self) -> list[int]:
        """The powers of two that may be advised."""
        return powers_of_two(self.low, self.high)

    def allows(self, batch_size: int) -> bool:
        """Whether this batch size may be advised."""
        return self.low <= batch_size <= self.high


def bounds(evidence: Evidence, limits: Limits) -> Bounds | None:
    """The sizes within every limit and one move of the present size; None where the limits leave nothing.

    One move is at most a factor of four, but for a batch too small for BatchNorm: halfway is still broken.
    """
    floor = BATCHNORM_FLOOR * evidence.world_size if evidence.has_batchnorm else 1
    low = max(limits.minimum, _move_down(evidence.batch_size), floor)
    high = max(evidence.batch_size * int(LARGEST_MOVE), floor)
    if limits.maximum is not None:
        high = min(high, limits.maximum)
    if evidence.dataset_size is not None:
        high = min(high, evidence.dataset_size)
    return Bounds(low, high, largest_micro_batch(evidence)) if low <= high else None


def worthwhile(evidence: Evidence, within: Bounds, updates: int = OK) -> Bounds | None:
    """The sizes that make sense for speed: a person may go beyond them, but speed is no reason to.

    Above the largest micro batch that fits, accumulation saves no time; above N / `updates` an epoch has fewer updates
    than these (A section 2).
    """
    high = within.high
    if within.largest_micro is not None:
        high = min(high, within.largest_micro * evidence.world_size)
    if evidence.dataset_size is not None:
        high = min(high, largest_batch_size(evidence.dataset_size, updates))
    return Bounds(within.low, high, within.largest_micro) if within.low <= high else None


def fits(evidence: Evidence, micro_batch_size: int) -> bool | None:
    """Whether a micro batch of this size fits in memory; None = unknown.

    What runs now fits, and so does anything smaller; a size that ran out of memory rules out itself and all above
    it. Between forecasts memory only grows with the micro batch. Without one, the present peak in proportion.
    """
    if any(micro_batch_size >= fence for fence in evidence.fences):
        return False
    if micro_batch_size <= evidence.micro_batch_size:
        return True
    for forecast in evidence.forecasts:
        within = _forecast_fits(evidence, forecast)
        if within is True and forecast.micro_batch_size >= micro_batch_size:
            return True
        if within is False and forecast.micro_batch_size <= micro_batch_size:
            return False
    if evidence.memory_peak_bytes is None or evidence.memory_limit_bytes is None:
        return None
    peak = evidence.memory_peak_bytes * micro_batch_size / evidence.micro_batch_size
    return peak <= MEMORY_MARGIN * evidence.memory_limit_bytes


def _forecast_fits(evidence: Evidence, forecast: MemoryForecast) -> bool | None:
    limit = forecast.limit_bytes if forecast.limit_bytes is not None else evidence.memory_limit_bytes
    if limit is None:
        return forecast.fits
    return forecast.fits is not False and forecast.peak_bytes * evidence.corrections.peak_bytes <= limit


def predicted_peak(evidence: Evidence, micro_batch_size: int) -> int | None:
    """Peak memory in bytes at a micro batch size: the forecast of this very size, else what is measured now.

    None for any other size: in proportion to the present peak is too rough to be shown as a prediction.
    """
    for forecast in evidence.forecasts:
        if forecast.micro_batch_size == micro_batch_size:
            return round(forecast.peak_bytes * evidence.corrections.peak_bytes)
    return evidence.memory_peak_bytes if micro_batch_size == evidence.micro_batch_size else None


def largest_micro_batch(evidence: Evidence) -> int | None:
    """The largest micro batch, a power of two times the present one, that is known to fit.

    None where nothing is known about memory. Looks at most one move (a factor of four) up.
    """
    micro = evidence.micro_batch_size
    known = [fits(evidence, micro * factor) for factor in (2, 4)]
    if known[0] is None:
        return None
    if not known[0]:
        return micro
    return micro * 4 if known[1] else micro * 2


def _move_down(batch_size: int) -> int:
    return max(1, -(-batch_size // int(LARGEST_MOVE)))
