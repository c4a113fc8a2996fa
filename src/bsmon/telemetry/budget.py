"""How often a probe may measure, so that it stays within its share of the training time."""

from __future__ import annotations

from collections import deque
from statistics import median

OUTLIER = 8.0
"""A cost above this many times the usual one is charged as if it were that: the machine hiccuped, not the probe."""

EARLY_SHARE = 0.1
"""Of the time so far, at most, while measurements are taken early: the training must not seem to hang at its start."""


class Schedule:
    """Decides step by step whether a probe is due, from what it cost so far and how long training took.

    What a measurement cost must be earned before the next one: cost / share of training time. Nothing can be saved
    up, so the cost is never above the share, and with constant times the stride is constant:
    ceil(cost / (share x step time)). The first measurement is free: it pays for what happens once (memory is
    allocated, kernels are loaded).

    Where it is known how much of the run is left, the first `early` measurements may come sooner: as fast as
    EARLY_SHARE of the time so far pays for them, while the budget of the whole planned run, share x its time, pays for
    those, and for `needed` in all. What they leave of it is spread evenly over the rest.

    Times are seconds of training since the run began, without what probes took; they come from the caller, so the
    class has no clock. A step that is not due costs two comparisons.
    """

    def __init__(
        self,
        share: float = 0.02,
        *,
        max_rate_hz: float | None = None,
        min_stride: int = 1,
        early: int = 0,
        needed: int = 0,
    ) -> None:
        """`share`: of the training time, 0..1. `max_rate_hz`: measurements per second. `min_stride`: steps apart."""
        self._share = share
        self._shortest_s = 0.0 if max_rate_hz is None else 1.0 / max_rate_hz
        self._early, self._needed = early, needed
        self.min_stride = min_stride
        self._last_step = 0
        self._last_s = 0.0
        self._earned_s = 0.0  # when all that was measured so far is earned
        self._free_s = 0.0  # when that is so, and the rate allows another one
        self._charged_s = 0.0  # all but the first measurement
        self._recent: deque[float] = deque(maxlen=9)
        self._since: tuple[float, float] | None = None  # a time, and what was left of the run at it, 1..0
        self._left_s: float | None = None
        self.count = 0
        """Measurements so far."""
        self.stride: int | None = None
        """Steps between the last two measurements; None before there were two."""
        self.cost_s = 0.0
        """What all measurements cost, the first included."""

    @property
    def pays_for(self) -> int | None:
        """How many measurements the whole planned run pays for; None while that cannot be told."""
        if self._left_s is None or not self._recent:
            return None
        return 1 + int(self._share * (self._last_s + self._left_s) / max(median(self._recent), 1e-12))

    def is_earned(self, training_s: float) -> bool:
        """Whether budget and rate allow a measurement at this time; `is_due` looks at the stride, too."""
        return training_s >= self._free_s

    def is_due(self, step: int, training_s: float) -> bool:
        """Whether this step should be measured."""
        return training_s >= self._free_s and (self.count == 0 or step >= self._last_step + self.min_stride)

    def measured(self, step: int, training_s: float, left: float | None = None) -> None:
        """A measurement begins. `left`: how much of the planned run is still to come, 1..0; None = not known."""
        if self.count:
            self.stride = step - self._last_step
        self.count += 1
        self._last_step, self._last_s = step, training_s
        self._free_s = max(self._earned_s, training_s + self._shortest_s)
        if left is not None:
            self._plan(training_s, left)

    def pace_changed(self) -> None:
        """Updates take another time from now on: how long the rest of the run takes is told from them alone."""
        self._since = None

    def charge(self, cost_s: float) -> None:
        """The last measurement cost this much; may come in several parts, or late."""
        self.cost_s += cost_s
        if self.count <= 1:
            return
        charged = min(cost_s, OUTLIER * median(self._recent)) if len(self._recent) >= 3 else cost_s
        self._recent.append(cost_s)
        self._charged_s += charged
        self._earned_s = max(self._earned_s, self._last_s) + self._wait_s(charged)
        self._free_s = max(self._free_s, self._earned_s)

    def _plan(self, training_s: float, left: float) -> None:
        """How many seconds the rest of the run takes, from how fast it shrinks."""
        if self._since is None:
            self._since = training_s, left
            return
        began_s, left_then = self._since
        if left < left_then:
            self._left_s = left * (training_s - began_s) / (left_then - left)

    def _wait_s(self, charged_s: float) -> float:
        """Seconds of training that earn a measurement of this cost."""
        if not self._early or self._left_s is None:
            return charged_s / self._share
        usual_s = median(self._recent)
        unspent_s = self._share * (self._last_s + self._left_s) - self._charged_s
        if self.count < self._early and unspent_s >= max(1, self._needed - self.count) * usual_s:
            return charged_s / max(self._share, EARLY_SHARE)
        if unspent_s < usual_s:
            return self._left_s  # not another one in the run as it is planned
        return charged_s * max(1 / self._share, self._left_s / (unspent_s + charged_s))
