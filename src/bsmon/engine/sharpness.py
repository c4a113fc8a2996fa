"""How sharp is the minimum? The rise of the loss when the weights are moved a little (C, part 8, sharp and flat)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from bsmon.engine.build import Parts
from bsmon.engine.evaluate import evaluate

SHARE = 0.05  # each tensor moves by this share of its own norm, so that the scale of the weights does not matter
DIRECTIONS = 5
SAMPLES = 512


def sharpness(parts: Parts) -> float:
    """Mean rise of the training loss over random directions, in eval mode; the weights are put back exactly.

    Every tensor of weights moves by 5 % of its norm, in the spirit of Li et al. 2018, "Visualizing the Loss Landscape".
    Directions and samples (at most 512) are the same for every call with models of one shape.
    """
    indices = torch.arange(min(SAMPLES, parts.info.train_samples or 0))
    generator = torch.Generator().manual_seed(parts.config.run.seed)
    before = _loss(parts, indices)
    kept = copy.deepcopy(parts.model.state_dict())
    rises = []
    for _ in range(DIRECTIONS):
        _move(parts, generator)
        rises.append(_loss(parts, indices) - before)
        parts.model.load_state_dict(kept)
    return sum(rises) / len(rises)


@torch.no_grad()
def _move(parts: Parts, generator: torch.Generator) -> None:
    for weight in parts.model.parameters():
        direction = torch.randn(weight.shape, generator=generator).to(weight)
        weight.add_(direction * (SHARE * weight.norm() / direction.norm()))


def _loss(parts: Parts, indices: Tensor) -> float:
    found = evaluate(
        parts.runner,
        parts.objective,
        parts.data.train,
        indices,
        batch_size=parts.config.train.eval_batch_size,
        device=parts.device,
        precision=parts.config.run.precision,
        interrupted=lambda: False,
    )
    assert found is not None, "never interrupted"
    return found[0]
