"""Models for configs of these tests that misbehave on one rank alone, whether it is a thread or a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.unit.ranks.threads import rank_here


def rank() -> int:
    return int(os.environ.get("BSMON_RANK", rank_here()))


class Troubled(nn.Module):
    """A small net that calls `trouble(rows)` in every training pass of one rank."""

    def __init__(self, trouble: Callable[[int], None], whose: int = 1) -> None:
        super().__init__()
        self._whose = whose
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        self._trouble = trouble

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and rank() == self._whose:
            self._trouble(len(inputs))
        output: Tensor = self.net(inputs)
        return output


def small_memory(rows: int) -> nn.Module:
    """Rank 1 cannot hold more than so many rows."""

    def trouble(given: int) -> None:
        if given > rows:
            raise torch.OutOfMemoryError(f"no room for {given} rows")

    return Troubled(trouble)


def broken(after: int, whose: int = 1) -> nn.Module:
    """A rank fails in its pass number `after`."""
    passes = 0

    def trouble(given: int) -> None:
        nonlocal passes
        passes += 1
        if passes == after:
            raise ValueError(f"{given} rows were too many\n\x1b[31mfor me")

    return Troubled(trouble, whose)


class Branches(nn.Module):
    """Half of the weights get a gradient only where a row's first feature is above 0, as in a mixture of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.always, self.sometimes, self.never = nn.Linear(6, 3), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.always(inputs)
        above = inputs[:, 0] > 1.0
        return output + self.sometimes(inputs) * above.unsqueeze(1) if bool(above.any()) else output


def branches() -> nn.Module:
    return Branches()


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))


def dropout() -> nn.Module:
    """Random numbers in training, and a line of output from each rank."""
    sys.stdout.write(f"a line printed by rank {rank()}\n")
    sys.stdout.flush()
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3))


def synchronous() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.SyncBatchNorm(8), nn.Linear(8, 3))


def unlike() -> nn.Module:
    """Another model on each rank."""
    return nn.Linear(6, 3, bias=rank() == 0)
