"""Small models of every family with a step each, for the memory tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

Batch = tuple[torch.Tensor, torch.Tensor]


class Transformer(nn.Module):
    """Two encoder blocks over characters, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(65, 32)
        self.blocks = nn.Sequential(*[nn.TransformerEncoderLayer(32, 4, 64, batch_first=True) for _ in range(2)])
        self.head = nn.Linear(32, 65)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.blocks(self.embed(tokens)))
        return logits.transpose(1, 2)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10))


def cnn() -> nn.Module:
    body = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 10))


def vectors(rows: int) -> Batch:
    return torch.randn(rows, 64), torch.randint(0, 10, (rows,))


def images(rows: int) -> Batch:
    return torch.randn(rows, 1, 12, 12), torch.randint(0, 10, (rows,))


def texts(rows: int) -> Batch:
    return torch.randint(0, 65, (rows, 24)), torch.randint(0, 65, (rows, 24))


def sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def adam(model: nn.Module) -> Optimizer:
    return torch.optim.Adam(model.parameters())


def adamw_fused(model: nn.Module) -> Optimizer:
    return torch.optim.AdamW(model.parameters(), fused=True)


def step(model: nn.Module, optimizer: Optimizer, batch: object) -> None:
    assert isinstance(batch, tuple)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(nn.functional.cross_entropy(model(batch[0]), batch[1]))
    optimizer.step()


def step_in_bf16(model: nn.Module, optimizer: Optimizer, batch: object) -> None:
    assert isinstance(batch, tuple)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    torch.autograd.backward(loss)
    optimizer.step()


def step_accumulating(model: nn.Module, optimizer: Optimizer, batch: object) -> None:
    assert isinstance(batch, tuple)
    optimizer.zero_grad(set_to_none=True)
    for _ in range(2):
        torch.autograd.backward(nn.functional.cross_entropy(model(batch[0]), batch[1]))
    optimizer.step()


@dataclass(frozen=True)
class Family:
    model: Callable[[], nn.Module]
    batch: Callable[[int], Batch]


FAMILIES = {"mlp": Family(mlp, vectors), "cnn": Family(cnn, images), "transformer": Family(Transformer, texts)}
OPTIMIZERS = {"sgd": sgd, "adam": adam, "adamw_fused": adamw_fused}
STEPS = {"plain": step, "bf16": step_in_bf16, "accumulating": step_accumulating}
