"""How classes are mixed in the batches (guidelines B, section 4: long-tailed data and a weighted sampler)."""

from __future__ import annotations

import torch
from torch import Tensor

from bsmon.core.records import ClassMix

_EVERY_STEPS = 50  # counting takes about 20 us
_MOST_CLASSES = 10_000


class ClassMixProbe:
    """Counts the distinct classes of an update now and then. `labels`: classes of the training samples, shape (n,)."""

    def __init__(self, labels: Tensor | None) -> None:
        self._labels = labels

    def is_due(self, step: int) -> bool:
        """Whether the update `step` is to be looked at."""
        return self._labels is not None and step % _EVERY_STEPS == 1

    def look(self, step: int, indices: Tensor) -> ClassMix:
        """The mix of the update `step` made of these samples, shape (rows,)."""
        assert self._labels is not None, "see is_due"
        return ClassMix(step, len(indices), len(self._labels[indices].unique()))


def class_probabilities(labels: Tensor | None, weights: Tensor | None) -> tuple[float, ...] | None:
    """The chance of each class in one draw: by sample weights, shape (n,), or by frequency. None without classes."""
    if labels is None or int(labels.max()) >= _MOST_CLASSES:
        return None
    chances = torch.ones(len(labels), dtype=torch.float64) if weights is None else weights.double()
    totals = torch.zeros(int(labels.max()) + 1, dtype=torch.float64).index_add_(0, labels, chances)
    return tuple((totals / totals.sum()).tolist())
