"""The critical batch size on an axis of batch sizes, with "you are here"."""

from __future__ import annotations

import math
from collections.abc import Callable

from bsmon.core.advice import NoiseScale
from bsmon.ui import numbers
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import fit

HEIGHT = 4
_LEAST_DOUBLINGS = 8
_MEANING = "critical batch size: doubling pays below it"


def batch_axis(noise: NoiseScale, batch_size: int, width: int) -> list[Row]:
    """What it is, the interval, the axis in powers of two, and the present size below it; nothing while not known.

    McCandlish et al. 2018: the gradient noise scale is the critical batch size. An interval without an upper end
    runs off the axis.
    """
    if noise.low is None or batch_size < 1 or width < 20:
        return []
    ends = [batch_size, noise.low, noise.high or noise.low, noise.value or noise.low]
    finite = [end for end in ends if math.isfinite(end) and end >= 1]
    doublings = max(_LEAST_DOUBLINGS, math.ceil(math.log2(max(finite))) + 1)

    def place(size: float) -> int:
        return min(width - 1, max(0, round(math.log2(max(size, 1.0)) / doublings * (width - 1))))

    return [
        fit(((_MEANING, Role.DIM),), width),
        _interval(noise, place, width),
        _labels(doublings, width),
        _here(place(batch_size), batch_size, width),
    ]


def _interval(noise: NoiseScale, place: Callable[[float], int], width: int) -> Row:
    low = place(noise.low or 1.0)
    high = width - 1 if noise.high is None else place(noise.high)
    bar = "├" + "━" * max(0, high - low - 1) + ("▶" if noise.high is None else "┤") * (high > low)
    inner: Row = ((bar, Role.GRADIENT),)
    if noise.value is not None:
        middle = min(max(place(noise.value), low), high) - low
        inner = ((bar[:middle], Role.GRADIENT), ("◆", Role.STRONG), (bar[middle + 1 :], Role.GRADIENT))
    return (("─" * low, Role.RULE), *inner, ("─" * (width - 1 - high), Role.RULE))


def _labels(doublings: int, width: int) -> Row:
    """Powers of two, as many as there is room for."""
    apart = (width - 1) / doublings
    stride = max(1, math.ceil(6 / apart))
    text = ""
    for power in range(0, doublings + 1, stride):
        at = round(power * apart)
        label = numbers.compact(1 << power)
        if at + len(label) <= width:
            text = text.ljust(at) + label
    return ((text.ljust(width), Role.DIM),)


def _here(at: int, batch_size: int, width: int) -> Row:
    label = f"you are here: {numbers.count(batch_size)}"
    if at + 2 + len(label) <= width:
        return ((" " * at, Role.INK), ("▲", Role.ACCENT), (f" {label}", Role.INK))
    if at < len(label) + 1:
        label = ""
    return ((f"{label} ".rjust(at) if label else " " * at, Role.INK), ("▲", Role.ACCENT))
