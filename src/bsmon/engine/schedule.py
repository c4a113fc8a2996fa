"""The learning rate's shape over a run, as a function of samples seen.

Counted in samples and not in steps, so that a batch change neither stretches nor compresses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bsmon.config.schema import Schedule


@dataclass(frozen=True, slots=True)
class LearningRateSchedule:
    """`factor(samples)` times the base learning rate is the learning rate."""

    settings: Schedule
    epoch_samples: int
    total_samples: int

    def factor(self, samples: int) -> float:
        """The factor for the update that begins after `samples` samples; in [0, 1]."""
        if self.settings.name == "constant" and not self.settings.warmup_epochs:
            return 1.0
        warmup = self.settings.warmup_epochs * self.epoch_samples
        if samples < warmup:
            # One sample ahead, so that the very first update has a learning rate above 0.
            return min(1.0, (samples + 1) / warmup)
        return self._shape(samples - warmup, max(1.0, self.total_samples - warmup))

    def _shape(self, samples: float, total: float) -> float:
        settings = self.settings
        done = min(1.0, samples / total)
        if settings.name == "cosine":
            return settings.final + (1 - settings.final) * (1 + math.cos(math.pi * done)) / 2
        if settings.name == "linear":
            return 1 - (1 - settings.final) * done
        if settings.name == "step":
            drops = math.floor(samples / (settings.step_epochs * self.epoch_samples))
            return settings.gamma**drops
        return 1.0
