"""A batch is whatever the data set makes: tensors in any nesting of tuples, lists and dicts, rows first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Batch = Any
"""A tensor, or a tuple, list or mapping of batches; every tensor's first dimension is the sample."""


def map_tensors(change: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    """The same nesting with every tensor changed; anything else is kept as it is."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: map_tensors(change, value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(change, value) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(map_tensors(change, value) for value in batch)
    return batch


def tensors(batch: Batch) -> Iterator[Tensor]:
    """Every tensor of the batch."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from tensors(value)
    elif isinstance(batch, (tuple, list)):
        for value in batch:
            yield from tensors(value)


def split(batch: Batch, sizes: Sequence[int]) -> list[Batch]:
    """Cut a batch of sum(sizes) rows into views of `sizes` rows each."""
    if len(sizes) == 1:
        return [batch]
    parts = []
    start = 0
    for size in sizes:
        parts.append(_rows(batch, start, size, sum(sizes)))
        start += size
    return parts


def _rows(batch: Batch, start: int, count: int, total: int) -> Batch:
    """Rows [start, start + count) of every tensor and of every list of `total` entries (texts, ids)."""
    if isinstance(batch, Tensor):
        return batch.narrow(0, start, count) if batch.dim() and batch.shape[0] == total else batch
    if isinstance(batch, Mapping):
        return {key: _rows(value, start, count, total) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_rows(value, start, count, total) for value in batch))
    if isinstance(batch, (tuple, list)):
        if len(batch) == total and not any(isinstance(value, (Tensor, Mapping, tuple, list)) for value in batch):
            return batch[start : start + count]
        return type(batch)(_rows(value, start, count, total) for value in batch)
    return batch


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on `device`; on a GPU through pinned memory, without waiting for the copy."""
    if device.type == "cuda":
        return map_tensors(lambda tensor: _pinned(tensor).to(device, non_blocking=True), batch)
    return batch if device.type == "cpu" else map_tensors(lambda tensor: tensor.to(device), batch)


def _pinned(tensor: Tensor) -> Tensor:
    """From pinned memory the GPU copies by itself. Data that lie on a GPU already cannot be pinned."""
    return tensor if tensor.device.type != "cpu" or tensor.is_pinned() else tensor.pin_memory()
