"""Verdicts on the loss, as data: what `LossHealth` finds and the tree reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """Verdicts on the loss so far. None: too early to say, or not measured.

    The numbers beside a verdict are what it was held against; each may be None by itself.
    """

    nonfinite: bool | None = None  # a loss or gradient that is NaN or infinite, within the last block
    blown_up: bool | None = None  # above 3x the starting loss
    oscillating: bool | None = None  # rises again and again by more than chance and 10 %
    lost_progress: bool | None = None  # a quarter of what was gained is gone, or above the starting loss
    barely_moving: bool | None = None
    overfitting: bool | None = None  # validation loss rises while the training loss falls
    spikes: int = 0  # since the run began
    times_start: float | None = None  # recent loss over the starting loss
    rises: int | None = None  # of the last ten blocks that rose beyond chance
    progress_lost: float | None = None  # share of the progress that is gone, 0 = none
    improvement: float | None = None  # (start - now + 2 SE) / |start|: what can be claimed at the most
    validation_rise: float | None = None  # smoothed validation loss over its best, minus 1

    @property
    def step_too_long(self) -> bool:
        """Signs of a learning rate that is too high, whatever the gradient noise."""
        return bool(self.nonfinite or self.blown_up or self.lost_progress)

    @property
    def unstable(self) -> bool | None:
        """Whether training is unstable in any of the ways; None while nothing can be said."""
        verdicts = (self.nonfinite, self.blown_up, self.lost_progress, self.oscillating)
        if any(verdicts):
            return True
        return None if self.oscillating is None else False
