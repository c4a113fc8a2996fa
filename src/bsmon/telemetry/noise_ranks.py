"""The gradient noise scale from the ranks of a data-parallel update: free statistics wherever several share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from bsmon.telemetry.noise_micro import decode_parts
from bsmon.telemetry.parameters import exact_type
from bsmon.telemetry.part import Part

RANKS = "ranks"


class RankSplit:
    """Squared norms of each rank's gradient before they are added up, as micro batches' (McCandlish et al. 2018, A.1).

    The ranks send them along with their gradients, on a measured update alone: no further backward, no message.
    """

    def __init__(self) -> None:
        self._sizes: tuple[int, ...] = ()
        self._squares: Tensor | None = None

    def arm(self, sizes: Sequence[int]) -> None:
        """Measure the coming update, of which each rank takes so many samples; two or more take some."""
        self.discard()
        self._sizes = tuple(sizes)

    def reduced(self, squares: Tensor) -> None:
        """What `Watch.ranks_reduced` gives, shape (ranks,)."""
        self._squares = squares

    def finish(self, step: int, norm: Tensor, scale: Tensor) -> Part | None:
        """The result; None where the ranks' norms are missing. `norm` and `scale` as in `MicroBatchSplit.finish`."""
        sizes, squares = [size for size in self._sizes if size], self._squares
        self.discard()
        if squares is None:
            return None
        kind = exact_type(norm.device)
        # The first ranks have the samples where there are not enough for all.
        parts = (squares[: len(sizes)].to(kind), norm.to(kind).square().reshape(1), scale.to(kind))
        return Part(torch.cat(parts), partial(decode_parts, RANKS, step, sizes))

    def discard(self) -> None:
        """Forget the update."""
        self._squares = None
