"""Y axes with limits that stay put: round numbers, and no change before the data asks for one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_SHRINK_BELOW = 0.4  # of the axis; less than this in use, and the axis follows the data again

_LEAST_SPAN = 1e-290  # below that, steps cannot be told apart in floating point


@dataclass(frozen=True, slots=True)
class Scale:
    """A y axis from `low` to `high`, with the values to label. On a log axis `low` is above 0."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def position(self, value: float) -> float:
        """Where the value stands: 0 at `low`, 1 at `high`."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def placer(self, last_row: int) -> Callable[[float], int]:
        """A quick function from value to row, 0 at the top and `last_row` at the bottom; what is outside is clipped."""
        low, high, log = self.low, self.high, self.log
        start = math.log(low) if log else low
        factor = last_row / ((math.log(high) if log else high) - start)

        def place(value: float) -> int:
            if value <= low:
                return last_row
            if value >= high:
                return 0
            return last_row - round(((math.log(value) if log else value) - start) * factor)

        return place


def settle(previous: Scale | None, low: float, high: float, *, log: bool = False) -> Scale:
    """The axis for data from `low` to `high` (finite; above 0 on a log axis).

    The previous axis stays while the data fits and uses a fair part of it.
    """
    if previous is not None and previous.log == log and previous.low <= low and high <= previous.high:
        used = previous.position(high) - previous.position(low)
        if used >= _SHRINK_BELOW:
            return previous
    return _logarithmic(low, high) if log else _linear(low, high)


def round_step(span: float, parts: int) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that parts `span` into at most `parts`."""
    rough = span / parts
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1.0, 2.0, 2.5, 5.0) if factor * power >= rough * 0.9999), 10.0 * power)


def _linear(low: float, high: float) -> Scale:
    if high - low <= max(_LEAST_SPAN, 1e-9 * max(abs(low), abs(high))):  # one value: room on both sides of it
        margin = max(abs(low), abs(high)) / 2
        margin = margin if margin > _LEAST_SPAN else 1.0
        low, high = low - margin, high + margin
    step = round_step(high - low, 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{step * index:.12g}") for index in range(first, last + 1))
    return Scale(min(ticks[0], low), max(ticks[-1], high), ticks)


def _logarithmic(low: float, high: float) -> Scale:
    low, high = max(low, _LEAST_SPAN), max(high, _LEAST_SPAN)
    ladder = _ladder(low, high)
    bottom = max((value for value in ladder if value <= low), default=low)
    top = min((value for value in ladder if value >= high and value > bottom), default=high)
    ticks = [value for value in ladder if bottom <= value <= top]
    if len(ticks) > 6:
        decades = [value for value in ticks if math.log10(value) % 1 < 1e-9 or math.log10(value) % 1 > 1 - 1e-9]
        ticks = decades[:: max(1, len(decades) // 6)]
    return Scale(bottom, top, tuple(ticks), log=True)


def _ladder(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20, ... from below `low` to above `high`."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    return [float(f"{factor}e{power}") for power in range(max(first, -307), min(last, 307) + 1) for factor in (1, 2, 5)]
