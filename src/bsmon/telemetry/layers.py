"""The gradient of every parameter by itself, measured while somebody looks at the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from statistics import median

import torch
from torch import Tensor

from bsmon.core.gradients import Layer, LayerHealth, LayerTable, Spread
from bsmon.core.text import clean
from bsmon.telemetry.elements import deviation, element_sums, finite, ratio
from bsmon.telemetry.parameters import Sample, exact_type, flat, norms, widened
from bsmon.telemetry.part import Part

VANISHING = 1e-3
EXPLODING = 1e3
"""A parameter is marked where the root mean square of its gradient is this far from the median parameter's.

The guidelines ask to watch for norms "too large/small" (C, part 11) and give no numbers. Beside the other layers, and
not in absolute terms, because the scale of a loss is arbitrary.
"""

_COLUMNS = 9


class LayerNorms:
    """Norms of each parameter's gradient, weights and update, and how the gradient's elements spread."""

    def __init__(self, names: Sequence[str], sample: Sample) -> None:
        self._names = tuple(clean(name) for name in names)
        self._sample = sample
        self._parts: list[Tensor] = []
        self._absent: tuple[bool, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether `measure` ran in this update, and `finish` has not."""
        return bool(self._parts)

    def measure(self) -> None:
        """Read gradients and weights, before clipping and the update."""
        parameters = self._sample.parameters
        self._absent = tuple(p.grad is None for p in parameters)
        gradients = [p.new_empty(0) if p.grad is None else flat(p.grad) for p in parameters]
        sums = torch.stack([_sums(p) for p in parameters]).T.reshape(-1)
        self._parts = [norms(gradients), norms([flat(p) for p in parameters]), sums]

    def discard(self) -> None:
        """Forget the update."""
        self._parts = []

    def finish(self, step: int, weights_before: Tensor, change: Tensor) -> Part:
        """The results, 9 numbers for each parameter; from the sampled weights and their change by the update."""
        sizes = list(self._sample.sizes)
        columns = (*self._parts, norms(torch.split(change, sizes)), norms(torch.split(weights_before, sizes)))
        self._parts = []
        values = torch.cat([column.to(exact_type(column.device)) for column in columns])
        return Part(values, partial(self._decode, step, self._absent))

    def _decode(self, step: int, absent: Sequence[bool], values: Sequence[float]) -> LayerTable:
        count = len(self._names)
        gradients, weights, *sums, changes, sampled = (values[i * count : (i + 1) * count] for i in range(_COLUMNS))
        elements = [p.numel() for p in self._sample.parameters]
        rms = [
            None if missing or not n else norm / math.sqrt(n)
            for norm, n, missing in zip(gradients, elements, absent, strict=True)
        ]
        usual = usual_rms(rms)
        rows = [
            Layer(
                name=self._names[i],
                elements=elements[i],
                grad_norm=None if absent[i] else gradients[i],
                rms=rms[i],
                weight_norm=weights[i],
                update_ratio=changes[i] / sampled[i] if sampled[i] else None,
                health=judge(rms[i], usual),
                spread=None if rms[i] is None else _spread([column[i] for column in sums], self._sample.numbers[i]),
            )
            for i in range(count)
        ]
        return LayerTable(step, tuple(sorted(rows, key=lambda row: oddity(row.rms, usual), reverse=True)))


def _sums(parameter: Tensor) -> Tensor:
    """`element_sums` of its gradient, zeros where there is none."""
    gradient, kind = parameter.grad, exact_type(parameter.device)
    numbers = None if gradient is None else widened(flat(gradient))
    if gradient is None or numbers is None or not numbers.numel():
        return torch.zeros(5, dtype=kind, device=parameter.device)
    found = element_sums(numbers).to(kind)
    if gradient.is_sparse:
        # Most of its elements are not stored, and 0.
        found[3].clamp_(max=0.0)
        found[4].clamp_(min=0.0)
    return found


def _spread(sums: Sequence[float], numbers: int) -> Spread:
    total, absolute, squares, low, high = sums
    mean_abs, std = absolute / numbers, deviation(total, squares, numbers)
    return Spread(finite(ratio(mean_abs, std)), finite(mean_abs), finite(std), finite(low), finite(high))


def usual_rms(rms: Sequence[float | None]) -> float | None:
    """The median over the parameters with a usable gradient; None where there is none."""
    usable = [x for x in rms if x is not None and math.isfinite(x) and x > 0]
    return median(usable) if usable else None


def judge(rms: float | None, usual: float | None) -> LayerHealth:
    """Mark a parameter's gradient against the usual one of its model."""
    if rms is None:
        return LayerHealth.ABSENT
    if not math.isfinite(rms):
        return LayerHealth.NONFINITE
    if usual is None or rms < VANISHING * usual:
        return LayerHealth.VANISHING
    return LayerHealth.EXPLODING if rms > EXPLODING * usual else LayerHealth.NORMAL


def oddity(rms: float | None, usual: float | None) -> float:
    """How much a parameter stands out: non-finite most, then by its distance from the usual in either direction."""
    if rms is None:
        return -1.0
    if not math.isfinite(rms):
        return math.inf
    if usual is None or rms <= 0:
        return 1e3  # zero stands out more than any ratio of floats
    return abs(math.log10(rms / usual))
