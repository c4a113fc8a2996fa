"""Scales and numbers of the report's charts."""

from __future__ import annotations

import math
from dataclasses import dataclass

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] to pixels [start, end], in powers of two or ten where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value, held inside the chart."""
        low, high, shown = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, shown = math.log(low), math.log(high), math.log(shown)
        share = (shown - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers in [low, high], about `count` of them: steps of 1, 2 or 5 times a power of ten."""
    if not math.isfinite(high - low) or high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float | None, unit: str = "") -> str:
    """A number as a person writes it: 1.2k, 3.4 GiB, 0.0012; n/a where it is unknown."""
    if value is None or not math.isfinite(value):
        return "n/a"
    if unit == "bytes":
        for bytes_in, name in _BYTES:
            if abs(value) >= bytes_in:
                return f"{value / bytes_in:.3g} {name}"
        return f"{value:.0f} B"
    for size, name in _UNITS:
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
