"""Step times of every batch size that was run, for the advisor's fit."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping, Sequence

from bsmon.advisor.goodput import ThroughputPoint
from bsmon.core.records import ProbedSpeed, Step

_RECENT_STEPS = 200  # a machine changes; what was long ago says little of now
_LEAST_STEPS = 10
_WARM_UP_STEPS = 5  # the first steps at a size choose algorithms and make room
_TRIMMED = 0.05  # of the slowest and the quickest: a step may be held up by anything


class StepTimes:
    """Recent step times by batch size. Short last batches of an epoch are left out: they are no size of their own."""

    def __init__(self) -> None:
        self._durations: dict[int, deque[float]] = {}
        self._size = 0
        self._since = 0
        self._probed: dict[int, ProbedSpeed] = {}  # of the newest look, by batch size

    def changed(self, batch_size: int) -> None:
        """The run trains with this batch size from now on."""
        self._size, self._since = batch_size, 0

    def add(self, steps: Sequence[Step]) -> None:
        """Take finished steps."""
        times = self._durations.setdefault(self._size, deque(maxlen=_RECENT_STEPS))
        for step in steps:
            if step.batch_size == self._size:
                self._since += 1
                if self._since > _WARM_UP_STEPS:
                    times.append(step.duration_s)

    def probed(self, speed: ProbedSpeed) -> None:
        """A size was timed beside the training; the sizes of one look carry the same step."""
        if any(other.step != speed.step for other in self._probed.values()):
            self._probed.clear()
        self._probed[speed.batch_size] = speed

    def points(self) -> tuple[ThroughputPoint, ...]:
        """A point for every size that was run or probed, smallest size first; what was run counts where both are."""
        enough = {size: times for size, times in self._durations.items() if len(times) >= _LEAST_STEPS and size}
        points = {size: _point(size, times) for size, times in enough.items()}
        return tuple(point for _, point in sorted((self._probed_points(points) | points).items()))

    def _probed_points(self, run: Mapping[int, ThroughputPoint]) -> dict[int, ThroughputPoint]:
        """Step times of probed sizes.

        A probe lacks the optimizer's step and whatever else all sizes have in common; that is the difference at a
        size that was both run and probed, and it is added.
        """
        both = [size for size in self._probed if size in run]
        if not both:
            return {}
        rest = run[both[0]].step_s - self._probed[both[0]].seconds
        return {
            size: ThroughputPoint(size, 1, max(speed.seconds, speed.seconds + rest))
            for size, speed in self._probed.items()
        }

    def variation(self) -> float | None:
        """Standard deviation over mean of the recent steps at the present size; None while there are few."""
        times = self._durations.get(self._size, ())
        if len(times) < _LEAST_STEPS:
            return None
        return statistics.stdev(times) / statistics.fmean(times)


def _point(size: int, times: Sequence[float]) -> ThroughputPoint:
    cut = int(len(times) * _TRIMMED)
    kept = sorted(times)[cut : len(times) - cut]
    return ThroughputPoint(size, len(times), statistics.fmean(kept), statistics.stdev(kept) / math.sqrt(len(kept)))
