"""Series of any length in bounded memory, in bins that never move."""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from bsmon.core.snapshot import Series

# Twice as many as the dot columns of a chart 256 characters wide: the screen never asks for more.
_CAPACITY = 1024
_LEAST_AT_ONCE = 16  # below that, value by value is quicker


class BinnedSeries:
    """Values over a non-negative x that only grows (steps, seconds), as extremes and mean of equal bins.

    When the bins are full, neighbouring pairs merge and the width doubles: the memory stays, and so does every bin's
    place, so a chart that is drawn from them does not change on the left while it grows on the right.
    """

    def __init__(self, *, width: float = 1.0, unit: str = "", capacity: int = _CAPACITY) -> None:
        self._width = width
        self._unit = unit
        self._capacity = capacity
        # Where a bin's count is 0 its three numbers mean nothing.
        self._low: list[float] = []
        self._high: list[float] = []
        self._mean: list[float] = []
        self._count: list[int] = []
        self._last: float | None = None
        self._frozen: Series | None = None

    def append(self, x: float, value: float | None) -> None:
        """Add one value. None, NaN and infinities leave a gap; as the newest value they are told as they are."""
        index = int(x / self._width)
        if index >= len(self._count) or not (value is None or self._count[index]):
            self.extend([(x, value)])
            return
        # The bin is there: most values of a long run come this way.
        self._frozen = None
        self._last = value
        if value is None or not math.isfinite(value):
            return
        self._count[index] += 1
        if value < self._low[index]:
            self._low[index] = value
        elif value > self._high[index]:
            self._high[index] = value
        self._mean[index] += (value - self._mean[index]) / self._count[index]

    def extend(self, points: Iterable[tuple[float, float | None]]) -> None:
        """Add many values, x ascending."""
        self._frozen = None
        width, low, high, mean, count = self._width, self._low, self._high, self._mean, self._count
        for x, value in points:
            index = int(x / width)
            while index >= self._capacity:
                self._merge()
                width, low, high, mean, count = self._width, self._low, self._high, self._mean, self._count
                index = int(x / width)
            if len(count) <= index:
                self._reach(index)
            self._last = value
            if value is None or not math.isfinite(value):
                continue
            number = count[index]
            count[index] = number + 1
            if number == 0:
                low[index] = high[index] = mean[index] = value
                continue
            if value < low[index]:
                low[index] = value
            elif value > high[index]:
                high[index] = value
            mean[index] += (value - mean[index]) / (number + 1)

    def extend_columns(self, xs: Sequence[float], values: Sequence[float | None]) -> None:
        """Add many values at once, x ascending; much quicker than `extend` where many fall into one bin."""
        start = 0
        while start < len(xs):
            index = int(xs[start] / self._width)
            end = bisect_left(xs, (index + 1) * self._width, start + 1)
            if end - start < _LEAST_AT_ONCE or not self._add_to_bin(index, values[start:end]):
                end = max(end, min(len(xs), start + _LEAST_AT_ONCE))
                self.extend(zip(xs[start:end], values[start:end], strict=True))
            start = end

    def _add_to_bin(self, index: int, values: Sequence[float | None]) -> bool:
        """Add values to one bin; False, and nothing added, where there is no place for it or not all is known."""
        if index >= self._capacity or None in values:
            return False
        known: Sequence[float] = values  # type: ignore[assignment]  # None is not among them
        total = sum(known)
        if not math.isfinite(total):
            return False
        self._frozen = None
        self._last = known[-1]
        self._reach(index)
        low, high, held = min(known), max(known), self._count[index]
        self._low[index] = min(self._low[index], low) if held else low
        self._high[index] = max(self._high[index], high) if held else high
        self._count[index] += len(known)
        self._mean[index] += (total - len(known) * self._mean[index]) / self._count[index]
        return True

    def _reach(self, index: int) -> None:
        """Make the bins up to this one."""
        missing = index + 1 - len(self._count)
        if missing > 0:
            for numbers in (self._low, self._high, self._mean):
                numbers.extend([0.0] * missing)
            self._count.extend([0] * missing)

    def copy(self) -> BinnedSeries:
        """Another series of the same content; what is added to one the other does not see."""
        other = copy.copy(self)
        other._low, other._high = self._low.copy(), self._high.copy()
        other._mean, other._count = self._mean.copy(), self._count.copy()
        return other

    def truncate(self, x: float) -> None:
        """Forget the bins that lie wholly at or beyond `x`."""
        self._frozen = None
        keep = -int(-x // self._width)
        for values in (self._low, self._high, self._mean, self._count):
            del values[keep:]

    def freeze(self) -> Series:
        """The series as it stands, immutable; the same object while nothing was added."""
        if self._frozen is None:
            low, high, mean = (self._known(values) for values in (self._low, self._high, self._mean))
            self._frozen = Series(self._width, low, high, mean, self._last, self._unit)
        return self._frozen

    def _known(self, values: list[float]) -> tuple[float | None, ...]:
        if all(self._count):
            return tuple(values)
        return tuple(value if count else None for value, count in zip(values, self._count, strict=True))

    def _merge(self) -> None:
        low, high, mean, count = self._low, self._high, self._mean, self._count
        if len(count) % 2:
            for values in (low, high, mean):
                values.append(0.0)
            count.append(0)
        pairs = [(i, i + 1) for i in range(0, len(count), 2)]
        both = [(i, j) if count[i] and count[j] else ((i, i) if count[i] else (j, j)) for i, j in pairs]
        self._low = [min(low[i], low[j]) for i, j in both]
        self._high = [max(high[i], high[j]) for i, j in both]
        self._mean = [(mean[i] * count[i] + mean[j] * count[j]) / max(1, count[i] + count[j]) for i, j in pairs]
        self._count = [count[i] + count[j] for i, j in pairs]
        self._width *= 2
