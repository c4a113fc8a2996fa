"""The learning rate range test of the guidelines (C, part 10; Smith 2015), on the task that a config trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bsmon.advisor.lr_range import Stretch, exploded, steepest, stretches
from bsmon.engine.trial import Trial


@dataclass(frozen=True, slots=True)
class RangeTest:
    """One test: the learning rate and the loss before each update.

    `suggestion`: where the loss falls fastest; None where it never falls. `exploded`: the test ended early,
    because the loss exceeded ten times the first or was no number.
    """

    batch_size: int
    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None
    exploded: bool

    def stretches(self) -> list[Stretch]:
        """The test in stretches, each with the mean of its losses, up to the explosion."""
        return stretches(self.learning_rates, self.losses)


def ramp(low: float, high: float, steps: int) -> list[float]:
    """`steps` (two or more) learning rates from `low` to `high`, each larger than the last by the same factor."""
    return [low * (high / low) ** (step / (steps - 1)) for step in range(steps)]


def range_test(
    trial: Trial, batch_size: int, learning_rates: Sequence[float], tell: Callable[[int, int, float], None]
) -> RangeTest:
    """Train from the start, one update at each learning rate, until the loss explodes.

    `tell` hears of each update: batch size, updates made, loss. Raises BadInput for a batch larger than the data.
    """
    trial.begin(batch_size)
    losses: list[float] = []
    for count, rate in enumerate(learning_rates, start=1):
        loss = float(trial.update(rate))
        losses.append(loss)
        tell(batch_size, count, loss)
        if exploded(losses[0], loss):
            break
    rates = tuple(learning_rates[: len(losses)])
    return RangeTest(batch_size, rates, tuple(losses), steepest(rates, losses), exploded(losses[0], losses[-1]))
