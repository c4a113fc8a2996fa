"""Small models and the loop that the engine runs, for the tests of the gradient probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bsmon.telemetry.gradients import GradientProbes

LossOf = Callable[[nn.Module, Tensor, Tensor], Tensor]


def mlp(dropout: float = 0.0, norm: bool = False) -> nn.Module:
    middle = [nn.BatchNorm1d(12)] if norm else []
    return nn.Sequential(nn.Linear(6, 12), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(12, 3))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


def data(samples: int = 64, seed: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 6, generator=generator), torch.randint(0, 3, (samples,), generator=generator)


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(x), y)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    probes: GradientProbes | None,
    *,
    steps: int,
    sizes: Sequence[int],
    loss_of: LossOf = cross_entropy,
    grad_clip: float | None = None,
) -> None:
    """Updates as bsmon.engine.update makes them, with fixed batches."""
    x, y = data()
    total = sum(sizes)
    for step in range(1, steps + 1):
        if probes is not None:
            probes.begin(step, sizes)
        optimizer.zero_grad(set_to_none=True)
        at = (step * 7) % (len(x) - total)
        for index, size in enumerate(sizes):
            loss = loss_of(model, x[at : at + size], y[at : at + size]) * (size / total)
            torch.autograd.backward(loss)
            at += size
            if probes is not None:
                probes.backward_done(index)
        norm = None
        if grad_clip is not None:
            norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        if probes is not None:
            probes.gradients_ready(norm)
        if grad_clip is not None and norm is not None:
            torch.nn.utils.clip_grads_with_norm_(model.parameters(), grad_clip, norm)
        optimizer.step()
        if probes is not None:
            probes.updated(0.1)
