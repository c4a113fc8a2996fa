"""How often to draw: as often as asked while that is cheap, and more rarely where drawing would slow training."""

from __future__ import annotations

SHARE = 0.02
"""Of one core, at most, for drawing: Python's lock makes training pay for every millisecond of it."""

SLOWEST_S = 2.0
_SMOOTHING = 0.3


class Pace:
    """Told what each frame cost, says how long to wait until the next. All in seconds."""

    def __init__(self, frames_per_second: float) -> None:
        self._shortest = 1.0 / frames_per_second
        self._cost: float | None = None
        self._interval = self._shortest

    @property
    def share(self) -> float | None:
        """Of one core, what drawing takes of late; None before the first frame."""
        return None if self._cost is None else self._cost / self._interval

    def next_interval(self, cost: float) -> float:
        """Take the processor time since the last frame; return the time to wait.

        One dear frame, a resize say, counts for a third, so that the screen does not stutter after it.
        """
        self._cost = cost if self._cost is None else self._cost + _SMOOTHING * (cost - self._cost)
        self._interval = max(self._shortest, min(SLOWEST_S, self._cost / SHARE))
        return self._interval
