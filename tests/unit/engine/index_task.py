"""Targets for configs of the engine's tests: samples that are their own index, and models that note what they saw."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

Sample = tuple[Tensor, Tensor]


class IndexItems(Dataset[Sample]):
    """Sample i is (i, i / samples), loaded one by one. `broken`: this one raises."""

    def __init__(self, samples: int, broken: int | None = None) -> None:
        self._samples = samples
        self._broken = broken

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, index: int) -> Sample:
        if index == self._broken:
            raise OSError("the picture is cut off")
        number = torch.tensor([float(index)])
        return number, number / self._samples


def items(samples: int, broken: int | None = None) -> IndexItems:
    return IndexItems(samples, broken)


def weighted(samples: int) -> dict[str, Any]:
    return {"train": rows(samples), "sample_weights": torch.arange(1, samples + 1).double()}


def rows(samples: int) -> TensorDataset:
    numbers = torch.arange(float(samples)).unsqueeze(1)
    return TensorDataset(numbers, numbers / samples)


def validated(samples: int) -> tuple[TensorDataset, TensorDataset]:
    """As `rows`, with the same rows to validate on."""
    return rows(samples), rows(samples)


def table(samples: int, features: int = 6, classes: int = 3) -> TensorDataset:
    """Real inputs with classes, the same every time."""
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(samples, features, generator=generator)
    return TensorDataset(inputs, (inputs @ torch.randn(features, classes, generator=generator)).argmax(1))


class SeenModel(nn.Module):
    """A straight line through the indices; `seen` holds every index that a training forward pass was given."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.seen: list[int] = []

    def forward(self, indices: Tensor) -> Tensor:
        if self.training:
            self.seen += [int(index) for index in indices.flatten().tolist()]
        output: Tensor = self.line(indices / 100)
        return output


def seen() -> SeenModel:
    return SeenModel()


def net(dropout: float = 0.3) -> nn.Module:
    """All that makes a retry hard: BatchNorm's running statistics and dropout's random numbers."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


class OddBatchModel(nn.Module):
    """Folds pairs of rows; an odd number of them raises, as a reshape in a model of somebody's own may."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)

    def forward(self, indices: Tensor) -> Tensor:
        output: Tensor = self.line(indices.reshape(-1, 2, 1)).reshape(len(indices), 1)
        return output


def odd() -> OddBatchModel:
    return OddBatchModel()


class NanModel(nn.Module):
    """Gives NaN from the third training forward pass on."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.passes = 0

    def forward(self, indices: Tensor) -> Tensor:
        self.passes += self.training
        output: Tensor = self.line(indices) * (float("nan") if self.passes >= 3 else 1.0)
        return output


def nan() -> NanModel:
    return NanModel()
