"""How fast the loss falls, by the clock: what a batch change is for."""

from __future__ import annotations

from collections import deque

_WINDOW = 30  # looks, about one a second
_LEAST = 5


class LossSlope:
    """The slope of the smoothed loss over the recent looks, in loss per second; negative while it falls."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)

    def add(self, time_s: float, loss: float | None) -> None:
        """One look; a loss that is not known leaves nothing."""
        if loss is not None and (not self._points or time_s > self._points[-1][0]):
            self._points.append((time_s, loss))

    def restart(self) -> None:
        """What was before says nothing of what comes now."""
        self._points.clear()

    def slope(self) -> float | None:
        """By least squares; None while there are few looks."""
        count = len(self._points)
        if count < _LEAST:
            return None
        middle = sum(time_s for time_s, _ in self._points) / count
        level = sum(loss for _, loss in self._points) / count
        spread = sum((time_s - middle) ** 2 for time_s, _ in self._points)
        return sum((time_s - middle) * (loss - level) for time_s, loss in self._points) / spread


def relative_progress(before: float | None, after: float | None) -> float | None:
    """How many times faster the loss falls than before; None unless it fell before and is known to fall now."""
    if before is None or after is None or before >= 0 or after >= 0:
        return None
    return after / before
