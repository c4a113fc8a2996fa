"""Data, model and loss for own_code.toml: telling two spirals apart."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset


def spirals(
    samples: int, noise: float, seed: int = 0
) -> tuple[Dataset[tuple[Tensor, ...]], Dataset[tuple[Tensor, ...]]]:
    """Training and validation data: points (x, y) on one of two spirals, and which one it is (0 or 1)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (samples,), generator=generator)
    distance = torch.rand(samples, generator=generator)
    angle = 3 * math.pi * distance + math.pi * labels
    points = torch.stack([angle.cos(), angle.sin()], dim=1) * distance.unsqueeze(1)
    points += noise * distance.unsqueeze(1) * torch.randn(samples, 2, generator=generator)
    held_out = samples // 5
    return TensorDataset(points[held_out:], labels[held_out:]), TensorDataset(points[:held_out], labels[:held_out])


class SpiralNet(nn.Module):
    """Two hidden layers; input (rows, 2), output (rows, 2): one score a spiral."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def forward(self, points: Tensor) -> Tensor:
        """Scores of the two spirals."""
        scores: Tensor = self.layers(points)
        return scores


class FocalLoss(nn.Module):
    """Cross-entropy that counts what is already right for less (Lin et al. 2017). The mean over the samples."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, one number."""
        loss = cross_entropy(scores, labels, reduction="none")
        wrongness = 1 - torch.exp(-loss)
        return (wrongness**self.gamma * loss).mean()
