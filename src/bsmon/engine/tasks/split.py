"""Holding out a share of the samples for validation."""

from __future__ import annotations

import torch
from torch import Tensor

from bsmon.config.schema import Config
from bsmon.engine.tasks.sizes import held_out


def hold_out(config: Config, samples: int, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random indices (training, validation) of `samples` samples; a share above 0 holds out at least one.

    Raises BadInput where nothing would be left to train on.
    """
    held = held_out(config, samples, share)
    order = torch.randperm(samples, generator=generator)
    return order[held:], order[:held]
