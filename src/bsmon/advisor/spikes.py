"""Single losses that stick out of the recent ones."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from statistics import median

GROUP_SAMPLES = 4  # losses are averaged over as many steps as hold 4 samples
WINDOW = 100  # groups
LEAST_GROUPS = 20  # fewer say nothing about what is usual
SCALE_FACTOR, MEDIAN_FACTOR, LARGEST_FACTOR = 8.0, 1.5, 1.25
SILENT_GROUPS = 5  # after a spike
MAD_TO_DEVIATION = 1.4826  # for a normal distribution
Q95 = 1.645  # the 95 % quantile of a standard normal


@dataclass(frozen=True, slots=True)
class Spike:
    """A loss that sticks out (the mean of its group of steps), and the median of the groups before it."""

    loss: float
    usual: float


class Spikes:
    """A spike is above median + 8 scale, 1.5 x median and 1.25 x the largest of the last hundred groups.

    The scale is the larger of the MAD's and that of the upper tail, since losses are skewed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: Spike | None = None
        self._order: deque[float] = deque()
        self._sorted: list[float] = []
        self._sum, self._steps, self._silent = 0.0, 0, 0

    def add(self, loss: float, batch_size: int) -> bool:
        """Take one finite loss in; True when it completes a group that is a spike."""
        self._sum += loss
        self._steps += 1
        if self._steps < -(-GROUP_SAMPLES // batch_size):
            return False
        group, self._sum, self._steps = self._sum / self._steps, 0.0, 0
        spike = self._silent == 0 and self._sticks_out(group)
        self._silent = SILENT_GROUPS if spike else max(0, self._silent - 1)
        if spike:
            self.count += 1
            self.last = Spike(group, median(self._sorted))
        self._remember(group)
        return spike

    def _sticks_out(self, value: float) -> bool:
        # The test against the largest comes first: it is cheap and nearly always settles the matter.
        if len(self._sorted) < LEAST_GROUPS or value <= LARGEST_FACTOR * self._sorted[-1]:
            return False
        middle = median(self._sorted)
        spread = MAD_TO_DEVIATION * median(abs(other - middle) for other in self._sorted)
        tail = (self._sorted[int(0.95 * (len(self._sorted) - 1))] - middle) / Q95
        return value > middle + SCALE_FACTOR * max(spread, tail) and value > MEDIAN_FACTOR * middle

    def _remember(self, value: float) -> None:
        self._order.append(value)
        insort(self._sorted, value)
        if len(self._order) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
