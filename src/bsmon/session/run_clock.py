"""The time of a run: seconds since it began, which a resume continues and a replay dictates."""

from __future__ import annotations

import time

from bsmon.core.happenings import Moment


class RunClock:
    """Tells the moment. While it is held, it tells one moment only: all that is folded at once happened at once."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._offset_s = 0.0
        self._clock_at_zero = time.time()
        self._held: Moment | None = None

    def __call__(self) -> Moment:
        """Now."""
        if self._held is not None:
            return self._held
        since = time.monotonic() - self._began
        return Moment(since + self._offset_s, self._clock_at_zero + since)

    @property
    def offset_s(self) -> float:
        """Seconds of the run that earlier processes had."""
        return self._offset_s

    def hold(self, moment: Moment | None = None) -> Moment:
        """Stay at a moment, the present one unless given."""
        self._held = None
        self._held = self() if moment is None else moment
        return self._held

    def release(self) -> None:
        """Go on with the present."""
        self._held = None

    def go_on(self) -> None:
        """Continue after the moment at which the clock is held, as if no time had passed since."""
        if self._held is not None:
            self._offset_s = self._held.time_s - (time.monotonic() - self._began)
        self._held = None
