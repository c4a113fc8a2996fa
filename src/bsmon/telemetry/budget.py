"""How often a probe may measure, so that it stays within its share of the training time."""

from __future__ import annotations

from collections import deque
from statistics import median

OUTLIER = 8.0
"""A cost above this many times the usual one is charged as if it were that: the machine hiccuped, not the probe."""


class Schedule:
    """Decides step by step whether a probe is due, from what it cost so far and how long training took.

    What a measurement cost must be earned before the next one: cost / share of training time. Nothing can be saved
    up, so the cost is never above the share, and with constant times the stride is constant:
    ceil(cost / (share x step time)). The first measurement is free: it pays for what happens once (memory is
    allocated, kernels are loaded).

    Times are seconds of training since the run began, without what probes took; they come from the caller, so the
    class has no clock. A step that is not due costs two comparisons.
    """

    def __init__(self, share: float = 0.02, *, max_rate_hz: float | None = None, min_stride: int = 1) -> None:
        """`share`: of the training time, 0..1. `max_rate_hz`: measurements per second. `min_stride`: steps apart."""
        self._share = share
        self._shortest_s = 0.0 if max_rate_hz is None else 1.0 / max_rate_hz
        self.min_stride = min_stride
        self._last_step = 0
        self._last_s = 0.0
        self._earned_s = 0.0  # when all that was measured so far is earned
        self._free_s = 0.0  # when that is so, and the rate allows another one
        self._recent: deque[float] = deque(maxlen=9)
        self.count = 0
        """Measurements so far."""
        self.stride: int | None = None
        """Steps between the last two measurements; None before there were two."""
        self.cost_s = 0.0
        """What all measurements cost, the first included."""

    def is_earned(self, training_s: float) -> bool:
        """Whether budget and rate allow a measurement at this time; `is_due` looks at the stride, too."""
        return training_s >= self._free_s

    def is_due(self, step: int, training_s: float) -> bool:
        """Whether this step should be measured."""
        return training_s >= self._free_s and (self.count == 0 or step >= self._last_step + self.min_stride)

    def measured(self, step: int, training_s: float) -> None:
        """A measurement begins."""
        if self.count:
            self.stride = step - self._last_step
        self.count += 1
        self._last_step, self._last_s = step, training_s
        self._free_s = max(self._earned_s, training_s + self._shortest_s)

    def charge(self, cost_s: float) -> None:
        """The last measurement cost this much; may come in several parts, or late."""
        self.cost_s += cost_s
        if self.count <= 1:
            return
        charged = min(cost_s, OUTLIER * median(self._recent)) if len(self._recent) >= 3 else cost_s
        self._recent.append(cost_s)
        self._earned_s = max(self._earned_s, self._last_s) + charged / self._share
        self._free_s = max(self._free_s, self._earned_s)
