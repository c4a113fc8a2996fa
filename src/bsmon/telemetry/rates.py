"""Counters turned into rates."""

from __future__ import annotations

from collections.abc import Hashable, Set


class Rates:
    """Change a second of growing counters, each between its last two readings."""

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[float, float]] = {}

    def per_second(self, key: Hashable, value: float | None, time_s: float) -> float | None:
        """The rate since the key's last reading; None at the first one and when the counter was set back."""
        if value is None:
            self._last.pop(key, None)
            return None
        before = self._last.get(key)
        self._last[key] = (value, time_s)
        if before is None or time_s <= before[1] or value < before[0]:
            return None
        return (value - before[0]) / (time_s - before[1])

    def keep_only(self, keys: Set[Hashable]) -> None:
        """Forget all other counters: those of processes that ended."""
        self._last = {key: reading for key, reading in self._last.items() if key in keys}
