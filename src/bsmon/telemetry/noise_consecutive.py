"""The gradient noise scale from two consecutive updates: works for every model, but is biased high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from bsmon.core.gradients import NoiseSample
from bsmon.telemetry.parameters import Sample, exact_type
from bsmon.telemetry.part import Part

CONSECUTIVE = "consecutive"


class ConsecutiveGradients:
    """Two independent gradients g1, g2 of n1 and n2 samples: S = |g1 - g2|^2 / (1/n1 + 1/n2), G2 = g1.g2.

    The weights move between the two, which looks like noise: the ratio S / G2 is too high, and more so the larger the
    learning rate. From a `Sample` of the elements, because one gradient must be kept for a step.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._first: tuple[Tensor, int, int] | None = None

    @property
    def is_half_done(self) -> bool:
        """Whether the next step must be measured too."""
        return self._first is not None

    def measure(self, step: int, samples: int) -> Part | None:
        """Read the gradient of this update; a result comes with every second one."""
        present = self._sample.gradients()
        first, self._first = self._first, None
        if first is None or first[1] != step - 1:
            self._first = (present, step, samples)
            return None
        previous, _, before = first
        apart = present - previous
        values = torch.stack((torch.dot(apart, apart), torch.dot(previous, present)))
        return Part(values.to(exact_type(values.device)), partial(_decode, step, before, samples))

    def discard(self) -> None:
        """Forget the kept gradient."""
        self._first = None


def _decode(step: int, before: int, samples: int, values: Sequence[float]) -> NoiseSample | None:
    apart, inner = values
    if not (math.isfinite(apart) and math.isfinite(inner)):
        return None
    return NoiseSample(step, samples, apart / (1 / before + 1 / samples), inner, CONSECUTIVE)
