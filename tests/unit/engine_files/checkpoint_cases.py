"""Stores of small checkpoints, and a way to damage them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch

from bsmon.engine.checkpoint import CheckpointStore, Saved


def state_of(value: int) -> dict[str, object]:
    return {"weights": OrderedDict(a=torch.full((16,), float(value))), "value": value}


def store_with(directory: Path, *steps: int) -> tuple[CheckpointStore, list[Saved]]:
    store = CheckpointStore(directory / "checkpoints")
    return store, [store.save(state_of(step), step) for step in steps]


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
