"""How often a probe may measure, so that it stays within its share of the training time."""

from __future__ import annotations

from collections import deque
from statistics import median

OUTLIER = 8.0
"""A cost above this many times the usual one is charged as if it were that: the machine hiccuped, not the probe."""


class Schedule:
    """Decides step by step whether a probe is due, from what it cost so far and how long steps take.

    An account: every step pays in `share` of its own time, every measurement takes out what it cost, and the probe
    is due when the account is not in the red. Nothing can be saved up, so the cost is never above the share, and
    with constant times the stride is constant: ceil(cost / (share x step time)). The first measurement is free: it
    pays for what happens once (memory is allocated, kernels are loaded).

    Times are seconds; all come from the caller, so the class has no clock.
    """

    def __init__(self, share: float = 0.02, *, max_rate_hz: float | None = None, min_stride: int = 1) -> None:
        """`share`: of the step time, 0..1. `max_rate_hz`: measurements per second. `min_stride`: steps apart."""
        self._share = share
        self._shortest_s = 0.0 if max_rate_hz is None else 1.0 / max_rate_hz
        self.min_stride = min_stride
        self._account_s = 0.0
        self._since_s = 0.0  # training time since the last measurement
        self._since_steps = 0
        self._recent: deque[float] = deque(maxlen=9)
        self._measured = 0
        self.stride: int | None = None
        """Steps between the last two measurements; None before there were two."""
        self.cost_s = 0.0
        self.training_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the coming step should be measured."""
        if self._measured == 0:
            return True
        waited = self._since_steps >= self.min_stride and self._since_s >= self._shortest_s
        return waited and self._account_s >= 0.0

    @property
    def cost_share(self) -> float | None:
        """What the probe took in all, the first measurement included, as a share of the training time; 0..1."""
        return self.cost_s / self.training_s if self.training_s > 0 else None

    def measured(self) -> None:
        """A measurement begins in the present step."""
        if self._measured:
            self.stride = self._since_steps
        self._measured += 1
        self._since_s, self._since_steps = 0.0, 0

    def charge(self, cost_s: float) -> None:
        """The present measurement cost this much; may come in several parts, or late."""
        self.cost_s += cost_s
        if self._measured <= 1:
            return
        charged = cost_s
        if len(self._recent) >= 3:
            charged = min(cost_s, OUTLIER * median(self._recent))
        self._recent.append(cost_s)
        self._account_s -= charged

    def step(self, training_s: float) -> None:
        """A step took this long, without what the probe took of it."""
        training_s = max(0.0, training_s)
        self.training_s += training_s
        self._account_s = min(0.0, self._account_s + self._share * training_s)
        self._since_s += training_s
        self._since_steps += 1
