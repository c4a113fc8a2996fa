"""Data and models for configs: outputs of several shapes, and gradients that are not finite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

CLASSES, FEATURES = 3, 6


def rows(samples: int = 70) -> TensorDataset:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(samples, FEATURES, generator=generator)
    return TensorDataset(inputs, (inputs @ torch.randn(FEATURES, CLASSES, generator=generator)).argmax(1))


def sorted_classes(samples: int = 96) -> TensorDataset:
    """Eight classes in blocks, so that a batch in this order holds as many classes as it is wide."""
    return TensorDataset(torch.randn(samples, FEATURES), torch.arange(samples) * 8 // samples)


class Net(nn.Module):
    """Scores of the classes. `wide` is one parameter to follow by name."""

    def __init__(self, outputs: int = CLASSES) -> None:
        super().__init__()
        self.wide, self.last = nn.Linear(FEATURES, 12), nn.Linear(12, outputs)

    def scores(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.last(torch.tanh(self.wide(inputs)))
        return scores

    def forward(self, inputs: Tensor) -> Any:
        return self.scores(inputs)


class InDict(Net):
    """The scores among other things."""

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        scores = self.scores(inputs)
        return {"logits": scores, "probabilities": scores.softmax(1)}


class OwnLoss(nn.Module):
    """The loss and the scores, as models of the transformers library give them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        scores = self.net.scores(inputs)
        return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}


class EightClasses(Net):
    """For `sorted_classes`."""

    def __init__(self) -> None:
        super().__init__(outputs=8)


class Breaks(Net):
    """The fifth update's gradient of `last.bias` has one NaN, from the root of 0, while its loss is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.passes += self.training
        scores = self.scores(inputs)
        return scores + (self.last.bias[1] * 0).abs().sqrt() if self.passes == 5 else scores


def noisy_net() -> nn.Module:
    """BatchNorm's running statistics and dropout's random numbers, which an observer could disturb."""
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, CLASSES))


class AtMostSixteenRows(Net):
    """Takes no larger batch."""

    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) > 16:
            raise ValueError("at most 16 rows")
        return self.scores(inputs)
