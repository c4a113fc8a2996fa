"""Starts the other ranks of a run, and ends them with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from bsmon.core.errors import BadInput
from bsmon.engine.build import Parts
from bsmon.engine.ranks.child import start_member
from bsmon.engine.ranks.likeness import likeness
from bsmon.engine.ranks.team import Team


@contextmanager
def other_ranks(parts: Parts) -> Iterator[Team | None]:
    """The ranks beside this one, building the same training; None where the run has one rank. They end with the block.

    Raises BadInput for a model that cannot be trained so.
    """
    world_size = parts.config.run.world_size
    if world_size == 1:
        yield None
        return
    _check(parts)
    members = [start_member(rank) for rank in range(1, world_size)]
    team = Team(members, parts.device)
    try:
        team.begin(parts.config, likeness(parts))
        yield team
    finally:
        team.close()


def _check(parts: Parts) -> None:
    """BatchNorm that talks to the other ranks in the middle of a forward pass cannot wait for one that failed."""
    if any(isinstance(module, nn.SyncBatchNorm) for module in parts.model.modules()):
        raise BadInput(
            f"{parts.config.path}: run.world_size = {parts.config.run.world_size}: the model has SyncBatchNorm, which "
            "bsmon's ranks do not offer; use BatchNorm (each rank over its own micro batches) or GroupNorm"
        )
