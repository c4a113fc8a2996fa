"""The gradient noise scale from the micro batches of one update: free statistics wherever gradients accumulate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from time import perf_counter

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from bsmon.core.gradients import NoiseSample
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.parameters import exact_type, flat, widened
from bsmon.telemetry.part import Part

MICRO_BATCHES = "micro-batches"


def between_micro_batches(sizes: Sequence[int], squares: Sequence[float], whole: float) -> tuple[float, float]:
    """(S, G2) from |g_i|^2 of the micro batches' mean gradients and |g|^2 of their mean, weighted by sample counts.

    With w_i = n_i / n: E sum w_i |g_i|^2 = |G|^2 + k tr(Sigma) / n and E |g|^2 = |G|^2 + tr(Sigma) / n. For equal
    sizes these are the formulas of McCandlish et al. 2018, appendix A.1.
    """
    samples = sum(sizes)
    mean = sum(n / samples * square for n, square in zip(sizes, squares, strict=True))
    variance = (mean - whole) * samples / (len(sizes) - 1)
    return variance, whole - variance / samples


class MicroBatchSplit:
    """Squared norms of each micro batch's gradient, from hooks that see it before it is added to the others.

    A hook on a parameter is called once a backward with the whole gradient of it, so no second set of gradients is
    kept. The hooks are there only during a measured update.
    """

    def __init__(self, parameters: Sequence[Tensor], meter: CostMeter) -> None:
        self._parameters = tuple(parameters)
        self._meter = meter
        self._handles: list[RemovableHandle] = []
        self._sizes: tuple[int, ...] = ()
        self._present: list[Tensor] = []
        self._squares: list[Tensor] = []

    def arm(self, sizes: Sequence[int]) -> None:
        """Measure the coming update of these micro batches, two or more."""
        self.discard()
        self._sizes = tuple(sizes)
        self._handles = [p.register_hook(self._seen) for p in self._parameters]

    def _seen(self, gradient: Tensor) -> None:
        began = perf_counter()
        vector = widened(flat(gradient))
        self._present.append(torch.dot(vector, vector))
        self._meter.add(perf_counter() - began)

    def backward_done(self) -> None:
        """A micro batch's backward is over."""
        if self._handles and self._present:
            self._squares.append(torch.stack(self._present).sum())
            self._present = []

    def finish(self, step: int, norm: Tensor, scale: Tensor) -> Part | None:
        """The result; None where a micro batch is missing.

        `norm` is that of the update's gradient, unscaled. `scale`, shape (1,), is what the losses were multiplied by.
        """
        sizes, squares = self._sizes, self._squares
        self.discard()
        if len(squares) != len(sizes):
            return None
        kind = exact_type(norm.device)
        values = torch.cat((torch.stack(squares).to(kind), norm.to(kind).square().reshape(1), scale.to(kind)))
        return Part(values, partial(decode_parts, MICRO_BATCHES, step, sizes))

    def discard(self) -> None:
        """Take the hooks away and forget the update."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._present, self._squares = [], [], []


def decode_parts(estimator: str, step: int, sizes: Sequence[int], values: Sequence[float]) -> NoiseSample | None:
    """The record of (|x_i|^2 ..., |g|^2, loss scale), where parts of `sizes` samples contribute x_i to g."""
    *weighted, whole, scale = values
    if not all(map(math.isfinite, values)):
        return None
    samples = sum(sizes)
    # x_i is w_i g_i, because each loss was multiplied by its share of the samples (and by the loss scale).
    squares = [x / (n / samples * scale) ** 2 for n, x in zip(sizes, weighted, strict=True)]
    variance, squared_norm = between_micro_batches(sizes, squares, whole)
    return NoiseSample(step, samples, variance, squared_norm, estimator)
