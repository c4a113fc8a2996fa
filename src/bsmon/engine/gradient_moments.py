"""The variance of a batch's gradient, measured: C, part 5, says that it is sigma^2 / B."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from bsmon.engine.watch import NoWatch


class GradientMoments(NoWatch):
    """Sums over the gradients of many batches at the same weights, each taken before clipping.

    Holds one gradient; counts only between `begin_batches` and `variance`.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._is_on = False
        self._count = 0
        self._sums: list[Tensor] = []
        self._squares = 0.0

    def begin_batches(self) -> None:
        """Forget what was seen, and look from now on."""
        self._is_on, self._count, self._squares = True, 0, 0.0
        self._sums = [torch.zeros_like(parameter) for parameter in self._parameters]

    @torch.no_grad()
    def gradients_ready(self, norm: Tensor | None) -> None:
        """See Watch."""
        del norm  # of the clipped run only
        if not self._is_on:
            return
        self._count += 1
        for total, parameter in zip(self._sums, self._parameters, strict=True):
            if parameter.grad is not None:
                total += parameter.grad
                self._squares += float(parameter.grad.double().square().sum())

    def variance(self) -> float | None:
        """tr(Cov) of the batches' gradients, (sum |g|^2 - m |mean|^2) / (m - 1); None below two batches.

        Ends the measurement.
        """
        self._is_on = False
        sums, self._sums = self._sums, []
        if self._count < 2:
            return None
        mean_square = sum(float(total.double().square().sum()) for total in sums) / self._count
        return max(0.0, self._squares - mean_square) / (self._count - 1)
