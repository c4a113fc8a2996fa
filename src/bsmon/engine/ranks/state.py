"""Rank 0's weights and optimizer state on every rank: at the start, and whenever training has gone back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bsmon.engine.build import Parts
from bsmon.engine.ranks.group import Group


@dataclass(frozen=True, slots=True)
class Place:
    """Stands for a tensor that is sent by itself."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    on_cpu: bool


def capture(parts: Parts) -> dict[str, object]:
    """All that an update changes and every rank needs. The tensors are the live ones."""
    return {
        "model": dict(parts.model.state_dict()),
        "optimizer": parts.optimizer.state_dict(),
        "scaler": None if parts.scaler is None else parts.scaler.state_dict(),
    }


def put_in_place(parts: Parts, state: Mapping[str, Any]) -> None:
    """Make another rank's state this one's."""
    parts.model.load_state_dict(state["model"])
    parts.optimizer.load_state_dict(state["optimizer"])
    if parts.scaler is not None:
        parts.scaler.load_state_dict(state["scaler"])


def outline(value: object, found: list[Tensor]) -> object:
    """The same nesting with a `Place` for every tensor; the tensors go to `found`, in order."""
    if isinstance(value, Tensor):
        found.append(value.detach())
        return Place(tuple(value.shape), value.dtype, value.device.type == "cpu")
    if isinstance(value, Mapping):
        return {key: outline(item, found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(outline(item, found) for item in value)
    return value


def fill(value: object, device: torch.device, made: list[Tensor]) -> object:
    """The opposite of `outline`, with new tensors, which also go to `made`."""
    if isinstance(value, Place):
        made.append(torch.empty(value.shape, dtype=value.dtype, device="cpu" if value.on_cpu else device))
        return made[-1]
    if isinstance(value, Mapping):
        return {key: fill(item, device, made) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(fill(item, device, made) for item in value)
    return value


@torch.no_grad()
def copy_from_first(tensors: list[Tensor], device: torch.device, group: Group) -> None:
    """Make these tensors rank 0's; every rank calls it, with tensors of the same shapes.

    As bytes: no type is too odd. Through the device: NCCL knows no tensors in main memory.
    """
    for tensor in tensors:
        if tensor.numel():
            sent = tensor.to(device).contiguous()
            group.copy_from_first(sent.reshape(-1).view(torch.uint8))
            if sent.data_ptr() != tensor.data_ptr():
                tensor.copy_(sent)
