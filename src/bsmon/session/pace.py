"""How fast training goes now: over the last few seconds of steps, not since the start."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence

from bsmon.core.records import Step
from bsmon.core.step_columns import in_columns

_WINDOW_S = 5.0


class Pace:
    """Speed over a sliding window of training time; pauses and evaluations do not count."""

    def __init__(self) -> None:
        self._parts: deque[tuple[float, int, int, float]] = deque()  # seconds, steps, samples, seconds of data wait
        self._seconds = 0.0

    def add(self, steps: Sequence[Step]) -> None:
        """Take steps that were just made."""
        made = in_columns(steps)
        seconds = sum(made.duration_s)
        self._parts.append((seconds, len(steps), sum(made.batch_size), sum(made.data_wait_s)))
        self._seconds += seconds
        while len(self._parts) > 1 and self._seconds - self._parts[0][0] >= _WINDOW_S:
            self._seconds -= self._parts.popleft()[0]

    def copy(self) -> Pace:
        """Another pace of the same content."""
        other = copy.copy(self)
        other._parts = self._parts.copy()
        return other

    def restart(self) -> None:
        """Forget: after a batch change, what was before says nothing of now."""
        self._parts.clear()
        self._seconds = 0.0

    @property
    def samples_per_second(self) -> float | None:
        """None before the first step."""
        return self._over_seconds(2)

    @property
    def step_s(self) -> float | None:
        """Mean seconds of a step."""
        steps = sum(part[1] for part in self._parts)
        return self._seconds / steps if steps else None

    @property
    def data_wait_share(self) -> float | None:
        """Share of the time in which training waited for data, 0 to 1."""
        return self._over_seconds(3)

    def _over_seconds(self, column: int) -> float | None:
        seconds = sum(part[0] for part in self._parts)
        return sum(part[column] for part in self._parts) / seconds if seconds > 0 else None
