"""Count, mean and spread of a stream of numbers, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Moments:
    """Running count, mean and sum of squared deviations (Welford's update; Chan's rule joins two of them)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of (x - mean)^2

    def add(self, value: float) -> None:
        """Take one finite number in."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.squares += delta * (value - self.mean)

    def joined(self, other: Moments) -> Moments:
        """The moments of both streams together."""
        count = self.count + other.count
        if count == 0:
            return Moments()
        delta = other.mean - self.mean
        mean = self.mean + delta * other.count / count
        squares = self.squares + other.squares + delta * delta * self.count * other.count / count
        return Moments(count, mean, squares)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None below two numbers."""
        return math.sqrt(max(0.0, self.squares) / (self.count - 1)) if self.count > 1 else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean; None below two numbers."""
        deviation = self.deviation
        return None if deviation is None else deviation / math.sqrt(self.count)


def join(parts: Iterable[Moments]) -> Moments:
    """The moments of several streams together."""
    total = Moments()
    for part in parts:
        total = total.joined(part)
    return total


def z_score(high: Moments, low: Moments) -> float:
    """How many standard errors the mean of `high` lies above the mean of `low`; 0 where no spread is known."""
    difference = high.mean - low.mean
    error = math.hypot(high.standard_error or 0.0, low.standard_error or 0.0)
    if error > 0:
        return difference / error
    if high.count < 2 or low.count < 2 or difference == 0:
        return 0.0
    return math.copysign(math.inf, difference)
